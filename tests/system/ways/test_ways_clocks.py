"""Clocks that are off, and the boundaries of a token's life, in every way of calling (behaviours, part 7)."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest

from tests.system.ways.ways_kit import World, in_every_way, kinds

LIFE = 300


async def a_call_every_half_minute(world: World, lives: int) -> None:
    """For so many lives of a token: all answered, with at most one post per life of the one before."""
    await world.login()
    outcomes = []
    for _ in range(lives * LIFE // 30):
        outcomes.append(await world.call())
        await asyncio.sleep(30)
    assert kinds(outcomes) == {200}
    assert set(world.sent) == {"current"}, "none was refused first"
    assert lives - 1 <= world.server.posts <= math.ceil(lives * LIFE / 240)
    times = [seen.at for seen in world.server.requests if seen.path == "/api/token/refresh/"]
    assert all(later - earlier >= 240 for earlier, later in itertools.pairwise(times))


@in_every_way(signed_in=False, life=LIFE, clock_offset=-3600.0, date_header=False)
async def test_a_local_clock_an_hour_fast_costs_no_post(world: World) -> None:
    """B60: at most one post per token life, though the server does not say what time it is."""
    await a_call_every_half_minute(world, 4)


@in_every_way(signed_in=False, life=LIFE, clock_offset=3600.0, date_header=False)
async def test_a_local_clock_an_hour_slow_costs_no_post(world: World) -> None:
    """B60: the other way round."""
    await a_call_every_half_minute(world, 4)


@pytest.mark.parametrize(("age", "posts", "waited"), [(239, 0, 0), (240, 1, 0), (241, 1, 0)])
@in_every_way(life=LIFE, token_latency=2.0)
async def test_the_background_window_begins_on_its_second(world: World, age: float, posts: int, waited: float) -> None:
    """B61: 60 s before the expiry, exactly and one second each side."""
    await _call_at(world, age, posts, waited)


@pytest.mark.parametrize(("age", "posts", "waited"), [(294, 1, 0), (295, 1, 2), (296, 1, 2)])
@in_every_way(life=LIFE, token_latency=2.0)
async def test_the_waiting_window_begins_on_its_second(world: World, age: float, posts: int, waited: float) -> None:
    """B61: 5 s before the expiry, exactly and one second each side."""
    await _call_at(world, age, posts, waited)


@pytest.mark.parametrize(("age", "posts", "waited"), [(299, 0, 0), (300, 1, 2), (301, 1, 2)])
@in_every_way(life=LIFE, token_latency=2.0, leeway=0.0, refresh_ahead=0.0)
async def test_the_expiry_itself_is_on_its_second(world: World, age: float, posts: int, waited: float) -> None:
    """B61: without windows, exactly and one second each side."""
    await _call_at(world, age, posts, waited)


async def _call_at(world: World, age: float, posts: int, waited: float) -> None:
    await asyncio.sleep(age)
    began = world.now
    assert await world.call() == 200
    assert world.now - began == pytest.approx(waited)
    await asyncio.sleep(0)
    assert world.server.posts == posts
