"""What a session knows by itself of its sign-in, for when the app's state goes back to an earlier one.

An app may undo, replay a recording, reset its state, or have a reducer that drops an event. The pair that such a state
holds was spent, and a server that sees it again ends the sign-in. So the session remembers the newest pair, and what is
to be dispatched so that the state holds that again. It remembers one pair and one number, however long it lives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from rxauth.concurrency.runtime import Instant
from rxauth.errors import RxAuthError
from rxauth.session.actions import (
    RefreshEvent,
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SigningIn,
    TokensRefreshed,
)
from rxauth.session.state import AuthState, auth_reducer
from rxauth.tokens.pair import Tokens


class Amends(NamedTuple):
    """What has to be dispatched so that the state says what is so; and the pair of a sign-in that the app has ended."""

    events: tuple[SessionEvent, ...] = ()
    over: Tokens | None = None


class Memory:
    """The newest pair of the sign-in, and whether a state holds it. The caller has the session's lock."""

    def __init__(self, name: str) -> None:
        self._name = name
        #: The last state that was seen, and the one that is known to say what is so.
        self.last = AuthState(session=name)
        self.agreed: AuthState | None = None
        self.newest: Tokens | None = None
        #: The highest number of a pair that was seen here: each new pair of the process has a higher one.
        self._highest = -1
        #: The last end of a sign-in by the server, and the last failure of a refresh of the newest pair.
        self._ended: SessionEnded | None = None
        self._trouble: RefreshFailed | None = None

    def note(self, event: SessionEvent) -> None:
        """This event is about to be reduced: from now on it is what is so, whatever a reducer makes of it."""
        newest = self.newest
        self.agreed = None
        match event:
            case SignedIn(tokens=tokens) | TokensRefreshed(tokens=tokens):
                self._take(tokens)
            case SignedOut() | SessionEnded() if newest is not None and newest.sign_in == event.sign_in:
                self._forget()
                self._ended = event if isinstance(event, SessionEnded) else None
            case RefreshFailed(retry_at=retry_at) if self.is_about(event):
                doubted = self._trouble is not None and self._trouble.in_doubt
                if retry_at is not None:
                    self._trouble = replace(event, in_doubt=event.in_doubt or doubted)
                elif not doubted:
                    self._trouble = None

    def is_about(self, event: SessionEvent) -> bool:
        """Is this event of a refresh about the newest pair?"""
        return (
            isinstance(event, RefreshEvent)
            and self.newest is not None
            and (event.sign_in, event.generation) == (self.newest.sign_in, self.newest.generation)
        )

    def holds(self, auth: AuthState) -> bool:
        """Does this state hold the newest pair, or nobody, where nobody is signed in?"""
        if auth is self.agreed:
            return True
        newest, tokens = self.newest, auth.tokens
        if newest is None or tokens is None:
            return newest is None and tokens is None
        # By its text as well: a recording holds the numbers, and stand-ins for the secrets.
        numbers = (auth.sign_in, auth.generation) == (newest.sign_in, newest.generation)
        return numbers and (tokens.access, tokens.refresh) == (newest.access, newest.refresh)

    def amend(self, auth: AuthState, at: Instant, login: str = "") -> Amends:
        """What has to happen, this state being the app's. A pair that is new here is taken over from the state.

        `login` is the name of the login that is under way.
        """
        if self.holds(auth):
            return Amends(self._restored(auth, at))
        newest = self.newest
        about: dict[str, Any] = {"session": self._name, "at": at}
        if newest is not None and auth.pending == newest.sign_in:  # back to the middle of its login
            return Amends((SignedIn(**about, sign_in=newest.sign_in, tokens=newest),))
        if auth.tokens is None:
            self._forget()
            return Amends(over=newest)
        if auth.generation > self._highest:
            self._take(replace(auth.tokens, sign_in=auth.sign_in, generation=auth.generation))
            return Amends(over=newest if newest is not None and newest.sign_in != auth.sign_in else None)
        if newest is None:
            return Amends((self._end_of(auth, about),))
        if auth.sign_in == newest.sign_in:
            generation = auth.generation
            refreshed = TokensRefreshed(
                **about, sign_in=newest.sign_in, generation=generation, tokens=newest, counted=auth.counted
            )
            return Amends((refreshed,))
        if auth.pending and auth.pending == login:  # for which calls wait, and whose outcome amends this
            return Amends()
        sign_in = newest.sign_in
        return Amends((SigningIn(**about, sign_in=sign_in), SignedIn(**about, sign_in=sign_in, tokens=newest)))

    def with_trouble(self, auth: AuthState) -> AuthState:
        """This state, as it would be had its reducer taken the failure of the last refresh."""
        return auth if self._trouble is None else auth_reducer(auth, self._trouble)

    def _restored(self, auth: AuthState, at: Instant) -> tuple[SessionEvent, ...]:
        """The failure of the last refresh, where a state of before it says that somebody may post."""
        trouble = self._trouble
        if trouble is None or trouble.retry_at is None:
            return ()
        cools = at.mono < trouble.retry_at.mono and auth.cool_down != trouble.retry_at.mono
        return (trouble,) if cools or (trouble.in_doubt and not auth.in_doubt) else ()

    def _end_of(self, auth: AuthState, about: dict[str, Any]) -> SessionEvent:
        cause = self._ended.cause if self._ended is not None else None
        if isinstance(cause, RxAuthError) and self._ended is not None and self._ended.sign_in == auth.sign_in:
            return SessionEnded(**about, sign_in=auth.sign_in, generation=auth.generation, cause=cause.again())
        return SignedOut(**about, sign_in=auth.sign_in)

    def _take(self, tokens: Tokens) -> None:
        newest, self.newest, self._ended = self.newest, tokens, None
        if newest is None or newest.generation != tokens.generation:  # else it is only published again
            self._trouble = None
        self._highest = max(self._highest, tokens.generation)

    def _forget(self) -> None:
        self.newest, self._trouble = None, None
