"""A bearer's flow that is driven by hand, and what it is driven with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from rxauth import Session, Tokens

URL = "https://api.example.com"
WAYS = ["sync", "async"]


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in chunks, and may break off; `before` is called as it begins."""

    def __init__(self, *chunks: bytes, breaks: bool = False, before: Callable[[], None] = lambda: None) -> None:
        self._chunks, self._breaks, self._before = chunks, breaks, before

    def __iter__(self) -> Iterator[bytes]:
        self._before()
        yield from self._chunks
        if self._breaks:
            raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


class Refreshed:
    """Brings new tokens, numbered."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, tokens: Tokens) -> Tokens:
        self.count += 1
        return Tokens(f"token-{self.count}", "r")


def signed_in(**how: Any) -> Session[Any]:
    return Session(Refreshed(), tokens=Tokens("token-0", "r"), origins=[URL], **how)


def refusal(request: httpx.Request, body: Body | None = None, **headers: str) -> httpx.Response:
    return httpx.Response(401, request=request, stream=body or Body(b"no"), headers=headers)


def accept(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, request=request, content=b"ok")


def drive(way: str, auth: Any, request: Any, *answers: Callable[[Any], Any]) -> tuple[list[str], Any]:
    """The headers that were sent, and the last response, when the requests are answered like this."""
    sent: list[str] = []
    replies = iter(answers)

    def answer(request: Any) -> Any:
        sent.append(request.headers.get("Authorization", ""))
        return next(replies)(request)

    if way == "sync":
        flow = auth.sync_auth_flow(request)
        response = answer(next(flow))
        try:
            while True:
                response = answer(flow.send(response))
        except StopIteration:
            return sent, response

    async def main() -> Any:
        flow = auth.async_auth_flow(request)
        response = answer(await anext(flow))
        try:
            while True:
                response = answer(await flow.asend(response))
        except StopAsyncIteration:
            return response

    return sent, asyncio.run(main())


def get(**how: Any) -> httpx.Request:
    return httpx.Request("GET", f"{URL}/me", **how)


def one_shot() -> httpx.Request:
    return httpx.Request("POST", f"{URL}/me", content=(chunk for chunk in [b"a", b"b"]))
