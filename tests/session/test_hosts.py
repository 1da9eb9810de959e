"""Threads, event loops, forks: wherever a session is used from."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops

from rxauth import Session, Tokens
from rxauth.concurrency import Runtime
from rxauth.errors import RefreshRefused, SessionClosed, SessionExpired, WouldDeadlock
from rxauth.session import SessionEnded, TokensRefreshed


class Endpoint:
    """A refresh callable that answers when it may, in real time."""

    def __init__(self, *, open: bool = True) -> None:
        self.posts = 0
        self.asked, self.may_answer = threading.Event(), threading.Event()
        if open:
            self.may_answer.set()

    def __call__(self, tokens: Tokens) -> Tokens:
        self.posts += 1
        self.asked.set()
        assert self.may_answer.wait(60)
        return Tokens(f"new-{self.posts}", "r2")


def expired(refresh: Any, **options: Any) -> Session[Any]:
    return Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0), **options)


def test_asyncio_run_twice_with_one_session() -> None:
    """B72"""
    session = expired(Endpoint())

    async def call() -> str:
        return (await session.fresh()).access

    assert [asyncio.run(call()), asyncio.run(call())] == ["new-1", "new-1"]


def test_two_threads_with_a_loop_each() -> None:
    """B72"""
    endpoint = Endpoint(open=False)
    session = expired(endpoint)
    got: list[str] = []
    waiting = threading.Barrier(3)

    def run() -> None:
        async def call() -> None:
            task = asyncio.ensure_future(_awaited(session))
            await asyncio.sleep(0)
            waiting.wait(60)
            got.append((await task).access)

        asyncio.run(call())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.wait(60)
    endpoint.may_answer.set()
    for thread in threads:
        thread.join(60)
    assert (got, endpoint.posts) == (["new-1", "new-1"], 1)


async def _awaited(session: Session[Any]) -> Tokens:
    return await session.fresh()


def test_a_timeout_of_one_of_twenty_is_its_own() -> None:
    """B71"""
    endpoint = Endpoint(open=False)
    session = expired(endpoint)

    async def main() -> list[Any]:
        impatient = asyncio.create_task(asyncio.wait_for(_awaited(session), 0.01))
        others = [asyncio.create_task(_awaited(session)) for _ in range(19)]
        first = (await asyncio.gather(impatient, return_exceptions=True))[0]
        endpoint.may_answer.set()
        return [first, *await asyncio.gather(*others)]

    first, *others = asyncio.run(main())
    assert isinstance(first, TimeoutError)
    assert [tokens.access for tokens in others] == ["new-1"] * 19
    assert endpoint.posts == 1


def test_the_loop_is_not_blocked_by_a_refresh() -> None:
    """B73: the loop goes round while the refresh hangs."""
    endpoint = Endpoint(open=False)
    session = expired(endpoint)

    async def main() -> int:
        task = asyncio.create_task(_awaited(session))
        await asyncio.sleep(0)
        while not endpoint.asked.is_set():
            await asyncio.sleep(0)
        rounds = 0
        for _ in range(100):
            await asyncio.sleep(0)
            rounds += not task.done()
        endpoint.may_answer.set()
        await task
        return rounds

    assert asyncio.run(main()) == 100


def test_whoever_subscribes_on_a_loop_is_called_back_on_it_also_behind_a_pipe() -> None:
    session = expired(Endpoint())

    async def main() -> list[bool]:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        where: list[bool] = []

        def note(_: Tokens) -> None:
            where.append(asyncio.get_running_loop() is loop)
            called.set()

        session.fresh().subscribe(note)
        await asyncio.wait_for(called.wait(), 60)
        access = await session.fresh().pipe(ops.map(lambda tokens: tokens.access))
        return [*where, access == "new-1"]

    assert asyncio.run(main()) == [True, True]


def test_awaiting_a_piped_stale_session_wakes_up() -> None:
    session = expired(Endpoint())

    async def main() -> Any:
        return await asyncio.wait_for(_as_coroutine(session.fresh().pipe(ops.map(lambda tokens: tokens.access))), 60)

    assert asyncio.run(main()) == "new-1"


async def _as_coroutine(observable: Any) -> Any:
    return await observable


def test_a_blocking_wait_inside_a_running_loop_ends() -> None:
    """As in a notebook cell; the refresh has a thread of its own."""
    session = expired(Endpoint())

    async def main() -> list[str]:
        return [session.fresh().run().access, session.fresh().pipe(ops.map(lambda tokens: tokens.access)).run()]

    assert asyncio.run(main()) == ["new-1", "new-1"]


@pytest.mark.parametrize("how", ["run", "piped run", "await"])
def test_waiting_for_oneself_raises_and_names_the_remedy(how: str) -> None:
    def refresh(tokens: Tokens) -> Tokens:
        if how == "run":
            session.fresh().run()
        else:
            session.fresh().pipe(ops.map(lambda tokens: tokens.access)).run()
        return tokens

    async def refresh_async(tokens: Tokens) -> Tokens:
        return await session.fresh()

    session = expired(refresh_async if how == "await" else refresh)
    with pytest.raises(Exception, match=r"RefresherError|WouldDeadlock|on the thread that fetches it") as caught:
        session.fresh().run()
    causes = {type(caught.value), type(caught.value.__cause__)}
    assert WouldDeadlock in causes


class Quick(Runtime):
    """Whatever is begun on a thread is done before who began it goes on."""

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        thread.join(60)


@pytest.mark.parametrize("runtime", [Runtime(), Quick()], ids=["slow", "quick"])
@pytest.mark.parametrize("piped", [False, True], ids=["run", "piped run"])
def test_a_subscriber_that_blocks_on_the_flights_thread_is_told(runtime: Runtime, piped: bool) -> None:
    """However soon the flight that it would wait for lands: who is told on slow days only never finds his mistake."""
    endpoint = Endpoint(open=isinstance(runtime, Quick))
    session = expired(endpoint, time=runtime)
    told: list[Any] = []

    def on_action(_: Any) -> None:
        waiting = session.replace()
        try:
            told.append(waiting.pipe(ops.map(lambda tokens: tokens.access)).run() if piped else waiting.run())
        except WouldDeadlock as error:
            told.append(type(error))

    refreshed, done = session.store.actions.of_type(TokensRefreshed), threading.Event()
    refreshed.pipe(ops.take(1)).subscribe(on_action)
    refreshed.subscribe(lambda _: done.set())
    session.fresh().subscribe()
    endpoint.may_answer.set()  # now that this thread delivers nothing any more
    assert done.wait(60)
    assert told == [WouldDeadlock]


def test_a_subscriber_may_block_on_the_flights_thread_for_what_is_there() -> None:
    session = expired(Endpoint(), time=Quick())
    got: list[str] = []
    session.store.actions.of_type(TokensRefreshed).subscribe(lambda _: got.append(session.fresh().run().access))
    session.fresh().run()
    assert got == ["new-1"]


def test_a_subscriber_that_blocks_on_the_flights_thread_has_an_error_that_is_there() -> None:
    def refresh(tokens: Tokens) -> Tokens:
        raise RefreshRefused

    session = expired(refresh)
    told: list[Exception | None] = []

    def on_end(_: SessionEnded) -> None:
        with pytest.raises(SessionExpired) as caught:
            session.fresh().run()
        told.append(caught.value)

    session.store.actions.of_type(SessionEnded).subscribe(on_end)
    with pytest.raises(SessionExpired):
        session.fresh().run()
    end = time.monotonic() + 60
    while not told and time.monotonic() < end:
        time.sleep(0.001)
    assert [type(error) for error in told] == [SessionExpired]


def test_an_async_refresh_callable_runs_on_a_loop_of_its_own() -> None:
    threads: list[str] = []

    async def refresh(tokens: Tokens) -> Tokens:
        await asyncio.sleep(0)
        threads.append(threading.current_thread().name)
        return Tokens("new", "r")

    session = expired(refresh)
    assert session.fresh().run().access == "new"
    assert asyncio.run(_awaited(session)).access == "new"
    assert threads == ["rxauth-post"]


def test_context_managers_close() -> None:
    with expired(Endpoint()) as session:
        pass
    with pytest.raises(SessionClosed):
        session.fresh().run()

    async def main() -> None:
        async with expired(Endpoint()) as other:
            await other.fresh()
        with pytest.raises(SessionClosed):
            await other.fresh()

    asyncio.run(main())
