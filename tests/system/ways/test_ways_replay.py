"""Bodies, pools and redirects on a real wire, refusals of any form, and where the token may go (parts 2 and 9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from rxauth.errors import NotReplayable, OriginNotAllowed
from rxauth.testing import TokenServer
from tests.system.ways.ways_kit import BEARERS, Rewriting, World, in_every_way, kinds, over_sockets, together
from tests.system.ways.ways_of_calling import Blocking, BlockingEpic, Httpx2


def limits(way: Any, connections: int) -> Any:
    import httpx2

    return (httpx2 if way is Httpx2 else httpx).Limits(max_connections=connections)


@pytest.mark.parametrize(("connections", "calls"), [(1, 1), (10, 15)])
@over_sockets(token_latency=0.05)
async def test_a_refusal_holds_no_connection(world: World, connections: int, calls: int) -> None:
    """B16: one call on a pool of one, more calls than connections; 150 on 100 are in test_bodies.py."""
    world.client_options["limits"] = limits(world._way, connections)
    world.server.revoke_access()
    async with asyncio.timeout(10):
        assert await world.calls(calls) == [200] * calls
    assert world.server.posts == 1


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@over_sockets()
async def test_the_body_arrives_again_whole(world: World, method: str) -> None:
    """B80: over sockets, because in one process an exhausted stream does not show."""
    body = {"text": "x" * 70_000, "more": ["ä", 1]}
    world.server.revoke_access()
    assert await world.call(method, "/api/echo/", json=body) == 200
    first, second = world.server.api_calls
    assert first.body == second.body == world.responses[0].content
    assert world.responses[0].json() == body
    assert world.server.posts == 1


@over_sockets(BEARERS)
async def test_a_body_that_can_be_read_once_is_not_sent_again(world: World) -> None:
    """B81: refreshed once, and the 401 comes back with its reason."""
    await _send_a_body_that_can_be_read_once(world)
    assert await world.call("POST", "/api/echo/", content=_one_shot(world)) == 200, "with a new body"
    assert world.responses[1].content == b"onetwo"


@in_every_way(BEARERS, token_latency=0.5)
async def test_a_body_that_can_be_read_once_costs_the_refresh_and_no_more(world: World) -> None:
    """B81: the 401 comes back within 1 s."""
    began = world.now
    await _send_a_body_that_can_be_read_once(world)
    assert world.now - began == pytest.approx(0.5)


async def _send_a_body_that_can_be_read_once(world: World) -> None:
    world.server.revoke_access()
    async with asyncio.timeout(10):
        assert await world.call("POST", "/api/echo/", content=_one_shot(world)) == 401
    assert (world.server.posts, [seen.body for seen in world.server.api_calls]) == (1, [b"onetwo"])
    assert isinstance(world.responses[0].extensions["rxauth"], NotReplayable)


def _one_shot(world: World) -> Iterator[bytes] | AsyncIterator[bytes]:
    return _chunks() if world._way in (Blocking, BlockingEpic) else _async_chunks()


def _chunks() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


async def _async_chunks() -> AsyncIterator[bytes]:
    for chunk in _chunks():
        yield chunk


@pytest.mark.parametrize("where", ["another port", "another host"])
@over_sockets(client={"follow_redirects": True})
async def test_a_redirect_to_another_origin_takes_no_token_along(world: World, where: str) -> None:
    """B82"""
    with TokenServer() as other:
        host = other.url if where == "another port" else other.url.replace("127.0.0.1", "localhost")
        assert await world.call("GET", f"/api/redirect/?to={host}/api/public/") == 200
        assert ["authorization" in seen.headers for seen in other.requests] == [False]
        assert await world.call("GET", f"/api/redirect/?to={host}/api/me/") == 401
        assert not any("authorization" in seen.headers for seen in other.requests)
    assert ["authorization" in seen.headers for seen in world.server.api_calls[:1]] == [True]


@over_sockets(BEARERS, client={"follow_redirects": True})
async def test_the_refusal_of_another_origin_refreshes_nothing(world: World) -> None:
    """B82: its 401 is not about our token."""
    with TokenServer() as other:
        assert await world.call("GET", f"/api/redirect/?to={other.url}/api/me/") == 401
        assert (world.server.posts, other.posts, len(other.requests)) == (0, 0, 1)


@in_every_way(BEARERS)
async def test_a_token_is_not_sent_in_the_clear(world: World) -> None:
    """B84: nor to a host that nobody named; nothing is sent at all."""
    for url in ("http://api.example.com/api/me/", "https://elsewhere.example/api/me/", "https://api.example.com:81/"):
        assert kinds([await world.call("GET", url)]) == {OriginNotAllowed}
    assert world.server.requests == []
    assert await world.call() == 200


CHALLENGES = {
    "several in one header": [(b"www-authenticate", b'Basic realm="a, b", Bearer realm="api", error="invalid_token"')],
    "several headers": [(b"WWW-Authenticate", b"Negotiate"), (b"WWW-Authenticate", b'Bearer realm="api"')],
    "odd case and spacing": [(b"wWw-AuThEnTiCaTe", b'  bEaReR   realm = "api" ,error= "invalid_token"  ')],
    "none": [],
}


class OddChallenges(Rewriting):
    """A server whose refusals have these challenges."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport, response=self._challenge)
        self.challenges: list[tuple[bytes, bytes]] = []

    def _challenge(self, response: httpx.Response) -> None:
        if response.status_code == 401:
            kept = [pair for pair in response.headers.raw if pair[0].lower() != b"www-authenticate"]
            response.headers = httpx.Headers([*kept, *self.challenges])


@pytest.mark.parametrize("challenge", CHALLENGES)
@in_every_way(through=OddChallenges)
async def test_a_refusal_is_recognised_whatever_its_challenges(world: World, challenge: str) -> None:
    """B85"""
    world.transport.challenges = CHALLENGES[challenge]
    world.server.revoke_access()
    assert await together(world.call() for _ in range(2)) == [200, 200]
    assert (world.server.posts, len(world.server.api_calls)) == (1, 4)
