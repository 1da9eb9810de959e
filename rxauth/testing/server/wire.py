"""Just enough HTTP/1.1 for a test server, and the ways to break a connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rxauth.testing.server.rotation import Verdict


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def fields(self) -> dict[str, str]:
        """The fields of a JSON or form body."""
        if "json" in self.headers.get("content-type", ""):
            with contextlib.suppress(ValueError):
                body = json.loads(self.body or b"{}")
                return body if isinstance(body, dict) else {}
            return {}
        return {name: values[0] for name, values in parse_qs(self.body.decode("latin-1")).items()}


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    token: Verdict | None = None


def json_answer(status: int, body: Any, token: Verdict | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/json"}, token)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: no lingering, and what was not read is an error for the peer."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """One HTTP/1.1 request (RFC 9112), or None at the end of the connection."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split()
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return request_of(method, target, headers.items(), body)


def request_of(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    """A request for a URL, or for a path."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, {name.lower(): value for name, value in headers}, body)
