"""A store with an api epic on a mock API, and a few kinds of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import httpx

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer

URL = "https://api.example.com"


@dataclass(frozen=True)
class Echo(ApiCall[str]):
    message: str
    send: bool = True
    broken: bool = False

    def request(self, state: AuthState) -> Request:
        if self.broken:
            raise KeyError("no such thing")
        return Request.post("/echo", json=self.message)

    def should_send(self, state: AuthState) -> bool:
        return self.send


@dataclass(frozen=True)
class Bare(ApiCall[str]):
    auth: ClassVar[Literal["none"]] = "none"

    def request(self, state: AuthState) -> Request:
        return Request.get("/bare")


@dataclass(frozen=True)
class Maybe(ApiCall[str]):
    auth: ClassVar[Literal["if_signed_in"]] = "if_signed_in"

    def request(self, state: AuthState) -> Request:
        return Request.get("/maybe")


class Api:
    """A mock API: `/echo` echoes, `/status/N` answers N; holds calls while `gate` is closed."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = self.most = 0

    async def __call__(self, asked: httpx.Request) -> httpx.Response:
        self.seen.append(asked)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        path = asked.url.path
        if path.startswith("/status/"):
            return httpx.Response(int(path.rpartition("/")[2]), json={"no": "good"})
        if path == "/broken":
            raise httpx.ReadError("reset")
        if path == "/text":
            return httpx.Response(200, text="<html>")
        return httpx.Response(200, content=asked.content or b'"ok"')


@dataclass
class Bench:
    """A store with an api epic on a mock API, and all actions that went by."""

    api: Api
    store: Store[AuthState]
    session: Session[AuthState]
    log: list[Any]
    reports: list[Any]

    def outcomes(self, kind: type[Any] = ApiCall) -> list[str]:
        return [type(action).__name__ for action in self.log if isinstance(getattr(action, "call", None), kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0)


def refresh(tokens: Tokens) -> Tokens:
    return Tokens("new", "r2", expires_at=4e9)


FRESH = Tokens("old", "r1", expires_at=4e9)


def bench(
    work: Callable[[Bench], Awaitable[Any]],
    *,
    tokens: Tokens | None = FRESH,
    refresher: Any = refresh,
    **options: Any,
) -> Any:
    async def main() -> Any:
        api, log, reports = Api(), [], []  # type: ignore[var-annotated]
        store = Store(auth_reducer, AuthState(), report=lambda *what: reports.append(what))
        session = Session(
            refresher, store=store, select=lambda state: state, tokens=tokens, time=options.pop("time", None)
        )
        store.actions.subscribe(log.append)
        client = httpx.AsyncClient(transport=httpx.MockTransport(api), base_url=URL)
        store.add_epic(api_epic(client, session, **options))
        try:
            return await work(Bench(api, store, session, log, reports))
        finally:
            store.close()
            session.close()
            await client.aclose()

    return asyncio.run(main())
