"""Tokens from the answer of a token endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from rxauth.concurrency.runtime import Instant
from rxauth.errors import InvalidTokens
from rxauth.tokens.claims import number_of, read_claims, span_of

Expiry = Literal["seconds", "milliseconds", "epoch", "epoch_milliseconds", "jwt"]


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


def seconds_of(stated: object, unit: Expiry) -> float | None:
    """A stated expiry in seconds: from now, or since the epoch if that is the unit."""
    if unit == "jwt":
        return None
    number = number_of(stated)
    if number is None:
        return _from_iso(stated) if unit.startswith("epoch") and isinstance(stated, str) else None
    return number / 1000 if unit.endswith("milliseconds") else number


def lifetime_of(
    token: str, stated: float | None, unit: Expiry, now: Instant, skew: float
) -> tuple[float | None, float | None, bool]:
    """(whole life in seconds, expiry on this machine's clock) of a token that was received `now`, and whether that is
    counted from then: else it is a moment on the server's clock, and as right as ours is."""
    claims = read_claims(token) if stated is None else {}
    life = span_of(claims) if stated is None or unit.startswith("epoch") else max(0.0, stated)
    if life is not None:
        return life, now.wall + life, True
    moment = claims.get("exp") if stated is None else stated
    if moment is None:
        return None, None, False
    expires_at = moment - skew
    return max(0.0, expires_at - now.wall), expires_at, False


def skew_of(server_date: float | None, sent: Instant, received: Instant) -> float:
    """How far the server's clock is ahead of ours, as far as that is proven, in seconds.

    The server wrote `Date`, floored to the second, somewhere between `sent` and `received`: its clock is ahead by
    something in [date - received, date + 1 - sent]. When 0 lies in there, nothing is proven.
    """
    if server_date is None:
        return 0.0
    low, high = server_date - received.wall, server_date + 1 - sent.wall
    return low if low > 0 else high if high < 0 else 0.0


def dig(answer: object, under: str | None) -> Mapping[str, Any]:
    body = answer
    for key in under.split(".") if under else ():
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping):
        where = f" under {under!r}; check under=" if under else ""
        raise InvalidTokens(f"expected a JSON object with the tokens, got {type(body).__name__}{where}")
    return body


def pick(body: Mapping[str, Any], name: str | None, usual: tuple[str, ...]) -> Any:
    for key in (name,) if name else usual:
        if body.get(key) is not None:
            return body[key]
    return None


def _from_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
