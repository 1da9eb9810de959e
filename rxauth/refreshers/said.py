"""What the body of a refusal says: its codes, its texts, and whether they are about CSRF."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

_HARMLESS_CODE = re.compile(r"[a-z][a-z_.\-]{1,39}", re.IGNORECASE)
#: What a browser does not show, each found in one pass: pages of a hostile server must not take time.
_UNSHOWN, _SHOWN_AGAIN = (re.compile(tag, re.IGNORECASE) for tag in (rb"<(?:script|style)\b", rb"</(?:script|style)\b"))
_TAGS = re.compile(rb"<[^<>]*>")
_CSRF = re.compile(
    r"(\b|_)[cx]srf|cross.site request forgery|anti.?forgery|authenticity.?token|(null|invalid|untrusted)[_ ]origin\b",
    re.IGNORECASE,
)
#: What an API says, or a framework before its login, to a request without a token: DRF, Flask-JWT-Extended, FastAPI.
_WANTS_A_TOKEN = re.compile(
    r"credentials were not provided|missing authorization|not_authenticated|^not authenticated$", re.IGNORECASE
)


def parse_json(content: bytes) -> Any:
    """The decoded JSON, or None for what is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def codes_in(body: Any, depth: int = 3) -> Iterator[str]:
    """The error codes of a JSON body: `error`, `code`, `error_code`, Matrix' `errcode`; also inside of `error`."""
    if not depth or not isinstance(body, Mapping):
        return
    for name in ("error", "code", "error_code", "errcode"):
        value = body.get(name)
        if isinstance(value, str):
            yield value.strip().lower()
        elif isinstance(value, Mapping) and name == "error":
            yield from codes_in(value, depth - 1)


def shown_code(codes: Collection[str]) -> str:
    """One of these codes, for a message, if there is one that can be no secret."""
    return next((f" {code}" for code in sorted(codes) if _HARMLESS_CODE.fullmatch(code)), "")


def texts_in(body: Any, depth: int = 3) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif depth and isinstance(body, Mapping):
        for value in body.values():
            yield from texts_in(value, depth - 1)
    elif depth and isinstance(body, list):
        for value in body[:20]:
            yield from texts_in(value, depth - 1)


def is_csrf(content: bytes, texts: Iterable[str] | None) -> bool:
    """Does a refusal come from a protection against CSRF? `texts` are those of its JSON; without, its page is read.

    What an HTML page shows counts, not its tags and scripts: many a page has a CSRF token for a form of its own.
    """
    if texts is None:
        first, *scripts = _UNSHOWN.split(content[:100_000])
        shown = [first, *(piece for script in scripts for piece in _SHOWN_AGAIN.split(script, 1)[1:])]
        texts = [_TAGS.sub(b" ", piece).decode("utf-8", "replace") for piece in shown]
    return any(_CSRF.search(text) for text in texts)


def wants_a_token(texts: Iterable[str]) -> bool:
    """Does a 401 say that a token was missing? An address of the API says so to a login."""
    return any(_WANTS_A_TOKEN.search(text) for text in texts)


def is_signed_out(response: Any) -> bool:
    """Does a 401 confirm a logout? django-allauth's does, and says that there is no session (its headless API)."""
    body = parse_json(response.content) if response.status_code == 401 else None
    meta = body.get("meta") if isinstance(body, dict) else None
    return isinstance(meta, dict) and meta.get("is_authenticated") is False
