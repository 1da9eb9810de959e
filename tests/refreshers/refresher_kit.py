"""A token endpoint on loopback that says what a test wants and remembers what it was asked, and what came of a try."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from rxauth import Tokens
from rxauth.refreshers.failures import Failure, failure_of

ACCESS, REFRESH = "spent-access-53cret", "spent-refresh-53cret"
#: The pair that the tests of this room spend; opaque, so nothing about it depends on a clock.
SPENT = Tokens(ACCESS, REFRESH)

HTML = b"<!doctype html><title>Sorry</title><h1>The token endpoint is having a rest</h1>"


@dataclass(frozen=True)
class Reply:
    """One answer: `body` as bytes, or anything that JSON can say."""

    body: Any = None
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """One request as the endpoint saw it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> list[tuple[str, str]]:
        assert self.headers["content-type"] == "application/x-www-form-urlencoded"
        return parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


@dataclass
class Site:
    """`replies` are given in order; without any, a pair of simplejwt's."""

    url: str
    replies: deque[Reply] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    def say(self, body: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Self:
        self.replies.append(Reply(body, status, headers))
        return self

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@contextmanager
def site() -> Iterator[Site]:
    """A `Site` that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            opened.asked.append(Asked(self.command, self.path, headers, body))
            reply = opened.replies.popleft() if opened.replies else Reply({"access": "new-access"})
            self.send_response_only(reply.status)  # no Date but what the reply says
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.content)))
            self.end_headers()
            with suppress(ConnectionError):  # who asked has read enough
                self.wfile.write(reply.content)

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    opened = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.005), daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@contextmanager
def nobody_listens() -> Iterator[str]:
    """The URL of a port that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def outcome(refresh: Callable[[Tokens], Any], tokens: Tokens = SPENT) -> Tokens | Failure:
    """What one try brings: tokens, or the class of its failure."""
    try:
        brought = refresh(tokens)
    except BaseException as error:
        return failure_of(error)
    assert isinstance(brought, Tokens)
    return brought


def brought(refresh: Callable[[Tokens], Any], tokens: Tokens = SPENT) -> Tokens:
    """The tokens of a try that must succeed."""
    tokens_or_failure = outcome(refresh, tokens)
    assert isinstance(tokens_or_failure, Tokens), tokens_or_failure
    return tokens_or_failure


def failed(refresh: Callable[[Tokens], Any], tokens: Tokens = SPENT) -> Failure:
    """The failure of a try that must fail."""
    tokens_or_failure = outcome(refresh, tokens)
    assert isinstance(tokens_or_failure, Failure), tokens_or_failure
    return tokens_or_failure
