"""How a session begins: with tokens that it is given, or with the sign-in that is stored."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Protocol

from rxauth.actions import RefreshFailed, SignInFailed
from rxauth.errors import RefreshUnavailable, StorageError
from rxauth.flight import Flight
from rxauth.refresh import Host, next_generation, note_storage, still
from rxauth.refreshers.protocol import rotates
from rxauth.runtime import LINGER
from rxauth.storage.protocol import Record
from rxauth.tokens import Tokens
from rxauth.turn import doubt


class Beginner(Host, Protocol):
    """What a beginning needs of its session."""

    def take_up(self, pending: str, tokens: Tokens | None, flight: Flight[Tokens] | None = None) -> bool: ...

    def note_look(self, error: RefreshUnavailable | None) -> None: ...

    def report(self, error: Exception, where: str, action: object) -> None: ...


def begin_with(host: Beginner, given: Tokens, *, blocks: bool) -> None:
    """Signed in with these tokens, as a sign-in of its own. Unless it `blocks`, they are stored in the background."""
    tokens = replace(given, sign_in=secrets.token_hex(8), generation=next_generation())
    if blocks:
        unsaved = host.storage.save(tokens, lambda: True)
        host.take_up(host.auth.pending, tokens)
        note_storage(host, tokens, unsaved)
        host.notify()
        return

    def store() -> None:
        note_storage(host, tokens, host.storage.catch_up(tokens, still(host, tokens)))
        host.notify()

    host.take_up(host.auth.pending, tokens)
    host.notify()
    host.runtime.spawn(store, "rxauth-store", linger=LINGER)


def resume(host: Beginner) -> None:
    """Signed in as is stored, if somebody is. Blocks."""
    try:
        record = host.storage.load()
    except Exception as error:
        host.report(error, f"session {host.name}, loading its tokens", None)
        host.note_look(unreadable(error))
        return
    tokens = _pair_in(record)
    if record is not None and tokens is not None and host.take_up(host.auth.pending, tokens):
        _adopt(host, tokens, record)
        host.notify()


class Resumption:
    """`resume` for who must not be blocked. Calls wait for it as for a login, whose name is `pending`.

    `run()` is the whole life of its thread; `flight` is a `Reading`.
    """

    def __init__(self, host: Beginner, flight: Flight[Tokens], pending: str) -> None:
        self._host = host
        self._flight = flight
        self._pending = pending

    def run(self) -> None:
        host, flight = self._host, self._flight
        try:
            record = host.storage.load()
            tokens = _pair_in(record)
            if host.take_up(self._pending, tokens, flight) and record is not None and tokens is not None:
                _adopt(host, tokens, record)
            flight.land()
        except Exception as error:
            self._fail(error)
        host.notify()

    def _fail(self, error: Exception) -> None:
        host = self._host
        host.report(error, f"session {host.name}, loading its tokens", None)
        unread = unreadable(error)
        failed = SignInFailed(session=host.name, sign_in=self._pending, at=host.runtime.now(), error=unread)
        host.conclude(failed, self._flight)
        self._flight.land(error=unread)


def unreadable(error: Exception) -> RefreshUnavailable:
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
