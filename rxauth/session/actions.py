"""The library's own actions, and `of_type` to pick actions out of a stream.

An action says what happened (or, for `Login`, `Logout` and `Refresh`, what should). All of them carry `session`, the
name of the session they belong to, so that several sessions can share a store, and the `sign_in` and `generation`
they began from, so that a reducer can tell a late one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rxauth.concurrency.runtime import Instant
from rxauth.tokens.pair import Tokens

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAction:
    """The base of every action of a session."""

    session: str = "default"


@dataclass(frozen=True, slots=True)
class Login(SessionAction):
    """Ask the session to log in; the credentials are the refresher's (for example username and password)."""

    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Logout(SessionAction):
    """Ask the session to log out."""


@dataclass(frozen=True, slots=True)
class Refresh(SessionAction):
    """Ask the session for a refresh now, however fresh its token is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(SessionAction):
    """What happened to the sign-in `sign_in`, `at` a moment."""

    sign_in: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIn(SessionEvent):
    """A login began; `sign_in` is the new sign-in's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(SessionEvent):
    """A login, or `session.sign_in`, brought these tokens."""

    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(SessionEvent):
    """The login that `SigningIn` announced failed; who was signed in before still is."""

    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInEnded(SessionEvent):
    """The base of both ends of a sign-in, a logout (`SignedOut`) and the server's (`SessionEnded`).

    Exactly one comes for each end, so this is where an app shows its login page and drops the user's data. Another
    user's login is not an end, but a `SignedIn`. docs/actions.md lists what else is not one.
    """

    @property
    def cause(self) -> Exception | None:
        """The `SessionExpired` of the server's end; None for a logout."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut(SignInEnded):
    """The user logged out, here or in another process; or nobody was signed in yet, and a login was called off or
    nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshEvent(SessionEvent):
    """Something about the refresh that spends the pair of `generation`."""

    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshStarted(RefreshEvent):
    """A refresh started because `asked_by` asked; `refused`: because the API refused the access token."""

    asked_by: str
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRefreshed(RefreshEvent):
    """The refresh brought `tokens`, a pair of a new generation.

    `counted` are the monotonic times of the refreshes, this one included, that speak of an API which refuses every
    token: see `rxauth.session.state.is_premature`.
    """

    tokens: Tokens
    counted: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFailed(RefreshEvent):
    """The refresh failed, and the sign-in is kept.

    Nobody tries again before `retry_at` (None: the next call may). `in_doubt` is true when the server may have spent
    the refresh token without our having its answer.
    """

    error: Exception
    retry_at: Instant | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(RefreshEvent, SignInEnded):
    """The server ended the sign-in, here or in another process on the same storage.

    `cause` is the `SessionExpired` that every call gets.
    """

    cause: Exception = field()  # without field(), the base's property would be its default


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageChanged(RefreshEvent):
    """Saving the tokens failed (`error`) or works again (None)."""

    error: Exception | None
