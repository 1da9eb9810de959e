"""`headers=` as a function of the tokens, cookies of yours beside the refresh token's, and `login_under=`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from refresher_kit import ACCESS, REFRESH, SPENT, Site, brought, failed

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import LoginFailed

both = pytest.mark.parametrize("make", [simplejwt, oauth2], ids=["simplejwt", "oauth2"])


@both
def test_headers_may_be_a_function_of_the_pair_that_is_spent_and_of_none_at_a_login(endpoint: Site, make: Any) -> None:
    given: list[Tokens | None] = []

    def headers(tokens: Tokens | None) -> dict[str, str]:
        given.append(tokens)
        return {"X-CSRF-TOKEN": f"of {tokens.access}" if tokens else "of nobody", "accept": "application/x"}

    out = {"logout_path": "/out"} if make is simplejwt else {"logout_url": f"{endpoint.url}/out"}
    refresher = make(endpoint.url, headers=headers, **out)
    refresher.login(username="ada", password="x")
    brought(refresher)
    refresher.logout(SPENT)
    assert given == [None, SPENT, SPENT]
    assert [asked.headers["x-csrf-token"] for asked in endpoint.asked] == ["of nobody", f"of {ACCESS}", f"of {ACCESS}"]
    assert {asked.headers["accept"] for asked in endpoint.asked} == {"application/x"}


@both
@pytest.mark.parametrize("headers", ["X-Tenant: acme", 5, None, [("X-Tenant", "acme")]])
def test_headers_that_are_neither_a_mapping_nor_a_function(make: Any, headers: Any) -> None:
    with pytest.raises(TypeError, match="headers must be a mapping, or a sync function of the tokens"):
        make("https://a.example", headers=headers)


def test_headers_that_would_be_awaited_are_refused() -> None:
    async def headers(tokens: Tokens | None) -> dict[str, str]:
        return {}

    with pytest.raises(TypeError, match="a sync function of the tokens"):
        simplejwt("https://a.example", headers=headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("returned", "error"), [("X: y", TypeError), ({"X": "a\r\nX-Evil: 1"}, ValueError), ({"X": 5}, ValueError)]
)
def test_what_the_function_returns_is_looked_at_before_anything_is_sent(
    endpoint: Site, returned: Any, error: type[Exception]
) -> None:
    failure = failed(simplejwt(endpoint.url, headers=lambda tokens: returned))
    assert (failure.kind, type(failure.error.__cause__)) == ("misconfigured", error)
    assert str(failure.error) == f"the function headers= failed: {error.__name__}"
    assert endpoint.asked == []


def test_a_function_that_raises_leaves_nothing_in_doubt(endpoint: Site) -> None:
    def headers(tokens: Tokens | None) -> Any:
        raise LookupError(f"no header for {tokens and tokens.refresh}")

    refresher = simplejwt(endpoint.url, headers=headers)
    failure = failed(refresher)
    assert (failure.kind, type(failure.error.__cause__)) == ("misconfigured", LookupError)
    assert REFRESH not in str(failure.error)
    session: Session[Any] = Session(refresher)
    with pytest.raises(LoginFailed, match="the function headers= failed: LookupError"):
        session.login(username="ada", password="x").run()
    assert endpoint.asked == []


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        ("csrftoken=abc", f"csrftoken=abc; rt={REFRESH}"),
        ("a=1; b=2;", f"a=1; b=2; rt={REFRESH}"),
        ("rt=old; a=1", f"a=1; rt={REFRESH}"),
        ("", f"rt={REFRESH}"),
        ("art=1; rt2=2", f"art=1; rt2=2; rt={REFRESH}"),
    ],
)
@pytest.mark.parametrize("name", ["Cookie", "cookie"])
@pytest.mark.parametrize("kind", [dict, lambda headers: lambda tokens: headers], ids=["mapping", "function"])
def test_cookies_of_yours_go_along_with_the_refresh_tokens(
    endpoint: Site, cookie: str, sent: str, name: str, kind: Any
) -> None:
    refresher = simplejwt(
        endpoint.url, send="cookie", refresh_field="rt", headers=kind({name: cookie}), logout_path="/out"
    )
    brought(refresher)
    refresher.logout(SPENT)
    assert [asked.headers["cookie"] for asked in endpoint.asked] == [sent, sent]
    refresher.login(username="ada", password="x")
    assert endpoint.last.headers["cookie"] == cookie


def test_djangos_double_submit_is_two_headers(endpoint: Site) -> None:
    """The value is the client's to choose: Django compares the cookie with the header."""
    secret = "a" * 32
    headers = {"Cookie": f"csrftoken={secret}", "X-CSRFToken": secret}
    brought(simplejwt(endpoint.url, send="cookie", headers=headers))
    assert endpoint.last.headers["x-csrftoken"] == secret
    assert f"csrftoken={secret}; refresh={REFRESH}" == endpoint.last.headers["cookie"]


# -- where the tokens are in the answer to a login ---------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("options", "login", "refresh"),
    [
        ({"under": "data", "login_under": "meta"}, ["meta"], ["data"]),
        ({"under": "data.tokens", "login_under": "user.session"}, ["user", "session"], ["data", "tokens"]),
        ({"login_under": "data"}, ["data"], []),
        ({"under": "data", "login_under": ""}, [], ["data"]),
        ({"under": "data", "login_under": None}, ["data"], ["data"]),
        ({"under": "data"}, ["data"], ["data"]),
    ],
)
def test_login_under(endpoint: Site, make: Any, options: dict[str, Any], login: list[str], refresh: list[str]) -> None:
    def nested(path: list[str], name: str) -> Any:
        answer: Any = {"access": name, "refresh": f"r-{name}"}
        for key in reversed(path):
            answer = {key: answer, "access": "decoy"}
        return answer

    endpoint.say(nested(login, "a1")).say(nested(refresh, "a2"))
    refresher = make(endpoint.url, **options)
    session: Session[Any] = Session(refresher)
    first = session.login(username="ada", password="x").run()
    second = session.replace(first).run()
    assert [(pair.access, pair.refresh) for pair in (first, second)] == [("a1", "r-a1"), ("a2", "r-a2")]
    brought_pair = session.sign_in(nested(login, "a3")).run()
    assert brought_pair.access == "a3", "what a user brings is what a login brings"


def test_login_under_and_a_cookie(endpoint: Site) -> None:
    endpoint.say({"meta": {"access": "a1"}}, headers=[("set-cookie", "refresh=r1")])
    refresher = simplejwt(endpoint.url, send="cookie", under="data", login_under="meta")
    assert refresher.login(username="ada").refresh == "r1"
    assert "under 'data'" in str(failed(refresher).error)


@both
def test_login_under_is_text(make: Any) -> None:
    with pytest.raises(TypeError, match="login_under must be a str, got list"):
        make("https://a.example", login_under=["data"])
    assert httpx.URL(make("https://a.example", login_under="data").endpoint)
