"""Many calls at once: policies, the limit, and the end of the epic."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from api_kit import URL, Bench, Echo, bench, refresh

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, request
from rxauth.errors import (
    CallCancelled,
    NoApiEpic,
    StoreClosed,
)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("merge", {"ApiStarted": 3, "ApiSucceeded": 3}),
        ("latest", {"ApiStarted": 3, "ApiCancelled": 2, "ApiSucceeded": 1}),
        ("first", {"ApiStarted": 1, "ApiSkipped": 2, "ApiSucceeded": 1}),
        ("in_order", {"ApiStarted": 3, "ApiSucceeded": 3}),
    ],
)
def test_policies(policy: Any, expected: dict[str, int]) -> None:
    async def work(bench: Bench) -> Any:
        bench.api.gate.clear()
        for number in range(3):
            bench.store.dispatch(Echo(str(number)))
        await bench.until(lambda: len(bench.api.seen) >= (3 if policy == "merge" else 1))
        bench.api.gate.set()
        total = sum(expected.values())
        await bench.until(lambda: len(bench.outcomes(Echo)) >= total)
        for _ in range(50):
            await asyncio.sleep(0)
        names = bench.outcomes(Echo)
        return {name: names.count(name) for name in set(names)}, bench.api.most, [a.content for a in bench.api.seen]

    counts, most, sent = bench(work, policy=policy)
    assert counts == expected
    assert most == (3 if policy == "merge" else 1)
    if policy == "latest":
        assert sent == [b'"2"'], "what was replaced before it began is not sent"
    if policy == "in_order":
        assert sent == [b'"0"', b'"1"', b'"2"']


def test_thousands_of_calls_queue_behind_the_limit() -> None:
    async def work(bench: Bench) -> Any:
        for number in range(5000):
            bench.store.dispatch(Echo(str(number)))
        await bench.until(lambda: bench.outcomes().count("ApiSucceeded") == 5000)
        return bench.api.most

    assert bench(work, max_in_flight=10) == 10


def test_close_cancels_what_runs_then_completes() -> None:
    """B98"""

    async def work(bench: Bench) -> Any:
        bench.api.gate.clear()
        ends: list[str] = []
        bench.store.actions.subscribe(on_completed=lambda: ends.append("actions"))
        bench.store.subscribe(on_completed=lambda: ends.append("states"))
        waiting = [request(bench.store, Echo(str(number))) for number in range(3)]
        await bench.until(lambda: len(bench.api.seen) == 3)
        bench.store.close()
        for single in waiting:
            with pytest.raises(CallCancelled):
                await single
        with pytest.raises(StoreClosed):
            bench.store.dispatch(Echo("late"))
        await bench.until(lambda: bench.api.running == 0)
        return ends

    assert bench(work) == ["actions", "states"]


def test_a_call_whose_client_is_cancelled_from_inside_ends_all_the_same() -> None:
    async def work(bench: Bench) -> list[str]:
        async def cancelled(asked: httpx.Request) -> httpx.Response:
            raise asyncio.CancelledError

        store = Store(auth_reducer, AuthState())
        session = Session(refresh, store=store, tokens=Tokens("t", expires_at=4e9))
        log: list[Any] = []
        store.actions.subscribe(log.append)
        client = httpx.AsyncClient(transport=httpx.MockTransport(cancelled), base_url=URL)
        store.add_epic(api_epic(client, session, policy="in_order"))
        for _ in range(2):
            with pytest.raises(CallCancelled):
                await asyncio.wait_for(asyncio.ensure_future(_awaited(request(store, Echo("hi")))), 60)
        return [type(action).__name__ for action in log]

    assert bench(work) == ["Echo", "ApiStarted", "ApiCancelled"] * 2


async def _awaited(single: Any) -> Any:
    return await single


def test_close_sends_nothing_of_what_was_queued() -> None:
    async def work(bench: Bench) -> int:
        bench.api.gate.clear()
        for number in range(3):
            bench.store.dispatch(Echo(str(number)))
        await bench.until(lambda: len(bench.api.seen) == 1)
        bench.store.close()
        await bench.until(lambda: bench.api.running == 0)
        for _ in range(20):
            await asyncio.sleep(0)
        return len(bench.api.seen)

    assert bench(work, max_in_flight=1) == 1


def test_an_epic_that_is_removed_lets_nobody_wait_for_ever() -> None:
    async def work(bench: Bench) -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(bench.api), base_url=URL)

        @dataclass(frozen=True)
        class Other(ApiCall[Any]):
            def request(self, state: AuthState) -> Request:
                return Request.get("/other")

        store = Store(auth_reducer, AuthState())
        session = Session(refresh, store=store, select=lambda s: s, tokens=Tokens("t", expires_at=4e9))
        added = store.add_epic(api_epic(client, session, calls=Other))
        bench.api.gate.clear()
        waiting = request(store, Other())
        await bench.until(lambda: len(bench.api.seen) == 1)
        added.dispose()
        with pytest.raises(CallCancelled):
            await waiting
        with pytest.raises(NoApiEpic):
            request(store, Other())

    bench(work)
