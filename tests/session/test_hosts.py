"""Threads, event loops, forks: wherever a session is used from."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from reactivex import operators as ops

from rxauth import Session, Tokens
from rxauth.errors import ForkedSession, SessionClosed, WouldDeadlock
from rxauth.flight import share_replayed


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
        assert self.may_answer.wait(20)
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
            waiting.wait(10)
            got.append((await task).access)

        asyncio.run(call())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.wait(10)
    endpoint.may_answer.set()
    for thread in threads:
        thread.join(10)
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
        await asyncio.wait_for(called.wait(), 10)
        access = await session.fresh().pipe(ops.map(lambda tokens: tokens.access))
        return [*where, access == "new-1"]

    assert asyncio.run(main()) == [True, True]


def test_awaiting_a_piped_stale_session_wakes_up() -> None:
    session = expired(Endpoint())

    async def main() -> Any:
        return await asyncio.wait_for(_as_coroutine(session.fresh().pipe(ops.map(lambda tokens: tokens.access))), 10)

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


def test_a_subscriber_that_blocks_on_the_flights_thread_is_told() -> None:
    session = expired(Endpoint())
    errors: list[Exception] = []

    def on_action(_: Any) -> None:
        try:
            session.replace().run()
        except WouldDeadlock as error:
            errors.append(error)

    from rxauth.actions import TokensRefreshed

    session.store.actions.of_type(TokensRefreshed).subscribe(on_action)
    done = threading.Event()
    session.store.actions.of_type(TokensRefreshed).subscribe(lambda _: done.set())
    session.fresh().run()
    assert done.wait(10)
    assert len(errors) == 1


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("stale", [False, True])
def test_a_forked_child_uses_the_token_while_it_lives_and_never_spends_the_refresh_token(stale: bool) -> None:
    endpoint = Endpoint()
    far = 4e9
    session = Session(endpoint, tokens=Tokens("old", "r1", expires_at=1.0 if stale else far))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if stale:
                try:
                    session.fresh().run()
                except ForkedSession:
                    status = 0 if endpoint.posts == 0 else 2
            else:
                status = 0 if session.fresh().run().access == "old" else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    if stale:
        assert session.fresh().run().access == "new-1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_mid_flight_does_not_hang() -> None:
    endpoint = Endpoint(open=False)
    session = expired(endpoint)
    session.fresh().subscribe(lambda _: None)
    assert endpoint.asked.wait(10)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            session.fresh().run()
        except ForkedSession:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    endpoint.may_answer.set()
    assert session.fresh().run().access == "new-1"


def test_a_refresh_past_its_post_is_stored_before_the_interpreter_exits() -> None:
    program = """
        import threading, time
        from rxauth import Session, Tokens
        from rxauth.storage import MemoryStorage

        posted = threading.Event()

        class Shared:
            def load(self): return None
            def save(self, record, replaces=None):
                print("saved", record.tokens.access, flush=True)
                return True
            def clear(self, sign_in): pass

        def refresh(tokens):
            posted.set()
            time.sleep(0.3)
            return Tokens("new", "r2")

        session = Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0), storage=Shared())
        session.fresh().subscribe(lambda _: None)
        posted.wait()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["saved", "old", "saved", "new"]
    assert done.stderr == ""


def test_a_session_can_not_be_pickled_and_says_why() -> None:
    with pytest.raises(TypeError, match="can not be pickled"):
        pickle.dumps(expired(Endpoint()))


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


def test_share_replayed_runs_once_while_it_runs_and_anew_afterwards() -> None:
    from reactivex import Subject

    runs: list[Subject[int]] = []

    def start(*_: Any) -> Subject[int]:
        runs.append(Subject())
        return runs[-1]

    import reactivex

    shared = reactivex.defer(start).pipe(share_replayed())
    got: list[Any] = []
    first = shared.subscribe(got.append)
    shared.subscribe(got.append)
    first.dispose()
    runs[0].on_next(1)
    runs[0].on_completed()
    assert (got, len(runs)) == ([1], 1)
    shared.subscribe(got.append, got.append)
    runs[1].on_error(LookupError("x"))
    assert isinstance(got[-1], LookupError)
    shared.subscribe(got.append)
    assert len(runs) == 3, "an error is not remembered"


def test_share_replayed_of_a_source_that_completes_at_once() -> None:
    import reactivex

    shared = reactivex.of(1, 2).pipe(share_replayed())
    assert shared.run() == 2
    with pytest.raises(Exception, match="no elements"):
        reactivex.empty().pipe(share_replayed()).run()


def test_fifty_thousand_waiters_cost_one_callback_of_their_loop() -> None:
    endpoint = Endpoint(open=False)
    session = expired(endpoint)

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        posted = 0
        plain = loop.call_soon_threadsafe

        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal posted
            posted += 1
            return plain(*args, **kwargs)

        loop.call_soon_threadsafe = counting  # type: ignore[method-assign]
        got: list[Tokens] = []
        done = asyncio.Event()
        for _ in range(50_000):
            session.acquire(lambda tokens, _: got.append(tokens), loop, asked_by="a test")  # type: ignore[arg-type]
        session.acquire(lambda *_: done.set(), loop, asked_by="a test")
        endpoint.may_answer.set()
        await asyncio.wait_for(done.wait(), 20)
        return len(got), posted

    waiters, callbacks = asyncio.run(main())
    assert waiters == 50_000
    assert callbacks == 1
