"""One request to a token endpoint, over a connection of its own, and its answer, read to its end."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from rxauth.concurrency.runtime import Runtime, current_runtime
from rxauth.refreshers.response_body import READ_TIMEOUT, plain, read
from rxauth.tokens.origins import is_safe, origin_of, parse_origin
from rxauth.tokens.wire_names import AUTHORIZATION


def ask(
    method: str,
    url: str,
    body: Mapping[str, Any],
    headers: httpx.Headers,
    *,
    as_form: bool,
    auth: httpx.Auth | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Response:
    """Send `body`, where there is one, as a form or as JSON. Raises httpx's errors."""
    timeout = httpx.Timeout(10.0, read=READ_TIMEOUT)
    lent = _Lent(transport) if transport is not None else None
    parsed = httpx.URL(url)
    if parsed.userinfo:  # httpx logs the URL, and would put this in the place of our own header
        if auth is None and AUTHORIZATION not in headers:
            auth = httpx.BasicAuth(parsed.username, parsed.password)
        url = without_password(url)
    encoded: dict[str, Any] = {"data": body} if as_form else {"json": body} if body else {}
    with (
        _Bounded(current_runtime()) as bounded,
        httpx.Client(transport=lent, timeout=timeout, verify=_tls(), mounts=_direct(url)) as client,
        client.stream(method, url, headers=headers, auth=auth, extensions={"trace": bounded}, **encoded) as response,
    ):
        try:
            content = read(response)
        except httpx.DecodingError:
            if response.is_success:
                raise
            content = b""  # an error page that was compressed badly is still an answer
    return httpx.Response(
        response.status_code, headers=plain(response.headers), content=content, request=response.request
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    """The usual certificates, which take longer to load than a refresh does, once for all our clients."""
    return httpx.create_ssl_context()


class _Bounded:
    """Ends the reading of an answer, headers and all, whose bytes come one by one for longer than anybody waits.

    httpx's own limit is for each read. This is httpcore's trace, which is told of a connection when it is made.
    """

    def __init__(self, clock: Runtime) -> None:
        self._clock = clock
        self._end = clock.now().mono + READ_TIMEOUT
        self._streams: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:  # a lent transport may keep the connection for its next request
            del stream.read

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.startswith("connection.") and event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            self._streams.append(stream)
            stream.read = functools.partial(self._read, stream.read)

    def _read(self, read: Callable[..., bytes], max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._end - self._clock.now().mono
        if left <= 0:
            raise httpx.ReadTimeout(f"the answer took longer than {READ_TIMEOUT:.0f} s")
        return read(max_bytes, timeout=left if timeout is None else min(timeout, left))


class _Lent(httpx.BaseTransport):
    """Somebody else's transport, which must stay open when our client closes."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)


def _direct(url: str) -> dict[str, None] | None:
    """No proxy of the environment between us and this machine, where plain http is safe because nobody listens in."""
    parsed = httpx.URL(url)
    is_direct = parsed.scheme == "http" and is_safe(parse_origin(origin_of(url)))
    return {f"http://[{parsed.host}]" if ":" in parsed.host else f"http://{parsed.host}": None} if is_direct else None


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return str(httpx.URL(url).copy_with(username=None, password=None))
