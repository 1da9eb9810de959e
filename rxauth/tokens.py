"""`Tokens`: an access token, the refresh token that replaces it, and how long both live."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

import jwt

from rxauth.concurrency.runtime import Instant, current_runtime
from rxauth.errors import InvalidTokens, UnsendableTokens
from rxauth.names import ACCESS_TOKEN, REFRESH_TOKEN, SIMPLEJWT_ACCESS, SIMPLEJWT_REFRESH
from rxauth.redaction.display import Shown
from rxauth.redaction.names import fingerprint
from rxauth.redaction.tracebacks import concealed

Expiry = Literal["seconds", "milliseconds", "epoch", "epoch_milliseconds", "jwt"]

#: The wall clock overrules the monotonic one when it ran ahead by more than this many seconds: the machine slept.
CLOCK_DRIFT = 5.0


@dataclass(frozen=True, slots=True)
class TokenFields:
    """Where a server's answer holds what, and in which unit.

    `under` is the key, or the path of keys with dots, of the object that holds the tokens (`"data.tokens"`); each
    `*_key` names one field, where None means the usual names; `expiry` is the unit of the expiry fields: seconds or
    milliseconds from now, seconds or milliseconds since the epoch (an ISO 8601 time is taken too), or `"jwt"` for
    "only what the token itself says".
    """

    under: str | None = None
    access_key: str | None = None
    refresh_key: str | None = None
    expires_key: str | None = None
    refresh_expires_key: str | None = None
    expiry: Expiry = "seconds"

    def __post_init__(self) -> None:
        if self.expiry not in get_args(Expiry):
            raise ValueError(f"expiry must be one of {', '.join(get_args(Expiry))}; got {self.expiry!r}")


@dataclass(frozen=True, slots=True)
class Tokens(Shown):
    """An immutable pair of tokens.

    `access` and `refresh` are plain strings; `repr` shows a short fingerprint of each, never the token.
    `expires_at` and `refresh_expires_at` are seconds since the epoch on *this* machine's clock; None means unknown:
    such an access token is used until the API refuses it. `life` is the access token's whole life in seconds.

    A pair that was just received counts its life from that moment (`received`), so that no clock has to agree with the
    server's. A pair brought from elsewhere, `Tokens(access, refresh)`, has the `exp` of its JWT (RFC 7519 section
    4.1.4) compared with the wall clock. So has one that was loaded. `refresh_received` is the same for a refresh token
    whose life was counted. The signature is not verified: that is for the API, the token's audience.

    `sign_in` and `generation` are filled in by the session that holds the pair.

    Raises `InvalidTokens` for an access token that could not be sent as a header, and for a refresh token that is no
    printable ASCII (RFC 6749 section A.17).
    """

    access: str
    refresh: str | None = None
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    scope: str | None = None
    life: float | None = field(default=None, kw_only=True)
    received: Instant | None = field(default=None, kw_only=True, compare=False)
    refresh_received: Instant | None = field(default=None, kw_only=True, compare=False)
    sign_in: str = field(default="", kw_only=True)
    generation: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        _check_token("access", self.access)
        if self.refresh is not None:
            _check_token("refresh", self.refresh)
        for name in ("expires_at", "refresh_expires_at", "life"):
            _check_number(name, getattr(self, name))
        if self.expires_at is None and self.received is None:
            claims = read_claims(self.access)
            object.__setattr__(self, "expires_at", claims.get("exp"))
            if self.life is None:
                object.__setattr__(self, "life", _span(claims))
        if self.refresh_expires_at is None and self.refresh is not None and self.received is None:
            object.__setattr__(self, "refresh_expires_at", read_claims(self.refresh).get("exp"))

    @classmethod
    @concealed
    def from_response(
        cls,
        answer: object,
        *,
        fields: TokenFields | None = None,
        received: Instant | None = None,
        sent: Instant | None = None,
        server_date: float | None = None,
        keep: Tokens | None = None,
    ) -> Self:
        """The pair in a token endpoint's decoded answer: OAuth 2's fields (RFC 6749 section 5.1) or simplejwt's.

        `received` and `sent` are the moments of the answer and of its request (now, if left out); `server_date` is the
        answer's `Date` in seconds since the epoch. `keep` is the pair that was spent: its refresh token and its scope
        stay in use when the answer names none (RFC 6749 section 6).

        The access token's life is the expiry field; else `exp - iat` of the JWT; else its `exp`, corrected by as much
        of the two clocks' difference as `Date` proves; else unknown. An expiry of 0 or less means "already stale".

        Raises `InvalidTokens` when there is no usable access token in it, `UnsendableTokens` when its `token_type` asks
        for more than a header: DPoP (RFC 9449), PoP, MAC, or `N_A` (RFC 8693 section 2.2.1). Others count as bearer.
        """
        names = fields or TokenFields()
        now = received or current_runtime().now()
        body = _dig(answer, names.under)
        _check_type(body.get("token_type"))
        access = _pick(body, names.access_key, (ACCESS_TOKEN, SIMPLEJWT_ACCESS))
        if access is None:
            raise InvalidTokens(
                f"the answer has no access token: its fields are {names_in(body)}; "
                "name the right one with access_key=, or the object that holds it with under="
            )
        _check_token("access", access)
        refresh = _pick(body, names.refresh_key, (REFRESH_TOKEN, SIMPLEJWT_REFRESH)) or None
        skew = _skew(server_date, sent or now, now)
        unit = names.expiry
        end = "expires_at" if unit.startswith("epoch") else "expires_in"
        stated = _seconds(_pick(body, names.expires_key, (end,)), unit)
        life, expires_at, _ = _lifetime(access, stated, unit, now, skew)
        refresh_expires_at, refresh_received = None, None
        if refresh is not None:
            _check_token("refresh", refresh)
            stated = _seconds(_pick(body, names.refresh_expires_key, (f"refresh_{end}", f"refresh_token_{end}")), unit)
            if stated is not None and stated <= 0:
                stated = None  # Keycloak says 0 for a refresh token without an end
            _, refresh_expires_at, is_counted = _lifetime(refresh, stated, unit, now, skew)
            refresh_received = now if is_counted else None
        elif keep is not None:
            refresh, refresh_expires_at = keep.refresh, keep.refresh_expires_at
            refresh_received = keep.refresh_received
        scope = body.get("scope")
        if not isinstance(scope, str):
            scope = keep.scope if keep is not None else None
        return cls(
            access,
            refresh,
            expires_at,
            refresh_expires_at,
            scope,
            life=life,
            received=now,
            refresh_received=refresh_received,
        )

    def just_received(self, now: Instant) -> Self:
        """This pair, its life counted from `now`: for a pair that a refresh callable made itself."""
        if self.received is not None:
            return self
        life = self.life
        expires_at = self.expires_at
        if life is not None and expires_at == read_claims(self.access).get("exp"):
            expires_at = now.wall + life
        elif expires_at is not None:
            life = max(0.0, expires_at - now.wall)
        return replace(self, expires_at=expires_at, life=life, received=now)

    def remaining(self, now: Instant) -> float | None:
        """Seconds until the access token expires (negative afterwards), or None when that is not known."""
        return None if self.expires_at is None else _remaining(self.expires_at, self.received, now)

    def refresh_remaining(self, now: Instant) -> float | None:
        """Seconds until the refresh token expires, or None when that is not known or there is none."""
        end = self.refresh_expires_at
        return None if end is None else _remaining(end, self.refresh_received, now)

    def is_over(self, now: Instant) -> bool:
        """Has the access token expired, by the best clock that there is for it?

        That is the monotonic one, however far ahead the wall clock is: a wrong one must not end a sign-in. A machine
        that slept for longer hears it from the server.
        """
        end, since = self.expires_at, self.received
        if end is None:
            return False
        return now.wall >= end if since is None else now.mono - since.mono >= end - since.wall

    def is_refresh_over(self, now: Instant) -> bool:
        """Is the refresh token known to have expired, so that it need not be posted?

        Only the monotonic clock knows: for a pair that was brought, or loaded, the server decides.
        """
        end, since = self.refresh_expires_at, self.refresh_received
        return end is not None and since is not None and now.mono - since.mono >= end - since.wall

    @property
    def claims(self) -> Mapping[str, Any]:
        """The access token's JWT claims, unverified; empty for an opaque token."""
        return read_claims(self.access)

    def __repr__(self) -> str:
        refresh = "None" if self.refresh is None else fingerprint(self.refresh)
        return (
            f"Tokens(access={fingerprint(self.access)}, refresh={refresh}, "
            f"expires_at={_iso(self.expires_at)}, generation={self.generation})"
        )


