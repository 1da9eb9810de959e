"""The body of a token endpoint's answer: bounded in size and time, and decompressed; and the cookie beside it."""

from __future__ import annotations

import re
import zlib

import httpx

from rxauth.concurrency.runtime import current_runtime
from rxauth.errors import InvalidTokens, RefreshUnavailable

#: A token answer is small; more than this many bytes is something else.
MAX_ANSWER = 1_000_000
#: The session waits 30 s for an answer and listens for 60 s more; after that nobody does.
READ_TIMEOUT = 90.0

_PACKED = ("gzip", "x-gzip", "deflate")
_MAX_AGE = re.compile(r"\s*max-age\s*=\s*(-?[0-9]+)\s*", re.IGNORECASE)


def plain(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """The headers of a body that has been decoded already, as they came: they need not be ASCII."""
    gone = (b"content-encoding", b"content-length", b"transfer-encoding")
    return [(name, value) for name, value in headers.raw if name.lower() not in gone]


def set_cookie(headers: httpx.Headers, name: str) -> str | None:
    """The value that the server gives this cookie (RFC 6265 section 5.2), None where it gives none, or deletes it.

    A jar would keep to `Domain` and `Expires` and so drop a token that was spent for: it was reached by another name
    than the server thinks, or a clock is wrong. It is sent to where it came from and nowhere else, whatever they say.
    """
    found = None
    for header in headers.get_list("set-cookie"):
        pair, *attributes = header.split(";")
        known, _, value = (part.strip() for part in pair.partition("="))
        ages = [_MAX_AGE.fullmatch(attribute) for attribute in attributes]
        age = next((match[1] for match in reversed(ages) if match), "1")
        if known == name and value and age.strip("0") and not age.startswith("-"):
            found = value
    return found


def read(response: httpx.Response) -> bytes:
    """The body, unless it is endless or dribbles in for longer than anybody waits."""
    content = bytearray()
    clock = current_runtime()
    end = clock.now().mono + READ_TIMEOUT
    is_read = response.is_stream_consumed  # by a transport that makes its answers itself
    for chunk in [response.content] if is_read else response.iter_raw():
        content += chunk
        if len(content) > MAX_ANSWER or clock.now().mono > end:
            raise _endless(response)
    decoded = bytes(content) if is_read else _decoded(bytes(content), response.headers.get("content-encoding"))
    if len(decoded) > MAX_ANSWER:
        raise _endless(response)
    return decoded


def _endless(response: httpx.Response) -> InvalidTokens | RefreshUnavailable:
    long = f"longer than {MAX_ANSWER} bytes, or than {READ_TIMEOUT:.0f} s"
    if response.is_success:
        return InvalidTokens(f"it is {long}")
    text = f"the token endpoint's answer is {long}"
    return RefreshUnavailable(text, cause="endless answer", status_code=response.status_code, repeat=False)


def _decoded(content: bytes, encoding: str | None) -> bytes:
    """The body as it was before the server compressed it, once, and not much more of it than we want.

    Codings are written in any case, and `x-gzip` is `gzip` (RFC 9110 section 8.4.1). What is none, such as `UTF-8`,
    changes nothing: the refresh token is spent, and the new one is in the body.
    """
    codings = [coding.strip().lower() for coding in (encoding or "").split(",")]
    packed = [coding for coding in codings if coding in _PACKED]
    if not packed:
        return content
    if len(packed) > 1:
        raise httpx.DecodingError(f"compressed as {encoding!r:.40}")
    try:
        return zlib.decompressobj(47).decompress(content, MAX_ANSWER + 1)  # 47: gzip or zlib, whichever it is
    except zlib.error:
        raise httpx.DecodingError("badly compressed") from None
