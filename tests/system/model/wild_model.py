"""The reducer alone: any event may reach any state, however late, twice, or from another thread.

The only discipline is that an event is well formed: it names somebody, a login that begins has an id of its own, and
its tokens are of the sign-in that it names.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rxauth import AuthState, Tokens, auth_reducer
from rxauth.concurrency import Instant
from rxauth.errors import (
    LoginFailed,
    RefresherError,
    RefreshMisconfigured,
    RefreshTimeout,
    RefreshUnavailable,
    SessionExpired,
)
from rxauth.session import (
    RefreshEvent,
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)
from tests.system.model.exploration import Move, broken
from tests.system.model.state_rules import STATE_RULES
from tests.system.model.step_rules import STEP_RULES

PURE = "the reducer is pure"
OTHERS = "an event of another session changes nothing"
FOREIGN = "what is no event changes nothing"

LIFE, TICK, SOMEBODY, EARLIER = 3.0, 1.0, "somebody else", -1
FAILED = LoginFailed("the password is wrong")
ENDED = SessionExpired("refused", cause="refused")
CRASHED = RefresherError("a mistake")
BUSY = RefreshUnavailable("503", cause="status 503")
LOST = RefreshTimeout("no answer", cause="in_doubt")
WRONG = RefreshMisconfigured("invalid_client")
FULL = OSError("the disk is full")


class Lone(NamedTuple):
    """A state, the clock, and how many names were given."""

    auth: AuthState
    now: Instant
    names: int = 1


class WildModel:
    """Every event, about the current pair, an earlier one, the pending login or somebody else, in every state."""

    def __init__(self, failures: int = 2) -> None:
        self.name = f"any event at any time (up to {failures} failures in a row told apart)"
        self._failures = failures

    def begin(self) -> Lone:
        return Lone(AuthState(), Instant(1000.0, 10.0))

    def key(self, world: Lone) -> Hashable:
        auth, now, _ = world
        remaining = None if auth.tokens is None else max(0.0, auth.tokens.remaining(now) or 0.0)
        cooling = None if auth.cool_down is None else max(0.0, auth.cool_down - now.mono)
        error = (type(auth.error).__name__, getattr(auth.error, "cause", None))
        times = (remaining, cooling, min(auth.failures, self._failures))
        kept = (auth.session, auth.in_doubt, auth.storage, len(auth.counted))
        resume = auth.resume if auth.status == "signing_in" else ""
        # Two names are compared for equality only, so what matters is which of them are equal, or missing.
        names = _pattern("", auth.sign_in, auth.pending, auth.tokens.sign_in if auth.tokens else "")
        pairs = _pattern(0, auth.generation, auth.tokens.generation if auth.tokens else 0)
        return (auth.status, resume, names, pairs, times, error, kept)

    def broken_in(self, world: Lone) -> Iterator[str]:
        return broken(STATE_RULES, world.auth, world.now)

    def broken_at_rest(self, world: Lone) -> Iterator[str]:
        return iter(())

    def moves(self, world: Lone) -> Iterator[Move]:
        auth, now, names = world
        later = Instant(now.wall + TICK, now.mono + TICK)
        yield Move("time passes", Lone(auth, later, names))
        yield Move("an app resets its state", Lone(AuthState(session=auth.session), now, names))
        for told, event in self._events(world):
            after = auth_reducer(auth, event)
            wrong = (*broken(STEP_RULES, auth, event, after), *_impure(auth, event, after))
            yield Move(told, Lone(after, now, names + 1), wrong)

    def _events(self, world: Lone) -> Iterator[tuple[str, SessionEvent]]:
        auth, now, names = world
        yield "a login begins", SigningIn(sign_in=f"user {names}", at=now)
        whom = {"the one signed in": auth.sign_in, "the pending one": auth.pending, "somebody else": SOMEBODY}
        for who, sign_in in whom.items():
            if not sign_in:
                continue
            yield f"SignedIn of {who}", SignedIn(sign_in=sign_in, at=now, tokens=_pair(sign_in, names, now))
            yield f"SignInFailed of {who}", SignInFailed(sign_in=sign_in, at=now, error=FAILED)
            yield f"SignedOut of {who}", SignedOut(sign_in=sign_in, at=now)
            for which, generation in {"this pair": auth.generation, "an earlier pair": EARLIER}.items():
                for event in _refresh_events(sign_in, generation, names, now):
                    yield f"{_told(event)} of {who}, {which}", event


def _refresh_events(sign_in: str, generation: int, names: int, now: Instant) -> Iterator[RefreshEvent]:
    about = {"sign_in": sign_in, "generation": generation, "at": now}
    soon, later = (Instant(now.wall + wait, now.mono + wait) for wait in (1.0, 2.0))
    new = _pair(sign_in, names, now)
    yield RefreshStarted(**about, asked_by="fresh()")
    yield TokensRefreshed(**about, tokens=new)
    yield TokensRefreshed(**about, tokens=new, counted=(now.mono,))
    yield RefreshFailed(**about, error=CRASHED)
    yield RefreshFailed(**about, error=BUSY, retry_at=soon)
    yield RefreshFailed(**about, error=WRONG, retry_at=soon)
    yield RefreshFailed(**about, error=LOST, retry_at=later, in_doubt=True)
    yield SessionEnded(**about, cause=ENDED.again())
    yield StorageChanged(**about, error=FULL)
    yield StorageChanged(**about, error=None)


def _pair(sign_in: str, generation: int, now: Instant) -> Tokens:
    access, refresh = f"access-{generation}", f"refresh-{generation}"
    return Tokens(access, refresh, now.wall + LIFE, received=now, sign_in=sign_in, generation=generation)


def _told(event: SessionEvent) -> str:
    error = getattr(event, "error", None) or getattr(event, "cause", None)
    return type(event).__name__ + (f"({type(error).__name__})" if error is not None else "")


def _pattern(*values: object) -> tuple[int, ...]:
    first: dict[object, int] = {}
    return tuple(first.setdefault(value, len(first)) for value in values)


def _impure(auth: AuthState, event: SessionEvent, after: AuthState) -> Iterator[str]:
    copy, same_event = replace(auth), replace(event)
    if auth_reducer(copy, same_event) != after or (copy, same_event) != (auth, event):
        yield PURE
    if auth_reducer(auth, replace(event, session="billing")) is not auth:
        yield OTHERS
    if auth_reducer(auth, object()) is not auth:
        yield FOREIGN
