"""What the tests of this room share: JWTs, moments, and a pair that was received at `T0`."""

from __future__ import annotations

from typing import Any

import jwt

from rxauth import Tokens
from rxauth.concurrency import Instant
from rxauth.tokens import Expiry, TokenFields

#: The moment of receipt in these tests; the two clocks have nothing in common.
T0 = Instant(wall=1_800_000_000.0, mono=500.0)
DAY = 86_400.0


def after(seconds: float, *, jump: float = 0.0) -> Instant:
    """`seconds` later than T0, on a wall clock that was set forward by `jump` meanwhile."""
    return Instant(T0.wall + seconds + jump, T0.mono + seconds)


def make_jwt(**claims: Any) -> str:
    """A signed JWT of these claims, any types."""
    payload = jwt.api_jws.json.dumps(claims).encode()
    return jwt.api_jws.encode(payload, "k" * 32, algorithm="HS256")


def received(answer: Any, *, sent: Instant | None = None, date: float | None = None, **fields: Any) -> Tokens:
    """The pair in `answer`, received at T0."""
    return Tokens.from_response(answer, fields=TokenFields(**fields), received=T0, sent=sent, server_date=date)


__all__ = ["DAY", "T0", "Expiry", "after", "make_jwt", "received"]
