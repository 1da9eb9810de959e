"""How a session begins: with tokens that it is given, or with the sign-in that is stored."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

from rxauth.concurrency.flight import Flight
from rxauth.errors import RefreshUnavailable, SessionExpired, StorageError, as_error
from rxauth.refreshers.protocol import rotates
from rxauth.session.actions import RefreshFailed, SignInFailed
from rxauth.session.jobs.adopt import doubt
from rxauth.session.jobs.host import Host, next_generation, note_storage
from rxauth.session.jobs.persistence import why
from rxauth.storage.lineage import is_of_another_account, knows
from rxauth.storage.protocol import Record
from rxauth.tokens.pair import Tokens

log = logging.getLogger("rxauth")


class Beginner(Host, Protocol):
    """What a beginning needs of its session."""

    def take_up(
        self,
        pending: str,
        tokens: Tokens | None,
        flight: Flight[Tokens] | None = None,
        over: SessionExpired | None = None,
    ) -> bool: ...

    def note_look(self, error: RefreshUnavailable | None) -> None: ...

    def report(self, error: Exception, where: str, action: object) -> None: ...


class Start(NamedTuple):
    """What a session begins with: tokens, those of the `record` or new ones that were `unsaved`; or nobody, for those
    that were given belong to a sign-in that is `over`."""

    tokens: Tokens | None = None
    record: Record | None = None
    unsaved: Exception | None = None
    over: SessionExpired | None = None


def resume(host: Beginner, given: Tokens | None) -> None:
    """Signed in with the tokens that are given, or as is stored, if somebody is. Blocks."""
    try:
        start = _start(host, given, lambda: True)
    except Exception as error:
        host.report(error, f"session {host.name}, loading its tokens", None)
        host.note_look(unreadable(error))
        return
    if start.tokens is not None or start.over is not None:
        _take_up(host, host.auth.pending, start, None)
        host.notify()


class Resumption:
    """`resume` for who must not be blocked. Calls wait for it as for a login, whose name is `pending`.

    `run()` is the whole life of its thread; `flight` is a `Reading`.
    """

    def __init__(self, host: Beginner, flight: Flight[Tokens], pending: str, given: Tokens | None) -> None:
        self._host = host
        self._flight = flight
        self._pending = pending
        self._given = given

    def run(self) -> None:
        host, flight = self._host, self._flight
        try:
            # A login that began meanwhile stores its own pair.
            start = _start(host, self._given, lambda: host.auth.pending == self._pending)
            _take_up(host, self._pending, start, flight)
            flight.land()
        except BaseException as error:
            self._fail(error)
        host.notify()

    def _fail(self, error: BaseException) -> None:
        host = self._host
        host.report(as_error(error, "what reads the tokens"), f"session {host.name}, loading its tokens", None)
        unread = unreadable(error)
        failed = SignInFailed(session=host.name, sign_in=self._pending, at=host.runtime.now(), error=unread)
        host.conclude(failed, self._flight)
        self._flight.land(error=unread)


def _take_up(host: Beginner, pending: str, start: Start, flight: Flight[Tokens] | None) -> None:
    tokens = start.tokens
    if not host.take_up(pending, tokens, flight, start.over):
        return
    if start.over is not None:
        log.warning("rxauth: session %r: %s", host.name, start.over)
    if tokens is not None and start.record is not None:
        _adopt(host, tokens, start.record)
    elif tokens is not None:
        note_storage(host, tokens, start.unsaved)


def _start(host: Beginner, given: Tokens | None, wanted: Callable[[], bool]) -> Start:
    """What is stored, or else the pair that is given. Raises what the storage raises, if none is given."""
    storage = host.storage
    if given is None:
        record = storage.load()
        return Start(_pair_in(record), record)
    new = replace(given, sign_in=secrets.token_hex(8), generation=next_generation())
    try:
        record = storage.load()
        if _knows(record, given) or not storage.is_exclusive:
            return _choose(host, given, new, record, wanted)
        with _alone(host):  # else another one could store the same pair, and its successor, between load and save
            return _choose(host, given, new, storage.load(), wanted)
    except Exception as error:
        what = f"{type(error).__name__}{why(error)}"
        log.warning("rxauth: session %r: the tokens given could not be stored: %s", host.name, what)
        return Start(new, unsaved=error)


def _choose(host: Beginner, given: Tokens, new: Tokens, record: Record | None, wanted: Callable[[], bool]) -> Start:
    """What is stored, where that is the pair given or came after it; else that pair as a `new` sign-in, in the place of
    whatever is stored. Nobody, where the sign-in of that pair is over: it was spent, and is not posted again."""
    storage = host.storage
    if record is None or not _knows(record, given):
        if record is not None and record.tokens is not None:
            log.info("rxauth: session %r: the tokens given take the place of another sign-in in the storage", host.name)
        return Start(new, unsaved=storage.save(new, wanted))
    if record.tokens is not None and not is_of_another_account(record, given):
        storage.note_given(given)
        return Start(_pair_in(record), record)
    storage.pass_over(record)
    cause = (record.tokens is None and record.cause) or "signed out elsewhere"
    text = f"the tokens given at the start belong to a sign-in that is over ({cause}), so they are not used again"
    return Start(over=SessionExpired(text, cause=cause, status_code=record.status_code))


def _knows(record: Record | None, given: Tokens) -> bool:
    return record is not None and knows(record, given)


@contextmanager
def _alone(host: Beginner) -> Iterator[None]:
    """The section. Raises TimeoutError when it is not free in as long as a save may take."""
    limit = host.settings.save_timeout
    section, entered = host.storage.enter(limit)

    def give_back() -> None:
        host.runtime.wait(entered.done)
        with suppress(Exception):
            entered.result()
            host.storage.leave(section)

    if not host.runtime.wait(entered.done, 2 * limit):
        host.runtime.spawn(give_back, "rxauth-section")
        raise TimeoutError("the section of the token storage was not free in time")
    entered.result()
    try:
        yield
    finally:
        host.storage.leave(section)


def unreadable(error: BaseException) -> RefreshUnavailable:
    """What a call is told while nobody is signed in and the storage does not say who could be. A `StorageError` names
    the remedy; of any other error only the kind is told."""
    why = str(error) if isinstance(error, StorageError) else type(error).__name__
    return RefreshUnavailable(f"nobody is signed in here, and what is stored can not be read: {why}", cause="storage")


def _pair_in(record: Record | None) -> Tokens | None:
    if record is None or record.tokens is None:
        return None
    return replace(record.tokens, sign_in=record.sign_in, generation=next_generation())


def _adopt(host: Host, tokens: Tokens, record: Record) -> None:
    """The pair is what is stored; and in doubt, if somebody began to spend it and did not say what came of it."""
    host.storage.adopt(tokens, record)
    if record.spending is None or not rotates(host.refresher):
        return
    now = host.runtime.now()
    error, retry_at = doubt(record, now, host.settings.listen)
    in_doubt = RefreshFailed(
        session=host.name,
        sign_in=tokens.sign_in,
        generation=tokens.generation,
        at=now,
        error=error,
        retry_at=retry_at,
        in_doubt=True,
    )
    host.conclude(in_doubt)
