"""What an `ApiCall` costs, in counts: steps, tasks, callbacks of the loop, subscriptions and objects."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import reactivex
from guard_kit import URL, CountingRuntime, answer_async, per_item, signed_in

from rxauth import ApiCall, ApiFailed, ApiSucceeded, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer


@dataclass(frozen=True)
class Me(ApiCall[Any]):
    def request(self, state: AuthState) -> Request:
        return Request.get("/me")


class Calls:
    """A store whose api epic is answered at once."""

    def __init__(self, limit: int = 100, session: Any = None, **options: Any) -> None:
        self.store: Store[AuthState] = Store(auth_reducer, AuthState())
        self.session = session(self.store) if session else signed_in(store=self.store, select=_whole, **options)
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer_async), base_url=URL)
        self.store.add_epic(api_epic(client, self.session, max_in_flight=limit))
        self.store.actions.of_type(ApiSucceeded, ApiFailed).subscribe(self._count)
        self._left = 0
        self._done = asyncio.Event()

    async def make(self, calls: int) -> None:
        self._left = calls
        self._done.clear()
        for _ in range(calls):
            self.store.dispatch(Me())
        await self._done.wait()

    def _count(self, _: Any) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()


def _whole(state: AuthState) -> AuthState:
    return state


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts its callbacks and tasks."""

    callbacks = tasks = 0

    def call_soon(self, callback: Any, *args: Any, **how: Any) -> Any:
        self.callbacks += 1
        return super().call_soon(callback, *args, **how)

    def call_soon_threadsafe(self, callback: Any, *args: Any, **how: Any) -> Any:
        self.callbacks += 1
        return super().call_soon_threadsafe(callback, *args, **how)

    def create_task(self, coro: Any, **how: Any) -> Any:
        self.tasks += 1
        return super().create_task(coro, **how)


async def made(**options: Any) -> Calls:
    return Calls(**options)


@pytest.mark.parametrize("limit", [5, 10_000], ids=["a queue", "all at once"])
def test_a_call_takes_few_steps_however_many_there_are(limit: int) -> None:
    with asyncio.Runner() as runner:
        calls = runner.run(made(limit=limit))
        few = per_item(lambda number: runner.run(calls.make(number)), 10, 110)
        many = per_item(lambda number: runner.run(calls.make(number)), 100, 600)
    assert few <= 84
    assert abs(many - few) < 1


def test_a_call_takes_one_task_and_one_turn_of_the_loop() -> None:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        calls = runner.run(made())
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        runner.run(calls.make(10))
        loop.callbacks = loop.tasks = 0
        runner.run(calls.make(1000))
        assert loop.tasks == 1000 + 1  # the run's own
        assert loop.callbacks <= 1000 + 10


def test_a_call_subscribes_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribed, here = [0], threading.get_ident()
    original = reactivex.Observable.subscribe

    def counting(self: Any, *args: Any, **how: Any) -> Any:
        subscribed[0] += threading.get_ident() == here  # in others a session of an earlier test may still be at work
        return original(self, *args, **how)

    with asyncio.Runner() as runner:
        calls = runner.run(made())
        monkeypatch.setattr(reactivex.Observable, "subscribe", counting)
        runner.run(calls.make(100))
    assert subscribed == [0]


def test_a_call_reads_the_clock_twice() -> None:
    runtime = CountingRuntime()
    with asyncio.Runner() as runner:
        calls = runner.run(made(time=runtime))
        runner.run(calls.make(1))
        runtime.asked.clear()
        runner.run(calls.make(100))
    assert runtime.asked == {"now": 200}  # when it passes the gate, and when its request gets the header


def test_a_call_that_waits_holds_few_objects_however_many_wait() -> None:
    end = threading.Event()

    def refresh(tokens: Tokens) -> Tokens:
        end.wait()
        return Tokens("fresh", "r", expires_at=4e9)

    def stale(store: Store[AuthState]) -> Session[Any]:
        tokens = Tokens("stale", "r", expires_at=1.0)
        # A day, because this machine may be slow, and what the calls end with is none of this test's business.
        return Session(refresh, tokens=tokens, origins=[URL], store=store, select=_whole, deadline=86_400)

    async def main() -> float:
        calls = Calls(session=stale)
        waiting = [asyncio.ensure_future(calls.make(100))]
        await asyncio.sleep(0)
        before = _blocks()
        waiting.append(asyncio.ensure_future(calls.make(2000)))
        await asyncio.sleep(0)
        held = (_blocks() - before) / 2000
        calls.store.close()
        end.set()
        for task in waiting:
            task.cancel()
        return held

    assert asyncio.run(main()) <= 20


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()
