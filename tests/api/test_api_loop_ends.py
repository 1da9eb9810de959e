"""Calls and the end of the event loop on which they are sent."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from accident_kit import asynchronous, made, never, soon
from api_kit import Echo

from rxauth import Request, api_epic, call, request
from rxauth.api import ApiCancelled, ApiFailed
from rxauth.errors import ApiRequestError, CallCancelled, RxAuthError


async def made_on_a_loop() -> Any:
    made_here = made(asynchronous())
    assert await request(made_here[0], call(Request.get("/"))) == "Bearer token"
    return made_here


def test_the_epic_of_the_new_loop_answers() -> None:
    store, session = asyncio.run(made_on_a_loop())

    async def main() -> Any:
        store.add_epic(api_epic(asynchronous(), session))
        return [await request(store, Echo("hi")) for _ in range(2)]

    sent: list[str] = []
    store.actions.of_type(ApiFailed, ApiCancelled).subscribe(lambda action: sent.append(type(action).__name__))
    assert soon(lambda: asyncio.run(main())) == ["Bearer token"] * 2
    assert sent == []


def test_without_one_the_call_fails_and_says_what_to_do() -> None:
    store, _ = asyncio.run(made_on_a_loop())
    with pytest.raises(ApiRequestError, match="add an api_epic on the loop that runs now"):
        soon(request(store, Echo("hi")).run)


def test_a_call_that_begins_when_the_others_were_cancelled_is_cancelled_too() -> None:
    """`asyncio.run` cancels the tasks that there are at its end, and waits for no other."""
    begun: list[Any] = []

    async def main() -> Any:
        store, _ = made(asynchronous(never))

        async def begin_at_the_end() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                begun.append(request(store, Echo("hi")))

        last = asyncio.create_task(begin_at_the_end())
        await asyncio.sleep(0)
        return last

    soon(lambda: asyncio.run(main()))
    with pytest.raises(CallCancelled):
        soon(begun[0].run)


def test_a_call_that_begins_later_yet_is_not_sent() -> None:
    with asyncio.Runner() as runner:
        store, _ = runner.run(made_on_a_loop())
        loop = runner.get_loop()
        loop.run_until_complete(loop.shutdown_asyncgens())
        asked = request(store, Echo("hi"))
        loop.run_until_complete(asyncio.sleep(0))
        with pytest.raises(ApiRequestError, match="has ended; add an api_epic on the loop that runs now"):
            soon(asked.run)


def test_a_thread_of_the_loop_s_that_asks_again_and_again_does_not_keep_it_from_ending() -> None:
    ends: list[RxAuthError] = []

    async def main() -> None:
        store, _ = made(asynchronous())
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            while not ends:
                try:
                    request(store, Echo("hi")).run()
                    loop.call_soon_threadsafe(asked.set)
                except RxAuthError as error:
                    ends.append(error)

        loop.run_in_executor(None, ask)
        await asked.wait()

    soon(lambda: asyncio.run(main()))
    assert {type(error) for error in ends} <= {CallCancelled, ApiRequestError}


def test_an_epic_that_is_stopped_before_has_nothing_to_do_with_it() -> None:
    async def main() -> list[Any]:
        store, session = made(asynchronous())
        epic = store.add_epic(api_epic(asynchronous(), session))
        tasks = len(asyncio.all_tasks())
        epic.dispose()
        del epic
        gc.collect()
        await asyncio.sleep(0)
        return [len(asyncio.all_tasks()) - tasks, await request(store, Echo("hi"))]

    assert soon(lambda: asyncio.run(main())) == [0, "Bearer token"]
