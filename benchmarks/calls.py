"""What `ApiCall`s cost: dispatch, gate, send, success, reducer, subscriber, beside as many bare calls gathered."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.gate import ACCESS, FIXED, URL, answer_async, signed_in
from benchmarks.measure import Row, race, row
from rxauth import (
    ApiCall,
    ApiSucceeded,
    AuthState,
    BearerAuth,
    Request,
    Session,
    Store,
    Tokens,
    api_epic,
    auth_reducer,
    combine_reducers,
)

#: How long the refresh takes that 50,000 calls wait for, in seconds.
LATENCY = 0.5
DEFAULT_LIMIT = 100


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    answered: int = 0


@dataclass(frozen=True)
class Me(ApiCall[int]):
    """Its answer is not decoded: that of a bare call is not, either."""

    def request(self, state: App) -> Request:
        return Request.get("/me")

    def parse(self, response: httpx.Response) -> int:
        return response.status_code


def count_answers(answered: int, action: Any) -> int:
    return answered + 1 if isinstance(action, ApiSucceeded) else answered


class Calls:
    """A store with a session, an api epic, a reducer that counts the answers and a subscriber."""

    def __init__(self, limit: int, session: Callable[[Store[App]], Session[Any]], answer: Any = None) -> None:
        self.store: Store[App] = Store(combine_reducers(App, auth=auth_reducer, answered=count_answers), App())
        self.session = session(self.store)
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer or answer_async()), base_url=URL)
        self.store.add_epic(api_epic(client, self.session, max_in_flight=limit))
        self._wanted = 0
        self._all_answered = asyncio.Event()
        self.store.subscribe(self._look)

    async def make(self, calls: int) -> None:
        self._wanted = self.store.state.answered + calls
        self._all_answered.clear()
        for _ in range(calls):
            self.store.dispatch(Me())
        await self._all_answered.wait()

    def _look(self, state: App) -> None:
        if state.answered == self._wanted:
            self._all_answered.set()


def fresh(store: Store[App]) -> Session[Any]:
    return signed_in(store, lambda state: state.auth)


def rows(quick: bool) -> list[Row]:
    sizes = {100: 2, 1_000: 3} if quick else {100: 41, 1_000: 15, 10_000: 4, 50_000: 3}
    found: list[Row] = []
    per_call: dict[int, list[float]] = {}
    with asyncio.Runner() as runner:
        for size, rounds in sizes.items():
            times = runner_race(runner, size, rounds)
            for limit in ("default limit", "limit raised"):
                name = f"{size:,} ApiCalls at once, {limit} / gathered bare calls"
                bound = 1.20 if size >= 1_000 else None
                found.append(row(name, times[limit], times["bare"], bound, items=size))
            per_call[size] = [spent / size for spent in times["default limit"]]
        if not quick:
            few, many = statistics.median(per_call[1_000]), per_call[50_000]
            name = "an ApiCall among 50,000 / among 1,000"
            found.append(Row(name, tuple(one / few for one in many), 1.3, statistics.median(many) * 1e6, few * 1e6))
        found += [expired(runner, *((1_000, 2) if quick else (50_000, 3)))]
        found += [bearer_expired(runner, *((1_000, 2) if quick else (10_000, 3)))]
    return found + memory(500 if quick else 2_000)


def ours(runner: asyncio.Runner) -> Callable[[int], None]:
    async def make() -> Calls:
        return Calls(DEFAULT_LIMIT, fresh)

    calls = runner.run(make())
    return lambda size: runner.run(calls.make(size))


def bare(runner: asyncio.Runner) -> Callable[[int], None]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer_async()), headers=FIXED, base_url=URL)

    async def gather(size: int) -> None:
        await asyncio.gather(*(client.get("/me") for _ in range(size)))

    return lambda size: runner.run(gather(size))


def runner_race(runner: asyncio.Runner, size: int, rounds: int) -> dict[str, list[float]]:
    async def set_up() -> dict[str, Callable[[], Awaitable[None]]]:
        default, raised = Calls(DEFAULT_LIMIT, fresh), Calls(size, fresh)
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer_async()), headers=FIXED, base_url=URL)

        async def gather() -> None:
            await asyncio.gather(*(client.get("/me") for _ in range(size)))

        return {
            "default limit": lambda: default.make(size),
            "limit raised": lambda: raised.make(size),
            "bare": gather,
        }

    works = runner.run(set_up())
    return race({name: _run(runner, work) for name, work in works.items()}, rounds, warm_up=size < 50_000)


def _run(runner: asyncio.Runner, work: Callable[[], Awaitable[Any]]) -> Callable[[], Any]:
    async def awaited() -> Any:
        return await work()

    return lambda: runner.run(awaited())


class Stale:
    """Makes sessions whose token has expired, and counts the refreshes."""

    def __init__(self, latency: float = LATENCY) -> None:
        self.posts = 0
        self._latency = latency

    async def refresh(self, tokens: Tokens) -> Tokens:
        self.posts += 1
        await asyncio.sleep(self._latency)
        return Tokens(ACCESS, "s", expires_at=4e9)

    def __call__(self, store: Store[App] | None = None) -> Session[Any]:
        tokens = Tokens("b" * 300, "r", expires_at=1.0)
        if store is None:
            return Session(self.refresh, tokens=tokens, origins=[URL])
        return Session(self.refresh, tokens=tokens, origins=[URL], store=store, select=lambda state: state.auth)


def expired(runner: asyncio.Runner, size: int, rounds: int) -> Row:
    """Time of this process and the latency, as if nothing were done meanwhile: a busy machine does not blur it."""
    stale = Stale()

    async def fresh_calls() -> float:
        calls, start = Calls(DEFAULT_LIMIT, fresh), time.process_time()
        await calls.make(size)
        return time.process_time() - start + LATENCY

    async def stale_calls() -> float:
        calls, start = Calls(DEFAULT_LIMIT, stale), time.process_time()
        await calls.make(size)
        return time.process_time() - start + LATENCY

    return _expired(runner, f"{size:,} ApiCalls", stale, fresh_calls, stale_calls, rounds)


def bearer_expired(runner: asyncio.Runner, size: int, rounds: int) -> Row:
    stale = Stale()

    async def gather(session: Session[Any]) -> float:
        transport = httpx.MockTransport(answer_async())
        client = httpx.AsyncClient(transport=transport, auth=BearerAuth(session), base_url=URL)
        start = time.process_time()
        await asyncio.gather(*(client.get("/me") for _ in range(size)))
        return time.process_time() - start + LATENCY

    async def fresh_calls() -> float:
        return await gather(signed_in())

    async def stale_calls() -> float:
        return await gather(stale())

    return _expired(runner, f"{size:,} calls with BearerAuth", stale, fresh_calls, stale_calls, rounds)


def _expired(runner: asyncio.Runner, what: str, stale: Stale, fresh: Any, late: Any, rounds: int) -> Row:
    times = race({"stale": _run(runner, late), "fresh": _run(runner, fresh)}, rounds, warm_up=False)
    if stale.posts != rounds:
        raise RuntimeError(f"{stale.posts} refreshes in {rounds} rounds: it must be one in each")
    name = f"{what}, an expired token (1 post each time) / fresh + latency"
    return row(name, times["stale"], times["fresh"], 1.10, scale=1e3, unit="ms")


def memory(size: int) -> list[Row]:
    """What one call holds while it waits, in bytes: a bare one in the transport."""
    with asyncio.Runner() as runner:
        bare = runner.run(_bare_waits(size))
        ours = {
            "a BearerAuth call that waits for the token": runner.run(_bearer_waits(size)),
            "an ApiCall that waits for the token": runner.run(_api_calls_wait_for_the_token(size)),
            "an ApiCall on the wire": runner.run(_api_calls_wait_for_the_answer(size)),
        }
    return [
        Row(f"memory of {name} / of a bare pending call", (held / bare,), 1.5, held, bare, "bytes")
        for name, held in ours.items()
    ]


class _Held(Stale):
    """Holds calls, in the transport or at the gate, until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self._answer, self._refresh = asyncio.Event(), threading.Event()

    async def refresh(self, tokens: Tokens) -> Tokens:
        self._refresh.wait()  # blocks nobody: each refresh has a loop of its own
        return Tokens(ACCESS, "s", expires_at=4e9)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await self._answer.wait()
        return httpx.Response(200, content=b"{}")

    async def measured(self, size: int, begin: Callable[[], Awaitable[Any]]) -> float:
        """Bytes for each of the calls that `begin` makes, while they are held."""
        tracemalloc.start()
        over = asyncio.ensure_future(begin())
        for _ in range(5):
            await asyncio.sleep(0)  # each call comes to where it waits in one turn of the loop
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        self._answer.set()
        self._refresh.set()
        await over
        return held / size


async def _bare_waits(size: int) -> float:
    held = _Held()
    client = httpx.AsyncClient(transport=httpx.MockTransport(held.answer), headers=FIXED, base_url=URL)
    return await held.measured(size, lambda: asyncio.gather(*(client.get("/me") for _ in range(size))))


async def _bearer_waits(size: int) -> float:
    held = _Held()
    transport = httpx.MockTransport(held.answer)
    client = httpx.AsyncClient(transport=transport, auth=BearerAuth(held()), base_url=URL)
    return await held.measured(size, lambda: asyncio.gather(*(client.get("/me") for _ in range(size))))


async def _api_calls_wait_for_the_token(size: int) -> float:
    held = _Held()
    calls = Calls(size, held, held.answer)
    return await held.measured(size, lambda: calls.make(size))


async def _api_calls_wait_for_the_answer(size: int) -> float:
    held = _Held()
    calls = Calls(size, fresh, held.answer)
    return await held.measured(size, lambda: calls.make(size))
