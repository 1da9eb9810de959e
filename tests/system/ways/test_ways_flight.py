"""At most one refresh at a time, in every way of calling (behaviours, part 1)."""

from __future__ import annotations

import asyncio

from tests.system.ways.ways_kit import ALL, World, in_every_way, kinds, together


@in_every_way(expired=True, token_latency=0.5)
async def test_calls_that_begin_while_a_refresh_runs_wait_for_it(world: World) -> None:
    """B01: one each 50 ms."""
    calls = []
    for _ in range(12):
        calls.append(world.call())
        await asyncio.sleep(0.05)
    assert kinds(await together(calls)) == {200}
    assert world.server.posts == 1
    assert world.sent == ["current"] * 12, "none was sent with the old token"


@in_every_way(token_latency=0.5)
async def test_calls_that_begin_while_a_refused_token_is_replaced_wait_for_it(world: World) -> None:
    """B01: the token has long to live, and the API has said that it is of no use."""
    world.server.revoke_access()
    calls = [world.call()]
    await asyncio.sleep(0.05)
    for _ in range(8):
        calls.append(world.call())
        await asyncio.sleep(0.05)
    assert kinds(await together(calls)) == {200}
    assert world.server.posts == 1
    assert world.sent == ["revoked"] + ["current"] * 9, "only the first was sent with the old token"


@in_every_way(expired=True, token_latency=0.2)
async def test_ten_clients_on_one_session_refresh_once(world: World) -> None:
    """B02"""
    assert kinds(await together(world.call(way=way) for way in world.ways(10) for _ in range(2))) == {200}
    assert (world.server.posts, world.server.reuses) == (1, 0)


@in_every_way(expired=True, token_latency=0.2)
async def test_all_ways_at_once_on_one_session_refresh_once(world: World) -> None:
    """B02: whichever of them comes first."""
    first = world.call()
    others = [world.call(way=world.use(kind)) for kind in ALL for _ in range(3)]
    assert kinds(await together([first, *others])) == {200}
    assert (world.server.posts, world.server.reuses) == (1, 0)
    assert set(world.sent) == {"current"}


@in_every_way(token_latency=0.2)
async def test_all_ways_at_once_are_refused_and_refresh_once(world: World) -> None:
    """B02, B10"""
    first = world.call()
    world.server.revoke_access()
    others = [world.call(way=world.use(kind)) for kind in ALL for _ in range(3)]
    assert kinds(await together([first, *others])) == {200}
    assert (world.server.posts, world.server.reuses) == (1, 0)


@in_every_way(signed_in=False, token_latency=0.5)
async def test_first_calls_wait_for_the_login_and_share_its_one_grant(world: World) -> None:
    """B04: 48 of them, before the login's answer."""
    login = asyncio.create_task(world.login())
    await asyncio.sleep(0.1)
    assert await world.calls(48) == [200] * 48
    assert (world.server.logins, world.server.posts) == (1, 0)
    assert (await login).access in world.bearers


@in_every_way(token_latency=0.2)
async def test_a_refusal_that_comes_after_the_refresh_posts_nothing(world: World) -> None:
    """B05: B is sent with the old token, A refreshes, then B's 401 comes."""
    late = world.call("GET", "/api/slow/?seconds=1.5&check=late")
    await asyncio.sleep(0.1)
    world.server.revoke_access()
    assert await world.call() == 200
    assert (world.server.posts, late.done()) == (1, False)
    assert await late == 200
    assert (world.server.posts, world.server.reuses) == (1, 0)


@in_every_way(token_latency=0.15)
async def test_refusals_at_staggered_times_refresh_once(world: World) -> None:
    """B06: two before the refresh, two while it runs, two after it."""
    world.server.revoke_access()
    slow = [f"/api/slow/?seconds={seconds}" for seconds in (0.1, 0.2, 0.3) for _ in range(2)]
    assert await together(world.call("GET", path) for path in slow) == [200] * 6
    assert (world.server.posts, world.server.reuses) == (1, 0)
    assert len(world.server.api_calls) == 12, "each is sent twice"
