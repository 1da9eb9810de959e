"""Logout and user switch while calls are under way, in every way of calling (behaviours, part 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxauth import Tokens
from rxauth.errors import NotSignedIn, SessionChanged
from rxauth.session import RefreshEvent, RefreshStarted, SessionEnded
from rxauth.testing import Pair, faults
from tests.system.ways.ways_kit import BEARERS, ME, World, in_every_way, kinds, together


async def bob_signs_in(world: World) -> Pair:
    bob = world.server.issue(user="bob")
    await world.session.sign_in(_tokens(bob))
    return bob


def _tokens(pair: Pair) -> Tokens:
    return Tokens(pair.access, pair.refresh)


@in_every_way(expired=True, token_latency=0.3)
async def test_a_logout_during_a_refresh_revives_nobody(world: World) -> None:
    """B50: at 100 ms of 300; at 1 s nothing is stored and the waiting calls have their error."""
    began = world.now
    calls = [world.call() for _ in range(5)]
    await asyncio.sleep(0.1)
    world.session.logout()
    assert kinds(await together(calls)) == {NotSignedIn}
    assert world.now - began == pytest.approx(0.1), "at once"
    await asyncio.sleep(0.9)
    auth = world.session.auth
    assert (auth.status, auth.tokens, world.stored_refresh) == ("signed_out", None, None)
    assert (world.server.posts, world.server.api_calls) == (1, [])
    assert kinds(await world.calls(2)) == {NotSignedIn}


@pytest.mark.parametrize("then", ["signed out", "bob"])
@pytest.mark.parametrize("outcome", ["succeeds", "refused"])
@in_every_way(expired=True, token_latency=0.3)
async def test_a_refresh_that_lands_too_late_touches_nobody(world: World, outcome: str, then: str) -> None:
    """B51: no event speaks of Ada, and Bob is who he was."""
    if outcome == "refused":
        world.server.script(faults.refuse())
    calls = [world.call() for _ in range(3)]
    await asyncio.sleep(0.1)
    bob = await bob_signs_in(world) if then == "bob" else None
    if bob is None:
        world.session.logout()
    auth = world.session.auth
    assert kinds(await together(calls)) == {SessionChanged if bob else NotSignedIn}
    del world.events[:]
    await asyncio.sleep(1)
    assert world.session.auth is auth
    assert world.events == []
    assert world.server.posts == 1
    if bob is not None:
        assert await world.call() == 200
        assert world.bearers == [bob.access]
    assert world.stored_refresh == (bob.refresh if bob else None)


@pytest.mark.parametrize("trouble", ["expired", "refused"])
@in_every_way(life=300, token_latency=0.3)
async def test_a_waiting_call_is_never_sent_as_another_user(world: World, trouble: str) -> None:
    """B52: it waits before the first send, or before the second."""
    if trouble == "expired":
        await asyncio.sleep(301)
    else:
        world.server.revoke_access()
    calls = [world.call("POST", "/api/echo/", json={"number": number}) for number in range(3)]
    await asyncio.sleep(0.1)
    sent_before = len(world.server.api_calls)
    bob = await bob_signs_in(world)
    assert kinds(await together(calls)) == {SessionChanged}
    await asyncio.sleep(1)
    assert len(world.server.api_calls) == sent_before
    assert bob.access not in world.bearers


@in_every_way(token_latency=0.3)
async def test_a_call_that_is_refused_after_the_switch_is_never_sent_as_another_user(world: World) -> None:
    """B52: it was on the wire when Bob signed in; nothing is refreshed for it."""
    call = world.call("GET", "/api/slow/?seconds=1&check=late")
    await asyncio.sleep(0.5)
    world.server.revoke_access()
    bob = await bob_signs_in(world)
    assert kinds([await call]) == {SessionChanged}
    assert (world.server.posts, bob.access in world.bearers) == (0, False)


@in_every_way(life=300, token_latency=0.3)
async def test_a_call_that_waits_while_bob_logs_in_is_not_sent_in_his_name(world: World) -> None:
    """B52: Ada's refresh lands first, so her call may still go, with her own token."""
    await asyncio.sleep(301)
    call = world.call()
    await asyncio.sleep(0.2)
    login = asyncio.create_task(world.login())
    outcome = await call
    bob = await login
    assert outcome == 200
    assert (len(world.bearers), bob.access in world.bearers) == (1, False)
    assert await world.call() == 200
    assert world.bearers[-1] == bob.access


@in_every_way(life=300, token_latency=0.3)
async def test_a_call_released_late_is_not_sent_as_who_signed_in_meanwhile(world: World) -> None:
    """B52: the loop is busy while the refresh lands and Bob signs in."""
    await asyncio.sleep(301)
    call = world.call()
    await asyncio.sleep(0.1)
    world.time.advance(0.3)
    signing_in = world.session.sign_in(_tokens(bob := world.server.issue(user="bob")))
    world.time.advance(0.3)
    outcome = await call
    assert kinds([outcome]) <= {200, SessionChanged}
    assert bob.access not in world.bearers
    assert (await signing_in).access == bob.access


@in_every_way(expired=True, token_latency=0.3)
async def test_the_result_of_an_older_refresh_is_not_used(world: World) -> None:
    """B53: other tokens took the place of those that it began from."""
    calls = [world.call() for _ in range(3)]
    await asyncio.sleep(0.1)
    newer = await bob_signs_in(world)
    assert await world.calls(3) == [200] * 3
    await together(calls)
    await asyncio.sleep(1)
    assert await world.calls(3) == [200] * 3
    assert set(world.bearers) == {newer.access}
    assert world.session.auth.tokens is not None
    assert world.session.auth.tokens.refresh == newer.refresh
    assert [type(event) for event in world.events if isinstance(event, RefreshEvent)] == [RefreshStarted]


@in_every_way(BEARERS)
async def test_a_header_of_the_callers_is_his_and_so_is_its_refusal(world: World) -> None:
    """B54: where the request is the caller's own; who attaches the token himself has no header to lose."""
    assert await world.call("GET", ME, headers={"Authorization": "Bearer mine"}) == 401
    assert (world.bearers, world.server.posts) == (["mine"], 0)
    assert await world.call() == 200
    assert world.server.posts == 0


@in_every_way(expired=True, token_latency=0.2)
async def test_the_end_of_a_sign_in_is_said_once(world: World) -> None:
    """B11, B51: one `SessionEnded`, however many waited."""
    world.server.revoke_family()
    ended: list[Any] = []
    world.session.store.actions.of_type(SessionEnded).subscribe(ended.append)
    await world.calls(10)
    await world.calls(10)
    assert len(ended) == 1
