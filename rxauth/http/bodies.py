"""Bodies of requests that may have to be sent again, and of answers that refuse a token; of httpx or httpx2.

`byte_stream` is that library's stream of bytes that are there already.
"""

from __future__ import annotations

from typing import Any

from rxauth.concurrency.runtime import Runtime
from rxauth.errors import NotReplayable

#: How much of a refusal's body is read, in bytes, and for how long, in seconds, so that it holds no connection.
MAX_BODY = 64 * 1024
MAX_BODY_TIME = 5.0


def is_replayable(request: Any, byte_stream: Any) -> bool:
    """Bytes are, and so are JSON and forms, which are bytes by now, and multipart of seekable files."""
    if isinstance(request.stream, byte_stream):
        return True
    fields = getattr(request.stream, "fields", None)  # a multipart stream
    if fields is None:
        return False
    files = [getattr(field, "file", b"") for field in fields]
    return all(isinstance(file, str | bytes) or (hasattr(file, "seekable") and file.seekable()) for file in files)


def not_replayable(response: Any, is_bare: bool) -> NotReplayable:
    """Why this request is not sent again; `is_bare`: it went without the token."""
    refused = response.request
    why = "a redirect took it there without the token" if is_bare else "the token has been refreshed"
    return NotReplayable(
        f"{refused.method} {refused.url.path} was answered {response.status_code}; {why}, but the body can be read "
        "only once: call again with a new body, or give it as bytes"
    )


def read(response: Any, byte_stream: Any, runtime: Runtime) -> None:
    """Read the body of a refusal, as far as it goes, and give its connection back."""
    if _is_read(response):
        return
    body, end = _Bounded(), runtime.now().mono + MAX_BODY_TIME
    timeouts = response.request.extensions.get("timeout", {})
    usual = timeouts.get("read", MAX_BODY_TIME)
    timeouts["read"] = min(usual or MAX_BODY_TIME, MAX_BODY_TIME)  # httpcore looks it up when the body begins
    try:
        for chunk in response.stream:
            if body.is_full(chunk) or runtime.now().mono > end:
                break
    except Exception:
        body.broken = True  # that it was refused is what matters
    finally:
        timeouts["read"] = usual
    response.close()
    _put_back(response, body, byte_stream)


async def aread(response: Any, byte_stream: Any) -> None:
    """`read` for asyncio and trio."""
    if _is_read(response):
        return
    from anyio import move_on_after  # httpx depends on it, and it serves trio as well

    body = _Bounded()
    with move_on_after(MAX_BODY_TIME) as scope:
        try:
            async for chunk in response.stream:
                if body.is_full(chunk):
                    break
        except Exception:
            body.broken = True
    body.broken |= scope.cancelled_caught
    await response.aclose()
    _put_back(response, body, byte_stream)


class _Bounded:
    """What was read of a body. `broken`: it is not all of it."""

    __slots__ = ("broken", "chunks", "size")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.broken = False

    def is_full(self, chunk: bytes) -> bool:
        self.chunks.append(chunk)
        self.size += len(chunk)
        if self.size > MAX_BODY:
            self.broken = True
        return self.broken


def _is_read(response: Any) -> bool:
    try:
        response.content  # noqa: B018
    except RuntimeError:  # httpx.ResponseNotRead
        return False
    return True


def _put_back(response: Any, body: _Bounded, byte_stream: Any) -> None:
    """Let the response be read again: by httpx, which keeps it as history, or by the caller."""
    if "content-encoding" in response.headers and (body.broken or not _can_be_decoded(response, body, byte_stream)):
        del response.headers["content-encoding"]  # else whoever reads it gets a decoder's exception for a refusal
        body.chunks.clear()
    response.stream = byte_stream(b"".join(body.chunks))
    response.is_stream_consumed = response.is_closed = False


def _can_be_decoded(response: Any, body: _Bounded, byte_stream: Any) -> bool:
    stream = byte_stream(b"".join(body.chunks))
    try:
        type(response)(response.status_code, headers=response.headers, stream=stream).read()
    except Exception:
        return False
    return True
