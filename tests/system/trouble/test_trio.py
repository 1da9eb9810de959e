"""trio and anyio: whoever gives up waiting leaves the refresh alone."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import httpx
import pytest
import trio

from rxauth import BearerAuth, Session
from tests.system.trouble.trouble_kit import PATIENCE, Crew, Stage, stage, until, until_async, waiting


def client_of(session: Session[Any], it: Stage) -> httpx.AsyncClient:
    return httpx.AsyncClient(auth=BearerAuth(session), base_url=it.server.url, timeout=PATIENCE)


def test_on_trio_a_timeout_of_one_of_twenty_is_its_own() -> None:
    with stage() as it:
        session = it.session()
        statuses: list[int] = []
        timed_out: list[bool] = []

        async def patient(client: httpx.AsyncClient) -> None:
            statuses.append((await client.get("/api/me/")).status_code)

        async def impatient(client: httpx.AsyncClient) -> None:
            with trio.move_on_after(0.05) as scope:
                await client.get("/api/me/")
            timed_out.append(scope.cancelled_caught)

        async def main() -> None:
            async with client_of(session, it) as client, trio.open_nursery() as nursery:
                for _ in range(19):
                    nursery.start_soon(patient, client)
                await until_async(lambda: waiting(session) == 19, "nineteen to wait")
                await impatient(client)
                it.sluice.open()

        trio.run(main)
        assert (timed_out, statuses, it.asked) == ([True], [200] * 19, (1, 0))
        session.close()


@pytest.mark.parametrize("waits", ["client", "fresh"])
def test_on_trio_the_refresh_of_a_cancelled_first_caller_serves_the_next_run(waits: str) -> None:
    """Nobody is left who waits, not even a run of trio; what the refresh brings is stored."""
    with stage() as it:
        session = it.session()

        async def wait(client: httpx.AsyncClient) -> object:
            return await (client.get("/api/me/") if waits == "client" else session.fresh())

        async def give_up() -> bool:
            async with client_of(session, it) as client, trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:

                    async def cancel_in_mid_flight() -> None:
                        await until_async(it.sluice.holding.is_set, "the refresh to be answered")
                        scope.cancel()

                    nursery.start_soon(cancel_in_mid_flight)
                    await wait(client)
                return scope.cancelled_caught

        async def go_on() -> int:
            async with client_of(session, it) as client:
                return (await client.get("/api/me/")).status_code

        old = session.auth.generation
        assert trio.run(give_up)
        assert session.auth.generation == old
        it.sluice.open()
        until(lambda: session.auth.generation > old, "the tokens")
        assert trio.run(go_on) == 200
        assert it.asked == (1, 0)
        assert session.auth.tokens is not None
        assert session.auth.tokens.refresh == it.server.current_refresh
        session.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_in_anyio_timeouts_and_cancelled_groups_leave_the_refresh_alone(backend: str) -> None:
    with stage() as it:
        session = it.session()
        done: list[object] = []

        async def get(client: httpx.AsyncClient) -> None:
            done.append((await client.get("/api/me/")).status_code)

        async def main() -> None:
            async with client_of(session, it) as client, anyio.create_task_group() as patient:
                with pytest.raises(TimeoutError), anyio.fail_after(0.05):
                    await client.get("/api/me/")
                with anyio.move_on_after(0.05):
                    await session.fresh()
                async with anyio.create_task_group() as group:
                    for _ in range(5):
                        group.start_soon(get, client)
                    await until_async(it.sluice.holding.is_set, "the refresh to be answered")
                    group.cancel_scope.cancel()
                assert done == []
                for _ in range(5):
                    patient.start_soon(get, client)
                await until_async(lambda: waiting(session) >= 5, "five to wait")
                it.sluice.open()
                done.append(await session.fresh() is session.auth.tokens)

        anyio.run(main, backend=backend)
        assert sorted(map(str, done)) == ["200"] * 5 + ["True"]
        assert it.asked == (1, 0)
        session.close()


def test_trio_asyncio_and_a_thread_wait_for_one_refresh() -> None:
    with stage() as it:
        session = it.session()
        got: list[int] = []

        async def wait() -> None:
            async with client_of(session, it) as client:
                got.append((await client.get("/api/me/")).status_code)
            got.append((await session.fresh()).generation)

        crew = Crew(
            lambda: trio.run(wait),
            lambda: asyncio.run(wait()),
            lambda: got.append(session.fresh().run().generation),
        )
        until(lambda: waiting(session) == 3 and it.sluice.holding.is_set(), "three to wait")
        it.sluice.open()
        crew.join()
        assert sorted(got) == sorted([200, 200] + [session.auth.generation] * 3)
        assert it.asked == (1, 0)
        session.close()


def test_on_trio_a_call_that_is_cancelled_after_its_refusal_leaves_the_replacement_alone() -> None:
    with stage() as it:
        session = it.session(expired=False)
        it.server.revoke_access()

        async def main() -> int:
            async with client_of(session, it) as client:
                with trio.move_on_after(0.05):
                    await client.get("/api/me/")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.get, "/api/me/")
                    await until_async(it.sluice.holding.is_set, "the refresh to be answered")
                    nursery.cancel_scope.cancel()
                it.sluice.open()
                return (await client.get("/api/me/")).status_code

        assert trio.run(main) == 200
        assert it.asked == (1, 0)
        session.close()
