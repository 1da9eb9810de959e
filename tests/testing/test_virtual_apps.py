"""A whole app in virtual time: server, session, clients, store and epics, sync and async."""

from __future__ import annotations

import asyncio
import threading
import time as real_time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
import reactivex
from reactivex import operators as ops

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
    oauth2,
    simplejwt,
)
from rxauth.api import ApiSucceeded
from rxauth.errors import RefreshTimeout, RefreshUnavailable, SessionExpired
from rxauth.testing import TokenServer, VirtualTime, faults

API = "https://api.example.com"


def app(**options: Any) -> tuple[VirtualTime, TokenServer, Session[Any]]:
    time = VirtualTime()
    server = TokenServer(time=time, token_latency=0.5, **options)
    pair = server.issue(expired=True)
    session = Session(simplejwt(API, transport=server.transport), tokens=Tokens(pair.access, pair.refresh), time=time)
    return time, server, session


def test_a_day_with_a_call_a_minute_passes_in_no_time() -> None:
    time, server, session = app(life=300.0)
    began = real_time.monotonic()
    with httpx.Client(base_url=API, transport=server.transport, auth=BearerAuth(session)) as client:
        for _ in range(24 * 60):
            assert client.get("/api/me/").status_code == 200
            time.advance(60)
    # A pair of 300 s is renewed by the call that finds it in its last minute: the fourth or the fifth.
    assert 24 * 60 / 5 <= server.posts <= 24 * 60 / 4
    assert real_time.monotonic() - began < 600, "an hour of it would have been noticed"


def test_fifty_async_calls_wait_for_one_refresh() -> None:
    time, server, session = app()

    async def main() -> tuple[list[int], float]:
        began = asyncio.get_running_loop().time()
        async with httpx.AsyncClient(base_url=API, transport=server.transport, auth=BearerAuth(session)) as client:
            answers = await asyncio.gather(*(client.get("/api/me/") for _ in range(50)))
        return [answer.status_code for answer in answers], asyncio.get_running_loop().time() - began

    assert time.run(main()) == ([200] * 50, 0.5)
    assert server.posts == 1


def test_the_epic_runs_in_virtual_time_too() -> None:
    time, server, session = app(api_latency=2.0)

    async def main() -> list[float]:
        store = Store(auth_reducer, AuthState())
        mine = Session(simplejwt(API, transport=server.transport), store=store, tokens=session.auth.tokens, time=time)
        async with httpx.AsyncClient(base_url=API, transport=server.transport) as client, mine, store:
            store.add_epic(api_epic(client, mine))
            ends: list[float] = []
            store.actions.of_type(ApiSucceeded).subscribe(lambda _: ends.append(asyncio.get_running_loop().time()))
            began = asyncio.get_running_loop().time()
            for _ in range(3):
                store.dispatch(call(Request.get("/api/me/")))
            await asyncio.sleep(10)
        return [end - began for end in ends]

    assert time.run(main()) == [2.5, 2.5, 2.5]
    assert server.posts == 1


def test_a_blocking_client_in_the_epic() -> None:
    time, server, session = app(api_latency=2.0)
    client = httpx.Client(base_url=API, transport=server.transport)
    session.store.add_epic(api_epic(client, session))
    ends: list[float] = []
    session.store.actions.of_type(ApiSucceeded).subscribe(lambda _: ends.append(time.now().mono))
    began = time.now().mono
    for _ in range(3):
        session.store.dispatch(call(Request.get("/api/me/")))
    time.advance(10)
    assert [end - began for end in ends] == [2.5, 2.5, 2.5]


def test_an_endpoint_that_never_answers_costs_the_deadline() -> None:
    time, server, session = app()
    server.script(faults.never())
    began = time.now().mono
    with pytest.raises(RefreshTimeout):
        session.fresh().run()
    assert time.now().mono - began == 30
    time.advance(61)
    assert session.fresh().run().access
    assert server.posts == 2


def test_an_endpoint_that_drips_costs_the_deadline() -> None:
    _, server, session = app()
    server.script(faults.drip(1.0))
    with pytest.raises(RefreshTimeout):
        session.fresh().run()
    assert server.posts == 1


def test_a_lost_answer_is_in_doubt_and_its_probe_ends_the_session() -> None:
    time, server, session = app()
    server.script(faults.reset_after())
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    time.advance(61)
    with pytest.raises(SessionExpired) as expired:
        session.fresh().run()
    assert expired.value.cause == "answer lost"
    assert server.posts == 2


def test_expiry_is_counted_in_the_sessions_time_with_a_refresher_of_the_library() -> None:
    time, server, _ = app()
    pair = server.issue()
    refresher = oauth2(f"{API}/oauth/token", client_id="app", transport=server.transport)
    session = Session(refresher, tokens={"access_token": pair.access, "refresh_token": pair.refresh}, time=time)
    session.login(username="ada", password="lovelace").run()
    assert session.auth.tokens is not None
    assert session.auth.tokens.expires_at == time.now().wall + 300, "from receipt"