# Its arguments are the tokens, and a dataclass writes its constructor itself.
Tokens.__init__ = concealed(Tokens.__init__)  # type: ignore[method-assign]


def read_claims(token: str) -> dict[str, Any]:
    """A JWT's claims, unverified, with `exp` and `iat` as floats or absent; {} when `token` is no JWT."""
    if token.count(".") != 2:
        return {}
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}
    for name in ("exp", "iat"):
        value = _number(claims.pop(name, None))
        if value is not None:
            claims[name] = value
    return claims


def _remaining(end: float, received: Instant | None, now: Instant) -> float:
    """Seconds until `end`, which is on the wall clock. It overrules the monotonic one when it ran ahead."""
    if received is None:
        return end - now.wall
    elapsed, by_wall = now.mono - received.mono, now.wall - received.wall
    return end - received.wall - (by_wall if by_wall - elapsed > CLOCK_DRIFT else elapsed)


def _seconds(stated: object, unit: Expiry) -> float | None:
    """A stated expiry in seconds: from now, or since the epoch if that is the unit."""
    if unit == "jwt":
        return None
    number = _number(stated)
    if number is None:
        return _from_iso(stated) if unit.startswith("epoch") and isinstance(stated, str) else None
    return number / 1000 if unit.endswith("milliseconds") else number


