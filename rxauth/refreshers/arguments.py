"""What is wrong with a refresher's argument, said where it is made: later it would cost a refresh token."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, get_args

import httpx

from rxauth.concurrency.runtime import is_sync
from rxauth.refreshers.failures import Final
from rxauth.tokens.wire_names import check_sendable


def as_final(final: Any) -> Final:
    """`final=` as statuses or as a function of the response. Raises TypeError for anything else."""
    if is_sync(final):
        return final  # type: ignore[no-any-return]  # whatever it returns
    statuses = () if final is None else (final,) if isinstance(final, int) else final
    is_plain = isinstance(statuses, Collection) and not isinstance(statuses, str | bytes)
    if not is_plain or not all(isinstance(status, int) and not isinstance(status, bool) for status in statuses):
        raise TypeError(f"final must be statuses (final=[401]) or a sync function of the response; got {final!r:.80}")
    return tuple(statuses)


def as_bool(name: str, value: Any) -> bool:
    """The value. Raises TypeError for what is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r:.80}")
    return value


def as_url(url: Any) -> str:
    """An absolute URL as text, an `httpx.URL` too. Raises ValueError for one that is not absolute, else TypeError."""
    if not isinstance(url, str) and not hasattr(url, "raw_path"):
        raise TypeError(f"expected a URL such as 'https://auth.example.com/token', got {type(url).__name__}")
    text = str(url)
    try:
        parsed = httpx.URL(text)
        is_absolute = parsed.scheme in ("http", "https") and bool(parsed.host)
    except httpx.InvalidURL:
        is_absolute = False
    if not is_absolute:
        shown = re.sub("//[^/]*@", "//", text)  # a password is nobody's business, and what is no URL has no userinfo
        raise ValueError(f"expected an absolute URL such as 'https://auth.example.com/token', got {shown!r}")
    return text


def check_texts(**texts: object) -> None:
    """Raise a TypeError for what is neither a str nor None. It is not shown: it may be a secret."""
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} must be a str, got {type(text).__name__}")


def check_credentials(credentials: object) -> None:
    """Raise a TypeError unless these are a mapping, a function that returns one, or None."""
    if credentials is not None and not isinstance(credentials, Mapping) and not callable(credentials):
        raise TypeError(f"credentials must be a mapping or a function, got {type(credentials).__name__}")


def check_transport(transport: object) -> None:
    """Raise a TypeError unless this is None or looks like an `httpx.BaseTransport`."""
    is_one = callable(getattr(transport, "handle_request", None)) and not isinstance(transport, type)
    if transport is not None and not is_one:
        found = transport if isinstance(transport, type) else type(transport).__name__
        raise TypeError(f"transport must be a sync one such as httpx.HTTPTransport(), and no client; got {found}")


def check_choices(**choices: tuple[object, Any]) -> None:
    """Raise a ValueError for a value that is none of those of its Literal."""
    for name, (value, allowed) in choices.items():
        if value not in get_args(allowed):
            raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}; got {value!r}")


def as_headers(headers: Any) -> dict[str, str]:
    """What `headers=` holds or returns. Raises TypeError for no mapping, ValueError for what is no header."""
    if not isinstance(headers, Mapping):
        found = type(headers).__name__
        raise TypeError(f"headers must be a mapping, or a sync function of the tokens that returns one; got {found}")
    for name, text in headers.items():
        check_sendable("the name of a header in headers=", name, empty=False)
        check_sendable(f"headers={{{name!r}: ...}}", text)
    return dict(headers)
