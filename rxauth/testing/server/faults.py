"""What can go wrong at a token endpoint, one constructor each, for `TokenServer.script(...)` and `.always(...)`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

#: What happens on the wire instead of an ordinary answer.
Wire = Literal["answer", "never", "drip", "reset_before", "reset_after", "half_close"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One request's misfortune.

    `wire` says what happens to the connection; `status`, `body` and `headers` replace the answer (None: the ordinary
    one); `change` overrides fields of an ordinary answer; `delay` is in seconds, and in front of it all.
    """

    wire: Wire = "answer"
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    born_expired: bool = False


def refuse(status: int = 400, error: str = "invalid_grant") -> Fault:
    """The refresh token is no good (RFC 6749 section 5.2)."""
    return answer(status, {"error": error})


def answer(status: int, body: Any, **headers: str) -> Fault:
    """Any JSON answer."""
    kind = {"content-type": "application/json"}
    return Fault(status=status, body=json.dumps(body).encode(), headers={**kind, **_names(headers)})


def unavailable(status: int = 503, retry_after: int | None = None) -> Fault:
    """A server in trouble; with `retry_after` it says for how many seconds."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Fault(status=status, body=b"try later", headers={"content-type": "text/plain", **headers})


def too_many(retry_after: int | None = 30) -> Fault:
    """429 Too Many Requests (RFC 6585 section 4)."""
    return unavailable(429, retry_after)


def html(status: int = 502) -> Fault:
    """A proxy's error page."""
    page = b"<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"
    return Fault(status=status, body=page, headers={"content-type": "text/html"})


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Fault:
    """Any bytes at all."""
    return Fault(status=status, body=body, headers={"content-type": content_type})


def empty(status: int = 401) -> Fault:
    """An answer without a body."""
    return Fault(status=status)


def never() -> Fault:
    """The request is read, and nothing comes back until the server closes."""
    return Fault("never")


def drip(seconds_per_byte: float = 1.0) -> Fault:
    """The ordinary answer, a byte at a time."""
    return Fault("drip", delay=seconds_per_byte)


def reset_before() -> Fault:
    """The connection is reset before the server did anything."""
    return Fault("reset_before")


def reset_after() -> Fault:
    """The tokens are rotated, then the connection is reset: the answer is lost."""
    return Fault("reset_after")


def half_close() -> Fault:
    """The answer stops in the middle of its body."""
    return Fault("half_close")


def wrong_expires(value: Any) -> Fault:
    """The ordinary answer with this `expires_in`."""
    return Fault(change={"expires_in": value})


def born_expired() -> Fault:
    """The ordinary answer with an access token that is expired already."""
    return Fault(born_expired=True)


def delay(seconds: float) -> Fault:
    """The ordinary answer, late."""
    return Fault(delay=seconds)


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
