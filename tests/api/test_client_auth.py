"""An api epic sends through its client's own `BearerAuth`, with all its options."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import pytest
from accident_kit import soon

from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer, request
from rxauth.errors import ApiStatusError, RefreshTimeout, SessionChanged
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair, stale

URL = "https://api.example.com"


@dataclass(frozen=True)
class Get(ApiCall[str]):
    url: str = "/me"

    def request(self, state: AuthState) -> Request:
        return Request.get(self.url)

    def parse(self, response: Any) -> str:
        return str(response.text)


@dataclass(frozen=True)
class Way:
    """A client library, blocking or async, and its `BearerAuth`."""

    library: Any
    auth: Any
    is_async: bool

    def client(self, answer: Callable[[Any], int], sent: list[Any], **options: Any) -> Any:
        def reply(asked: Any) -> Any:
            sent.append(dict(asked.headers))  # the request itself may be sent again, with another header
            return self.library.Response(answer(asked), text="ok")

        kind = self.library.AsyncClient if self.is_async else self.library.Client
        return kind(transport=self.library.MockTransport(reply), base_url=URL, **options)


WAYS = [
    Way(library, auth, is_async)
    for library, auth in ((httpx, BearerAuth), (httpx2, BearerAuth2))
    for is_async in (False, True)
]
ways = pytest.mark.parametrize(
    "way", WAYS, ids=lambda way: f"{way.library.__name__} {'async' if way.is_async else 'blocking'}"
)


class Bench:
    """A session in virtual time whose store has an api epic, and what was sent by it."""

    def __init__(self, way: Way, *, tokens: Callable[[VirtualTime], Tokens] = pair, **options: Any) -> None:
        self.time = VirtualTime()
        self.refresher = FakeRefresher(self.time)
        self.store = Store(auth_reducer, AuthState())
        self.session = Session(
            self.refresher, store=self.store, select=lambda state: state, tokens=tokens(self.time), time=self.time
        )
        self.sent: list[Any] = []
        self.answer: Callable[[Any], int] = lambda asked: 200
        auth = way.auth(self.session, **options)
        self.client = way.client(lambda asked: self.answer(asked), self.sent, auth=auth)
        self.way = way

    def run(self, work: Callable[[Bench], Any], client: Any = None) -> Any:
        async def main() -> Any:
            self.store.add_epic(api_epic(client or self.client, self.session))
            try:
                return await work(self)
            finally:
                self.store.close()

        return self.time.run(main())

    def headers(self, name: str) -> list[str | None]:
        return [headers.get(name.lower()) for headers in self.sent]


async def _get(bench: Bench, url: str = "/me") -> str:
    return await request(bench.store, Get(url))


@ways
def test_it_sends_the_token_as_its_client_does(way: Way) -> None:
    bench = Bench(way, scheme="JWT", header="X-Access")
    bench.run(_get)
    assert bench.headers("X-Access") == ["JWT access-0"]
    assert bench.headers("Authorization") == [None]


@ways
def test_what_is_a_refusal_to_its_client_is_one(way: Way) -> None:
    bench = Bench(way, refused=(401, 418))
    bench.answer = lambda asked: 418 if asked.headers["authorization"] == "Bearer access-0" else 200
    bench.run(_get)
    assert bench.headers("Authorization") == ["Bearer access-0", "Bearer access-1"]


@ways
def test_other_origins_are_as_its_client_says(way: Way) -> None:
    bench = Bench(way, elsewhere="bare")
    bench.run(lambda bench: _get(bench, "https://elsewhere.example/"))
    assert bench.headers("Authorization") == [None]


@ways
def test_the_clients_own_requests_know_no_other_origin_for_it(way: Way) -> None:
    """The base URL is an origin for the epic only, which can see it."""
    bench = Bench(way)
    bench.run(_get)
    assert bench.headers("Authorization") == ["Bearer access-0"]
    assert bench.client.auth._origins is bench.session.origins


@ways
def test_a_client_without_a_bearer_auth_gets_a_default_one(way: Way) -> None:
    for options in ({}, {"auth": ("user", "password")}):
        bench = Bench(way)
        bench.run(_get, way.client(lambda asked: 200, bench.sent, **options))
        assert bench.headers("Authorization") == ["Bearer access-0"]


@ways
def test_a_class_of_the_users_own_is_kept(way: Way) -> None:
    class Counting(way.auth):  # type: ignore[misc, name-defined]
        flows = 0

        def sync_auth_flow(self, asked: Any) -> Any:
            type(self).flows += 1
            return super().sync_auth_flow(asked)

        def async_auth_flow(self, asked: Any) -> Any:
            type(self).flows += 1
            return super().async_auth_flow(asked)

    bench = Bench(way)
    bench.run(_get, way.client(lambda asked: 200, bench.sent, auth=Counting(bench.session)))
    assert Counting.flows == 1


@ways
def test_a_client_of_another_session_is_refused_where_the_epic_is_made(way: Way) -> None:
    other = Session(lambda tokens: tokens, name="other")
    client = way.client(lambda asked: 200, [], auth=way.auth(other))
    with pytest.raises(ValueError, match=r"another session, Session\('other'.*auth=BearerAuth\(session\)"):
        api_epic(client, Session(lambda tokens: tokens))


@ways
def test_a_pinned_client_sends_nothing_for_the_next_user(way: Way) -> None:
    """S7"""
    bench = Bench(way)
    client = way.client(lambda asked: 200, bench.sent, auth=way.auth(bench.session).pinned())

    async def work(bench: Bench) -> None:
        assert await _get(bench) == "ok"
        await bench.session.sign_in(Tokens("bobs", "r"))
        with pytest.raises(SessionChanged):
            await _get(bench)

    bench.run(work, client)
    assert bench.headers("Authorization") == ["Bearer access-0"]


@ways
def test_a_pinned_client_refreshes_nothing_for_the_next_user(way: Way) -> None:
    bench = Bench(way)
    client = way.client(lambda asked: 200, bench.sent, auth=way.auth(bench.session).pinned())

    async def work(bench: Bench) -> None:
        await bench.session.sign_in(Tokens("bobs", "r", expires_at=1.0, life=0.0))
        with pytest.raises(SessionChanged):
            await _get(bench)

    bench.run(work, client)
    assert (bench.refresher.posts, bench.sent) == (0, [])


def test_no_thread_waits_on_when_no_call_does() -> None:
    released = threading.Event()

    def refresh(tokens: Tokens) -> Tokens:
        assert released.wait(60)
        return Tokens("new", "r2")

    store = Store(auth_reducer, AuthState())
    given = Tokens("old", "r", expires_at=1.0)
    session = Session(refresh, store=store, select=lambda state: state, tokens=given, origins=[URL])
    with WAYS[0].client(lambda asked: 200, [], auth=BearerAuth(session, wait=3600)) as client:
        store.add_epic(api_epic(client, session))
        answers = [request(store, Get()) for _ in range(3)]
        waiting = [thread for thread in threading.enumerate() if thread.name == "rxauth-wait"]
        released.set()
        assert [soon(answer.run) for answer in answers] == ["ok"] * 3
    for thread in waiting:
        thread.join(60)
    assert [thread.is_alive() for thread in waiting] == [False]
    store.close()


@ways
def test_a_call_waits_for_a_token_as_long_as_its_client_lets_it(way: Way) -> None:
    bench = Bench(way, tokens=stale, wait=2.0)
    bench.refresher.latency = 10

    async def work(bench: Bench) -> list[Any]:
        began = bench.time.now().mono
        first = [asyncio.ensure_future(_get(bench)) for _ in range(3)]
        await asyncio.sleep(1)
        later = asyncio.ensure_future(_get(bench))
        ended = []
        for call in [*first, later]:
            with pytest.raises(RefreshTimeout, match="wait=2 s") as caught:
                await call
            assert caught.value.cause == "wait"
            ended.append(round(bench.time.now().mono - began, 3))
        await asyncio.sleep(10)
        assert await _get(bench) == "ok", "the refresh went on, and its pair was stored"
        return ended

    assert bench.run(work) == [2, 2, 2, 3]
    assert (bench.refresher.posts, len(bench.sent)) == (1, 1)


@ways
def test_calls_that_got_their_token_in_time_are_sent(way: Way) -> None:
    bench = Bench(way, tokens=stale, wait=2.0)
    bench.refresher.latency = 1.5

    async def work(bench: Bench) -> list[str]:
        answers = await asyncio.gather(*(_get(bench) for _ in range(3)))
        await asyncio.sleep(5)
        bench.refresher.latency = 1.5
        await bench.session.replace()
        return [*answers, await _get(bench)]

    assert bench.run(work) == ["ok"] * 4


@ways
def test_after_a_refusal_a_call_waits_no_longer_either(way: Way) -> None:
    bench = Bench(way, wait=2.0)
    bench.refresher.latency = 10
    bench.answer = lambda asked: 401

    async def work(bench: Bench) -> Any:
        with pytest.raises(RefreshTimeout) as caught:
            await _get(bench)
        return caught.value.response.status_code

    assert bench.run(work) == 401


@ways
def test_a_demand_for_another_scope_is_the_calls(way: Way) -> None:
    bench = Bench(way, refused=(401, 403))
    library = way.library
    challenge = {"www-authenticate": 'Bearer error="insufficient_scope"'}

    def reply(asked: Any) -> Any:
        bench.sent.append(asked)
        return library.Response(403, headers=challenge)

    kind = library.AsyncClient if way.is_async else library.Client
    client = kind(transport=library.MockTransport(reply), base_url=URL, auth=bench.client.auth)

    async def work(bench: Bench) -> None:
        with pytest.raises(ApiStatusError):
            await _get(bench)

    bench.run(work, client)
    assert (len(bench.sent), bench.refresher.posts) == (1, 0)
