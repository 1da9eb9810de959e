"""Several event loops and blocking threads on one session at a time, and loops that come, go and close."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import httpx
import pytest

from rxauth import (
    AuthState,
    BearerAuth,
    Request,
    Session,
    Store,
    Tokens,
    api_epic,
    auth_reducer,
    call,
    request,
    simplejwt,
)
from rxauth.errors import CallCancelled
from rxauth.session import TokensRefreshed
from rxauth.storage import MemoryStorage
from tests.system.trouble.trouble_kit import PATIENCE, Crew, Stage, stage, until, until_async, waiting


def where() -> tuple[int, Any]:
    """The thread, and the event loop that runs in it."""
    try:
        return threading.get_ident(), asyncio.get_running_loop()
    except RuntimeError:
        return threading.get_ident(), None


async def awaited(session: Session[Any]) -> Tokens:
    return await session.fresh()


def test_two_loops_and_two_blocking_threads_wait_for_one_refresh_and_are_called_back_at_home() -> None:
    with stage() as it:
        session = it.session()
        homes: list[tuple[int, Any]] = []
        called: list[tuple[int, Any]] = []
        generations: list[int] = []
        statuses: list[int] = []

        async def on_a_loop() -> None:
            told = asyncio.Event()

            def note(tokens: Tokens) -> None:
                called.append(where())
                generations.append(tokens.generation)
                told.set()

            homes.append(where())
            session.fresh().subscribe(note)
            async with httpx.AsyncClient(auth=BearerAuth(session), timeout=PATIENCE) as client:
                answer, tokens = await asyncio.gather(client.get(f"{it.server.url}/api/me/"), awaited(session))
            await asyncio.wait_for(told.wait(), PATIENCE)
            statuses.append(answer.status_code)
            generations.append(tokens.generation)

        def blocking() -> None:
            generations.append(session.fresh().run().generation)

        def blocking_client() -> None:
            with httpx.Client(auth=BearerAuth(session), timeout=PATIENCE) as client:
                statuses.append(client.get(f"{it.server.url}/api/me/").status_code)

        crew = Crew(*[lambda: asyncio.run(on_a_loop())] * 2, blocking, blocking_client)
        until(lambda: waiting(session) == 8 and it.sluice.holding.is_set(), "all eight to wait")
        assert called == []
        it.sluice.open()
        crew.join()
        assert set(called) == set(homes)
        assert len({loop for _, loop in called}) == len(called) == 2
        assert generations == [session.auth.generation] * 5
        assert (statuses, it.asked) == ([200] * 3, (1, 0))
        session.close()


@pytest.mark.parametrize("which", ["one store for both runs", "a store for each run"])
def test_asyncio_run_twice_with_an_epic_for_each_run(which: str) -> None:
    """The second store takes the tokens from the storage; the first run's refresh serves both."""
    with stage(shut=False) as it:
        given = it.server.issue(expired=True)
        storage, seen = MemoryStorage(), []

        def make(tokens: Tokens | None) -> Session[Any]:
            store = Store(auth_reducer, AuthState())
            refresher = simplejwt(it.sluice.url)
            return Session(refresher, store=store, tokens=tokens, storage=storage, origins=[it.server.url])

        async def run(session: Session[Any]) -> list[str]:
            watching = session.store.actions.subscribe(lambda action: seen.append((type(action).__name__, where())))
            async with httpx.AsyncClient(base_url=it.server.url, timeout=PATIENCE) as client:
                epic = session.store.add_epic(api_epic(client, session))
                calls = (request(session.store, call(Request.get("/api/me/"))) for _ in range(5))
                answers = await asyncio.gather(*(one for one in calls))
                epic.dispose()
            watching.dispose()
            return [answer["user"] for answer in answers]

        first = None if which.startswith("a store") else make(Tokens(given.access, given.refresh))

        async def run_with_its_own(tokens: Tokens | None) -> list[str]:
            with make(tokens) as session:
                return await run(session)

        if first is None:
            assert asyncio.run(run_with_its_own(Tokens(given.access, given.refresh))) == ["ada"] * 5
            assert asyncio.run(run_with_its_own(None)) == ["ada"] * 5
            assert {loop is not None for _, (_, loop) in seen} == {True}, "each store delivers on its own loop"
        else:
            assert asyncio.run(run(first)) == ["ada"] * 5
            assert asyncio.run(run(first)) == ["ada"] * 5
            first.close()
        assert [name for name, _ in seen].count("ApiSucceeded") == 10
        assert it.asked == (1, 0)


