"""Callers that go away, event loops that come and go, and a loop that goes round (behaviours, part 8)."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from typing import Any

import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.errors import CallCancelled, SessionClosed
from rxauth.testing import TokenServer, VirtualTime
from tests.system.ways.ways_kit import API, LEAVERS, Way, World, in_every_way, kinds, together
from tests.system.ways.ways_of_calling import ALL, Async, ByHand, Epic, Gate, Gated, Httpx2

ON_A_LOOP = (Async, Epic, ByHand, Httpx2, Gate, Gated)


@pytest.mark.parametrize("trouble", ["expired", "refused"])
@in_every_way(LEAVERS, life=300, token_latency=0.2)
async def test_when_the_first_caller_is_cancelled_the_next_one_is_answered(world: World, trouble: str) -> None:
    """B70: and the one refresh was his."""
    if trouble == "expired":
        await asyncio.sleep(301)
    else:
        world.server.revoke_access()
    first = world.call()
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await world.call() == 200
    assert (world.server.posts, world.server.reuses) == (1, 0)
    assert world.session.auth.tokens is not None
    assert world.session.auth.tokens.refresh == world.server.current_refresh, "the new one is kept"


@in_every_way(LEAVERS, expired=True, token_latency=0.2)
async def test_when_all_callers_are_cancelled_the_refresh_is_kept(world: World) -> None:
    """B70: it may have been rotated already."""
    calls = [world.call() for _ in range(5)]
    await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    await asyncio.sleep(1)
    assert await world.call() == 200
    assert (world.server.posts, world.server.reuses) == (1, 0)


@in_every_way(LEAVERS, expired=True, token_latency=0.2)
async def test_a_timeout_of_one_of_twenty_is_its_own(world: World) -> None:
    """B71"""

    async def impatient() -> Any:
        try:
            return await asyncio.wait_for(world.call(), 0.1)
        except TimeoutError as error:
            return error

    outcomes = await asyncio.gather(impatient(), *(world.call() for _ in range(19)))
    assert Counter(map(str, kinds(outcomes[:1]))) == {str(TimeoutError): 1}
    assert outcomes[1:] == [200] * 19
    assert world.server.posts == 1


@in_every_way(token_latency=2.0)
async def test_a_refresh_does_not_hold_up_the_loop(world: World) -> None:
    """B73: the gap between two heartbeats stays below 50 ms, in real life and in virtual time."""
    world.server.revoke_access()
    call = world.call()
    beats = [world.now]
    while not call.done():
        await asyncio.sleep(0.01)
        beats.append(world.now)
    assert await call == 200
    assert beats[-1] - beats[0] >= 2
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 0.05


@in_every_way(expired=True, token_latency=0.2)
async def test_who_waits_for_a_session_that_is_closed_has_his_error_at_once(world: World) -> None:
    """B98: a typed one; nothing is sent, and the refresh on the wire is stored."""
    began = world.now
    calls = [world.call() for _ in range(5)]
    await asyncio.sleep(0.1)
    world.session.close()
    assert kinds(await together(calls)) <= {SessionClosed, CallCancelled}
    assert world.now - began == pytest.approx(0.1)
    await asyncio.sleep(1)
    assert (world.server.posts, world.server.api_calls) == (1, [])
    assert world.stored_refresh == world.server.current_refresh


async def five_calls(way: type[Way], session: Session[Any], server: TokenServer, **where: Any) -> set[Any]:
    world = World(way, session.runtime, server, session=session, **where)
    try:
        return kinds(await together(world.call() for _ in range(5)))
    finally:
        await world.close()


@pytest.mark.parametrize("way", ALL, ids=lambda way: way.name)
def test_one_session_serves_one_event_loop_after_the_other(way: type[Way]) -> None:
    """B72: as `asyncio.run` does, twice, with a new client each."""
    time = VirtualTime()
    server = TokenServer(time=time, life=300, token_latency=0.2)
    given = server.issue(expired=True)
    session = Session(simplejwt(API, transport=server.transport), tokens=Tokens(given.access, given.refresh), time=time)
    for posts in (1, 1, 2):
        assert time.run(five_calls(way, session, server, transport=server.transport)) == {200}
        assert server.posts == posts
        if posts == 1 and len(server.api_calls) == 10:
            time.advance(301)


@pytest.mark.parametrize("way", ON_A_LOOP, ids=lambda way: way.name)
def test_two_threads_with_a_loop_each_share_one_refresh(way: type[Way]) -> None:
    """B72: real threads and a real wire."""
    with TokenServer(token_latency=0.1) as server:
        given = server.issue(expired=True)
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh))
        barrier = threading.Barrier(2)
        seen: list[Any] = []

        def run() -> None:
            barrier.wait(60)
            seen.append(asyncio.run(asyncio.wait_for(five_calls(way, session, server, url=server.url), 60)))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert seen == [{200}, {200}]
        assert (server.posts, server.reuses) == (1, 0)
        session.close()
