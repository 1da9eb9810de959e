"""What may stand between a caller and the flight that he waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxauth.concurrency.flight import Anywhere, Flight
from rxauth.concurrency.single import Leave, Loop, Settle
from rxauth.errors import CallCancelled, RxAuthError
from rxauth.session.trace import CallReleased, CallWaits, next_caller
from rxauth.store.tap import SESSION, Traced
from rxauth.tokens.pair import Tokens


class AfterLogin:
    """A call that waits for somebody else's login to end, and then asks again."""

    def __init__(self, login: Flight[Tokens], loop: Loop | None, again: Callable[[], Leave]) -> None:
        self._again = again
        self._left = False
        self._leave = login.join(self._ask, loop)

    def _ask(self, tokens: Tokens | None, error: Exception | None) -> None:
        if not self._left:
            self._leave = self._again()

    def leave(self) -> None:
        self._left = True
        self._leave()


class Reading(Flight[Tokens]):
    """The storage is being read: whether somebody is signed in is not known yet. It lands without tokens, for those
    that are stored may be stale; or with the error."""


class AfterReading(AfterLogin):
    """A call that waits until the storage was read, and then asks again."""

    def __init__(self, reading: Reading, loop: Loop | None, again: Callable[[], Leave], settle: Settle[Tokens]) -> None:
        self._settle = settle
        super().__init__(reading, loop, again)

    def _ask(self, tokens: Tokens | None, error: Exception | None) -> None:
        if error is None:
            super()._ask(tokens, error)
        elif not self._left:
            self._settle(None, error)


def with_response(settle: Settle[Tokens], response: Any) -> Settle[Tokens]:
    """`settle`, whose errors carry the refusal that the caller came with."""

    def settle_with_response(tokens: Tokens | None, error: Exception | None) -> None:
        if isinstance(error, RxAuthError):
            error.response = response
        settle(tokens, error)

    return settle_with_response


class Watched:
    """A caller whose wait is recorded."""

    def __init__(self, settle: Settle[Tokens], store: Traced, session: str, caller: int, asked_by: str) -> None:
        self._settle, self._store, self._session = settle, store, session
        self._caller = caller or next_caller()
        self._over = False
        waits = CallWaits(session=session, caller=self._caller, asked_by=asked_by)
        store.trace(waits, SESSION, locked=True)

    def __call__(self, tokens: Tokens | None, error: Exception | None) -> None:
        self._end(error)
        self._settle(tokens, error)

    def leaving(self, leave: Leave) -> Leave:
        """`leave`, recorded as the end of the wait if it comes before the tokens."""

        def left() -> None:
            self._end(CallCancelled("the caller left while it waited"))
            leave()

        return left

    def _end(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._store.trace(CallReleased(session=self._session, caller=self._caller, error=error), SESSION)


class _WatchedAnywhere(Anywhere, Watched):
    pass


def watched(settle: Settle[Tokens], *how: Any) -> Watched:
    """`settle`, recorded; it is still told where it would be told."""
    if isinstance(settle, Watched):  # it asks again, after a login that it waited for
        return settle
    return (_WatchedAnywhere if isinstance(settle, Anywhere) else Watched)(settle, *how)
