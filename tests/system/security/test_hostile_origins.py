"""Spellings, redirects, headers and proxies that would take the access token to somebody else, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from rxauth import AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer, call, simplejwt
from rxauth.api import request
from rxauth.errors import OriginNotAllowed
from rxauth.testing import TokenServer
from tests.http.http_kit import KINDS, Kind, authorizations, signed_in

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)

Servers = tuple[TokenServer, TokenServer]


@pytest.fixture
def servers() -> Iterator[Servers]:
    with TokenServer() as ours, TokenServer() as foreign:
        yield ours, foreign


def port(server: TokenServer) -> str:
    return server.url.rpartition(":")[2]


#: Other names of the same address, and URLs that look like ours.
ELSEWHERE = [
    "http://localhost:{ours}/api/me/",
    "http://127.1:{ours}/api/me/",
    "http://2130706433:{ours}/api/me/",
    "http://0x7f.0.0.1:{ours}/api/me/",
    "http://0.0.0.0:{ours}/api/me/",
    "http://[::1]:{ours}/api/me/",
    "http://[::ffff:127.0.0.1]:{ours}/api/me/",
    "http://127.0.0.1.:{ours}/api/me/",
    "http://127.0.0.1%2e:{ours}/api/me/",
    "https://127.0.0.1:{ours}/api/me/",
    "http://127.0.0.1:{foreign}/api/me/",
    "http://127.0.0.1:{ours}@127.0.0.1:{foreign}/api/me/",
    "http://127.0.0.1:{ours}\\@127.0.0.1:{foreign}/api/me/",
    "wss://127.0.0.1:{ours}/api/me/",
]
#: Ours, however it is written.
OURS = [
    "HTTP://127.0.0.1:{ours}/api/me/",
    "http://user:password@127.0.0.1:{ours}/api/me/",
    "http://127.0.0.1:0{ours}/api/me/",
    "http://127.0.0.1:{ours}/api/me/#@127.0.0.1:{foreign}",
    "http://127.0.0.1:{ours}/api/me/?next=http://127.0.0.1:{foreign}/",
]


@kinds
def test_a_url_that_is_not_exactly_ours_is_not_even_connected_to(servers: Servers, kind: Kind) -> None:
    ours, foreign = servers

    def work(send: Any) -> None:
        for url in ELSEWHERE:
            with pytest.raises(OriginNotAllowed):
                send("GET", url.format(ours=port(ours), foreign=port(foreign)))

    kind.run(signed_in(ours), work)
    assert (ours.requests, foreign.requests) == ([], [])


@kinds
def test_a_url_that_is_ours_gets_the_bearer_token_whatever_it_holds_besides(servers: Servers, kind: Kind) -> None:
    ours, foreign = servers

    def work(send: Any) -> None:
        for url in OURS:
            assert send("GET", url.format(ours=port(ours), foreign=port(foreign))).status_code == 200

    kind.run(signed_in(ours), work)
    assert {str(value).partition(" ")[0] for value in authorizations(ours)} == {"Bearer"}
    assert foreign.requests == []


@pytest.mark.parametrize(("base_url", "url"), [("ours", "//{foreign}/api/me/"), ("foreign", "{ours}/api/me/")])
def test_a_base_url_takes_nothing_elsewhere(servers: Servers, base_url: str, url: str) -> None:
    ours, foreign = servers
    base = ours.url if base_url == "ours" else foreign.url
    with httpx.Client(auth=BearerAuth(signed_in(ours)), base_url=base) as client:
        client.get(url.format(ours=ours.url, foreign=foreign.url.removeprefix("http://")))
    assert len(ours.api_calls) == 1
    assert foreign.requests == []


@kinds
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_that_was_dropped_on_the_way_out_is_not_put_back_on_the_way_home(
    servers: Servers, kind: Kind, status: int
) -> None:
    ours, foreign = servers
    home = quote(f"{ours.url}/api/me/", safe="")
    out = quote(f"{foreign.url}/api/redirect/?status={status}&to={home}", safe="")
    path = f"{ours.url}/api/redirect/?status={status}&to={out}"
    response = kind.run(signed_in(ours), lambda send: send("GET", path), follow_redirects=True)
    assert response.status_code == 401, "a bare call's 401, which is not taken for ours"
    assert authorizations(foreign) == [None]
    assert [header is not None for header in authorizations(ours)] == [True, False]
    assert (ours.posts, foreign.posts) == (0, 0)


@kinds
def test_a_foreign_server_that_redirects_to_us_gets_no_token_attached(servers: Servers, kind: Kind) -> None:
    ours, foreign = servers
    path = f"{foreign.url}/api/redirect/?status=307&to={ours.url}/api/me/"
    how = {"elsewhere": "bare"}
    response = kind.run(signed_in(ours), lambda send: send("GET", path), auth=how, follow_redirects=True)
    assert (response.status_code, authorizations(foreign), authorizations(ours)) == (401, [None], [None])
    assert ours.posts == 0


@pytest.mark.parametrize(
    ("start", "to", "kept"),
    [
        ("https://localhost/", "http://localhost/", False),
        ("https://localhost/", "https://localhost:8443/", False),
        ("https://localhost/", "https://localhost.evil.example/", False),
        ("https://localhost/", "//evil.example/", False),
        ("https://localhost/", "https://user:pw@localhost/there", True),
        ("http://localhost/", "https://localhost:8443/", False),
        ("http://localhost/", "https://localhost/", True),
    ],
)
def test_the_one_redirect_that_keeps_the_token_is_to_https_on_the_same_host(start: str, to: str, kept: bool) -> None:
    """httpx decides; the last line is its exception to "scheme, host and port": from port 80 to port 443."""
    seen: list[tuple[str, bool]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), "authorization" in request.headers))
        return httpx.Response(302, headers={"location": to}) if len(seen) == 1 else httpx.Response(200)

    session = Session(lambda tokens: tokens, tokens=Tokens("access"), origins=["https://localhost", "http://localhost"])
    with httpx.Client(auth=BearerAuth(session), transport=httpx.MockTransport(server), follow_redirects=True) as client:
        client.get(start)
    assert [carried for _, carried in seen] == [True, kept]


def test_a_host_header_of_the_callers_does_not_move_the_connection(servers: Servers) -> None:
    ours, foreign = servers
    with httpx.Client(auth=BearerAuth(signed_in(ours))) as client:
        client.get(f"{ours.url}/api/me/", headers={"Host": foreign.url.removeprefix("http://")})
        with pytest.raises(OriginNotAllowed):
            client.get(f"{foreign.url}/api/me/", headers={"Host": ours.url.removeprefix("http://")})
    assert (len(ours.api_calls), foreign.requests) == (1, [])


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """(the URL of a proxy that refuses everybody, what it was sent)."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def test_a_proxy_sees_of_a_call_over_https_where_it_goes_and_no_more() -> None:
    session = Session(lambda tokens: tokens, tokens=Tokens("access-secret"), origins=["https://127.0.0.1:9"])
    with proxy() as (url, heard):
        client = httpx.Client(auth=BearerAuth(session), proxy=url)
        with client, pytest.raises(httpx.ProxyError):
            client.get("https://127.0.0.1:9/api/me/")
    assert heard[0].startswith(b"CONNECT 127.0.0.1:9 ")
    assert b"access-secret" not in heard[0]
    assert b"authorization" not in heard[0].lower()


