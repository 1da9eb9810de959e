"""The session's state machine: what a session knows, how each event changes it, and what the gate concludes from it.

Everything here is pure. The one rule: *everything carries where it began*. A refresh names the sign-in and the
generation whose tokens it spends; when the state has moved on, what it reports is dropped. The session makes ids and
numbers; the reducer copies them and compares for equality only, so that no reset of the state brings an old one back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from rxauth.concurrency.runtime import Instant
from rxauth.errors import (
    NotSignedIn,
    RefresherError,
    RefreshMisconfigured,
    RefreshUnavailable,
    RxAuthError,
    SessionExpired,
)
from rxauth.redaction.display import Shown
from rxauth.session.actions import (
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
from rxauth.tokens.pair import Tokens

Status = Literal["signed_out", "signing_in", "signed_in", "refreshing", "degraded"]
Decision = Literal["signed_out", "wait_for_login", "fresh", "refresh_ahead", "refresh", "unavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthState(Shown):
    """One session's state, as an immutable slice of a store.

    `status` is one of `signed_out`, `signing_in`, `signed_in`, `refreshing` and `degraded` (signed in, but the last
    refresh failed). `sign_in` is the random id of the login, `generation` the number of the current pair of tokens.
    `retry_at` is when the next refresh may be tried, in seconds since the epoch.

    A second session in one store has a name of its own: `AuthState(session="billing")`.
    """

    status: Status = "signed_out"
    session: str = "default"
    sign_in: str = ""
    generation: int = 0
    tokens: Tokens | None = None
    error: Exception | None = None
    retry_at: float | None = None
    storage: Literal["ok", "failing"] = "ok"
    #: The id of the login in progress, and the status to go back to should it fail.
    pending: str = ""
    resume: Status = "signed_out"
    #: The end of the cool-down on the monotonic clock, and how many refreshes failed in a row.
    cool_down: float | None = None
    failures: int = 0
    in_doubt: bool = False
    counted: tuple[float, ...] = ()
    #: True while a refresh runs because the API refused the access token: no call goes out with that one.
    refused: bool = False
    #: Who asked for the last refresh, and when the state last changed.
    asked_by: str = ""
    changed: Instant | None = None


def auth_reducer(state: AuthState, action: Any) -> AuthState:
    """The state after `action`. Actions of other sessions, and results that come too late, change nothing."""
    if not isinstance(action, SessionEvent) or action.session != state.session or not action.sign_in:
        return state
    if isinstance(action, RefreshEvent):
        spent = (action.sign_in, action.generation)
        return _after_refresh(state, action) if spent == (state.sign_in, state.generation) else state
    match action:
        case SigningIn():
            resume = state.resume if state.status == "signing_in" else state.status
            return replace(state, status="signing_in", pending=action.sign_in, resume=resume, changed=action.at)
        case SignedIn(tokens=tokens) if action.sign_in == state.pending:
            return AuthState(
                session=state.session,
                status="signed_in",
                sign_in=action.sign_in,
                generation=tokens.generation,
                tokens=tokens,
                storage=state.storage,
                changed=action.at,
            )
        case SignInFailed(error=error) if action.sign_in == state.pending:
            return replace(state, status=state.resume, pending="", error=error, changed=action.at)
        case SignedOut() if action.sign_in in (state.sign_in, state.pending):
            return AuthState(session=state.session, storage=state.storage, changed=action.at)
    return state


def _after_refresh(state: AuthState, action: RefreshEvent) -> AuthState:
    match action:
        case RefreshStarted(asked_by=asked_by, refused=refused):
            return _become(state, "refreshing", action.at, asked_by=asked_by, refused=refused)
        case TokensRefreshed(tokens=tokens, counted=counted):
            return _become(
                state,
                "signed_in",
                action.at,
                tokens=tokens,
                generation=tokens.generation,
                counted=counted,
                **_NO_TROUBLE,
            )
        case RefreshFailed(error=error, retry_at=None):
            return _become(state, "signed_in", action.at, **{**_NO_TROUBLE, "error": error, "in_doubt": state.in_doubt})
        case RefreshFailed(error=error, retry_at=Instant() as retry_at):
            return _become(
                state,
                "degraded",
                action.at,
                error=error,
                retry_at=retry_at.wall,
                cool_down=retry_at.mono,
                failures=state.failures + 1,
                refused=False,
                in_doubt=state.in_doubt or action.in_doubt,
            )
        case SessionEnded(cause=cause):
            ended = {
                **_NO_TROUBLE,
                "sign_in": "",
                "generation": 0,
                "tokens": None,
                "error": cause,
                "counted": (),
            }
            return _become(state, "signed_out", action.at, **ended)
        case StorageChanged(error=error):
            return replace(state, storage="ok" if error is None else "failing")
    return state


_NO_TROUBLE: dict[str, Any] = {
    "error": None,
    "retry_at": None,
    "cool_down": None,
    "failures": 0,
    "in_doubt": False,
    "refused": False,
}


def _become(state: AuthState, status: Status, at: Instant, **changes: Any) -> AuthState:
    """A change of the status, which waits in `resume` while a login is in progress."""
    if state.status == "signing_in":
        return replace(state, resume=status, changed=at, **changes)
    return replace(state, status=status, changed=at, **changes)


@dataclass(frozen=True, slots=True)
class Windows:
    """When a token counts as stale, in seconds before its expiry; None means the default.

    Inside `refresh_ahead` (60 s, at most a quarter of the token's life) calls proceed and one refresh runs in the
    background; inside `leeway` (5 s, at most a tenth) they wait for it. A window that you set is cut to half of the
    token's life, because a longer one would refresh without end. A negative leeway is for a server that accepts a
    token for some time after it expired.

    `spread`, from 0 to 1, is the session's share of chance: it lengthens or shortens the background window by up to a
    quarter of what lies before the leeway, so that sessions that signed in together, or share one sign-in, do not all
    wake at the same instant. 0.5 is the window as it stands above, and what a test's clock draws.
    """

    leeway: float | None = None
    refresh_ahead: float | None = None
    spread: float = 0.5

    def of(self, tokens: Tokens) -> tuple[float, float]:
        """(leeway, refresh_ahead) for this pair."""
        life = tokens.life if tokens.life is not None else float("inf")
        leeway = min(5.0, life / 10) if self.leeway is None else min(self.leeway, life / 2)
        ahead = min(60.0, life / 4) if self.refresh_ahead is None else min(self.refresh_ahead, life / 2)
        apart = max(0.0, ahead - max(leeway, 0.0)) * (0.5 - self.spread) / 2
        return leeway, max(leeway, min(ahead + apart, life / 2))

    def fresh_for(self, state: AuthState, now: Instant) -> float:
        """For how many seconds a state that `decide` calls fresh stays so, at least."""
        assert state.tokens is not None
        remaining = state.tokens.remaining(now)
        if remaining is None:
            return float("inf")
        return max(0.0, remaining - self.of(state.tokens)[1])


def decide(state: AuthState, now: Instant, windows: Windows) -> Decision:
    """What the gate does with a call that arrives `now`."""
    tokens = state.tokens
    if state.status == "signing_in":
        return "wait_for_login"
    if tokens is None:
        return "signed_out"
    if state.refused:
        return "refresh"
    remaining = tokens.remaining(now)
    # In doubt, the next post is a probe that may end the sign-in: not while there is a token that still serves.
    if remaining is None or (state.in_doubt and remaining > 0):
        return "fresh"
    leeway, ahead = windows.of(tokens)
    if remaining > ahead:
        return "fresh"
    cooling = is_cooling(state, now)
    # After a failure a token is used to its last second: waiting for a refresh that may fail again helps nobody.
    if remaining > (min(leeway, 0.0) if state.failures else leeway):
        return "fresh" if cooling else "refresh_ahead"
    return "unavailable" if cooling else "refresh"


def refusal(state: AuthState) -> RxAuthError:
    """The error of a call that gets no tokens in this state: nobody is signed in, or nobody may post now."""
    error = state.error
    if state.tokens is None:
        if isinstance(error, SessionExpired):
            return error.again()
        return NotSignedIn(
            "nobody is signed in: call session.login(...), or session.sign_in(tokens) with tokens you have"
        )
    if isinstance(error, RefreshUnavailable | RefreshMisconfigured | RefresherError):
        return error.again()
    return RefreshUnavailable("the last refresh failed; the next one may be tried at retry_at", retry_at=state.retry_at)


def is_cooling(state: AuthState, now: Instant) -> bool:
    """True while nobody may post because the last refresh failed."""
    return state.cool_down is not None and now.mono < state.cool_down


def is_premature(tokens: Tokens, now: Instant, refused: bool) -> bool:
    """Is a refresh of this pair a sign that the API refuses every token?

    It is when the pair arrived stale, or was refused before half of its life (of unknown length: at all). A refresh
    that is due to expiry never is.
    """
    if tokens.life is not None and tokens.life <= 0:
        return True
    remaining = tokens.remaining(now)
    return refused and (remaining is None or tokens.life is None or remaining > tokens.life / 2)


def access_token(state: AuthState) -> str | None:
    """The access token, or None."""
    return state.tokens.access if state.tokens else None


def refresh_token(state: AuthState) -> str | None:
    """The refresh token, or None."""
    return state.tokens.refresh if state.tokens else None


def access_expires_at(state: AuthState) -> float | None:
    """When the access token expires, in seconds since the epoch on this machine's clock; None when not known."""
    return state.tokens.expires_at if state.tokens else None


def refresh_expires_at(state: AuthState) -> float | None:
    """When the refresh token expires, in seconds since the epoch on this machine's clock; None when not known."""
    return state.tokens.refresh_expires_at if state.tokens else None


def is_access_expired(state: AuthState, now: Instant) -> bool:
    """True without an access token or from the moment it expires; a token of unknown life is not expired."""
    if state.tokens is None:
        return True
    remaining = state.tokens.remaining(now)
    return remaining is not None and remaining <= 0


def is_refresh_expired(state: AuthState, now: Instant) -> bool:
    """True without a refresh token or from the moment it expires; a token of unknown life is not expired."""
    if state.tokens is None or state.tokens.refresh is None:
        return True
    remaining = state.tokens.refresh_remaining(now)
    return remaining is not None and remaining <= 0


def is_signed_in(state: AuthState) -> bool:
    """Signed in, refreshing or degraded."""
    return state.status in ("signed_in", "refreshing", "degraded")


def present(state: AuthState) -> tuple[str, str]:
    """The ids of the sign-in that is there and of the one that is about to be, "" for none."""
    return state.sign_in, state.pending


def is_refreshing(state: AuthState) -> bool:
    """True while a refresh is in flight."""
    return "refreshing" in (state.status, state.status == "signing_in" and state.resume)


def last_error(state: AuthState) -> Exception | None:
    """The error of the last login or refresh, None after one that succeeded."""
    return state.error