def test_a_loop_that_is_closed_while_it_waits_leaves_the_refresh_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The others are answered, and what was to be called on the closed loop is not called elsewhere."""
    with stage() as it:
        session = it.session()
        called: list[object] = []
        others: list[int] = []

        async def subscribe_and_go() -> None:
            session.fresh().subscribe(called.append, called.append)

        async def cancelled_by_the_end() -> None:
            task = asyncio.ensure_future(awaited(session))
            task.add_done_callback(lambda task: called.append("cancelled" if task.cancelled() else task))
            await until_async(lambda: waiting(session) == 2, "both to wait")

        loop = asyncio.new_event_loop()
        loop.run_until_complete(subscribe_and_go())
        asyncio.run(cancelled_by_the_end())
        assert (called, waiting(session)) == (["cancelled"], 1), "who was cancelled has left"
        crew = Crew(
            lambda: others.append(session.fresh().run().generation),
            lambda: others.append(asyncio.run(awaited(session)).generation),
        )
        until(lambda: waiting(session) == 3 and it.sluice.holding.is_set(), "all to wait")
        loop.close()
        with caplog.at_level(logging.WARNING):
            it.sluice.open()
            crew.join()
        assert others == [session.auth.generation] * 2
        assert asyncio.run(awaited(session)).generation == others[0]
        assert (called, it.asked, caplog.records) == (["cancelled"], (1, 0), [])
        session.close()


def test_a_store_whose_loop_is_closed_during_a_refresh_has_the_tokens_and_tells_of_them() -> None:
    with stage() as it:
        seen: list[Any] = []

        async def begin() -> tuple[Session[Any], Any]:
            session = it.session(store=Store(auth_reducer, AuthState()))
            session.store.actions.of_type(TokensRefreshed).subscribe(seen.append)
            session.fresh().subscribe(lambda _: None)
            await until_async(it.sluice.holding.is_set, "the answer")
            return session, session.store.state.tokens

        session, old = asyncio.run(begin())
        it.sluice.open()
        until(lambda: seen, "the store to tell")
        assert session.store.state.tokens.access != old.access
        assert session.fresh().run() is seen[0].tokens
        assert it.asked == (1, 0)
        session.close()


def test_calls_on_the_wire_when_a_loop_ends_are_cancelled_and_the_next_loop_has_its_own() -> None:
    with stage(shut=False) as it:
        session = it.session(expired=False)
        ended: list[Any] = []

        async def run(path: str, *, stay: bool) -> Any:
            client = httpx.AsyncClient(base_url=it.server.url, timeout=PATIENCE)
            epic = session.store.add_epic(api_epic(client, session))
            answer = request(session.store, call(Request.get(path)))
            if stay:
                payload = await answer
                epic.dispose()
                await client.aclose()
                return payload
            answer.subscribe(ended.append, ended.append)
            await until_async(lambda: it.server.api_calls, "the call to arrive")
            epic.dispose()
            await asyncio.sleep(0)
            return await client.aclose()

        assert asyncio.run(run("/api/slow/?seconds=60", stay=False)) is None
        assert [type(outcome) for outcome in ended] == [CallCancelled]
        assert asyncio.run(run("/api/me/", stay=True)) == {"user": "ada"}
        session.close()


def three_calls(it: Stage, session: Session[Any]) -> list[int]:
    """Three calls on a loop of their own."""

    async def main() -> list[int]:
        async with httpx.AsyncClient(auth=BearerAuth(session), timeout=PATIENCE) as client:
            answers = await asyncio.gather(*(client.get(f"{it.server.url}/api/me/") for _ in range(3)))
            return [answer.status_code for answer in answers]

    return asyncio.run(main())


def test_loops_that_come_and_go_in_many_threads_share_each_refresh() -> None:
    """Eight threads with three loops each, one after the other; a refusal in between costs one refresh."""
    with stage(shut=False) as it:
        session = it.session(excess=100)
        begin = threading.Barrier(9)
        statuses: list[int] = []

        def work() -> None:
            for _ in range(3):
                begin.wait(PATIENCE)
                statuses.extend(three_calls(it, session))
                begin.wait(PATIENCE)

        crew = Crew(*[work] * 8)
        for turn in range(3):
            if turn:
                it.server.revoke_access()
            begin.wait(PATIENCE)
            begin.wait(PATIENCE)
            assert it.asked == (turn + 1, 0)
        crew.join()
        assert statuses == [200] * 72
        session.close()
