"""What `BearerAuth` costs while the token is fresh: rxauth and other clients, each beside its own bare client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import httpx2

import rxauth.http.httpx2
from benchmarks import gate_peers, loopback
from benchmarks.measure import Row, race, row
from rxauth import BearerAuth, Session, Store, Tokens

URL = "https://api.example.com"
ACCESS = "a" * 300
FIXED = {"Authorization": "Bearer " + ACCESS}

#: Makes that many calls.
Work = Callable[[int], None]


def signed_in(store: Store[Any] | None = None, select: Any = None, url: str = URL) -> Session[Any]:
    """A session whose token stays fresh for as long as the benchmark runs."""
    tokens = Tokens(ACCESS, "r", expires_at=4e9)
    if store is None:
        return Session(_never, tokens=tokens, origins=[url])
    return Session(_never, tokens=tokens, origins=[url], store=store, select=select)


def _never(tokens: Tokens) -> Tokens:
    raise AssertionError("a benchmark with fresh tokens must not refresh")


def answer(library: Any = httpx) -> Callable[[Any], Any]:
    return lambda request: library.Response(200, content=b"{}")


def answer_async(library: Any = httpx) -> Callable[[Any], Any]:
    async def handle(request: Any) -> Any:
        return library.Response(200, content=b"{}")

    return handle


def calls_of(client: Any) -> Work:
    def work(calls: int) -> None:
        for _ in range(calls):
            client.get("/me")

    return work


def async_calls_of(runner: asyncio.Runner, client: Any) -> Work:
    async def all_calls(calls: int) -> None:
        for _ in range(calls):
            await client.get("/me")

    return lambda calls: runner.run(all_calls(calls))


def bare_sync(library: Any = httpx) -> Work:
    return calls_of(library.Client(transport=library.MockTransport(answer(library)), headers=FIXED, base_url=URL))


def ours_sync(library: Any = httpx, auth: Any = BearerAuth) -> Work:
    transport = library.MockTransport(answer(library))
    return calls_of(library.Client(transport=transport, auth=auth(signed_in()), base_url=URL))


def bare_async(runner: asyncio.Runner, library: Any = httpx) -> Work:
    transport = library.MockTransport(answer_async(library))
    return async_calls_of(runner, library.AsyncClient(transport=transport, headers=FIXED, base_url=URL))


def ours_async(runner: asyncio.Runner, library: Any = httpx, auth: Any = BearerAuth) -> Work:
    transport = library.MockTransport(answer_async(library))
    return async_calls_of(runner, library.AsyncClient(transport=transport, auth=auth(signed_in()), base_url=URL))


def rows(quick: bool) -> list[Row]:
    rounds, calls = (5, 100) if quick else (81, 150)
    with asyncio.Runner() as runner:
        works = {
            "sync": ours_sync(),
            "bare sync": bare_sync(),
            "async": ours_async(runner),
            "bare async": bare_async(runner),
            "httpx2 sync": ours_sync(httpx2, rxauth.http.httpx2.BearerAuth),
            "bare httpx2 sync": bare_sync(httpx2),
            "httpx2 async": ours_async(runner, httpx2, rxauth.http.httpx2.BearerAuth),
            "bare httpx2 async": bare_async(runner, httpx2),
        }
        times = race({name: _bound(work, calls) for name, work in works.items()}, rounds)
    found = [
        row(f"BearerAuth, fresh token, {name} / fixed header", times[name], times[f"bare {name}"], 1.03, items=calls)
        for name in ("sync", "async", "httpx2 sync", "httpx2 async")
    ]
    for name in ("sync", "async"):
        title = f"BearerAuth, {name}, on httpx2 / on httpx"
        found.append(row(title, times[f"httpx2 {name}"], times[name], items=calls))
    found += over_loopback(5 if quick else 161, 25)
    for name, (peer, bare) in gate_peers.contestants().items():
        peer_times = race({"peer": _bound(peer, 50), "bare": _bound(bare, 50)}, 3 if quick else 15)
        title = f"peer: {name}, fresh token / its bare client"
        found.append(row(title, peer_times["peer"], peer_times["bare"], items=50))
    return found


def over_loopback(rounds: int, calls: int) -> list[Row]:
    """In real time: what a caller sees."""
    with loopback.server() as url, asyncio.Runner() as runner:
        works = {
            "sync": calls_of(httpx.Client(auth=BearerAuth(signed_in(url=url)), base_url=url)),
            "bare sync": calls_of(httpx.Client(headers=FIXED, base_url=url)),
            "async": async_calls_of(runner, httpx.AsyncClient(auth=BearerAuth(signed_in(url=url)), base_url=url)),
            "bare async": async_calls_of(runner, httpx.AsyncClient(headers=FIXED, base_url=url)),
        }
        times = race({name: _bound(work, calls) for name, work in works.items()}, rounds, time.perf_counter)
    return [
        row(f"BearerAuth over loopback, {name} / fixed header", times[name], times[f"bare {name}"], 1.01, items=calls)
        for name in ("sync", "async")
    ]


def _bound(work: Work, calls: int) -> Callable[[], None]:
    return lambda: work(calls)
