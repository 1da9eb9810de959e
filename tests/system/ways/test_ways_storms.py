"""Loops and storms: how often the token endpoint is asked, at most, in every way of calling (behaviours, part 3)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from rxauth.errors import RefreshUnavailable, SessionExpired, TooManyRefreshes
from rxauth.testing import faults
from tests.system.ways.ways_kit import World, in_every_way, kinds

DAY = 86_400


@in_every_way()
async def test_an_api_that_refuses_whatever_comes_costs_two_sends_and_one_post(world: World) -> None:
    """B20: and the refusal surfaces."""
    world.server.reject_all_api(401)
    assert await world.call() == 401
    assert (len(world.server.api_calls), world.server.posts) == (2, 1)
    assert await world.call() == 401
    assert (len(world.server.api_calls), world.server.posts) == (4, 2)


@in_every_way()
async def test_an_api_that_refuses_every_new_token_stops_the_refreshes(world: World) -> None:
    """B21: 50 calls in 30 s."""
    world.server.reject_all_api(401)
    outcomes = []
    for _ in range(50):
        outcomes.append(await world.call())
        await asyncio.sleep(0.59)
    assert world.server.posts == 5
    assert outcomes[:5] == [401] * 5
    assert kinds(outcomes[5:]) == {TooManyRefreshes}
    assert {outcome.response.status_code for outcome in outcomes[5:]} == {401}  # type: ignore[union-attr]
    world.server.reject_all_api(None)
    await asyncio.sleep(31)
    assert await world.call() == 200, "it recovers by itself"


@in_every_way(expired=True, token_latency=0.1)
async def test_a_refresh_token_that_is_refused_with_a_403_is_posted_once(world: World) -> None:
    """B22: until the next login."""
    world.server.always(faults.refuse(403))
    for _ in range(5):
        assert kinds(await world.calls(3)) == {SessionExpired}
        await asyncio.sleep(DAY / 4)
    assert (world.server.posts, world.server.api_calls) == (1, [])
    world.server.always(None)
    await world.login()
    assert await world.call() == 200
    assert world.server.posts == 1


@in_every_way(expired=True)
async def test_a_server_that_asks_for_thirty_seconds_gets_them(world: World) -> None:
    """B23: 429 with `Retry-After: 30`; the session is kept."""
    world.server.script(faults.too_many(30))
    for _ in range(30):
        assert kinds(await world.calls(2)) == {RefreshUnavailable}
        await asyncio.sleep(0.99)
    assert world.server.posts == 1
    assert world.session.auth.status == "degraded"
    await asyncio.sleep(0.5)
    assert await world.calls(2) == [200, 200]
    assert world.server.posts == 2


@in_every_way(expired=True)
async def test_an_outage_of_ten_minutes_costs_a_post_for_each_cool_down(world: World) -> None:
    """B24: it recovers by itself. A call each 4 s; one a second is in test_failures.py."""
    world.server.always(faults.unavailable(503))
    outcomes = []
    for _ in range(150):
        outcomes.append(await world.call())
        await asyncio.sleep(4)
    assert kinds(outcomes) == {RefreshUnavailable}
    # Three tries, then one each after 5, 10, 20 and 40 s, then one a minute.
    assert 10 <= world.server.posts <= 3 + 4 + 10
    world.server.always(None)
    outcomes = []
    for _ in range(16):
        outcomes.append(await world.call())
        await asyncio.sleep(4)
    assert outcomes[-1] == 200
    assert kinds(outcomes) == {RefreshUnavailable, 200}


@in_every_way(life=30, leeway=60.0)
async def test_a_leeway_longer_than_the_life_does_not_loop(world: World) -> None:
    """B25: five minutes; at most one refresh per half life. A call each 3 s; one a second is in test_one_flight.py."""
    outcomes = []
    for _ in range(100):
        outcomes.append(await world.call())
        await asyncio.sleep(3)
    assert kinds(outcomes) == {200}
    assert 300 / 30 - 1 <= world.server.posts <= 300 / 15


@pytest.mark.parametrize("days", [30, 400])
@in_every_way()
async def test_a_long_life_needs_no_refresh(world: World, days: int) -> None:
    """B26: no timer overflows."""
    await world.session.sign_in({**_opaque(world), "expires_in": days * DAY})
    world.server.reject_all_api(200)
    for _ in range(29):
        assert await world.call() == 200
        world.time.advance((days - 1) * DAY / 29)
    assert world.server.posts == 0


def _opaque(world: World) -> dict[str, str]:
    pair = world.server.issue()
    return {"access_token": pair.access, "refresh_token": pair.refresh}


@in_every_way()
async def test_a_hundred_calls_with_a_fresh_token_post_nothing(world: World) -> None:
    """B27"""
    assert await world.calls(100) == [200] * 100
    assert (len(world.server.api_calls), world.server.posts) == (100, 0)


@in_every_way(life=300, token_latency=2.0)
async def test_calls_before_the_expiry_do_not_wait_for_the_refresh_in_the_background(world: World) -> None:
    """B28: in the advisory window a call waits less than 50 ms."""
    await asyncio.sleep(250)
    began = world.now
    assert await world.calls(10) == [200] * 10
    assert world.now - began < 0.05
    assert Counter(world.sent) == {"current": 10}
    await asyncio.sleep(3)
    assert world.server.posts == 1
    assert await world.call() == 200
    assert world.bearers[-1] != world.bearers[0]
    assert world.server.posts == 1
