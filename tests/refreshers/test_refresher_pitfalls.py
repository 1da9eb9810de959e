"""Combinations of keywords, and mistakes, in which a token could get lost or go astray."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import InvalidTokens, LoginFailed, OriginNotAllowed, RefreshRefused
from rxauth.refreshers.failures import failure_of

URL = "https://api.example.com"
PAIR = Tokens("access-1", "refresh-1")
NEW = {"access": "access-2", "refresh": "refresh-2"}


class Wire(httpx.BaseTransport):
    """Answers every request alike and notes what was asked."""

    def __init__(self, status: int = 200, body: Any = None, headers: list[tuple[str, str]] | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self._answer = (status, NEW if body is None else body, headers or [])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        status, body, headers = self._answer
        if isinstance(body, bytes):
            return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
        return httpx.Response(status, headers=headers, json=body)


def test_a_cookie_and_tokens_that_are_nested_belong_together() -> None:
    wire = Wire(body={"data": {"access": "access-2"}}, headers=[("set-cookie", "rt=refresh-2; HttpOnly")])
    refresher = simplejwt(URL, send="cookie", refresh_field="rt", under="data", transport=wire)
    assert refresher(PAIR).refresh == "refresh-2"


def test_two_cookies_of_one_name_are_no_crash() -> None:
    cookies = [("set-cookie", "rt=; Path=/old; Max-Age=0"), ("set-cookie", "rt=refresh-2; Path=/")]
    refresher = simplejwt(URL, send="cookie", refresh_field="rt", transport=Wire(headers=cookies))
    assert refresher(PAIR).refresh == "refresh-2"


@pytest.mark.parametrize("keyword", ["login_path", "refresh_path", "logout_path"])
def test_a_path_without_a_slash_would_name_another_host(keyword: str) -> None:
    with pytest.raises(ValueError, match=f"{keyword} must begin with a slash"):
        simplejwt(URL, **{keyword: "token/"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("send", "where"),
    [
        ("json", lambda request: b'"refresh":"refresh-1"' in request.content.replace(b" ", b"")),
        ("form", lambda request: request.content == b"refresh=refresh-1"),
        ("header", lambda request: request.headers["authorization"] == "Bearer refresh-1" and not request.content),
        ("cookie", lambda request: request.headers["cookie"] == "refresh=refresh-1" and not request.content),
    ],
)
def test_a_logout_sends_the_refresh_token_as_a_refresh_does(send: Any, where: Any) -> None:
    wire = Wire()
    simplejwt(URL, send=send, logout_path="/out/", transport=wire).logout(PAIR)
    [request] = wire.seen
    assert where(request)


def test_a_logout_that_the_server_refuses_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    session = Session(simplejwt(URL, logout_path="/out/", transport=Wire(503)), tokens=PAIR)
    with caplog.at_level(logging.WARNING, "rxauth"):
        session.logout().run()
    assert "did not confirm the logout: it answered 503" in caplog.text


def test_basic_authentication_and_a_token_in_the_header_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="say client_auth='body'"):
        oauth2(f"{URL}/token", client_id="app", client_secret="s", send="header")
    assert oauth2(f"{URL}/token", client_id="app", client_secret="s", send="header", client_auth="body")


@pytest.mark.parametrize("send", ["header", "cookie"])
def test_an_oauth2_server_gets_forms_wherever_the_token_travels(send: Any) -> None:
    wire = Wire(body={"access_token": "a"})
    refresher = oauth2(f"{URL}/token", send=send, logout_url=f"{URL}/revoke", transport=wire)
    refresher(PAIR)
    refresher.login(username="ada", password="x")
    refresher.logout(PAIR)
    assert {request.headers["content-type"] for request in wire.seen} == {"application/x-www-form-urlencoded"}
    assert wire.seen[0].content == b"grant_type=refresh_token"


def test_a_logout_address_in_the_clear_is_refused() -> None:
    with pytest.raises(OriginNotAllowed, match="in the clear; use https"):
        oauth2(f"{URL}/token", logout_url="http://api.example.com/revoke")
    assert oauth2("http://127.0.0.1:1/token", logout_url="http://127.0.0.1:1/revoke")


def test_a_password_in_an_address_is_not_shown() -> None:
    assert "hunter2" not in repr(oauth2("https://user:hunter2@api.example.com/token"))
    assert "hunter2" not in repr(simplejwt("https://user:hunter2@api.example.com"))


def test_final_may_be_one_status() -> None:
    with pytest.raises(RefreshRefused):
        simplejwt(URL, final=403, transport=Wire(403, b""))(PAIR)


def test_a_wrong_client_auth_and_a_broken_address_are_value_errors() -> None:
    with pytest.raises(ValueError, match="client_auth must be one of basic, body; got 'Basic'"):
        oauth2(f"{URL}/token", client_id="app", client_secret="s", client_auth="Basic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected an absolute URL"):
        oauth2("http://[::1")


def test_an_endless_success_is_in_doubt_and_a_badly_compressed_503_is_a_503() -> None:
    with pytest.raises(InvalidTokens, match="longer than") as caught:
        simplejwt(URL, transport=Wire(200, b"x" * 1_100_000))(PAIR)
    assert failure_of(caught.value).kind == "in_doubt"
    with pytest.raises(Exception, match="503") as down:
        simplejwt(URL, transport=Wire(503, b"no gzip", [("content-encoding", "gzip")]))(PAIR)
    assert failure_of(down.value).kind == "transient"


def test_what_an_answer_that_is_no_json_said_is_nowhere_in_its_error() -> None:
    with pytest.raises(InvalidTokens, match="no JSON") as caught:
        simplejwt(URL, transport=Wire(200, b'{"access": "secret-token"'))(PAIR)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert "secret-token" not in "".join(str(vars(error)) for error in chain if error is not None)


def test_an_error_raised_from_one_of_httpx_keeps_no_frames_of_httpx() -> None:
    def refresh(tokens: Tokens) -> Tokens:
        try:
            httpx.Client(transport=httpx.MockTransport(_broken)).get(URL)
        except httpx.HTTPError as error:
            raise LookupError("mine") from error
        return tokens

    with pytest.raises(LookupError) as caught:
        refresh(PAIR)
    failure_of(caught.value)
    modules = set()
    trace = caught.value.__cause__.__traceback__  # type: ignore[union-attr]
    while trace is not None:
        modules.add(trace.tb_frame.f_globals["__name__"].partition(".")[0])
        trace = trace.tb_next
    assert "httpx" not in modules


def _broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset")


@pytest.mark.parametrize("body", [{"non_field_errors": ["Unable to log in."]}, {"password": ["wrong"]}, b""])
def test_a_login_that_is_answered_400_was_refused(body: Any) -> None:
    session: Session[Any] = Session(simplejwt(URL, transport=Wire(400, body)))
    with pytest.raises(LoginFailed, match="refused the credentials") as caught:
        session.login(username="ada", password="x").run()
    assert (caught.value.status_code, caught.value.transient) == (400, False)


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        *(("authorization_pending", True), ("slow_down", True), ("temporarily_unavailable", True)),
        *(("mfa_required", False), ("account_locked", False), ("invalid_grant", False), ("invalid_client", False)),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
def test_a_login_that_failed_says_the_servers_code_and_whether_it_may_work_later(
    status: int, code: str, transient: bool
) -> None:
    session: Session[Any] = Session(oauth2(f"{URL}/token", client_id="app", transport=Wire(status, {"error": code})))
    with pytest.raises(LoginFailed, match=f"{status} {code}") as caught:
        session.login(device_code="d").run()
    assert (caught.value.status_code, caught.value.transient) == (status, transient)


@pytest.mark.parametrize("code", ["wrong password: hunter2", "hunter2", "x" * 41])
def test_what_may_be_a_secret_is_no_code(code: str) -> None:
    with pytest.raises(RefreshRefused, match=r"refused the credentials \(400\)"):
        simplejwt(URL, transport=Wire(400, {"error": code})).login(username="ada", password="hunter2")
