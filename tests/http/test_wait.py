"""`BearerAuth(session, wait=seconds)`: how long a call waits for a token."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import httpx
import pytest
import trio
from bearer_kit import URL, WAYS, Refreshed, accept, drive, get

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.concurrency import Flight, Single
from rxauth.errors import RefreshTimeout, SessionChanged
from rxauth.testing import TokenServer, VirtualTime
from tests.kit import make


def call(way: str, time: VirtualTime, session: Session[Any], *, wait: float | None, answers: Any = None) -> Any:
    """The answer to one call, or its error, and how many seconds that took."""
    began = time.now().mono
    transport = httpx.MockTransport(answers or (lambda request: httpx.Response(200)))
    auth = BearerAuth(session, wait=wait)
    try:
        if way == "sync":
            with httpx.Client(transport=transport, auth=auth, timeout=1) as client:
                return client.get(f"{URL}/me"), time.now().mono - began

        async def main() -> Any:
            async with httpx.AsyncClient(transport=transport, auth=auth, timeout=1) as client:
                return await client.get(f"{URL}/me")

        return time.run(main()), time.now().mono - began
    except RefreshTimeout as error:
        return error, time.now().mono - began


@pytest.mark.parametrize("way", WAYS)
def test_a_call_waits_for_so_long_and_the_refresh_goes_on(way: str) -> None:
    time, refresher, session = make(origins=[URL])
    refresher.latency = 10
    error, took = call(way, time, session, wait=2)
    assert isinstance(error, RefreshTimeout)
    assert (error.cause, error.response, took) == ("wait", None, pytest.approx(2))
    assert "no token came within wait=2 s" in str(error)
    time.advance(8)
    assert refresher.posted == ["refresh-0"]
    assert session.auth.tokens is not None
    assert session.auth.tokens.access == "access-1", "its result is stored"
    assert call(way, time, session, wait=2)[0].status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_the_clients_timeout_does_not_limit_that_wait(way: str) -> None:
    time, refresher, session = make(origins=[URL])
    refresher.latency = 10
    response, took = call(way, time, session, wait=None)
    assert (response.status_code, took) == (200, pytest.approx(10))


@pytest.mark.parametrize("way", WAYS)
def test_a_token_that_comes_in_time_is_sent(way: str) -> None:
    time, refresher, session = make(origins=[URL])
    refresher.latency = 2
    assert call(way, time, session, wait=3)[0].status_code == 200
    assert call(way, time, session, wait=0)[0].status_code == 200, "a fresh token is not waited for"


@pytest.mark.parametrize("way", WAYS)
def test_the_wait_after_a_refusal_is_limited_too_and_carries_it(way: str) -> None:
    time, refresher, session = make(life=300, origins=[URL])
    refresher.latency = 10
    error, took = call(way, time, session, wait=2, answers=lambda request: httpx.Response(401, text="no"))
    assert (error.cause, error.response.status_code, took) == ("wait", 401, pytest.approx(2))


@pytest.mark.parametrize("way", WAYS)
def test_it_limits_the_wait_for_a_login(way: str) -> None:
    time, refresher, session = make(origins=[URL])
    refresher.latency = 10
    session.login(username="ada").subscribe()
    assert call(way, time, session, wait=2)[0].cause == "wait"
    time.advance(10)
    assert call(way, time, session, wait=2)[0].status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_a_hundred_that_give_up_leave_one_refresh(way: str) -> None:
    time, refresher, session = make(origins=[URL])
    refresher.latency = 500
    for _ in range(100):
        assert call(way, time, session, wait=0.1)[0].cause == "wait"
    time.advance(1)
    assert refresher.posts == 1
    assert session._flight is None or not session._flight[1]._waiters


def test_the_timer_of_a_wait_that_is_over_is_gone() -> None:
    time, late = VirtualTime(), []

    async def main() -> None:
        flight: Flight[int] = Flight()
        single = Single(flight.join, time, limit=(1.0, lambda: late.append(1) or RefreshTimeout()))
        asyncio.get_running_loop().call_later(0.5, flight.land, 7)
        assert await single == 7
        await asyncio.sleep(5)

    time.run(main())
    assert late == []


def test_it_is_kept_by_a_pinned_auth() -> None:
    _, refresher, session = make(origins=[URL])
    refresher.latency = 10
    auth = BearerAuth(session, wait=1).pinned()
    with pytest.raises(RefreshTimeout):
        drive("sync", auth, get(), accept)
    session.sign_in(Tokens("bobs", "r")).run()
    with pytest.raises(SessionChanged):
        drive("sync", auth, get(), accept)


def test_it_holds_on_trio() -> None:
    with TokenServer() as server:
        server.hold("/api/token/refresh/", until=lambda: False)
        given = server.issue(expired=True)
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh))

        async def main() -> None:
            async with httpx.AsyncClient(auth=BearerAuth(session, wait=0.05)) as client:
                with pytest.raises(RefreshTimeout):
                    await client.get(f"{server.url}/api/me/")

        trio.run(main)
        assert server.api_calls == []
        server.hold("/api/token/refresh/", until=lambda: True)


@pytest.mark.parametrize("wait", [-1, math.nan, math.inf, "2", True, [1]])
def test_what_is_no_number_of_seconds_is_refused(wait: Any) -> None:
    with pytest.raises(ValueError, match="wait must be a number of seconds from 0, or None for no limit; got"):
        BearerAuth(Session(Refreshed()), wait=wait)
