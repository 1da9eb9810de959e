"""What a token endpoint, its network and its environment can not get out of the one POST that carries the secrets."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Session, Tokens, oauth2, simplejwt
from rxauth.errors import InvalidTokens, LoginFailed, OriginNotAllowed, RefreshMisconfigured, RefreshUnavailable
from rxauth.testing import TokenServer, faults
from tests.system.security.security_kit import PASSWORD, PLAIN, Secrets, everything_shown

CLIENT_SECRET = "Ux54nGfWi-client-secret"


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer(password=PASSWORD) as opened:
        yield opened


@pytest.fixture
def foreign() -> Iterator[TokenServer]:
    with TokenServer() as opened:
        yield opened


def stale(server: TokenServer, secrets: Secrets | None = None, refresher: Any = None, **options: Any) -> Session[Any]:
    """A session that has to refresh at its next call."""
    given = server.issue(expired=True)
    if secrets is not None:
        secrets.of(given)
    pair = Tokens(given.access, given.refresh)
    return Session(refresher or simplejwt(server.url), tokens=pair, tries=1, **options)


def paths_until_now(server: TokenServer) -> list[str]:
    """What the server was asked, once it has looked at every connection that was opened so far."""
    httpx.get(f"{server.url}/api/public/", verify=PLAIN)
    *before, last = [seen.path for seen in server.requests]
    assert last == "/api/public/"
    return before


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["simplejwt", "basic", "body", "header", "cookie"])
def test_a_redirect_does_not_take_the_refresh_token_elsewhere(
    server: TokenServer, foreign: TokenServer, status: int, kind: str
) -> None:
    """307 and 308 ask for the same POST at another address, refresh token and client secret included."""
    refreshers = {
        "simplejwt": lambda: simplejwt(server.url),
        "basic": lambda: oauth2(server.token_url, client_id="app", client_secret=CLIENT_SECRET),
        "body": lambda: oauth2(server.token_url, client_id="app", client_secret=CLIENT_SECRET, client_auth="body"),
        "header": lambda: simplejwt(server.url, send="header"),
        "cookie": lambda: simplejwt(server.url, send="cookie"),
    }
    session = stale(server, refresher=refreshers[kind]())
    server.always(faults.answer(status, {}, location=f"{foreign.url}/api/token/refresh/?stolen=1"))
    with pytest.raises(RefreshMisconfigured, match=f"answered {status}") as caught:
        session.fresh().run()
    assert (len(server.requests), foreign.requests) == (1, [])
    assert "stolen" not in f"{caught.value!r} {caught.value.__cause__!r} {session.explain()}", "it is not repeated"
    assert session.auth.tokens is not None, "nobody is signed out by that"


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_takes_neither_password_nor_revoked_token_elsewhere(
    server: TokenServer, foreign: TokenServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    session: Session[Any] = Session(simplejwt(server.url, logout_path="/api/token/"))
    server.always(faults.answer(status, {}, location=f"{foreign.url}/api/token/"))
    with pytest.raises(LoginFailed):
        session.login(username=server.user, password=server.password).run()
    session.sign_in(Tokens("access", "refresh")).run()
    with caplog.at_level(logging.WARNING, "rxauth"):
        session.logout().run()
    assert [seen.path for seen in server.requests] == ["/api/token/", "/api/token/"]
    assert foreign.requests == []
    assert f"did not confirm the logout: it answered {status}" in caplog.text


def test_cookies_of_the_token_endpoint_go_nowhere(server: TokenServer) -> None:
    cookies = {"set-cookie": "sid=tracked; Path=/", "content-type": "application/json"}
    server.script(faults.Fault(status=200, body=b'{"access": "first", "expires_in": 0}', headers=cookies), None)
    session = stale(server)
    assert session.fresh().run().access == "first"
    with httpx.Client(auth=BearerAuth(session), verify=PLAIN) as client:
        assert client.get(f"{server.url}/api/me/").status_code == 200
        assert list(client.cookies.jar) == []
    assert [seen.headers.get("cookie") for seen in server.requests] == [None, None, None]


def test_a_netrc_file_changes_no_request(server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login mallory password netrc-password\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session = stale(server)
    with httpx.Client(auth=BearerAuth(session), verify=PLAIN) as client:
        assert client.get(f"{server.url}/api/me/").status_code == 200
    [post, call] = server.requests
    assert "authorization" not in post.headers
    assert call.headers["authorization"].startswith("Bearer ")


HOSTILE_TOKENS = [
    "Vn82wBqTz-secret\r\nX-Evil: 1",
    "Vn82wBqTz-secret\x00",
    "Vn82wBqTz-sécret",
    "Vn82wBqTz-secret\ud800",
    "Bearer Vn82wBqTz-secret",
]


@pytest.mark.parametrize("token", HOSTILE_TOKENS, ids=ascii)
@pytest.mark.parametrize("field", ["access", "refresh"])
def test_a_token_that_would_break_out_of_its_header_is_refused_and_not_shown(
    server: TokenServer, token: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = Secrets("Vn82wBqTz-")
    session = stale(server, secrets)
    server.always(faults.answer(200, {"access": "good", "refresh": "good", field: token}))
    with caplog.at_level(logging.DEBUG), httpx.Client(auth=BearerAuth(session), verify=PLAIN) as client:
        with pytest.raises(RefreshUnavailable, match=f"{field} holds a space, a line break or another") as caught:
            client.get(f"{server.url}/api/me/")
        text = everything_shown(caught.value)
    assert isinstance(caught.value.__cause__, InvalidTokens)
    assert secrets.in_text(text + caplog.text + session.explain() + repr(session.auth)) == []
    assert server.api_calls == []


@pytest.mark.parametrize("evil", ["app\r\nX-Evil: 1", "app\nx", "app&grant_type=password", "app:x", "äpp\x00"])
@pytest.mark.parametrize("client_auth", ["basic", "body"])
def test_a_client_id_or_a_secret_stays_one_value(server: TokenServer, evil: str, client_auth: Any) -> None:
    refresher = oauth2(server.token_url, client_id=evil, client_secret=evil, client_auth=client_auth, scope=evil)
    assert stale(server, refresher=refresher).fresh().run()
    [post] = server.requests
    assert "x-evil" not in post.headers
    assert post.body.count(b"grant_type=") == 1
    assert post.body.count(b"&") == (1 if client_auth == "basic" else 3)


@pytest.mark.parametrize(
    "options", [{"headers": {"X-Key": "a\r\nX-Evil: 1"}}, {"send": "cookie", "refresh_field": "a\r\nX-Evil: 1; b"}]
)
def test_a_header_that_would_be_two_is_refused_before_it_meets_a_secret(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without line breaks"):
        simplejwt("https://api.example.com", **options)


def test_what_a_bearer_header_is_made_of_can_not_add_a_second_one() -> None:
    session: Session[Any] = Session(simplejwt("https://api.example.com"))
    for how in ({"header": "X-Key\r\nX-Evil"}, {"scheme": "Bearer\r\nX-Evil:"}, {"header": ""}):
        with pytest.raises(ValueError, match="without line breaks"):
            BearerAuth(session, **how)


TOO_MUCH = {
    "headers": faults.Fault(status=200, body=b'{"access": "x"}', headers={"x-big": "a" * 200_000}),
    "body": faults.Fault(status=200, body=b'{"access": "' + b"a" * 1_100_000 + b'"}'),
    "compressed": faults.Fault(
        status=200, body=gzip.compress(b'{"access": "' + b"a" * 3_000_000), headers={"content-encoding": "gzip"}
    ),
    "depth": faults.Fault(status=200, body=b'{"access":' * 100_000),
    "digits": faults.Fault(status=200, body=b'{"access": "x", "expires_in": ' + b"9" * 5000 + b"}"),
    "no gzip": faults.Fault(status=200, body=b"not compressed", headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_an_answer_that_is_too_much_is_one_clear_error_without_a_secret(server: TokenServer, what: str) -> None:
    secrets = Secrets()
    session = stale(server, secrets)
    server.always(TOO_MUCH[what])
    with pytest.raises(RefreshUnavailable) as caught:
        session.fresh().run()
    assert secrets.in_text(everything_shown(caught.value)) == []
    assert len(str(caught.value)) < 300
    assert len(server.requests) == 1, "the server may have rotated: nobody posts again"


def test_a_refresh_token_is_revoked_in_the_clear_nowhere() -> None:
    for logout_url in ("http://api.example.com/revoke", "http://127.1/revoke", "http://localhost.evil.example/revoke"):
        with pytest.raises(OriginNotAllowed, match="in the clear"):
            oauth2("https://api.example.com/token", logout_url=logout_url)


@pytest.mark.parametrize("host", ["example.com", "127.1", "0.0.0.0", "localhost.", "localhost.evil.example", "[::]"])
def test_a_token_endpoint_in_the_clear_needs_consent(host: str) -> None:
    with pytest.raises(OriginNotAllowed, match="neither https nor on this machine"):
        Session(simplejwt(f"http://{host}"))
