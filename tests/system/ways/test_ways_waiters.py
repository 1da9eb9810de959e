"""Those who wait for a refresh: each is answered, whatever becomes of it (behaviours, part 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Tokens
from rxauth.errors import RefresherError, RefreshTimeout, RefreshUnavailable, SessionExpired
from rxauth.testing import faults
from tests.system.ways.ways_kit import World, in_every_way, kinds, together


@in_every_way(token_latency=0.2)
async def test_two_calls_that_are_refused_at_once_are_both_answered(world: World) -> None:
    """B10"""
    world.server.revoke_access()
    began = world.now
    assert await world.calls(2) == [200, 200]
    assert (world.server.posts, len(world.server.api_calls)) == (1, 4)
    assert world.now - began == pytest.approx(0.2), "neither waits for a second refresh"


@in_every_way(expired=True, token_latency=0.2)
async def test_no_waiting_call_is_sent_when_the_refresh_is_refused(world: World) -> None:
    """B11"""
    world.server.revoke_family()
    assert kinds(await world.calls(5)) == {SessionExpired}
    assert kinds(await world.calls(5)) == {SessionExpired}, "nor is a later one"
    assert (world.server.api_calls, world.server.posts) == ([], 1)


def breaks_once(world: World) -> Any:
    """A refresh callable with a mistake that shows the first time."""
    broken = [ZeroDivisionError("a mistake")]

    def refresh(tokens: Tokens) -> Any:
        world.time.sleep(0.1)
        if broken:
            raise broken.pop()
        return refresh_with(httpx.Client(base_url=world.url, transport=world.transport), tokens)

    return refresh


def refresh_with(client: httpx.Client, tokens: Tokens) -> Any:
    answer = client.post("/api/token/refresh/", json={"refresh": tokens.refresh})
    return answer.raise_for_status().json()


@in_every_way(expired=True, refresher=breaks_once)
async def test_a_refresh_callable_that_raises_frees_everybody_and_a_call_after_the_cool_down_refreshes(
    world: World,
) -> None:
    """B12: all within 1 s."""
    async with asyncio.timeout(1):
        outcomes = await world.calls(10)
    assert kinds(outcomes) == {RefresherError}
    assert {type(outcome.__cause__) for outcome in outcomes} == {ZeroDivisionError}  # type: ignore[union-attr]
    assert world.server.requests == []
    assert kinds(await world.calls(10)) == {RefresherError}
    await asyncio.sleep(5)
    assert await world.calls(10) == [200] * 10
    assert world.server.posts == 1


@in_every_way(expired=True, life=300, token_latency=0.2)
async def test_no_old_error_comes_back_after_a_new_sign_in(world: World) -> None:
    """B13: fail, sign in again, expire, then ten at once."""
    world.server.revoke_family()
    assert kinds(await world.calls(3)) == {SessionExpired}
    await world.login()
    assert await world.call() == 200
    await asyncio.sleep(301)
    world.server.reset_counts()
    assert await world.calls(10) == [200] * 10
    assert world.server.posts == 1


def answers_at_once(world: World) -> Any:
    def refresh(tokens: Tokens) -> Any:
        pair = world.server.issue()
        return {"access": pair.access, "refresh": pair.refresh}

    return refresh


@in_every_way(expired=True, refresher=answers_at_once)
async def test_a_refresher_that_is_done_at_once_deadlocks_nobody(world: World) -> None:
    """B14"""
    began = world.now
    assert await world.calls(10) == [200] * 10
    assert world.now == began
    assert world.sent == ["current"] * 10


def calls_through_the_session(world: World) -> Any:
    """A refresher whose own client is signed in with the session that it refreshes."""

    def refresh(tokens: Tokens) -> Any:
        client = httpx.Client(base_url=world.url, transport=world.transport, auth=BearerAuth(world.session))
        return refresh_with(client, tokens)

    return refresh


@in_every_way(expired=True, refresher=calls_through_the_session, token_latency=0.2)
async def test_a_refresher_that_calls_through_the_session_does_not_wait_for_itself(world: World) -> None:
    """B15: and its own request has no `Authorization`."""
    async with asyncio.timeout(1):
        assert await world.calls(3) == [200] * 3
    world.server.revoke_access()
    async with asyncio.timeout(1):
        assert await world.calls(3) == [200] * 3
    posts = [seen for seen in world.server.requests if seen.path == "/api/token/refresh/"]
    assert ["authorization" in post.headers for post in posts] == [False, False]


@in_every_way(expired=True)
async def test_an_endpoint_that_never_answers_costs_the_deadline_then_one_probe(world: World) -> None:
    """B17: no post while the answer may still come."""
    world.server.script(faults.never())
    began = world.now
    assert kinds(await world.calls(3)) == {RefreshTimeout}
    assert world.now - began == pytest.approx(30)
    for _ in range(10):
        during = world.now
        assert await world.call() != 200
        assert world.now == during, "told at once"
        await asyncio.sleep(5.9)
    assert world.server.posts == 1
    await asyncio.sleep(2)
    assert await world.calls(3) == [200] * 3
    assert world.server.posts == 2


@in_every_way(expired=True)
async def test_an_endpoint_that_dribbles_costs_the_deadline_and_its_late_answer_counts(world: World) -> None:
    """B17: a byte each fifth of a second."""
    world.server.script(faults.drip(0.2))
    began = world.now
    assert kinds(await world.calls(3)) == {RefreshTimeout}
    assert world.now - began == pytest.approx(30)
    assert kinds(await world.calls(3)) == {RefreshTimeout}
    await asyncio.sleep(30)
    assert await world.calls(3) == [200] * 3
    assert (world.server.posts, world.server.reuses) == (1, 0)


@in_every_way(expired=True)
async def test_an_endpoint_that_dribbles_without_end_is_asked_once_more(world: World) -> None:
    """B17: after 90 s nobody listens; the old token is probed once, and was spent."""
    world.server.script(faults.drip(1.0))
    assert kinds(await world.calls(3)) == {RefreshTimeout}
    await asyncio.sleep(59)
    assert kinds(await world.calls(3)) == {RefreshTimeout}
    assert world.server.posts == 1
    await asyncio.sleep(5)
    outcomes = await world.calls(3)
    assert {getattr(outcome, "cause", outcome) for outcome in outcomes} == {"answer lost"}
    assert (world.server.posts, world.server.api_calls) == (2, [])


@pytest.mark.parametrize("trouble", ["expired", "refused", "old", "unavailable"])
@in_every_way(life=300, token_latency=0.2)
async def test_a_post_reaches_the_api_at_most_once_with_a_good_token(world: World, trouble: str) -> None:
    """B18: each has a body of its own."""
    if trouble == "expired":
        await asyncio.sleep(301)
    if trouble == "refused":
        world.server.revoke_access()
    if trouble == "unavailable":
        world.server.revoke_access()
        world.server.always(faults.unavailable(503))
    calls = [world.call("POST", "/api/echo/", json={"number": number}) for number in range(6)]
    if trouble == "old":
        await asyncio.sleep(0)
        world.server.revoke_access()
    outcomes = await together(calls)
    good = [seen.body for seen in world.server.api_calls if seen.token in ("current", "old")]
    assert len(good) == len(set(good)) == outcomes.count(200)
    assert kinds(outcomes) == {RefreshUnavailable if trouble == "unavailable" else 200}
