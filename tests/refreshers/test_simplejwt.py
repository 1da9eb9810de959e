"""`simplejwt(...)`: the three paths, JSON both ways, and a whole life on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from refresher_kit import REFRESH, SPENT, Site, brought

from rxauth import Session, Tokens, simplejwt
from rxauth.errors import LoginFailed, RefreshMisconfigured, RefreshRefused, RefreshUnavailable
from rxauth.testing import TokenServer


def test_the_paths_are_simplejwts_own_unless_you_say_otherwise(endpoint: Site) -> None:
    refresher = simplejwt(endpoint.url)
    refresher.login(username="ada", password="lovelace")
    brought(refresher)
    assert [(asked.method, asked.path) for asked in endpoint.asked] == [
        ("POST", "/api/token/"),
        ("POST", "/api/token/refresh/"),
    ]
    assert endpoint.asked[0].json == {"username": "ada", "password": "lovelace"}
    assert endpoint.asked[1].json == {"refresh": REFRESH}


def test_the_three_paths_are_keywords(endpoint: Site) -> None:
    refresher = simplejwt(endpoint.url, login_path="/in", refresh_path="/again?v=2", logout_path="/out/")
    refresher.login(email="ada@a.example")
    brought(refresher)
    refresher.logout(SPENT)
    assert endpoint.paths == ["/in", "/again?v=2", "/out/"]
    assert endpoint.asked[2].json == {"refresh": REFRESH}


@pytest.mark.parametrize("tail", ["", "/", "//"])
def test_a_slash_at_the_end_of_the_address_does_no_harm(endpoint: Site, tail: str) -> None:
    brought(simplejwt(endpoint.url + tail))
    assert endpoint.paths == ["/api/token/refresh/"]


def test_an_address_with_a_path_of_its_own_is_a_prefix(endpoint: Site) -> None:
    refresher = simplejwt(f"{endpoint.url}/v1/")
    brought(refresher)
    assert endpoint.paths == ["/v1/api/token/refresh/"]
    assert refresher.origins == (endpoint.url,)


def test_without_a_logout_path_a_logout_posts_nothing(endpoint: Site) -> None:
    simplejwt(endpoint.url).logout(SPENT)
    assert endpoint.asked == []


def test_without_a_refresh_token_there_is_nothing_to_revoke(endpoint: Site) -> None:
    simplejwt(endpoint.url, logout_path="/out/").logout(Tokens("access"))
    assert endpoint.asked == []


@pytest.mark.parametrize(
    ("answer", "refresh"), [({"access": "a2"}, REFRESH), ({"access": "a2", "refresh": "r2"}, "r2")]
)
def test_with_rotation_and_without_it(endpoint: Site, answer: Any, refresh: str) -> None:
    """B32"""
    assert brought(simplejwt(endpoint.say(answer).url)).refresh == refresh


def test_each_request_has_a_connection_of_its_own_that_ends_with_it(endpoint: Site) -> None:
    refresher = simplejwt(endpoint.url)
    endpoint.say({"access": "a2"}, headers=[("set-cookie", "sticky=1")])
    brought(refresher)
    brought(refresher)
    assert "cookie" not in endpoint.last.headers  # no memory either


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (401, {"detail": "No active account found with the given credentials"}, RefreshRefused, "credentials"),
        (401, b"", RefreshRefused, "credentials"),
        (403, b"<h1>no</h1>", RefreshRefused, "credentials"),
        (400, {"error": "invalid_grant"}, RefreshRefused, "credentials"),
        (404, b"", RefreshMisconfigured, "check the address"),
        (429, b"", RefreshUnavailable, "429"),
        (503, b"", RefreshUnavailable, "503"),
    ],
)
def test_what_a_refused_login_means(endpoint: Site, status: int, body: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        simplejwt(endpoint.say(body, status).url).login(username="ada", password="hunter2")
    assert type(caught.value) is error
    assert caught.value.status_code == status  # type: ignore[attr-defined]


def test_final_is_about_refreshes_not_about_logins(endpoint: Site) -> None:
    with pytest.raises(RefreshUnavailable):
        simplejwt(endpoint.say(b"", 503).url, final=[503]).login(username="ada")


def test_its_repr_is_its_address() -> None:
    assert repr(simplejwt("https://a.example/")) == "simplejwt('https://a.example/api/token/refresh/')"


def test_a_whole_life_login_refresh_and_logout() -> None:
    with TokenServer() as server:
        session = Session(simplejwt(server.url, logout_path="/api/token/blacklist/"))
        first = session.login(username="ada", password="lovelace").run()
        second = session.replace(first).run()
        third = session.replace(second).run()
        assert len({first.refresh, second.refresh, third.refresh}) == 3
        assert (server.logins, server.posts, server.reuses) == (1, 2, 0)
        session.logout().run()
        assert server.requests[-1].path == "/api/token/blacklist/"
        with pytest.raises(RefreshRefused):
            simplejwt(server.url)(third)


def test_a_server_that_does_not_rotate() -> None:
    with TokenServer(rotate=False) as server:
        session = Session(simplejwt(server.url))
        first = session.login(username="ada", password="lovelace").run()
        second = session.replace(first).run()
        assert (second.refresh, second.access != first.access) == (first.refresh, True)


def test_wrong_credentials_end_in_a_failed_login_without_the_password() -> None:
    with TokenServer() as server:
        session: Session[Any] = Session(simplejwt(server.url))
        with pytest.raises(LoginFailed, match="refused the credentials") as caught:
            session.login(username="ada", password="hunter2").run()
        assert (caught.value.transient, caught.value.status_code, server.logins) == (False, 401, 1)
        assert "hunter2" not in str(caught.value)
