"""Where secrets could get out: a proxy, a bomb, a URL, and the frames of errors that a caller gets in his own stack."""

from __future__ import annotations

import gzip
import logging
import traceback
import tracemalloc
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Session, Tokens, oauth2, simplejwt
from rxauth.errors import RefreshUnavailable
from rxauth.testing import TokenServer, faults
from tests.system.security.security_kit import Desk, chain, everything_shown, run_cell

KIT = """
from rxauth import oauth2
from tests.system.security.test_leaks import bad, bad_type, unnamed, options
"""
SECRETS = ("Qx81zLwPq-access", "Mv72kTbNd-refresh", "Ux54nGfWi-client-secret")


def bad() -> tuple[str, str]:
    return "Bearer " + SECRETS[0], SECRETS[1]


def bad_type() -> tuple[Any, str]:
    return [SECRETS[0]], SECRETS[1]


def unnamed() -> dict[str, str]:
    return {"acess": SECRETS[0], "refresh": SECRETS[1]}


def options() -> dict[str, str]:
    return {"client_id": "app", "client_secret": SECRETS[2]}


CELLS = {
    "Tokens": "Tokens(*bad())",
    "Tokens of a wrong type": "Tokens(*bad_type())",
    "from_response": "Tokens.from_response(unnamed())",
    "sign_in": "desk.session().sign_in(unnamed())",
    "sign_in, bad token": "desk.session().sign_in(dict(zip(['access', 'refresh'], bad())))",
    "Session": "Session(simplejwt(desk.server.url), tokens=unnamed())",
    "Session without a refresher": "Session(5, tokens=unnamed())",
    "Session in the clear": "Session(simplejwt('http://a.example'), tokens=unnamed())",
    "login, closed": "session = desk.session()\nsession.close()\nsession.login(**desk.credentials())",
    "login, none": "desk.session(refresher=lambda tokens: tokens).login(**desk.credentials())",
    "login, a reducer fails": (
        "def reducer(state, action):\n    raise ValueError('a reducer')\n"
        "Session(simplejwt(desk.server.url), store=Store(reducer, AuthState()), select=lambda state: state)"
        ".login(**desk.credentials())"
    ),
    "login of the refresher": "simplejwt(desk.server.url).login(**desk.credentials())",
    "oauth2, wrong client_auth": "oauth2('https://a.example', client_auth='post', **options())",
    "oauth2, unknown keyword": "oauth2('https://a.example', finals=1, **options())",
    "oauth2, logout in the clear": "oauth2('https://a.example', logout_url='http://a.example/x', **options())",
    "simplejwt, wrong send": "simplejwt('https://a.example', send='pigeon', credentials=desk.credentials())",
    "callable, json": (
        "import json\ndef refresh(tokens):\n    return json.dumps({'refresh': tokens.refresh, 'at': object()})\n"
        "desk.session(refresher=refresh).fresh().run()"
    ),
    "callable, urllib": (
        "import urllib.request\ndef refresh(tokens):\n"
        "    return urllib.request.urlopen(desk.nobody(), tokens.refresh.encode())\n"
        "desk.session(refresher=refresh).fresh().run()"
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_an_error_raised_to_the_caller_shows_no_argument(name: str) -> None:
    desk = Desk()
    desk.secrets.add(*SECRETS)
    try:
        error = run_cell(KIT + CELLS[name], desk)
        text = everything_shown(error)
    finally:
        desk.close()
    assert desk.secrets.in_text(text) == []


def test_a_traceback_with_locals_can_be_printed_of_a_session_that_could_not_be_made() -> None:
    with pytest.raises(TypeError) as caught:
        Session(5)  # type: ignore[arg-type]
    assert "TypeError" in "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )


def test_a_call_that_can_not_be_made_keeps_its_cause_without_the_body() -> None:
    desk = Desk()
    try:
        error = run_cell(
            "from rxauth import Request, call\n"
            "body = {'password': desk.server.password, 'o': object()}\n"
            "await request(desk.store(expired=False), call(Request.post('/x', json=body)))",
            desk,
        )
        assert isinstance(error.__cause__, TypeError)
        for event in chain(error):
            assert desk.secrets.in_text(everything_shown(event)) == []
    finally:
        desk.close()


def test_a_proxy_of_the_environment_does_not_get_what_is_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with TokenServer() as server, TokenServer() as proxy:
        given = server.issue(expired=True)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        session: Session[Any] = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh), tries=1)
        session.fresh().run()
        assert (server.posts, proxy.requests) == (1, [])


def test_an_answer_that_is_compressed_twice_takes_no_memory() -> None:
    bomb = gzip.compress(gzip.compress(b"0" * 100_000_000))
    assert len(bomb) < 1000
    with TokenServer() as server:
        given = server.issue(expired=True)
        server.always(faults.Fault(status=200, body=bomb, headers={"content-encoding": "gzip, gzip"}))
        session: Session[Any] = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh), tries=1)
        tracemalloc.start()
        try:
            with pytest.raises(RefreshUnavailable):
                session.fresh().run()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 30_000_000


def test_a_password_in_the_address_is_not_logged_and_replaces_no_header(caplog: pytest.LogCaptureFixture) -> None:
    with TokenServer() as server, caplog.at_level(logging.INFO):
        given = server.issue(expired=True)
        url = server.url.replace("//", "//app:Ux54nGfWi@")
        pair = Tokens(given.access, given.refresh)
        session: Session[Any] = Session(simplejwt(url, send="header"), tokens=pair, tries=1)
        session.fresh().run()
        oauth2(server.token_url.replace("//", "//app:Ux54nGfWi@"))(session.auth.tokens)  # type: ignore[arg-type]
        assert server.requests[-1].headers["authorization"] == httpx.BasicAuth("app", "Ux54nGfWi")._auth_header
    assert "Ux54nGfWi" not in caplog.text
    with pytest.raises(ValueError, match="absolute") as caught:
        simplejwt("ftp://app:Ux54nGfWi@a.example")
    assert "Ux54nGfWi" not in str(caught.value)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.mark.parametrize(
    ("path", "told"),
    [(f"/reset/{JWT}/", "asked for by GET /reset/#"), ("/api/items/7/", "asked for by GET /api/items/7/")],
)
def test_an_explanation_repeats_no_token_of_a_path(path: str, told: str) -> None:
    server = TokenServer()
    given, refresher = server.issue(expired=True), simplejwt("https://a.example", transport=server.transport)
    session: Session[Any] = Session(refresher, tokens=Tokens(given.access, given.refresh))
    with httpx.Client(base_url="https://a.example", transport=server.transport, auth=BearerAuth(session)) as client:
        client.get(path)
    assert JWT not in session.explain()
    assert told in session.explain()


@pytest.mark.parametrize(
    "text", [JWT, f"bearer {JWT}", "https://a.example/?refresh_token=Mv72kTbNd", "password=Mv72kTbNd"]
)
def test_an_explanation_repeats_no_secret_of_an_error(text: str) -> None:
    def refresh(tokens: Tokens) -> Any:
        raise RefreshUnavailable(f"no answer to {text}", cause=f"sent {text}")

    session: Session[Any] = Session(refresh, tokens=Tokens("access-0", "refresh-0", expires_at=0.0), tries=1)
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    told = session.explain()
    assert "because: RefreshUnavailable: no answer to " in told
    assert JWT not in told
    assert "Mv72kTbNd" not in told
