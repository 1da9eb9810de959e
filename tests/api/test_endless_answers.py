"""S11: an `ApiCall` that is answered with an event stream fails, and frees its place and its connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import httpx2
import pytest
from accident_kit import soon

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, request
from rxauth.errors import ApiDecodingError


@dataclass(frozen=True)
class Get(ApiCall[str]):
    url: str
    auth: Any = "required"  # type: ignore[misc]

    def request(self, state: AuthState) -> Request:
        return Request.get(self.url)

    def parse(self, response: Any) -> str:
        return str(response.text)


class Server(ThreadingHTTPServer):
    """`/events` and `/Events` never end; `/text` does."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.over = threading.Event()
        self.streams = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/text":
            self._answer(200, "text/plain", {"Content-Length": "2"}, b"ok")
            return
        self.server.streams += 1
        status = 503 if self.path == "/late" else 200
        kind = "Text/Event-Stream; charset=utf-8" if self.path == "/odd" else "text/event-stream"
        self._answer(status, kind, {"Connection": "close"}, b"data: 1\n\n")
        self.server.over.wait(60)

    def _answer(self, status: int, kind: str, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield running
        finally:
            running.over.set()
            running.shutdown()


LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
PATHS = pytest.mark.parametrize("path", ["/events", "/odd", "/late"])
AUTHS = pytest.mark.parametrize("auth", ["required", "none"])


def made(client: Any) -> Store[AuthState]:
    store = Store(auth_reducer, AuthState())
    session = Session(lambda tokens: tokens, store=store, select=lambda auth: auth, tokens=Tokens("t", "r"))
    store.add_epic(api_epic(client, session, max_in_flight=1))
    return store


def options(library: Any, server: Server) -> dict[str, Any]:
    """One connection: it has to be free for the next call."""
    return {
        "base_url": server.url,
        "limits": library.Limits(max_connections=1),
        "timeout": library.Timeout(60, pool=30),
        "trust_env": False,
    }


def check(error: ApiDecodingError, path: str) -> None:
    assert "an endless answer is not an ApiCall; use rxauth.feeds.events" in str(error)
    assert error.response.status_code == (503 if path == "/late" else 200)
    assert error.response.is_closed


@LIBRARIES
@PATHS
@AUTHS
def test_a_blocking_client_gives_up_an_event_stream(library: Any, server: Server, path: str, auth: Any) -> None:
    """S11"""
    with library.Client(**options(library, server)) as client, made(client) as store:
        for _ in range(3):
            with pytest.raises(ApiDecodingError) as caught:
                soon(request(store, Get(path, auth)).run)
            check(caught.value, path)
        assert soon(request(store, Get("/text", auth)).run) == "ok"
    assert server.streams == 3


@LIBRARIES
@PATHS
@AUTHS
def test_an_async_client_gives_up_an_event_stream(library: Any, server: Server, path: str, auth: Any) -> None:
    """S11"""

    async def main() -> None:
        async with library.AsyncClient(**options(library, server)) as client, made(client) as store:
            for _ in range(3):
                with pytest.raises(ApiDecodingError) as caught:
                    await request(store, Get(path, auth))
                check(caught.value, path)
            assert await request(store, Get("/text", auth)) == "ok"

    asyncio.run(main())
    assert server.streams == 3


class Unread(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that must not be read."""

    closed = 0

    def __iter__(self) -> Any:
        raise AssertionError("it is read")

    def __aiter__(self) -> Any:
        raise AssertionError("it is read")

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def test_the_headers_decide_before_the_body_is_read() -> None:
    body = Unread()

    def answer(asked: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="https://api.example.com")
    with made(client) as store, pytest.raises(ApiDecodingError, match="event stream"):
        soon(request(store, Get("/")).run)
    assert body.closed == 1


def test_a_body_that_breaks_off_is_closed_as_well() -> None:
    class Broken(Unread):
        def __iter__(self) -> Any:
            raise httpx.ReadError("reset")

    body = Broken()
    client = httpx.Client(
        transport=httpx.MockTransport(lambda asked: httpx.Response(200, stream=body)),
        base_url="https://api.example.com",
    )
    with made(client) as store, pytest.raises(Exception, match="got no answer: ReadError"):
        soon(request(store, Get("/")).run)
    assert body.closed >= 1
