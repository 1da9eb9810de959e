"""`oauth2(...)`: the grants, how the client authenticates, and revocation, as the RFCs write them."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote_plus

import pytest
from refresher_kit import REFRESH, SPENT, Asked, Site, brought, failed

from rxauth import Session, Tokens, oauth2
from rxauth.errors import RefreshMisconfigured, RefreshRefused
from rxauth.testing import TokenServer

ODD_ID, ODD_SECRET = "my app:1/é", "p%ss: +&=wörd?"


def basic(asked: Asked) -> tuple[str, str]:
    """Who an `Authorization: Basic` header says it is, still encoded as RFC 6749 section 2.3.1 wants."""
    kind, _, encoded = asked.headers["authorization"].partition(" ")
    assert kind == "Basic"
    name, _, secret = base64.b64decode(encoded).decode("ascii").partition(":")
    return name, secret


def test_the_refresh_grant_is_rfc_6749_section_6_and_nothing_else(endpoint: Site) -> None:
    brought(oauth2(f"{endpoint.url}/token", scope="read write"))
    assert (endpoint.last.method, endpoint.last.path) == ("POST", "/token")
    assert endpoint.last.body == b"grant_type=refresh_token&refresh_token=" + REFRESH.encode()
    assert "authorization" not in endpoint.last.headers


def test_the_example_of_rfc_6749_section_6(endpoint: Site) -> None:
    refresher = oauth2(f"{endpoint.url}/token", client_id="s6BhdRkqt3", client_secret="gX1fBat3bV")
    brought(refresher, Tokens("a", "tGzv3JOkF0XG5Qx2TlKWIA"))
    assert endpoint.last.headers["authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"
    assert endpoint.last.headers["content-type"] == "application/x-www-form-urlencoded"
    assert endpoint.last.body == b"grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA"


def test_a_public_client_names_itself_in_the_body(endpoint: Site) -> None:
    brought(oauth2(endpoint.url, client_id=ODD_ID))
    assert "authorization" not in endpoint.last.headers
    assert endpoint.last.form == [("grant_type", "refresh_token"), ("client_id", ODD_ID), ("refresh_token", REFRESH)]


def test_basic_encodes_special_characters_before_the_colon_is_put_between(endpoint: Site) -> None:
    brought(oauth2(endpoint.url, client_id=ODD_ID, client_secret=ODD_SECRET))
    name, secret = basic(endpoint.last)
    assert (name, secret) == ("my+app%3A1%2F%C3%A9", "p%25ss%3A+%2B%26%3Dw%C3%B6rd%3F")
    assert (unquote_plus(name), unquote_plus(secret)) == (ODD_ID, ODD_SECRET)
    assert [name for name, _ in endpoint.last.form] == ["grant_type", "refresh_token"]


def test_client_auth_body(endpoint: Site) -> None:
    brought(oauth2(endpoint.url, client_id=ODD_ID, client_secret=ODD_SECRET, client_auth="body"))
    assert "authorization" not in endpoint.last.headers
    assert dict(endpoint.last.form) == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
        "client_id": ODD_ID,
        "client_secret": ODD_SECRET,
    }


PASSWORD = {"username": "ada", "password": "love lace&=é"}
CODE = {"code": "SplxlOBeZQQYbYS6WxSbIA", "redirect_uri": "https://c.example/cb?x=1", "code_verifier": "dBjftJeZ4CVP"}


@pytest.mark.parametrize(
    ("credentials", "form"),
    [
        (PASSWORD, {"grant_type": "password", "scope": "read write", **PASSWORD}),
        (CODE, {"grant_type": "authorization_code", **CODE}),
        ({**CODE, "username": "x"}, {"grant_type": "authorization_code", **CODE, "username": "x"}),
        ({}, {"grant_type": "client_credentials", "scope": "read write"}),
        ({"scope": "admin"}, {"grant_type": "client_credentials", "scope": "admin"}),
        ({"audience": "api"}, {"grant_type": "client_credentials", "scope": "read write", "audience": "api"}),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "d"},
            {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "scope": "read write", "device_code": "d"},
        ),
    ],
    ids=["password", "code+PKCE", "code first", "client credentials", "scope", "extra", "another grant"],
)
def test_the_login_chooses_the_grant_by_what_it_is_given(
    endpoint: Site, credentials: dict[str, str], form: dict[str, str]
) -> None:
    endpoint.say({"access_token": "a1", "refresh_token": "r1", "token_type": "bEaReR", "expires_in": "60"})
    tokens = oauth2(endpoint.url, scope="read write").login(**credentials)
    assert dict(endpoint.last.form) == form
    assert len(endpoint.last.form) == len(form)
    assert (tokens.access, tokens.refresh, tokens.life) == ("a1", "r1", 60)


@pytest.mark.parametrize("credentials", [PASSWORD, CODE, {}], ids=["password", "code", "client"])
def test_the_client_authenticates_for_every_grant(endpoint: Site, credentials: dict[str, str]) -> None:
    oauth2(endpoint.url, client_id="app", client_secret="s").login(**credentials)
    assert basic(endpoint.last) == ("app", "s")
    oauth2(endpoint.url, client_id="app").login(**credentials)
    assert dict(endpoint.last.form)["client_id"] == "app"


def test_without_a_scope_none_is_sent(endpoint: Site) -> None:
    oauth2(endpoint.url).login(**PASSWORD)
    assert "scope" not in dict(endpoint.last.form)


def test_the_granted_scope_is_the_tokens(endpoint: Site) -> None:
    endpoint.say({"access_token": "a1", "scope": "read"})
    assert oauth2(endpoint.url, scope="read write").login().scope == "read"


@pytest.mark.parametrize(
    ("client", "form", "header"),
    [
        ({}, {}, False),
        ({"client_id": "app"}, {"client_id": "app"}, False),
        ({"client_id": "app", "client_secret": "s"}, {}, True),
        (
            {"client_id": "app", "client_secret": "s", "client_auth": "body"},
            {"client_id": "app", "client_secret": "s"},
            False,
        ),
    ],
    ids=["nobody", "public", "basic", "body"],
)
def test_a_logout_revokes_the_refresh_token_as_rfc_7009_says(
    endpoint: Site, client: dict[str, Any], form: dict[str, str], header: bool
) -> None:
    oauth2(f"{endpoint.url}/token", logout_url=f"{endpoint.url}/revoke", **client).logout(SPENT)
    assert endpoint.paths == ["/revoke"]
    assert dict(endpoint.last.form) == {"token": REFRESH, "token_type_hint": "refresh_token", **form}
    assert ("authorization" in endpoint.last.headers) is header


def test_without_a_logout_url_or_a_refresh_token_nothing_is_revoked(endpoint: Site) -> None:
    oauth2(endpoint.url).logout(SPENT)
    oauth2(endpoint.url, logout_url=endpoint.url).logout(Tokens("access"))
    assert endpoint.asked == []


def test_a_logout_whose_answer_is_empty_is_fine(endpoint: Site) -> None:
    endpoint.say(b"", 200)
    oauth2(endpoint.url, logout_url=endpoint.url).logout(SPENT)
    assert len(endpoint.asked) == 1


def test_a_login_says_whose_fault_it_was(endpoint: Site) -> None:
    endpoint.say({"error": "invalid_client"}, 401).say({"error": "invalid_grant"}, 400)
    with pytest.raises(RefreshMisconfigured, match="invalid_client: check client_id, client_secret"):
        oauth2(endpoint.url).login(**PASSWORD)
    with pytest.raises(RefreshRefused, match="refused the credentials"):
        oauth2(endpoint.url).login(**PASSWORD)


def test_a_client_of_client_credentials_signs_in_again_by_itself_and_a_users_session_does_not(endpoint: Site) -> None:
    stale = Tokens("stale", expires_at=1.0)
    own = Session(oauth2(endpoint.url, client_id="app", client_secret="s", credentials={}), tokens=stale)
    assert own.fresh().run().access == "new-access"
    assert endpoint.last.form == [("grant_type", "client_credentials")]
    users = Session(oauth2(endpoint.url, client_id="app", client_secret="s"), tokens=stale)
    with pytest.raises(Exception, match="no refresh token"):
        users.fresh().run()
    assert len(endpoint.asked) == 1


def test_a_whole_life_login_refresh_and_logout() -> None:
    with TokenServer(life=120) as server:
        refresher = oauth2(server.token_url, client_id="app", logout_url=f"{server.url}/oauth/revoke")
        session = Session(refresher)
        first = session.login(username="ada", password="lovelace").run()
        second = session.replace(first).run()
        assert (first.life, second.life, first.refresh != second.refresh) == (120, 120, True)
        assert (server.logins, server.posts, server.reuses) == (1, 1, 0)
        session.logout().run()
        assert server.requests[-1].path == "/oauth/revoke"
        assert failed(refresher, second).kind == "final"


def test_its_repr_is_its_address() -> None:
    refresher = oauth2("https://a.example/token", client_id="app", client_secret="hush")
    assert repr(refresher) == "oauth2('https://a.example/token')"
