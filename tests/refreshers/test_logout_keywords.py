"""What a logout sends, and how: the method, the refresh token, the access token, or both."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from refresher_kit import ACCESS, REFRESH, SPENT

from rxauth import Session, Tokens, oauth2, simplejwt

URL = "https://a.example"


class Wire(httpx.BaseTransport):
    """Answers 200 and notes what was asked."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        return httpx.Response(200, json={})


def logged_out(make: Any, tokens: Tokens = SPENT, **options: Any) -> httpx.Request | None:
    wire = Wire()
    where = {"logout_path": "/out"} if make is simplejwt else {"logout_url": f"{URL}/out"}
    Session(make(URL, transport=wire, **where, **options), tokens=tokens).logout().run()
    return wire.seen[0] if wire.seen else None


def sent(request: httpx.Request | None) -> tuple[str, str | None, bytes]:
    assert request is not None
    return request.method, request.headers.get("authorization"), request.content.replace(b" ", b"")


JSON, FORM = f'{{"refresh":"{REFRESH}"}}'.encode(), f"token={REFRESH}&token_type_hint=refresh_token".encode()


@pytest.mark.parametrize(
    ("make", "options", "expected"),
    [
        (simplejwt, {}, ("POST", None, JSON)),
        (simplejwt, {"logout_token": "access"}, ("POST", f"Bearer {ACCESS}", b"")),
        (simplejwt, {"logout_token": "both"}, ("POST", f"Bearer {ACCESS}", JSON)),
        (simplejwt, {"logout_method": "DELETE"}, ("DELETE", None, JSON)),
        (simplejwt, {"logout_method": "DELETE", "logout_token": "access"}, ("DELETE", f"Bearer {ACCESS}", b"")),
        (simplejwt, {"logout_method": "GET", "logout_token": "access"}, ("GET", f"Bearer {ACCESS}", b"")),
        (simplejwt, {"logout_method": "PUT"}, ("PUT", None, JSON)),
        (simplejwt, {"send": "header", "logout_token": "access"}, ("POST", f"Bearer {ACCESS}", b"")),
        (simplejwt, {"send": "header", "logout_method": "DELETE"}, ("DELETE", f"Bearer {REFRESH}", b"")),
        (oauth2, {}, ("POST", None, FORM)),
        (oauth2, {"logout_token": "access"}, ("POST", f"Bearer {ACCESS}", b"")),
        (oauth2, {"logout_token": "access", "client_id": "app"}, ("POST", f"Bearer {ACCESS}", b"client_id=app")),
        (oauth2, {"logout_token": "both", "logout_method": "DELETE"}, ("DELETE", f"Bearer {ACCESS}", FORM)),
    ],
)
def test_what_a_logout_sends(make: Any, options: dict[str, Any], expected: Any) -> None:
    assert sent(logged_out(make, **options)) == expected


def test_a_logout_with_both_tokens_and_a_cookie() -> None:
    request = logged_out(simplejwt, send="cookie", logout_token="both")
    assert request is not None
    assert (request.headers["authorization"], request.headers["cookie"]) == (f"Bearer {ACCESS}", f"refresh={REFRESH}")


@pytest.mark.parametrize("make", [simplejwt, oauth2])
def test_without_a_refresh_token_only_an_access_token_can_be_sent(make: Any) -> None:
    bare = Tokens(ACCESS)
    assert logged_out(make, bare) is None
    for token in ("access", "both"):
        assert sent(logged_out(make, bare, logout_token=token)) == ("POST", f"Bearer {ACCESS}", b"")


@pytest.mark.parametrize("make", [simplejwt, oauth2])
def test_a_logout_goes_nowhere_without_an_address(make: Any) -> None:
    wire = Wire()
    Session(make(URL, transport=wire, logout_token="access"), tokens=SPENT).logout().run()
    assert wire.seen == []


@pytest.mark.parametrize(
    ("keyword", "wrong", "named"),
    [("logout_method", "delete", "POST, PUT, DELETE, GET"), ("logout_token", "id", "refresh, access, both")],
)
@pytest.mark.parametrize("make", [simplejwt, oauth2])
def test_an_unknown_choice_names_those_that_there_are(make: Any, keyword: str, wrong: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"{keyword} must be one of {named}; got '{wrong}'"):
        make(URL, **{keyword: wrong})


def test_two_values_for_one_header_are_refused() -> None:
    with pytest.raises(ValueError, match="logout_token='both' puts the access token"):
        simplejwt(URL, send="header", logout_token="both")
    secret: dict[str, Any] = {"client_id": "app", "client_secret": "s"}
    for token in ("access", "both"):
        with pytest.raises(ValueError, match="say client_auth='body'"):
            oauth2(URL, logout_token=token, **secret)  # type: ignore[arg-type]
    assert oauth2(URL, logout_token="access", client_auth="body", **secret)