def test_timed_operators_and_deliveries_run_on_the_scheduler() -> None:
    time = VirtualTime()
    seen: list[tuple[float, Any]] = []
    began = time.now().mono
    note = lambda value: seen.append((time.now().mono - began, value))  # noqa: E731
    reactivex.interval(60.0, scheduler=time.scheduler).pipe(ops.take(3)).subscribe(note)
    reactivex.of("x").pipe(ops.delay(90.0, scheduler=time.scheduler)).subscribe(note)
    time.advance(600)
    assert seen == [(60, 0), (90, "x"), (120, 1), (180, 2)]


def test_a_disposed_timer_does_nothing() -> None:
    time = VirtualTime()
    seen: list[int] = []
    subscription = reactivex.interval(1.0, scheduler=time.scheduler).subscribe(seen.append)
    time.advance(2)
    subscription.dispose()
    time.advance(100)
    assert seen == [0, 1]


def test_an_epics_timed_operators_take_the_stores_scheduler() -> None:
    time = VirtualTime()
    store: Store[list[str]] = Store(
        lambda state, action: [*state, action],
        [],
        scheduler=time.scheduler,
        epics=[
            lambda actions, state: actions.pipe(
                ops.filter(lambda action: action.startswith("type")),
                ops.debounce(0.3),
                ops.map(lambda action: "search"),
            )
        ],
    )
    for _ in range(3):
        store.dispatch("type")
        time.advance(0.2)
    assert store.state == ["type"] * 3
    time.advance(0.1)
    assert store.state == [*["type"] * 3, "search"]


def test_a_loop_that_waits_for_what_can_not_come_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxauth.testing.scheduler.PATIENCE", 0.1)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="waits for ever"):
        VirtualTime().run(main())


def test_the_loop_hears_of_real_threads() -> None:
    async def main() -> int:
        return await asyncio.to_thread(threading.get_ident)

    assert VirtualTime().run(main()) != threading.get_ident()


class Leisurely(ThreadPoolExecutor):
    """Its threads take a while to end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        real_time.sleep(0.05)
        super().shutdown(wait, cancel_futures=cancel_futures)


def test_a_loop_that_ends_waits_for_its_real_threads_and_no_virtual_time_goes_by() -> None:
    """From Python 3.13 on, asyncio waits for them with a timeout, which warns when it is over."""
    time = VirtualTime()

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(Leisurely(1))
        await asyncio.to_thread(threading.get_ident)

    before = time.now()
    time.run(main())
    assert time.now() == before


def test_timeouts_and_cancellation_take_virtual_time() -> None:
    time, server, session = app()

    async def main() -> tuple[Any, Any]:
        impatient = asyncio.create_task(asyncio.wait_for(_wait(session), 0.1))
        patient = asyncio.create_task(_wait(session))
        return tuple(await asyncio.gather(impatient, patient, return_exceptions=True))  # type: ignore[return-value]

    first, second = time.run(main())
    assert isinstance(first, TimeoutError)
    assert isinstance(second, Tokens)
    assert server.posts == 1


async def _wait(session: Session[Any]) -> Tokens:
    return await session.fresh()


def test_a_busy_loop_does_not_hold_up_background_work() -> None:
    time = VirtualTime()
    done: list[str] = []

    async def main() -> None:
        time.spawn(lambda: done.append("background"), "work")
        for _ in range(1_000):
            if done:
                return
            await asyncio.sleep(0)

    time.run(main())
    assert done == ["background"]


def test_a_moment_can_be_given_and_taken_back() -> None:
    time = VirtualTime()
    seen: list[str] = []
    note = lambda text: lambda scheduler, state: seen.append(text)  # noqa: E731
    at = time.scheduler.now + timedelta(seconds=5)
    time.scheduler.schedule_absolute(at, note("kept"))
    time.scheduler.schedule_absolute(at, note("taken back")).dispose()
    time.scheduler.schedule_relative(4.9, note("before")).dispose()
    time.advance(4.9)
    assert seen == []
    time.advance(0.2)
    assert seen == ["kept"]


def test_a_callback_that_takes_longer_than_was_waited_for_moves_the_clock() -> None:
    time = VirtualTime()
    began = time.now().mono
    time.call_later(1, lambda: time.sleep(10))
    time.advance(2)
    assert time.now().mono - began == 11


@pytest.mark.parametrize(
    ("fault", "error", "seconds"),
    [
        (faults.never(), httpx.ReadTimeout, 5),
        (faults.drip(6.0), httpx.ReadTimeout, 5.5),
        (faults.reset_before(), httpx.ReadError, 0),
        (faults.reset_after(), httpx.ReadError, 0.5),
        (faults.half_close(), httpx.RemoteProtocolError, 0.5),
    ],
    ids=["never", "drip", "reset before", "reset after", "half close"],
)
def test_async_clients_meet_the_faults_too(fault: faults.Fault, error: type[Exception], seconds: float) -> None:
    time, server, _ = app()
    server.script(fault)

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        async with httpx.AsyncClient(base_url=API, transport=server.transport, timeout=5) as client:
            with pytest.raises(error):
                await client.post("/api/token/refresh/", json={"refresh": server.current_refresh})
        return asyncio.get_running_loop().time() - began

    assert time.run(main()) == seconds


def test_a_coroutine_can_run_where_a_loop_runs_already() -> None:
    async def notebook() -> str:
        return VirtualTime().run(asyncio.sleep(3600, "an hour later"))

    assert asyncio.run(notebook()) == "an hour later"
