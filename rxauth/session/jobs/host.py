"""What a job needs of its session."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import Any, Protocol

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import Instant, Latch, Runtime
from rxauth.errors import RefreshUnavailable, RxAuthError, SessionExpired
from rxauth.refreshers.protocol import Refresher
from rxauth.session.actions import (
    RefreshEvent,
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.jobs.persistence import GuardedStorage
from rxauth.session.settings import Settings
from rxauth.session.state import AuthState
from rxauth.tokens.pair import Tokens

_generations = itertools.count(1)


def next_generation() -> int:
    """A number that no other pair of tokens in this process has."""
    return next(_generations)


class Host(Protocol):
    """What a refresh needs of its session."""

    name: str
    runtime: Runtime
    settings: Settings
    storage: GuardedStorage
    refresher: Refresher
    calls: Calls

    @property
    def auth(self) -> AuthState: ...

    def holds(self, tokens: Tokens) -> bool: ...

    def conclude(self, action: SessionEvent, flight: Flight[Tokens] | None = None) -> bool: ...

    def is_kept(self, action: SessionEvent) -> bool: ...

    def go_on(self, action: TokensRefreshed, flight: Flight[Tokens]) -> bool: ...

    def gone(self, sign_in: str) -> RxAuthError: ...

    def present(self) -> Collection[str]: ...

    def pass_on(self, flight: Flight[Tokens], sign_in: str) -> None: ...

    def instead(self, sign_in: str) -> tuple[Tokens | None, Exception | None]: ...

    def drop(self, tokens: Tokens) -> None: ...

    def notify(self) -> None: ...

    def leave(self, sign_in: str, cause: SessionExpired | None) -> None: ...

    def enter(self, tokens: Tokens, *, same: bool = False) -> bool: ...


#: How many calls of a refresher may be under way for one sign-in: one that has no answer in time, and its probe.
UNDER_WAY = 2


class Calls:
    """The calls of a session's refresher that have not returned. Each holds two threads, and a refresh token."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, Latch]] = []

    def add(self, sign_in: str, done: Latch) -> None:
        self._calls = [*(call for call in self._calls if not call[1].is_set()), (sign_in, done)]

    def are_hanging(self, sign_in: str) -> bool:
        """Would another one be one too many?"""
        return sum(by == sign_in and not done.is_set() for by, done in self._calls) >= UNDER_WAY


def still(host: Host, tokens: Tokens) -> Callable[[], bool]:
    """Is the session still at this pair? For a write to ask when its turn comes."""
    return lambda: host.holds(tokens)


def note_storage(host: Host, tokens: Tokens, error: Exception | None) -> None:
    """Put into the state whether the tokens could be saved, where that is news."""
    if (error is None) != (host.auth.storage == "ok"):
        host.conclude(
            StorageChanged(
                session=host.name,
                sign_in=tokens.sign_in,
                generation=tokens.generation,
                at=host.runtime.now(),
                error=error,
            )
        )


def let_it_end(host: Host) -> None:
    """Another session, closed by now, left a refresh of this pair on the wire: what it brings counts, and nobody posts
    before it has ended, or before nobody listens to it any more."""
    auth, now = host.auth, host.runtime.now()
    wait = host.settings.deadline + host.settings.listen
    error = RefreshUnavailable(
        "a session that is closed began a refresh that has not ended", cause="in_doubt", retry_at=now.wall + wait
    )
    about: dict[str, Any] = {"session": host.name, "sign_in": auth.sign_in, "generation": auth.generation, "at": now}
    retry_at = Instant(now.wall + wait, now.mono + wait)
    host.conclude(RefreshFailed(**about, error=error, retry_at=retry_at, in_doubt=True))
    host.notify()


def is_current(action: SessionEvent, auth: AuthState) -> bool:
    """True when `action` is about the pair, or the login, of now."""
    if isinstance(action, RefreshEvent):
        return (action.sign_in, action.generation) == (auth.sign_in, auth.generation)
    return action.sign_in == auth.pending


def is_about(action: SessionEvent, auth: AuthState) -> bool:
    """True when `auth` is what `action` made of it, not what made it come too late."""
    match action:
        case TokensRefreshed(tokens=tokens):
            return auth.generation == tokens.generation
        case SessionEnded(cause=cause):
            return auth.error is cause
        case RefreshEvent(sign_in=sign_in, generation=generation):
            return (auth.sign_in, auth.generation) == (sign_in, generation)
    return auth.sign_in == action.sign_in
