"""Final answers, credentials, headers and transports: each keyword over a real socket."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from refresher_kit import HTML, SPENT, Site, brought, failed

from rxauth import BearerAuth, Session, Tokens, oauth2, simplejwt
from rxauth.refreshers.endpoint import EndpointOptions

BUILT_IN: list[Callable[..., Any]] = [simplejwt, oauth2]
both = pytest.mark.parametrize("make", BUILT_IN, ids=["simplejwt", "oauth2"])


# -- which answers are final -------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("final", "status", "body", "kind"),
    [
        ((), 401, b"", "transient"),
        ([401], 401, b"", "final"),
        ({400, 401, 403}, 403, HTML, "final"),
        ([401], 403, HTML, "transient"),
        ([404], 404, HTML, "final"),
        ([503], 503, b"", "final"),
        (lambda response: "gone" in response.text, 400, b"the session is gone", "final"),
        (lambda response: "gone" in response.text, 400, b"the disk is full", "transient"),
        (lambda response: response.json().get("ok") is False, 200, {"ok": False}, "final"),
        (lambda response: response.headers.get("x-logout") == "1", 200, {"access": "a2"}, "final"),
    ],
)
def test_final(endpoint: Site, make: Callable[..., Any], final: Any, status: int, body: Any, kind: str) -> None:
    endpoint.say(body, status, [("x-logout", "1")])
    assert failed(make(endpoint.url, final=final)).kind == kind


def test_final_does_not_swallow_what_is_fine(endpoint: Site) -> None:
    assert brought(simplejwt(endpoint.url, final=[401])).access == "new-access"


# -- credentials, headers, transport -----------------------------------------------------------------------------------


@both
def test_credentials_are_what_a_bare_login_uses(endpoint: Site, make: Callable[..., Any]) -> None:
    known = {"username": "ada", "password": "lovelace"}
    calls: list[int] = []

    def ask() -> dict[str, str]:
        calls.append(1)
        return known

    for credentials in (known, ask):
        make(endpoint.url, send="json", credentials=credentials).login()
        assert endpoint.last.json.items() >= known.items()
    make(endpoint.url, send="json", credentials=ask).login(username="eve", password="e")
    assert endpoint.last.json["username"] == "eve"
    assert len(calls) == 1


@both
@pytest.mark.parametrize("credentials", [{"username": "a"}, {}, dict])
def test_with_credentials_the_session_may_sign_in_by_itself(make: Callable[..., Any], credentials: Any) -> None:
    assert make("https://a.example", credentials=credentials).unattended is True
    assert make("https://a.example").unattended is False
    assert make("https://a.example", credentials=None).unattended is False


def test_a_session_signs_in_again_where_there_is_no_refresh_token(endpoint: Site) -> None:
    credentials = {"username": "service", "password": "s"}
    session = Session(simplejwt(endpoint.url, credentials=credentials), tokens=Tokens("stale", expires_at=1.0))
    assert session.fresh().run().access == "new-access"
    assert (endpoint.paths, endpoint.last.json) == (["/api/token/"], credentials)


@both
def test_headers_go_with_every_request(endpoint: Site, make: Callable[..., Any]) -> None:
    refresher = make(endpoint.url, headers={"X-Tenant": "acme", "User-Agent": "mine/1"})
    brought(refresher)
    refresher.login(username="a", password="b")
    assert [asked.headers["x-tenant"] for asked in endpoint.asked] == ["acme", "acme"]
    assert {asked.headers["user-agent"] for asked in endpoint.asked} == {"mine/1"}


@both
@pytest.mark.parametrize("name", [None, "Accept", "accept", "ACCEPT"])
def test_every_request_asks_for_json_unless_a_header_of_yours_asks_for_something_else(make: Any, name: Any) -> None:
    asked: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get_list("accept"))
        return httpx.Response(200, json={"access": "a2"})

    logout: Any = {"logout_path": "/out"} if make is simplejwt else {"logout_url": "https://a.example/out"}
    headers = {name: "application/vnd.mine+json"} if name else {}
    refresher = make("https://a.example", headers=headers, transport=httpx.MockTransport(answer), **logout)
    brought(refresher)
    refresher.login(username="a", password="b")
    refresher.logout(SPENT)
    assert asked == [["application/vnd.mine+json" if name else "application/json"]] * 3


def test_the_refresh_token_takes_the_place_of_a_header_of_yours_however_that_is_written() -> None:
    sent: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get_list("authorization"))
        return httpx.Response(200, json={"access": "a2"})

    headers = {"authorization": "Basic eA=="}
    brought(simplejwt("https://a.example", send="header", headers=headers, transport=httpx.MockTransport(answer)))
    assert sent == [[f"Bearer {SPENT.refresh}"]]


class Counting(httpx.HTTPTransport):
    """Somebody's transport: how often it was asked, and whether it was closed."""

    asked = 0
    closed = False

    def __exit__(self, *args: Any) -> None:
        self.closed = True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return super().handle_request(request)

    def close(self) -> None:
        self.closed = True
        super().close()


@both
def test_transport_is_used_and_stays_open(endpoint: Site, make: Callable[..., Any]) -> None:
    transport = Counting()
    refresher = make(endpoint.url, transport=transport)
    brought(refresher)
    brought(refresher, SPENT)
    assert (transport.asked, transport.closed, len(endpoint.asked)) == (2, False, 2)
    transport.close()


def test_every_keyword_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "servers.md").read_text()
    given = [parameter for function in (BearerAuth, oauth2, simplejwt) for parameter in keywords(function)]
    assert [name for name in (*given, *EndpointOptions.__optional_keys__) if f"{name}=" not in text] == []


def keywords(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
