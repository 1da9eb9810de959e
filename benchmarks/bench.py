"""`make bench`: what the gate and the store cost, as ratios to the bare thing in the same run."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import reactivex
import reactivex.subject
from reactivex import operators as ops

from benchmarks.measure import Ratio, compare, table
from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer
from rxauth.api import ApiSucceeded
from rxauth.recorder import record

URL = "https://api.example.com"


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"{}")


async def answer_async(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"{}")


def signed_in(store: Store[AuthState] | None = None) -> Session[Any]:
    """A session whose token stays fresh for as long as the benchmark runs."""
    tokens = Tokens("a" * 300, "r", expires_at=4e9)
    if store is None:
        return Session(_never, tokens=tokens, origins=[URL])
    return Session(_never, tokens=tokens, origins=[URL], store=store, select=lambda state: state)


def _never(tokens: Tokens) -> Tokens:
    raise AssertionError("a benchmark with fresh tokens must not refresh")


def bearer_sync(calls: int, rounds: int) -> Ratio:
    transport = httpx.MockTransport(answer)
    fixed = {"Authorization": "Bearer " + "a" * 300}
    bare = httpx.Client(transport=transport, headers=fixed, base_url=URL)
    ours = httpx.Client(transport=transport, auth=BearerAuth(signed_in()), base_url=URL)

    def run(client: httpx.Client) -> Callable[[], None]:
        def all_calls() -> None:
            for _ in range(calls):
                client.get("/me")

        return all_calls

    return compare("BearerAuth, fresh token, sync / fixed header", run(ours), run(bare), 1.05, rounds)


def bearer_async(calls: int, rounds: int) -> Ratio:
    transport = httpx.MockTransport(answer_async)
    fixed = {"Authorization": "Bearer " + "a" * 300}
    bare = httpx.AsyncClient(transport=transport, headers=fixed, base_url=URL)
    ours = httpx.AsyncClient(transport=transport, auth=BearerAuth(signed_in()), base_url=URL)
    with asyncio.Runner() as runner:

        def run(client: httpx.AsyncClient) -> Callable[[], None]:
            async def all_calls() -> None:
                for _ in range(calls):
                    await client.get("/me")

            return lambda: runner.run(all_calls())

        return compare("BearerAuth, fresh token, async / fixed header", run(ours), run(bare), 1.05, rounds)


@dataclass(frozen=True)
class Me(ApiCall[dict[str, Any]]):
    def request(self, state: AuthState) -> Request:
        return Request.get("/me")


async def all_through_the_epic(store: Store[AuthState], calls: int) -> None:
    done = asyncio.Event()
    answered = 0

    def count(_: Any) -> None:
        nonlocal answered
        answered += 1
        if answered == calls:
            done.set()

    subscription = store.actions.of_type(ApiSucceeded).subscribe(count)
    for _ in range(calls):
        store.dispatch(Me())
    await done.wait()
    subscription.dispose()


def api_calls(calls: int, rounds: int) -> tuple[Ratio, float]:
    """The ratio to a bare gather, and the seconds that one call through the epic took."""
    transport = httpx.MockTransport(answer_async)
    fixed = {"Authorization": "Bearer " + "a" * 300}
    spent = []
    with asyncio.Runner() as runner:

        async def set_up() -> tuple[Store[AuthState], httpx.AsyncClient]:
            store = Store(auth_reducer, AuthState())
            client = httpx.AsyncClient(transport=transport, base_url=URL)
            store.add_epic(api_epic(client, signed_in(store)))
            store.subscribe(lambda _: None)
            return store, client

        store, _ = runner.run(set_up())
        bare = httpx.AsyncClient(transport=transport, headers=fixed, base_url=URL)

        async def gather() -> None:
            await asyncio.gather(*(bare.get("/me") for _ in range(calls)))

        def run(work: Callable[[], Awaitable[None]], note: bool) -> Callable[[], None]:
            def timed() -> None:
                start = runner.get_loop().time()
                runner.run(_as_coroutine(work))
                if note:
                    spent.append(runner.get_loop().time() - start)

            return timed

        ratio = compare(
            f"{calls:,} ApiCalls in flight / asyncio.gather",
            run(lambda: all_through_the_epic(store, calls), True),
            run(gather, False),
            1.40,
            rounds,
        )
        return ratio, sorted(spent)[len(spent) // 2] / calls


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


@dataclass(frozen=True)
class Ping:
    pass


def idle_epics(idle: int, dispatches: int) -> Ratio:
    kinds = [type(f"Kind{number}", (), {}) for number in range(idle)]

    def store_with(classes: list[type[Any]]) -> Store[int]:
        store: Store[int] = Store(lambda state, action: state + 1, 0)
        for kind in classes:
            store.add_epic(lambda actions, state, kind=kind: actions.of_type(kind).pipe(ops.ignore_elements()))  # type: ignore[misc]
        store.subscribe(lambda _: None)
        return store

    def run(store: Store[int]) -> Callable[[], None]:
        def dispatch_all() -> None:
            ping = Ping()
            for _ in range(dispatches):
                store.dispatch(ping)

        return dispatch_all

    return compare(f"a dispatch with {idle} idle epics / with none", run(store_with(kinds)), run(store_with([])), 1.30)


def plain_wiring(dispatches: int) -> Ratio:
    store: Store[int] = Store(lambda state, action: state + 1, 0)
    store.subscribe(lambda _: None)
    subject: reactivex.Subject[Ping] = reactivex.Subject()
    states: reactivex.subject.BehaviorSubject[int] = reactivex.subject.BehaviorSubject(0)
    subject.pipe(ops.scan(lambda state, _: state + 1, 0)).subscribe(states)
    states.subscribe(lambda _: None)

    def ours() -> None:
        ping = Ping()
        for _ in range(dispatches):
            store.dispatch(ping)

    def plain() -> None:
        ping = Ping()
        for _ in range(dispatches):
            subject.on_next(ping)

    return compare("a dispatch / Subject, scan, BehaviorSubject (neither safe nor ordered)", ours, plain, 2.5)


@dataclass(frozen=True)
class Found:
    text: str
    place: int


def recorded(dispatches: int, rounds: int) -> tuple[Ratio, float]:
    """The ratio to a store that nobody records, and by how many microseconds an action is dearer."""
    actions = [Found("a text of usual length", number) for number in range(dispatches)]
    spent: dict[bool, list[float]] = {True: [], False: []}

    def run(recording: bool) -> Callable[[], None]:
        def dispatch_all() -> None:
            store: Store[int] = Store(lambda state, action: state + 1, 0)
            kept = record(store) if recording else None
            start = time.process_time()
            for action in actions:
                store.dispatch(action)
            spent[recording].append(time.process_time() - start)
            if kept is not None:
                kept.close()

        return dispatch_all

    ratio = compare("a dispatch that is recorded / that is not", run(True), run(False), 2.5, rounds)
    extra = statistics.median(ours - bare for ours, bare in zip(spent[True], spent[False], strict=True))
    return ratio, extra / dispatches * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    quick = parser.parse_args().quick
    rounds = 3 if quick else 9
    bearer_rounds = 7 if quick else 61
    ratios = [bearer_sync(300, bearer_rounds), bearer_async(300, bearer_rounds)]
    thousand, per_call = api_calls(1_000, rounds)
    ten_thousand, per_call_then = api_calls(10_000, rounds if quick else 7)
    ratios += [thousand, ten_thousand]
    growth = per_call_then / per_call
    ratios.append(Ratio("a call among 10,000 / among 1,000, through the epic", growth, growth, growth, 1.10))
    ratios += [idle_epics(100, 2_000 if quick else 20_000), plain_wiring(2_000 if quick else 20_000)]
    ratio, extra = recorded(2_000 if quick else 20_000, rounds)
    print(table([*ratios, ratio]))
    print(f"recording adds {extra:.2f} us of CPU time to an action (bound 1.50)")


if __name__ == "__main__":
    main()
