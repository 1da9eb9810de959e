"""Where the access token goes, and where it never goes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from http_kit import KINDS, Kind, authorizations, signed_in

from rxauth import Session, Tokens
from rxauth.errors import OriginNotAllowed
from rxauth.testing import TokenServer
from rxauth.tokens.origins import Origins, parse_origin, show
from tests.kit import logged

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def servers() -> Iterator[tuple[TokenServer, TokenServer]]:
    with TokenServer() as ours, TokenServer() as foreign:
        yield ours, foreign


@kinds
def test_another_origin_is_refused_naming_the_keyword(servers: tuple[TokenServer, TokenServer], kind: Kind) -> None:
    ours, foreign = servers
    with pytest.raises(OriginNotAllowed, match=r"Session\(\.\.\., origins=\['http://127\.0\.0\.1:"):
        kind.run(signed_in(ours), lambda send: send("GET", f"{foreign.url}/api/public/"))
    assert foreign.requests == []


@kinds
def test_elsewhere_bare_sends_without_the_token(servers: tuple[TokenServer, TokenServer], kind: Kind) -> None:
    ours, foreign = servers
    how = {"elsewhere": "bare"}
    response = kind.run(signed_in(ours), lambda send: send("GET", f"{foreign.url}/api/public/"), auth=how)
    assert response.status_code == 200
    assert authorizations(foreign) == [None]


@kinds
def test_a_foreign_401_is_not_ours(servers: tuple[TokenServer, TokenServer], kind: Kind) -> None:
    ours, foreign = servers
    how = {"elsewhere": "bare"}
    response = kind.run(signed_in(ours), lambda send: send("GET", f"{foreign.url}/api/me/"), auth=how)
    assert (response.status_code, ours.posts, len(foreign.api_calls)) == (401, 0, 1)


@kinds
def test_listed_origins_get_the_token(servers: tuple[TokenServer, TokenServer], kind: Kind) -> None:
    ours, foreign = servers
    kind.run(signed_in(ours, origins=[foreign.url]), lambda send: send("GET", f"{foreign.url}/api/public/"))
    [header] = authorizations(foreign)
    assert header is not None


@kinds
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_origin_loses_the_token(
    servers: tuple[TokenServer, TokenServer], kind: Kind, status: int
) -> None:
    """B82"""
    ours, foreign = servers
    path = f"{ours.url}/api/redirect/?status={status}&to={foreign.url}/api/me/"
    response = kind.run(signed_in(ours), lambda send: send("GET", path), follow_redirects=True)
    assert authorizations(foreign) == [None]
    assert (response.status_code, ours.posts, foreign.posts, len(foreign.api_calls)) == (401, 0, 0, 1)


@kinds
def test_a_foreign_401_is_not_ours_though_it_carried_our_header(
    servers: tuple[TokenServer, TokenServer], kind: Kind
) -> None:
    """httpx strips `Authorization` alone when it follows a redirect to another origin: the docstring warns of it."""
    ours, foreign = servers
    path = f"{ours.url}/api/redirect/?to={foreign.url}/api/me/"
    how = {"header": "X-Access-Token"}
    response = kind.run(signed_in(ours), lambda send: send("GET", path), auth=how, follow_redirects=True)
    assert (response.status_code, ours.posts, len(foreign.api_calls)) == (401, 0, 1)


@kinds
def test_the_refused_hop_of_a_redirect_is_the_one_that_is_sent_again(
    servers: tuple[TokenServer, TokenServer], kind: Kind
) -> None:
    ours, _ = servers
    session = signed_in(ours)
    ours.revoke_access()
    path = f"{ours.url}/api/redirect/?to=/api/me/"
    response = kind.run(session, lambda send: send("GET", path), follow_redirects=True)
    assert response.status_code == 200
    assert [seen.path for seen in ours.api_calls] == ["/api/redirect/", "/api/me/", "/api/me/"]
    assert ours.posts == 1


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.example.com/x", True),
        ("https://API.Example.COM:443/x", True),
        ("https://user:pw@api.example.com/x", True),
        ("http://api.example.com/x", False),
        ("https://api.example.com:8443/x", False),
        ("https://example.com/x", False),
        ("https://api.example.com.evil.net/x", False),
        ("https://evil.net/https://api.example.com", False),
        ("https://api.example.com@evil.net/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, allowed: bool) -> None:
    assert Origins(["https://api.example.com"]).allow(httpx.URL(url)) is allowed


@pytest.mark.parametrize(
    ("listed", "url", "allowed"),
    [
        ("https://api.example.com", "wss://api.example.com/ws", True),
        ("wss://api.example.com", "https://api.example.com/x", True),
        ("wss://api.example.com", "wss://api.example.com:443/ws", True),
        ("wss://api.example.com:8443", "wss://api.example.com:8443/ws", True),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws", True),
        ("ws://[::1]", "http://[::1]:80/x", True),
        ("https://api.example.com", "ws://api.example.com/ws", False),
        ("https://api.example.com", "wss://api.example.com:80/ws", False),
        ("wss://api.example.com", "wss://api.example.com.evil.net/ws", False),
        ("http://127.0.0.1", "wss://127.0.0.1/ws", False),
    ],
)
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_websocket_has_the_origin_of_its_handshake(library: Any, listed: str, url: str, allowed: bool) -> None:
    """S5"""
    assert Origins([], [listed]).allow(library.URL(url)) is allowed


def test_a_websocket_in_the_clear_needs_consent_as_plain_http_does(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OriginNotAllowed, match="neither https nor on this machine"):
        Origins(["ws://api.example.com"])
    with caplog.at_level(logging.WARNING, "rxauth"):
        consented = Origins([], ["ws://api.example.com"])
    assert [record.getMessage() for record in logged(caplog)] == [
        "rxauth: tokens will be sent in the clear to http://api.example.com, as origins= asks for"
    ]
    assert consented.allow(httpx.URL("ws://api.example.com/ws"))
    assert not Origins(["https://a.example"]).including("ws://api.example.com").allow(httpx.URL("ws://api.example.com"))


@kinds
@pytest.mark.parametrize("url", ["wss://api.example.com/ws", "wss://api.example.com:8443/ws", "ws://localhost:9/ws"])
def test_the_origin_that_a_refusal_advises_is_one_that_is_accepted(kind: Kind, url: str) -> None:
    def answer(request: Any) -> Any:
        library = httpx if isinstance(request, httpx.Request) else httpx2
        return library.Response(200, text=request.headers["authorization"])

    library = httpx if "httpx2" not in kind.name else httpx2
    options = {"transport": library.MockTransport(answer)}
    session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
    with pytest.raises(OriginNotAllowed) as caught:
        kind.run(session, lambda send: send("GET", url), **options)
    [advised] = re.findall(r"origins=\['([^']+)'\]", str(caught.value))
    wider = Session(lambda tokens: tokens, tokens=Tokens("a", "r"), origins=[advised])
    assert kind.run(wider, lambda send: send("GET", url), **options).text == "Bearer a"


def test_plain_http_is_for_loopback_and_for_those_who_consent(caplog: pytest.LogCaptureFixture) -> None:
    """B84"""
    with pytest.raises(OriginNotAllowed, match="neither https nor on this machine"):
        Origins(["http://api.example.com"])
    for text in ("http://localhost:8000", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]:80"):
        assert Origins([text])
    with caplog.at_level(logging.WARNING, "rxauth"):
        Origins([], ["http://api.example.com"])
    assert len(logged(caplog)) == 1
    assert "in the clear" in caplog.text


def test_the_clients_base_url_counts_for_the_epic_unless_it_is_in_the_clear() -> None:
    origins = Origins(["https://auth.example.com"])
    assert origins.including("https://api.example.com").allow(httpx.URL("https://api.example.com/x"))
    assert not origins.including("http://api.example.com").allow(httpx.URL("http://api.example.com/x"))


def test_international_names_are_compared_as_sent() -> None:
    assert parse_origin("https://bücher.example") == parse_origin("https://xn--bcher-kva.example")
    for name in ("bücher.example", "xn--bcher-kva.example"):
        assert Origins([f"https://{name}"]).allow(httpx.URL("https://bücher.example/"))
        assert Origins([f"https://{name}"]).allow(httpx2.URL("https://xn--bcher-kva.example/"))
    assert show(("https", "::1", 8443)) == "https://[::1]:8443"


def test_a_callable_refresher_has_no_origin_of_its_own() -> None:
    session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
    from rxauth import BearerAuth

    client = httpx.Client(auth=BearerAuth(session), transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(OriginNotAllowed, match="this session's origins are none"):
        client.get("https://api.example.com")


@kinds
def test_of_a_url_without_a_host_the_client_says_what_is_missing(kind: Kind) -> None:
    """A base_url was forgotten: no origin of ours would mend that."""
    session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"), origins=["https://api.example.com"])
    with pytest.raises(Exception, match="missing an 'http") as caught:
        kind.run(session, lambda send: send("GET", "/api/me/"))
    assert type(caught.value).__name__ == "UnsupportedProtocol"