def test_a_proxy_of_the_environment_sees_no_refresh_token(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Session[Any] = Session(
        simplejwt("https://127.0.0.1:9"), tokens=Tokens("access-secret", "refresh-secret", expires_at=1.0), tries=1
    )
    with proxy() as (url, heard):
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(Exception, match="can not be reached"):
            session.fresh().run()
    assert [sent.startswith(b"CONNECT 127.0.0.1:9 ") for sent in heard] == [True]
    assert b"secret" not in heard[0]


def test_an_api_call_with_an_absolute_url_is_held_to_the_same_origins(servers: Servers) -> None:
    ours, foreign = servers

    async def main() -> None:
        store = Store(auth_reducer, AuthState())
        given = ours.issue()
        pair = Tokens(given.access, given.refresh)
        session = Session(simplejwt(ours.url), store=store, select=lambda state: state, tokens=pair)
        async with httpx.AsyncClient(base_url=ours.url) as client:
            store.add_epic(api_epic(client, session))
            with pytest.raises(OriginNotAllowed):
                await request(store, call(Request.get(f"{foreign.url}/api/me/")))
            for auth in ("none", "required"):
                await request(store, call(Request.get(f"{ours.url}/api/public/"), auth=auth))  # type: ignore[arg-type]

    asyncio.run(main())
    assert foreign.requests == []
    assert [header is not None for header in authorizations(ours)] == [False, True]
