"""What an answer of the token endpoint means to a call, in every way of calling (behaviours, part 5)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import jwt
import pytest

from rxauth import oauth2, simplejwt
from rxauth.errors import RefreshTimeout, RefreshUnavailable, RxAuthError, SessionExpired
from rxauth.testing import faults
from rxauth.testing.server.faults import Fault
from tests.system.ways.ways_kit import Rewriting, World, in_every_way, kinds

OUTAGES = {
    "502": faults.html(502),
    "503": faults.unavailable(503),
    "504": faults.unavailable(504),
    "timeout": faults.never(),
}


@pytest.mark.parametrize("outage", OUTAGES)
@in_every_way(expired=True)
async def test_an_outage_keeps_the_sign_in_and_a_later_call_recovers(world: World, outage: str) -> None:
    """B40"""
    before = world.session.auth.tokens
    world.server.always(OUTAGES[outage])
    expected = RefreshTimeout if outage == "timeout" else RefreshUnavailable
    assert kinds(await world.calls(3)) == {expected}
    assert (world.session.auth.status, world.session.auth.tokens) == ("degraded", before)
    world.server.always(None)
    await asyncio.sleep(61)
    assert await world.calls(3) == [200] * 3
    assert world.session.auth.status == "signed_in"


def behind_a_door(world: World) -> Any:
    """A refresher that can not connect as long as the world's door is closed."""

    def knock(request: httpx.Request) -> None:
        world.knocks = getattr(world, "knocks", 0) + 1  # type: ignore[attr-defined]
        if not getattr(world, "open", False):
            raise httpx.ConnectError("connection refused", request=request)

    return simplejwt(world.url, transport=Rewriting(world.transport, request=knock))


@in_every_way(expired=True, refresher=behind_a_door)
async def test_a_refused_connection_keeps_the_sign_in_and_a_later_call_recovers(world: World) -> None:
    """B40: nothing was sent, so it is tried three times."""
    before = world.session.auth.tokens
    assert kinds(await world.calls(3)) == {RefreshUnavailable}
    assert (world.session.auth.status, world.session.auth.tokens) == ("degraded", before)
    assert (world.session.auth.in_doubt, world.knocks, world.server.requests) == (False, 3, [])  # type: ignore[attr-defined]
    world.open = True  # type: ignore[attr-defined]
    await asyncio.sleep(6)
    assert await world.calls(3) == [200] * 3


MEANINGS: dict[str, tuple[Fault, type[RxAuthError]]] = {
    "401 with no body": (faults.empty(401), RefreshUnavailable),
    "200 with invalid_grant": (faults.answer(200, {"error": "invalid_grant"}), SessionExpired),
    "403 with HTML": (faults.html(403), RefreshUnavailable),
}


@pytest.mark.parametrize("answer", MEANINGS)
@in_every_way(expired=True)
async def test_the_answer_as_a_whole_says_whether_it_is_final(world: World, answer: str) -> None:
    """B41: the whole table is in test_failure_table.py."""
    fault, expected = MEANINGS[answer]
    world.server.always(fault)
    assert kinds(await world.calls(3)) == {expected}
    assert (world.session.auth.tokens is None) == (expected is SessionExpired)
    assert world.server.api_calls == []


UNREADABLE = {
    "502 with HTML": faults.html(502),
    "a list": faults.raw(b"[]"),
    "an empty body": faults.raw(b""),
    "200 with HTML": faults.html(200),
    "half of an answer": faults.half_close(),
}


@pytest.mark.parametrize("answer", UNREADABLE)
@in_every_way(expired=True)
async def test_an_answer_that_can_not_be_read_is_no_parsers_exception(world: World, answer: str) -> None:
    """B42: the state is unchanged but for the error."""
    before = world.session.auth
    world.server.always(UNREADABLE[answer])
    assert kinds(await world.calls(3)) == {RefreshUnavailable}
    after = world.session.auth
    assert (after.tokens, after.sign_in, after.generation) == (before.tokens, before.sign_in, before.generation)
    assert after.status == "degraded"


def over_oauth2(world: World) -> Any:
    return oauth2(f"{world.url}/oauth/token", client_id="app", transport=world.transport)


#: What the server says of the life of a token that lives for 300 s, and in which minute the next one is asked for.
LIVES: dict[str, tuple[Any, int]] = {"text": ("180", 3), "a float": (180.0, 3), "null": (None, 4), "1e12": (1e12, 5)}


@pytest.mark.parametrize("life", LIVES)
@in_every_way(expired=True, life=300, refresher=over_oauth2)
async def test_an_odd_life_of_a_token_costs_no_call(world: World, life: str) -> None:
    """B43: a call a minute. `null` is read from the JWT, a life that is too long is mended by the 401."""
    stated, minute = LIVES[life]
    world.server.always(faults.wrong_expires(stated))
    posts = []
    for _ in range(6):
        assert await world.call() == 200
        await asyncio.sleep(60)
        posts.append(world.server.posts)
    assert posts[: minute + 1] == [1] * minute + [2]


@pytest.mark.parametrize("life", [0, -1])
@in_every_way(expired=True, life=300, refresher=over_oauth2)
async def test_a_token_that_arrives_stale_is_used_by_those_who_waited_for_it(world: World, life: int) -> None:
    """B43: an `expires_in` of 0 or less; each call costs one post."""
    world.server.always(faults.wrong_expires(life))
    for number in range(1, 4):
        assert await world.calls(3) == [200] * 3
        assert world.server.posts == number
        await asyncio.sleep(60)
    assert set(world.sent) == {"current"}


def without_exp(world: World) -> Any:
    """A server whose tokens, and whose answers, say nothing of their life."""

    def refresh(tokens: Any) -> Any:
        pair = world.server.issue()
        claims = jwt.decode(pair.access, options={"verify_signature": False})
        assert "exp" in claims
        bare = jwt.encode({"sub": claims["sub"], "jti": claims["jti"]}, "k" * 32, algorithm="HS256")
        world.server._desk.rotation._access[bare] = world.server._desk.rotation._access[pair.access]
        return {"access_token": bare, "refresh_token": pair.refresh}

    return refresh


@in_every_way(expired=True, life=300, refresher=without_exp)
async def test_a_jwt_without_an_expiry_is_used_until_it_is_refused(world: World) -> None:
    """B43: missing, here and there."""
    for _ in range(5):
        assert await world.call() == 200
        await asyncio.sleep(59)
    first = set(world.bearers)
    assert len(first) == 1, "the same token, for as long as it is good"
    await asyncio.sleep(10)
    assert await world.call() == 200
    assert world.sent[-2:] == ["expired", "current"]
