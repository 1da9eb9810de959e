"""What a call costs while the token is fresh, and what its waiters cost, in counts: nothing here reads a clock.

A bound that is passed on purpose is raised here, with the reason in the commit; `make bench` says what it costs.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import Counter
from typing import Any

import httpx
from guard_kit import URL, CountingRuntime, answer, answer_async, per_item, signed_in, steps

from rxauth import BearerAuth, Session, Tokens


def test_a_fresh_call_takes_few_steps() -> None:
    client = httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(signed_in()), base_url=URL)
    assert per_item(lambda calls: [client.get("/me") for _ in range(calls)]) <= 14


def test_a_fresh_async_call_takes_few_steps() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer_async), auth=BearerAuth(signed_in()), base_url=URL)

    async def one_after_the_other(calls: int) -> None:
        for _ in range(calls):
            await client.get("/me")

    with asyncio.Runner() as runner:
        assert per_item(lambda calls: runner.run(one_after_the_other(calls))) <= 14


def test_a_fresh_call_reads_the_clock_once_and_starts_no_thread() -> None:
    runtime = CountingRuntime()
    session = signed_in(time=runtime)
    with httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(session), base_url=URL) as client:
        client.get("/me")
        runtime.asked.clear()
        for _ in range(10):
            client.get("/me")
    assert runtime.asked == {"now": 10}


def test_a_fresh_call_takes_no_lock_of_the_session() -> None:
    session = signed_in()
    client = httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(session), base_url=URL)
    with session._lock:  # this thread has it, so the other one would wait
        caller = threading.Thread(target=lambda: client.get("/me"), daemon=True)
        caller.start()
        caller.join(60)
        assert not caller.is_alive()


class Waiting:
    """A session whose refresh ends when it is told to."""

    def __init__(self) -> None:
        self.end = threading.Event()
        stale = Tokens("stale", "refresh", expires_at=1.0)
        self.session: Session[Any] = Session(self._refresh, tokens=stale, origins=[URL], deadline=86_400)

    def _refresh(self, tokens: Tokens) -> Tokens:
        self.end.wait()
        return Tokens("fresh", "refresh", expires_at=4e9)


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the callbacks that other threads ask it for."""

    from_others = 0

    def call_soon_threadsafe(self, callback: Any, *args: Any, **how: Any) -> Any:
        self.from_others += 1
        return super().call_soon_threadsafe(callback, *args, **how)


def test_a_thousand_waiters_of_a_loop_are_released_by_one_callback() -> None:
    waiting = Waiting()

    async def main() -> int:
        tasks = [asyncio.ensure_future(_fresh(waiting.session)) for _ in range(1000)]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        before = loop.from_others
        waiting.end.set()
        assert {tokens.access for tokens in await asyncio.gather(*tasks)} == {"fresh"}
        return loop.from_others - before

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert runner.run(main()) <= 2  # the flight's, and the store's that tells of it


async def _fresh(session: Session[Any]) -> Tokens:
    return await session.fresh()


def test_a_waiter_takes_few_steps_to_join_however_many_wait() -> None:
    waiting = Waiting()
    told: list[Tokens] = []

    def join(callers: int) -> Counter[str]:
        return steps(lambda: [waiting.session.fresh().subscribe(told.append) for _ in range(callers)])

    join(10)
    few, many = join(10), join(1000)
    waiting.end.set()
    assert few.total() / 10 <= 30
    assert many.total() == 100 * few.total()


def test_a_waiter_holds_few_objects_however_many_wait() -> None:
    waiting = Waiting()

    def held(callers: int) -> float:
        before = _blocks()
        waiters.extend([waiting.session.fresh().subscribe(_ignore) for _ in range(callers)])
        return (_blocks() - before) / callers

    waiters: list[Any] = []
    held(100)
    assert held(2000) <= 40
    waiting.end.set()


def _ignore(tokens: Tokens) -> None:
    pass


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()
