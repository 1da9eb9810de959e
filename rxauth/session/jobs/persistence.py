"""A session's way to its storage: every call in a time limit, no error lost, nothing saved out of turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeVar

from rxauth.concurrency.runtime import Latch, Pending, Runtime
from rxauth.errors import SessionExpired, StorageError
from rxauth.redaction.tracebacks import own_frames
from rxauth.session.jobs.ownership import check_endpoint
from rxauth.storage.lineage import brings_back, following, given_again, knows, remembering
from rxauth.storage.memory import MemoryStorage
from rxauth.storage.protocol import Key, Record, SharedStorage, TokenStorage, WatchedStorage
from rxauth.tokens.account import account_of
from rxauth.tokens.pair import Tokens

T = TypeVar("T")

#: How often a new sign-in looks again what it takes the place of, while others store their pairs.
_OVERTAKEN: Final = 3

log = logging.getLogger("rxauth")


class News(NamedTuple):
    """What another process has done to the record: nothing, brought a `later` pair of the same sign-in, ended it
    (`over`), signed somebody else in (`other`), or lost it (`absent`)."""

    kind: Literal["nothing", "later", "over", "other", "absent"]
    record: Record | None = None


class GuardedStorage:
    """Calls a storage on a thread of its own and waits `timeout` seconds at most, one call after the other.

    A refresh, a login and a logout may want to write at once. Each waits for the one before it, so that the write of a
    login that was overtaken can not land on top of the one that overtook it.
    """

    def __init__(self, storage: TokenStorage, runtime: Runtime, timeout: float, endpoint: str = "") -> None:
        self._storage = storage
        self._runtime = runtime
        self._timeout = timeout
        self._lock = threading.Lock()
        self._last: Latch | None = None
        #: The end of the last call that took longer than it may.
        self._late: Latch | None = None
        #: What the storage holds, as far as is known, and the pair that this is, if it is one of ours.
        self._stored: Key | None = None
        self._holds: Tokens | None = None
        #: What was stored when it could not be removed: another try has to find it.
        self._unremoved: Key | None = None
        #: The last record that is known to have been stored.
        self._record: Record | None = None
        #: The pair that was given at the start, if another one was resumed in its place.
        self._given: Tokens | None = None
        #: The last of the numbers that all processes share, for each sign-in that was stored: none of them goes back,
        #: and a sign-in that was stored, and is not any more, does not come back. And the pair with the last of all.
        self._numbers: dict[str, int] = {}
        self._last_numbered: Tokens | None = None
        self._is_failing = False
        #: Whose record was there when a sign-in was about to be stored for the first time: that may have worked,
        #: although it was said to have failed, and then anybody else came later.
        self._found: dict[str, str] = {}
        #: Is a run still in the section, because the pair that it brought could not be saved yet?
        self.is_keeping = False
        self._endpoint = endpoint if isinstance(endpoint, str) else ""

    @property
    def is_shared(self) -> bool:
        """True when the tokens outlive this process."""
        return not isinstance(self._storage, MemoryStorage)

    @property
    def is_exclusive(self) -> bool:
        """True when several processes may share the storage, and take turns at refreshing."""
        return isinstance(self._storage, SharedStorage)

    def renew(self) -> None:
        """For the child of a fork, where nobody ends a call that was under way."""
        self._lock, self._last, self._late, self.is_keeping = threading.Lock(), None, None, False

    def load(self) -> Record | None:
        """The stored record. Raises what the storage raises."""
        with self._turn():
            record = self._load()
            self._stored = record.key if record is not None else None
            return record

    def adopt(self, tokens: Tokens, record: Record) -> None:
        """This record is what is stored, and these are its tokens, under this session's own number."""
        self._stored, self._holds, self._record = record.key, tokens, record
        self._numbers[record.sign_in], self._last_numbered = record.generation, tokens

    def note_given(self, tokens: Tokens) -> None:
        """This pair was given, and what is stored was resumed in its place."""
        self._given = tokens

    def pass_over(self, record: Record) -> None:
        """This record's sign-in was there, and was not resumed: it is no newcomer."""
        self._numbers.setdefault(record.sign_in, record.generation)

    def enter(self, wait: float) -> tuple[AbstractContextManager[object], Pending[None]]:
        """Begin to enter the section in which this process alone may refresh; the caller waits, and leaves it."""
        storage, section = self._storage, ExitStack()
        assert isinstance(storage, SharedStorage)
        return section, self._runtime.io(
            _tamed(lambda: section.enter_context(storage.exclusive(wait))), "rxauth-section"
        )

    def leave(self, section: AbstractContextManager[object]) -> None:
        """Leave the section. A failure is logged: its lease ends by itself."""
        if self._late is not None:
            self._runtime.wait(self._late)  # a write that is late must not land in the section of another
        try:
            self._limited(lambda: section.__exit__(None, None, None))
        except Exception as error:
            log.warning("rxauth: the storage's lock could not be given back: %s%s", type(error).__name__, why(error))

    def news(self, tokens: Tokens) -> News:
        """What others have done since this pair was stored. Raises what the storage raises."""
        with self._turn():
            record = self._load()
            if record is None or self._brings_back(record):
                self._stored = self._holds = None
                return News("absent")
            known = self._numbers.get(tokens.sign_in, 0)
            if record.tokens is None:
                is_over = known or record.sign_in == tokens.sign_in or knows(record, tokens)
                return News("over" if is_over else "nothing", record)
            if record.sign_in != tokens.sign_in:
                # Unless ours was never stored, in the place of who was there before.
                is_later = (
                    known or knows(record, tokens) or self._found.get(tokens.sign_in, record.sign_in) != record.sign_in
                )
                return News("other" if is_later else "nothing", record)
            if _text(record.tokens) == _text(tokens):
                self.adopt(tokens, record)  # also when a save of ours came through after its time limit
                return News("nothing", record)
            if record.generation > known or self._is_overtaken(tokens):
                return News("later", record)
            # A storage that was set back holds a pair of before ours.
            self._stored, self._holds = record.key, None
            return News("nothing", record)

    def newcomer(self) -> Record | None:
        """The record of a sign-in that was not known here, if there is one. Raises what the storage raises."""
        with self._turn():
            record = self._load()
            return record if record is not None and record.sign_in not in self._numbers else None

    def note_spending(self, tokens: Tokens, since: float | None, wanted: Callable[[], bool]) -> Exception | None:
        """Write into the journal that this pair is being spent, or (None) that it is not. Returns the error, if any."""
        with self._turn():
            return self._put(tokens, wanted, since)

    def note_waiting(self, tokens: Tokens, until: float) -> Exception | None:
        """Write into the journal of this pair until when its answer is waited for, if the sign-in is still stored."""
        with self._turn():
            is_stored = self._stored is not None and self._stored[0] == tokens.sign_in
            return self._put(tokens, lambda: is_stored, until)

    def claim(self, owner: object) -> None:
        """`owner` has the storage, where that is for one session at a time. Raises `StorageInUse`."""
        if isinstance(self._storage, MemoryStorage) and not self.is_exclusive:
            self._storage.claim(owner)

    def release(self, owner: object) -> None:
        """`owner` is closed."""
        if isinstance(self._storage, MemoryStorage):
            self._storage.release(owner)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called when others change the record, where the storage can say so; returns how to stop."""
        return self._storage.watch(changed) if isinstance(self._storage, WatchedStorage) else lambda: None

    def is_behind(self, tokens: Tokens) -> bool:
        """True unless this pair is what was stored last: its save failed, or somebody else's came after it."""
        return not _is_ours(self._holds, tokens)

    def _is_overtaken(self, tokens: Tokens) -> bool:
        """Is a pair of this sign-in stored that came to this session later than this one?"""
        holds = self._holds
        if holds is None or holds.sign_in != tokens.sign_in:
            return False
        return holds.generation > tokens.generation and self.is_behind(tokens)

    def save(self, tokens: Tokens, wanted: Callable[[], bool]) -> Exception | None:
        """Store the pair in the place of its sign-in's last one, or else of whatever there is.

        Returns the error, if it failed. Nothing is stored, which is no error, if it is not `wanted` when its turn comes
        (a logout, or another sign-in, was quicker).
        """
        with self._turn():
            return self._save(tokens, wanted)

    def catch_up(self, tokens: Tokens, wanted: Callable[[], bool]) -> Exception | None:
        """`save`, unless the pair is what is stored: found out in its turn, for a write of another may be under way."""
        with self._turn():
            return self._save(tokens, wanted) if self.is_behind(tokens) else None

    def _save(self, tokens: Tokens, wanted: Callable[[], bool]) -> Exception | None:
        return self._put(tokens, wanted, None)

    def _put(self, tokens: Tokens, wanted: Callable[[], bool], spending: float | None) -> Exception | None:
        sign_in, replaces = tokens.sign_in, self._stored
        if replaces is not None and replaces[0] != sign_in:
            replaces = None  # a new sign-in takes the place of whatever there is
            # Unless it was this session alone that stored another one on top of it: a login that was overtaken.
            if sign_in in self._numbers and (self.is_exclusive or self._holds is None):
                return None
        if not wanted() or self._is_overtaken(tokens):
            return None
        generation = self._numbers.get(sign_in, 0) + (not _is_ours(self._last_numbered, tokens))
        new = Record(sign_in, generation, tokens, account_of(tokens), self._endpoint, spending)
        try:
            if replaces is None and (self._endpoint or self.is_exclusive):
                record, stored = self._replace(new, wanted)
            else:
                record, stored = self._write(new, replaces)
        except Exception as error:
            if not self._is_failing:  # the tries that follow say nothing new
                log.warning("rxauth: the tokens could not be saved: %s%s", type(error).__name__, why(error))
            self._is_failing = True
            return own_frames(error)  # it is kept in the state: our frames in it would keep the session
        self._is_failing = False
        if stored:
            self.adopt(tokens, record)
        elif _is_ours(self._holds, tokens):
            self._holds = None  # somebody has stored another one since it was read
        return None

    def _replace(self, new: Record, wanted: Callable[[], bool]) -> tuple[Record, bool]:
        """Store the record in the place of whatever there is, which is read first: it may not be ours to remove, and a
        refresh of it that lands between the two has spent a pair that the new record has to remember."""
        for _ in range(_OVERTAKEN):
            found = self._load()
            self._found.setdefault(new.sign_in, found.sign_in if found is not None else "")
            if not wanted():
                return new, False
            if not self.is_exclusive or found is None or found.tokens is None:
                break
            record, stored = self._write(new, found.key)
            if stored:
                return record, True
        return self._write(new, None)

    def _write(self, new: Record, replaces: Key | None) -> tuple[Record, bool]:
        record = given_again(following(new, self._record), self._given)
        return record, self._ordered(lambda: self._storage.save(record, replaces))

    def note_spent(self, spent: Tokens, stored: Record) -> None:
        """Somebody signed in while this pair was being spent, and could not know it: have that record remember it. The
        caller is in the section. Raises what the storage raises."""
        with self._turn():
            record = remembering(stored, spent)
            if record != stored and self._ordered(lambda: self._storage.save(record, stored.key)):
                self._record = record

    def clear(
        self,
        sign_in: str,
        keep: Callable[[], Collection[str]] | None = None,
        *,
        cause: SessionExpired | None = None,
        again: bool = False,
    ) -> Exception | None:
        """Remove the sign-in's record. Returns the error, if it failed, which is logged but for a try `again`.

        `cause` is why the server ended the sign-in: those who share the storage are told.

        With `keep`, also what is stored of an earlier sign-in, whose place this one's pair could not take because its
        save failed: else the next start would sign in whoever was there before. `keep` are those that stay.
        """
        with self._turn():
            stored, ended = self._stored or self._unremoved, sign_in
            if keep is not None and stored is not None and stored[0] not in keep():
                sign_in = stored[0]
            if stored is not None and stored[0] == sign_in:
                self._stored = self._holds = None
            try:
                if cause is None or stored is None or stored[0] != ended or not self._bury(stored, cause):
                    self._ordered(lambda: self._storage.clear(sign_in))
            except Exception as error:
                if not again:
                    what = f"{type(error).__name__}{why(error)}"
                    log.error("rxauth: the tokens of a session that is over are still stored: %s", what)
                self._unremoved = stored
                return error
            self._unremoved = None
            return None

    def _bury(self, stored: Key, cause: SessionExpired) -> bool:
        """Put a tombstone that says why in the place of this pair. False when that is not what is stored."""
        if not self.is_exclusive:
            return False  # nobody else reads it
        # A refresher of the user's may have raised it, with anything as its cause.
        status = cause.status_code if type(cause.status_code) is int else None
        record = self._record
        ended = record if record is not None and record.key == stored else Record(*stored, None)
        over = replace(ended, tokens=None, spending=None, cause=str(cause.cause or "refused"), status_code=status)
        return self._ordered(lambda: self._storage.save(over, stored))

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While the section is kept for a pair that could not be saved yet."""
        self.is_keeping = True
        try:
            yield
        finally:
            self.is_keeping = False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        mine = self._runtime.latch()
        with self._lock:
            before, self._last = self._last, mine
        if before is not None:
            self._runtime.wait(before, self._timeout)
        try:
            yield
        finally:
            mine.set()

    def _load(self) -> Record | None:
        record = check_endpoint(self._ordered(self._storage.load), self._endpoint)
        if record is not None and not self._brings_back(record):
            self._record = record
        return record

    def _brings_back(self, record: Record) -> bool:
        """Was the storage emptied, and begun anew with a pair that ours came from? Only who has ours knows it."""
        return self._record is not None and brings_back(record, self._record)

    def _ordered(self, work: Callable[[], T]) -> T:
        """A call whose time limit has run out still goes on, and may land on top of what comes after it: that waits."""
        if self._late is not None and not self._runtime.wait(self._late, self._timeout):
            raise TimeoutError("the token storage has not answered an earlier call yet")
        return self._limited(work)

    def _limited(self, work: Callable[[], T]) -> T:
        if type(self._storage) is MemoryStorage:
            return work()  # which cannot block
        pending = self._runtime.io(_tamed(work), "rxauth-storage")
        if not self._runtime.wait(pending.done, self._timeout):
            self._late = pending.done
            raise TimeoutError(f"the token storage did not answer in {self._timeout:g} s")
        return pending.result()


def _tamed(work: Callable[[], T]) -> Callable[[], T]:
    """`work` that raises Exceptions only: what exits, or panics, in a storage is an error of the storage's."""

    def tamed() -> T:
        try:
            return work()
        except Exception:
            raise
        except BaseException as error:
            raise StorageError(f"the storage raised {type(error).__name__}") from own_frames(error)

    return tamed


def _is_ours(known: Tokens | None, tokens: Tokens) -> bool:
    """Are they the same pair of one sign-in?"""
    return known is not None and known.sign_in == tokens.sign_in and _text(known) == _text(tokens)


def _text(tokens: Tokens) -> tuple[str, str | None]:
    """What a pair is known by: two threads that take over what is stored may have given it two numbers."""
    return tokens.access, tokens.refresh


def why(error: Exception) -> str:
    """Our own text, or the operating system's word for it. Any other text may hold what was to be saved."""
    if isinstance(error, StorageError):
        return f": {error}"
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