def _lifetime(
    token: str, stated: float | None, unit: Expiry, now: Instant, skew: float
) -> tuple[float | None, float | None, bool]:
    """(whole life in seconds, expiry on this machine's clock) of a token that was received `now`, and whether that is
    counted from then: else it is a moment on the server's clock, and as right as ours is."""
    claims = read_claims(token) if stated is None else {}
    life = _span(claims) if stated is None or unit.startswith("epoch") else max(0.0, stated)
    if life is not None:
        return life, now.wall + life, True
    moment = claims.get("exp") if stated is None else stated
    if moment is None:
        return None, None, False
    expires_at = moment - skew
    return max(0.0, expires_at - now.wall), expires_at, False


def _span(claims: Mapping[str, Any]) -> float | None:
    if "exp" not in claims or "iat" not in claims:
        return None
    span: float = claims["exp"] - claims["iat"]
    return max(0.0, span) if math.isfinite(span) else None


def _skew(server_date: float | None, sent: Instant, received: Instant) -> float:
    """How far the server's clock is ahead of ours, as far as that is proven, in seconds.

    The server wrote `Date`, floored to the second, somewhere between `sent` and `received`: its clock is ahead by
    something in [date - received, date + 1 - sent]. When 0 lies in there, nothing is proven.
    """
    if server_date is None:
        return 0.0
    low, high = server_date - received.wall, server_date + 1 - sent.wall
    return low if low > 0 else high if high < 0 else 0.0


def _dig(answer: object, under: str | None) -> Mapping[str, Any]:
    body = answer
    for key in under.split(".") if under else ():
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping):
        where = f" under {under!r}; check under=" if under else ""
        raise InvalidTokens(f"expected a JSON object with the tokens, got {type(body).__name__}{where}")
    return body


def names_in(body: Mapping[Any, Any]) -> str:
    """The names of the fields, for a message; a name as long as a token may be one."""
    names = sorted(str(name) for name in body)
    return repr([name if len(name) < 24 else fingerprint(name) for name in names])[:300]


def _pick(body: Mapping[str, Any], name: str | None, usual: tuple[str, ...]) -> Any:
    for key in (name,) if name else usual:
        if body.get(key) is not None:
            return body[key]
    return None


#: RFC 9449, RFC 9200, the drafts of MAC and Hawk, and RFC 8693 section 2.2.1, where it is no access token at all.
_UNSENDABLE = {"dpop", "pop", "mac", "hawk", "n_a"}


def _check_type(token_type: object) -> None:
    if isinstance(token_type, str) and token_type.strip().lower() in _UNSENDABLE:
        raise UnsendableTokens(
            f"its token_type is {token_type.strip()}, and rxauth sends an access token as it is, without a proof of a "
            "key; have the server issue bearer tokens to this client"
        )


def _check_number(name: str, value: object) -> None:
    if value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    ):
        return
    raise InvalidTokens(f"{name} must be a number of seconds, or None when it is not known; got {type(value).__name__}")


def _check_token(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidTokens(f"{name} must be a str, got {type(value).__name__}")
    if not value:
        hint = "; leave it out (None) when there is no refresh token" if name == "refresh" else ""
        raise InvalidTokens(f"{name} is an empty string{hint}")
    # RFC 6749 section A.17 lets a refresh token hold spaces.
    may_hold_spaces = name == "refresh" and value == value.strip() and not value.lower().startswith("bearer ")
    dense = value.replace(" ", "") if may_hold_spaces else value
    if not dense.isascii() or any(char <= " " or char == "\x7f" for char in dense):
        raise InvalidTokens(f"{name} holds a space, a line break or another character that no token has (RFC 6750 "
                            "section 2.1); pass the token alone, without 'Bearer '")  # fmt: skip


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _from_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f}"  # a year that datetime does not reach
