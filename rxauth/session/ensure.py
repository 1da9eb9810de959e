"""Signed in already, or else a login: the work of `Session.ensure`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.single import Leave, Loop, Settle, Single
from rxauth.errors import LoginFailed, NotSignedIn, SessionChanged, SessionExpired
from rxauth.tokens.pair import Tokens

#: How often it asks again because somebody else signed in, or out, meanwhile.
_TRIES: Final = 4


class Asked(Protocol):
    """What this needs of a session."""

    #: How often somebody has logged out here.
    logouts: int

    def acquire(self, settle: Settle[Tokens], loop: Loop | None, *, asked_by: str) -> Leave: ...


class Ensuring:
    """One call of `ensure`: asks for fresh tokens, and where nobody is signed in, calls `login`, which joins a login
    that is under way. `flight` gets the outcome."""

    def __init__(self, session: Asked, login: Callable[[], Single[Tokens]]) -> None:
        self.flight: Flight[Tokens] = Flight()
        self._session, self._login = session, login
        self._logouts = session.logouts
        self._tries = 0

    def ask(self) -> None:
        self._tries += 1
        self._session.acquire(self._asked, None, asked_by="ensure()")

    def _asked(self, tokens: Tokens | None, error: Exception | None) -> None:
        if isinstance(error, SessionChanged) and self._may_go_on:
            self.ask()
        elif isinstance(error, NotSignedIn) and not isinstance(error, LoginFailed) and self._may_go_on:
            self._sign_in()
        else:
            self.flight.land(tokens, error)

    def _sign_in(self) -> None:
        try:
            login = self._login()
        except Exception as error:  # the refresher has no login, or the store is closed
            self.flight.land(error=error)
        else:
            login.settle(self._logged_in)

    def _logged_in(self, tokens: Tokens | None, error: Exception | None) -> None:
        """Another login overtook it, or it was not needed, for somebody was there, whom the server ended since: ask."""
        if isinstance(error, SessionChanged | SessionExpired) and self._may_go_on:
            self.ask()
        else:
            self.flight.land(tokens, error)

    @property
    def _may_go_on(self) -> bool:
        """Not after a logout, which is what the user wants by now, nor without end."""
        return self._session.logouts == self._logouts and self._tries < _TRIES
