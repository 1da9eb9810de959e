"""S7: `BearerAuth(session).pinned()`, an auth for whoever is signed in when it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from bearer_kit import URL, WAYS, Refreshed, accept, drive, get, refusal, signed_in
from http_kit import KINDS, Kind, authorizations
from http_kit import signed_in as signed_in_to

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.errors import NotSignedIn, OriginNotAllowed, SessionChanged, SessionExpired
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.testing import TokenServer, VirtualTime
from tests.kit import make

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def pinned_kind(kind: Kind) -> Kind:
    return Kind(kind.name, kind.client, lambda session, **how: kind.auth(session, **how).pinned(), kind.is_async)


@kinds
def test_no_request_of_a_pinned_auth_goes_with_the_next_users_token(server: TokenServer, kind: Kind) -> None:
    """S7"""
    session = signed_in_to(server)

    def work(send: Any) -> None:
        assert send("GET", f"{server.url}/api/me/").status_code == 200
        session.sign_in(Tokens("bobs", "r")).run()
        for _ in range(2):
            with pytest.raises(SessionChanged):
                send("GET", f"{server.url}/api/me/")

    pinned_kind(kind).run(session, work)
    assert len(server.api_calls) == 1
    assert "Bearer bobs" not in authorizations(server)


@pytest.mark.parametrize("way", WAYS)
def test_signed_out_it_raises_that_and_signed_in_anew_it_stays_with_whom_it_was_made_for(way: str) -> None:
    session = signed_in()
    auth = BearerAuth(session).pinned()
    session.logout().run()
    with pytest.raises(NotSignedIn):
        drive(way, auth, get(), accept)
    session.sign_in(Tokens("opaque", "r")).run()
    with pytest.raises(SessionChanged):
        drive(way, auth, get(), accept)


@pytest.mark.parametrize("way", WAYS)
def test_when_the_server_ended_the_sign_in_it_says_so(way: str) -> None:
    with TokenServer() as server:
        session = signed_in_to(server)
        auth = BearerAuth(session).pinned()
        server.revoke_family()
        with pytest.raises(SessionExpired):
            session.replace().run()
        with pytest.raises(SessionExpired):
            drive(way, auth, httpx.Request("GET", f"{server.url}/api/me/"), accept)


@pytest.mark.parametrize("way", WAYS)
def test_it_goes_on_over_refreshes(way: str) -> None:
    session = signed_in()
    auth = BearerAuth(session).pinned()
    assert drive(way, auth, get(), refusal, accept)[0] == ["Bearer token-0", "Bearer token-1"]
    session.replace().run()
    assert drive(way, auth, get(), accept)[0] == ["Bearer token-2"]


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_after_the_users_changed_is_not_sent_again(way: str) -> None:
    session = signed_in()

    def refuse_as_bob_comes(request: Any) -> Any:
        session.sign_in(Tokens("bobs", "r")).run()
        return refusal(request)

    with pytest.raises(SessionChanged):
        drive(way, BearerAuth(session).pinned(), get(), refuse_as_bob_comes)


@pytest.mark.parametrize(("kind", "library"), [(BearerAuth, httpx), (BearerAuth2, httpx2)])
def test_it_keeps_the_options_and_the_class(kind: Any, library: Any) -> None:
    session = signed_in()
    plain = kind(session, header="X-Access", scheme="JWT", elsewhere="refuse", refused=418)
    pinned = plain.pinned()
    assert type(pinned) is kind
    assert repr(pinned) == f"{plain!r}.pinned()"
    request = library.Request("GET", f"{URL}/me")
    drive(
        "sync",
        pinned,
        request,
        *(lambda asked, status=status: library.Response(status, request=asked) for status in (418, 200)),
    )
    assert request.headers["X-Access"] == "JWT token-1"
    with pytest.raises(OriginNotAllowed):
        drive("sync", pinned, library.Request("GET", "https://elsewhere.example"), accept)


def test_the_auth_that_it_was_made_of_goes_on_for_everybody() -> None:
    session = signed_in()
    auth = BearerAuth(session)
    auth.pinned()
    session.sign_in(Tokens("bobs", "r")).run()
    assert drive("sync", auth, get(), accept)[0] == ["Bearer bobs"]


def test_one_that_is_pinned_stays_so() -> None:
    session = signed_in()
    auth = BearerAuth(session).pinned()
    session.sign_in(Tokens("bobs", "r")).run()
    with pytest.raises(SessionChanged):
        drive("sync", auth.pinned(), get(), accept)


def test_there_has_to_be_somebody_to_pin_it_to() -> None:
    with pytest.raises(NotSignedIn, match=r"session\.login"):
        BearerAuth(Session(Refreshed(), origins=[URL])).pinned()
    session = signed_in()
    session.logout().run()
    with pytest.raises(NotSignedIn):
        BearerAuth(session).pinned()


def test_a_user_who_is_signing_in_counts() -> None:
    with TokenServer(time=(time := VirtualTime()), token_latency=1) as server:
        session = Session(simplejwt("https://api.example.com", transport=server.transport), time=time)
        session.login(username="ada", password="lovelace").subscribe()
        auth = BearerAuth(session).pinned()
        with httpx.Client(base_url=URL, transport=server.transport, auth=auth) as client:
            assert client.get("/api/me/").status_code == 200
            session.login(username="ada", password="lovelace").run()
            session.sign_in(Tokens("opaque", "r")).run()
            with pytest.raises(SessionChanged):
                client.get("/api/me/")


def test_a_stale_token_is_refreshed_for_the_pinned_user_alone() -> None:
    _, refresher, session = make(origins=[URL])
    auth = BearerAuth(session).pinned()
    assert drive("sync", auth, get(), accept)[0] == ["Bearer access-1"]
    session.sign_in(Tokens("bobs", "r", expires_at=1.0, life=0.0)).run()
    with pytest.raises(SessionChanged):
        drive("sync", auth, get(), accept)
    assert refresher.posts == 1
