"""The claims of a JWT, read without verifying it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import jwt

from rxauth.errors import InvalidTokens


def read_claims(token: str) -> dict[str, Any]:
    """A JWT's claims, unverified, with `exp` and `iat` as floats or absent; {} when `token` is no JWT."""
    if token.count(".") != 2:
        return {}
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}
    for name in ("exp", "iat"):
        value = number_of(claims.pop(name, None))
        if value is not None:
            claims[name] = value
    return claims


def span_of(claims: Mapping[str, Any]) -> float | None:
    if "exp" not in claims or "iat" not in claims:
        return None
    span: float = claims["exp"] - claims["iat"]
    return max(0.0, span) if math.isfinite(span) else None


def check_number(name: str, value: object) -> None:
    if value is None or (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    ):
        return
    raise InvalidTokens(f"{name} must be a number of seconds, or None when it is not known; got {type(value).__name__}")


def check_token(name: str, value: object) -> None:
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


def number_of(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
