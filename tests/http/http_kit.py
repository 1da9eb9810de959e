"""Four clients, one way to drive them: httpx and httpx2, blocking and async, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.testing import TokenServer


@dataclass(frozen=True)
class Kind:
    """A client library, blocking or async."""

    name: str
    client: Callable[..., Any]
    auth: Callable[..., Any]
    is_async: bool

    def run(
        self, session: Session[Any], work: Callable[..., Any], *, auth: dict[str, Any] | None = None, **client: Any
    ) -> Any:
        """`work(send)` on a client that is signed in with the session; `send(method, url, **options)`."""
        options = {"auth": self.auth(session, **(auth or {})), "timeout": 20, **client}
        if not self.is_async:
            with self.client(**options) as blocking:
                return work(lambda method, url, **how: _send(blocking, method, url, how))

        async def main() -> Any:
            async with self.client(**options) as opened:
                loop = asyncio.get_running_loop()

                def send(method: str, url: str, **how: Any) -> Any:
                    future = asyncio.run_coroutine_threadsafe(_asend(opened, method, url, how), loop)
                    return future.result(30)

                return await asyncio.to_thread(work, send)

        return asyncio.run(main())


def _send(client: Any, method: str, url: str, how: dict[str, Any]) -> Any:
    return client.request(method, url, **how)


async def _asend(client: Any, method: str, url: str, how: dict[str, Any]) -> Any:
    content = how.get("content")
    if content is not None and not isinstance(content, bytes | str) and hasattr(content, "__iter__"):
        how = {**how, "content": _as_async(content)}
    return await client.request(method, url, **how)


async def _as_async(chunks: Any) -> Any:
    for chunk in chunks:
        yield chunk


KINDS = [
    Kind("Client", httpx.Client, BearerAuth, False),
    Kind("AsyncClient", httpx.AsyncClient, BearerAuth, True),
    Kind("httpx2 Client", httpx2.Client, BearerAuth2, False),
    Kind("httpx2 AsyncClient", httpx2.AsyncClient, BearerAuth2, True),
]


def signed_in(server: TokenServer, *, expired: bool = False, **options: Any) -> Session[Any]:
    """A session of the server's, with a fresh pair or an expired one."""
    given = server.issue(expired=expired)
    return Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh), **options)


def authorizations(server: TokenServer) -> list[str | None]:
    """The `Authorization` of each API request."""
    return [seen.headers.get("authorization") for seen in server.api_calls]
