"""A session's way to its storage: every call in a time limit, no error lost, nothing saved out of turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, NamedTuple, TypeVar

from rxauth.errors import StorageError
from rxauth.runtime import Latch, Pending, Runtime
from rxauth.storage.memory import MemoryStorage
from rxauth.storage.owner import account_of, check_endpoint
from rxauth.storage.protocol import Key, Record, SharedStorage, TokenStorage, WatchedStorage
from rxauth.tokens import Tokens

T = TypeVar("T")

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
        #: What the storage holds, as far as is known, and the pair that this is, if it is one of ours.
        self._stored: Key | None = None
        self._holds: Tokens | None = None
        #: The last of the numbers that all processes share, for each sign-in that was stored: none of them goes back,
        #: and a sign-in that was stored, and is not any more, does not come back.
        self._numbers: dict[str, int] = {}
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
        self._lock, self._last = threading.Lock(), None

    def load(self) -> Record | None:
        """The stored record. Raises what the storage raises."""
        with self._turn():
            record = self._load()
            self._stored = record.key if record is not None else None
            return record

    def adopt(self, tokens: Tokens, record: Record) -> None:
        """This record is what is stored, and these are its tokens, under this session's own number."""
        self._stored, self._holds = record.key, tokens
        self._numbers[record.sign_in] = record.generation

    def enter(self, wait: float) -> tuple[AbstractContextManager[None], Pending[None]]:
        """Begin to enter the section in which this process alone may refresh; the caller waits, and leaves it."""
        assert isinstance(self._storage, SharedStorage)
        section = self._storage.exclusive(wait)
        return section, self._runtime.io(section.__enter__, "rxauth-section")

    def leave(self, section: AbstractContextManager[None]) -> None:
        """Leave the section. A failure is logged: its lease ends by itself."""
        try:
            self._limited(lambda: section.__exit__(None, None, None))
        except Exception as error:
            log.warning("rxauth: the storage's lock could not be given back: %s%s", type(error).__name__, why(error))

    def news(self, tokens: Tokens) -> News:
        """What others have done since this pair was stored. Raises what the storage raises."""
        with self._turn():
            record = self._load()
            if record is None:
                self._stored = self._holds = None
                return News("absent")
            known = self._numbers.get(tokens.sign_in, 0)
            if record.tokens is None:
                return News("over" if known or record.sign_in == tokens.sign_in else "nothing", record)
            if record.sign_in != tokens.sign_in:
                # Unless ours was never stored, in the place of who was there before.
                return News("other" if known else "nothing", record)
            if _same(record.tokens, tokens):
                self.adopt(tokens, record)  # also when a save of ours came through after its time limit
                return News("nothing", record)
            if record.generation > known or self._is_overtaken(tokens):
                return News("later", record)
            # A storage that was set back holds a pair of before ours.
            self._stored, self._holds = record.key, None
            return News("nothing", record)

    def note_spending(self, tokens: Tokens, since: float | None, wanted: Callable[[], bool]) -> Exception | None:
        """Write into the journal that this pair is being spent, or (None) that it is not. Returns the error, if any."""
        with self._turn():
            return self._put(tokens, wanted, since)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called when others change the record, where the storage can say so; returns how to stop."""
        return self._storage.watch(changed) if isinstance(self._storage, WatchedStorage) else lambda: None

    def is_behind(self, tokens: Tokens) -> bool:
        """True unless this pair is what was stored last: its save failed, or somebody else's came after it.

        Told by its text: two threads that take over what another process stored may have given it two numbers.
        """
        holds = self._holds
        return holds is None or holds.sign_in != tokens.sign_in or not _same(holds, tokens)

    def _is_overtaken(self, tokens: Tokens) -> bool:
        """Is a pair stored that came to this session later than this one?"""
        holds = self._holds
        return holds is not None and holds.generation > tokens.generation and self.is_behind(tokens)

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
            if sign_in in self._numbers:
                return None
        if not wanted() or self._is_overtaken(tokens):
            return None
        generation = self._numbers.get(sign_in, 0) + self.is_behind(tokens)
        record = Record(sign_in, generation, tokens, account_of(tokens), self._endpoint, spending)
        try:
            if replaces is None and self._endpoint:
                self._load()  # what it would take the place of may not be ours to remove
            stored = self._limited(lambda: self._storage.save(record, replaces))
        except Exception as error:
            log.warning("rxauth: the tokens could not be saved: %s%s", type(error).__name__, why(error))
            return error
        if stored:
            self.adopt(tokens, record)
        return None

    def clear(self, sign_in: str, keep: Callable[[], Collection[str]] | None = None) -> Exception | None:
        """Remove the sign-in's record. Returns the error, if it failed.

        With `keep`, also what is stored of an earlier sign-in, whose place this one's pair could not take because its
        save failed: else the next start would sign in whoever was there before. `keep` are those that stay.
        """
        with self._turn():
            stored = self._stored
            if keep is not None and stored is not None and stored[0] not in keep():
                sign_in = stored[0]
            if stored is not None and stored[0] == sign_in:
                self._stored = self._holds = None
            try:
                self._limited(lambda: self._storage.clear(sign_in))
            except Exception as error:
                log.error(
                    "rxauth: the tokens of a session that is over are still stored: %s%s",
                    type(error).__name__,
                    why(error),
                )
                return error
            return None

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
        return check_endpoint(self._limited(self._storage.load), self._endpoint)

    def _limited(self, work: Callable[[], T]) -> T:
        pending = self._runtime.io(work, "rxauth-storage")
        if not self._runtime.wait(pending.done, self._timeout):
            raise TimeoutError(f"the token storage did not answer in {self._timeout:g} s")
        return pending.result()


def _same(ours: Tokens, theirs: Tokens) -> bool:
    return (ours.access, ours.refresh) == (theirs.access, theirs.refresh)


def why(error: Exception) -> str:
    """Our own text, or the operating system's word for it. Any other text may hold what was to be saved."""
    if isinstance(error, StorageError):
        return f": {error}"
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
