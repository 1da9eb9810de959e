"""What is read of an answer and when, pools, and many calls at once."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from http_kit import KINDS, Kind, signed_in

from rxauth import BearerAuth, Session, Tokens
from rxauth.testing import TokenServer, VirtualTime


@contextmanager
def api(first: bytes, rest: Iterator[bytes] | None = None) -> Iterator[str]:
    """A server whose first answer is these bytes, then `rest` for as long as the client listens; the next is fine."""
    listener = socket.create_server(("127.0.0.1", 0))
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"

    def serve() -> None:
        for number in range(2):
            connection, _ = listener.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                try:
                    connection.sendall(good if number else first)
                    for chunk in (rest or ()) if not number else ():
                        connection.sendall(chunk)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def session_for(url: str) -> Session[object]:
    return Session(lambda tokens: Tokens("new", "r2"), tokens=Tokens("old", "r1"), origins=[url])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_endless_refusal_is_not_read_to_its_end(kind: Kind) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 100000000000\r\n\r\n"
    with api(head, endless()) as url:
        response = kind.run(session_for(url), lambda send: send("GET", f"{url}/"))
    assert (response.status_code, response.text) == (200, "ok")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_refusal_that_breaks_off_is_a_refusal(kind: Kind) -> None:
    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\nhalf"
    with api(head) as url:
        response = kind.run(session_for(url), lambda send: send("GET", f"{url}/"))
    assert response.status_code == 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_refusal_compressed_and_cut_is_a_refusal(kind: Kind) -> None:
    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-encoding: gzip\r\ncontent-length: 100\r\n\r\n\x1f\x8b\x08"
    with api(head) as url:
        response = kind.run(session_for(url), lambda send: send("GET", f"{url}/"))
    assert response.status_code == 200


def test_a_streamed_answer_is_not_read() -> None:
    with (
        TokenServer() as server,
        httpx.Client(auth=BearerAuth(signed_in(server)), timeout=60) as client,
        client.stream("GET", f"{server.url}/api/me/") as response,
    ):
        assert not response.is_closed
        assert not response.is_stream_consumed
        assert b"user" in response.read()


def test_a_streamed_refusal_can_still_be_read() -> None:
    with TokenServer() as server, httpx.Client(auth=BearerAuth(signed_in(server)), timeout=60) as client:
        server.reject_all_api()
        with client.stream("GET", f"{server.url}/api/me/") as response:
            assert response.status_code == 401
            assert b"token_not_valid" in response.read()


def test_a_hundred_and_fifty_calls_on_a_pool_of_a_hundred() -> None:
    """B16"""
    with TokenServer(api_latency=0.01) as server:
        session = signed_in(server)
        server.revoke_access()

        async def main() -> list[int]:
            async with httpx.AsyncClient(auth=BearerAuth(session), base_url=server.url, timeout=30) as client:
                answers = await asyncio.gather(*(client.get("/api/me/") for _ in range(150)))
                return [answer.status_code for answer in answers]

        assert asyncio.run(main()) == [200] * 150
        assert server.posts == 1


def test_ten_clients_on_one_session_refresh_once() -> None:
    """B02"""
    with TokenServer(token_latency=0.05) as server:
        session = signed_in(server, expired=True)

        async def main() -> list[int]:
            clients = [httpx.AsyncClient(auth=BearerAuth(session), base_url=server.url, timeout=60) for _ in range(10)]
            answers = await asyncio.gather(*(client.get("/api/me/") for client in clients))
            for client in clients:
                await client.aclose()
            return [answer.status_code for answer in answers]

        assert asyncio.run(main()) == [200] * 10
        assert server.posts == 1


def test_calls_on_trio_wait_for_one_refresh() -> None:
    import trio

    statuses: list[int] = []
    with TokenServer(token_latency=0.05) as server:
        session = signed_in(server, expired=True)

        async def main() -> None:
            async def get() -> None:
                statuses.append((await client.get("/api/me/")).status_code)

            async with httpx.AsyncClient(auth=BearerAuth(session), base_url=server.url, timeout=60) as client:
                async with trio.open_nursery() as nursery:
                    for _ in range(20):
                        nursery.start_soon(get)
                server.revoke_access()
                await get()

        trio.run(main)
        assert (statuses, server.posts) == ([200] * 21, 2)


def test_a_post_reaches_the_api_once_with_a_good_token() -> None:
    """B18"""
    with TokenServer(token_latency=0.05) as server:
        session = signed_in(server)
        server.revoke_access()

        async def main() -> None:
            async with httpx.AsyncClient(auth=BearerAuth(session), base_url=server.url, timeout=60) as client:
                await asyncio.gather(*(client.post("/api/echo/", json={"n": n}) for n in range(20)))

        asyncio.run(main())
        good = [seen.body for seen in server.api_calls if seen.status == 200]
        assert len(good) == len(set(good)) == 20


def test_the_refresher_may_use_the_same_client() -> None:
    """B15: no waiting for itself, and no Authorization on its own request."""
    with TokenServer() as server:
        given = server.issue(expired=True)

        def refresh(tokens: Tokens) -> object:
            answer = client.post("/api/token/refresh/", json={"refresh": tokens.refresh})
            return answer.raise_for_status().json()

        session: Session[object] = Session(refresh, tokens=Tokens(given.access, given.refresh), origins=[server.url])
        with httpx.Client(auth=BearerAuth(session), base_url=server.url, timeout=60) as client:
            assert client.get("/api/me/").status_code == 200
        [post] = [seen for seen in server.requests if seen.path == "/api/token/refresh/"]
        assert "authorization" not in post.headers


def test_the_errors_of_the_gate_are_no_errors_of_httpx() -> None:
    from rxauth.errors import RxAuthError

    assert not issubclass(RxAuthError, httpx.HTTPError)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_refusal_that_dribbles_in_costs_five_seconds_not_its_whole_length(kind: str) -> None:
    time = VirtualTime()
    session = Session(
        lambda tokens: {"access_token": "new", "expires_in": 300},
        tokens={"access_token": "old", "refresh_token": "r", "expires_in": 300},
        origins=["https://api.example.com"],
        time=time,
    )
    client = {"transport": httpx.MockTransport(lambda request: _dribbling(request, time))}
    began = time.now().mono
    if kind == "sync":
        answer = httpx.Client(**client, auth=BearerAuth(session)).get("https://api.example.com/")  # type: ignore[arg-type]
    else:

        async def main() -> httpx.Response:
            async with httpx.AsyncClient(**client, auth=BearerAuth(session)) as asynchronous:  # type: ignore[arg-type]
                return await asynchronous.get("https://api.example.com/")

        answer = time.run(main())
    assert answer.status_code == 200
    assert 5 <= time.now().mono - began <= 7


def _dribbling(request: httpx.Request, time: VirtualTime) -> httpx.Response:
    if request.headers["authorization"] == "Bearer new":
        return httpx.Response(200)

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                time.sleep(1)
                yield b"."

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(1000):
                await asyncio.sleep(1)
                yield b"."

    return httpx.Response(401, stream=Body())
