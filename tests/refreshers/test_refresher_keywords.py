"""How the refresh token travels and where the answer has what: each keyword over a real socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import jwt
import pytest
from refresher_kit import REFRESH, Site, brought, failed

from rxauth import Tokens, oauth2, simplejwt

BUILT_IN: list[Callable[..., Any]] = [simplejwt, oauth2]
both = pytest.mark.parametrize("make", BUILT_IN, ids=["simplejwt", "oauth2"])


def make_jwt(life: float, *, ahead: float = 0.0) -> str:
    now = int(time.time() + ahead)
    return jwt.encode({"iat": now, "exp": now + int(life)}, "k" * 32, algorithm="HS256")


# -- how the refresh token travels -------------------------------------------------------------------------------------


def test_json_is_how_simplejwt_sends(endpoint: Site) -> None:
    brought(simplejwt(endpoint.url))
    assert endpoint.last.headers["content-type"] == "application/json"
    assert endpoint.last.json == {"refresh": REFRESH}
    assert "cookie" not in endpoint.last.headers


def test_a_form_is_how_oauth2_sends(endpoint: Site) -> None:
    brought(oauth2(endpoint.url))
    assert endpoint.last.form == [("grant_type", "refresh_token"), ("refresh_token", REFRESH)]


def test_send_json_for_an_oauth2_server_that_wants_it(endpoint: Site) -> None:
    brought(oauth2(endpoint.url, send="json"))
    assert endpoint.last.json == {"grant_type": "refresh_token", "refresh_token": REFRESH}


def test_send_form_for_a_simplejwt_like_server_that_wants_it(endpoint: Site) -> None:
    brought(simplejwt(endpoint.url, send="form"))
    assert endpoint.last.form == [("refresh", REFRESH)]


def test_send_header_for_flask_jwt_extended(endpoint: Site) -> None:
    brought(simplejwt(endpoint.url, send="header"))
    assert endpoint.last.headers["authorization"] == f"Bearer {REFRESH}"
    assert endpoint.last.body == b""
    assert "content-type" not in endpoint.last.headers


def test_send_cookie_and_the_new_one_is_read_from_the_answers_cookie(endpoint: Site) -> None:
    attributes = "Path=/api/token/refresh/; HttpOnly; Secure; SameSite=Strict; Max-Age=1000"
    endpoint.say({"access": "a2"}, headers=[("set-cookie", f"refresh=r2; {attributes}"), ("set-cookie", "other=1")])
    tokens = brought(simplejwt(endpoint.url, send="cookie"))
    assert endpoint.last.headers["cookie"] == f"refresh={REFRESH}"
    assert REFRESH.encode() not in endpoint.last.body
    assert (tokens.access, tokens.refresh) == ("a2", "r2")


def test_the_login_to_a_cookie_server_finds_the_first_cookie(endpoint: Site) -> None:
    endpoint.say({"access": "a1"}, headers=[("set-cookie", "refresh=r1; HttpOnly")])
    tokens = simplejwt(endpoint.url, send="cookie").login(username="ada", password="lovelace")
    assert (tokens.access, tokens.refresh) == ("a1", "r1")
    assert endpoint.last.json == {"username": "ada", "password": "lovelace"}


def test_the_cookie_wins_over_the_body_whatever_refresh_key_says(endpoint: Site) -> None:
    endpoint.say({"access": "a2", "rt": "decoy"}, headers=[("set-cookie", "refresh=r2")])
    assert brought(simplejwt(endpoint.url, send="cookie", refresh_key="rt")).refresh == "r2"


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "Path=/elsewhere",
        "Domain=auth.example.com; Secure",  # we know the server by another name
        "Domain=localhost",
        "Max-Age=abc",
        "Max-Age=",
        "Max-Age=1h; Max-Age",
        "max-age = 0; MAX-AGE=60",
        "Expires=Wed, 21 Oct 2015 07:28:00 GMT",  # by a clock that is years behind
        "Expires=garbage",
        "SameSite=None; Partitioned; Version=1",
    ],
)
def test_a_new_cookie_is_the_new_token_whatever_a_jar_would_think_of_it(endpoint: Site, attributes: str) -> None:
    endpoint.say({"access": "a2"}, headers=[("set-cookie", f" refresh = r2=; {attributes}")])
    assert brought(simplejwt(endpoint.url, send="cookie")).refresh == "r2="


@pytest.mark.parametrize(
    "cookies",
    [["refresh=; Path=/old", "refresh=r2"], ["refresh=r1", "refresh=r2", "refresh=gone; Max-Age=0; Path=/old"]],
)
def test_the_last_cookie_that_holds_a_token_counts(endpoint: Site, cookies: list[str]) -> None:
    endpoint.say({"access": "a2"}, headers=[("set-cookie", cookie) for cookie in cookies])
    assert brought(simplejwt(endpoint.url, send="cookie")).refresh == "r2"


@pytest.mark.parametrize(
    "cookie",
    [
        *(None, "other=r2", "Refresh=r2", "refresh", "=r2", "other=1; refresh=r2", "refresh=; Max-Age=60"),
        *("refresh=gone; Max-Age=0", "refresh=gone; max-age=-1; Path=/", "refresh=gone; Max-Age=00"),
    ],
)
def test_an_answer_without_that_cookie_keeps_the_one_we_had(endpoint: Site, cookie: str | None) -> None:
    endpoint.say({"access": "a2"}, headers=[("set-cookie", cookie)] if cookie else ())
    assert brought(simplejwt(endpoint.url, send="cookie")).refresh == REFRESH


@pytest.mark.parametrize("send", ["json", "form", "cookie"])
def test_refresh_field_names_the_field_or_the_cookie(endpoint: Site, send: Any) -> None:
    brought(simplejwt(endpoint.url, send=send, refresh_field="rt"))
    asked = endpoint.last
    if send == "cookie":
        assert asked.headers["cookie"] == f"rt={REFRESH}"
    else:
        assert (asked.json if send == "json" else dict(asked.form)) == {"rt": REFRESH}


def test_a_refresh_token_of_odd_characters_arrives_as_it_is(endpoint: Site) -> None:
    odd = 'a+b/c=&d%20;"\\~'
    brought(oauth2(endpoint.url), Tokens("a", odd))
    assert dict(endpoint.last.form)["refresh_token"] == odd
    brought(simplejwt(endpoint.url), Tokens("a", odd))
    assert endpoint.last.json == {"refresh": odd}


@pytest.mark.parametrize("send", ["json", "form"])
def test_a_refresh_token_with_spaces_arrives_in_a_body(endpoint: Site, send: Any) -> None:
    endpoint.say({"access": "a2", "refresh": "r 2"})
    refresher = simplejwt(endpoint.url, send=send)
    tokens = brought(refresher)
    brought(refresher, tokens)
    assert (endpoint.last.json if send == "json" else dict(endpoint.last.form)) == {"refresh": "r 2"}


@pytest.mark.parametrize("send", ["header", "cookie"])
def test_a_refresh_token_with_spaces_is_not_cut_in_a_header(endpoint: Site, send: Any) -> None:
    failure = failed(simplejwt(endpoint.url, send=send), Tokens("a", "se cret"))
    assert failure.kind == "misconfigured"
    assert f"holds a space, so it can not be sent in a {send}" in str(failure.error)
    assert "se cret" not in str(failure.error)
    assert endpoint.asked == []


# -- where the tokens are in the answer --------------------------------------------------------------------------------


@both
def test_both_families_of_names_are_understood_by_both(endpoint: Site, make: Callable[..., Any]) -> None:
    endpoint.say({"access": "a2", "refresh": "r2"}).say({"access_token": "a3", "refresh_token": "r3"})
    pairs = [(tokens.access, tokens.refresh) for tokens in (brought(make(endpoint.url)) for _ in range(2))]
    assert pairs == [("a2", "r2"), ("a3", "r3")]


@both
@pytest.mark.parametrize("under", ["data", "data.tokens"])
def test_under(endpoint: Site, make: Callable[..., Any], under: str) -> None:
    answer: Any = {"access": "a2", "refresh": "r2", "expires_in": 60}
    for key in reversed(under.split(".")):
        answer = {key: answer, "access": "decoy"}
    tokens = brought(make(endpoint.say(answer).url, under=under))
    assert (tokens.access, tokens.refresh, tokens.life) == ("a2", "r2", 60)


def test_under_that_is_not_there_says_so(endpoint: Site) -> None:
    endpoint.say({"access": "a2"})
    assert "under 'data'" in str(failed(simplejwt(endpoint.url, under="data")).error)


@both
def test_the_four_other_names(endpoint: Site, make: Callable[..., Any]) -> None:
    decoys = {"access": "x", "refresh": "x", "access_token": "x", "refresh_token": "x", "expires_in": 1}
    endpoint.say({**decoys, "jwt": "a2", "rt": "r2", "ttl": 60, "rttl": 600})
    names = {"access_key": "jwt", "refresh_key": "rt", "expires_key": "ttl", "refresh_expires_key": "rttl"}
    tokens = brought(make(endpoint.url, **names))
    assert (tokens.access, tokens.refresh, tokens.life) == ("a2", "r2", 60)
    assert tokens.received is not None
    assert tokens.refresh_remaining(tokens.received) == pytest.approx(600)


def test_a_wrong_access_key_is_answered_with_the_names_that_there_are(endpoint: Site) -> None:
    endpoint.say({"jwt": "a-secret", "ttl": 1})
    text = str(failed(simplejwt(endpoint.url)).error)
    assert "['jwt', 'ttl']" in text
    assert "access_key=" in text
    assert "a-secret" not in text


# -- how long they live ------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("expiry", "answer"),
    [
        (None, {"expires_in": 600}),
        (None, {"expires_in": "600"}),
        (None, {"expires_in": 600.0}),
        ("seconds", {"expires_in": 600}),
        ("milliseconds", {"expires_in": 600_000}),
        ("epoch", {"expires_at": lambda: time.time() + 600}),
        ("epoch_milliseconds", {"expires_at": lambda: (time.time() + 600) * 1000}),
        ("jwt", {"expires_in": 5, "access": lambda: make_jwt(600)}),
        (None, {"access": lambda: make_jwt(600)}),
        (None, {"access": lambda: make_jwt(600, ahead=7200)}),  # a server's clock that is two hours ahead
        (None, {"expires_in": None, "access": lambda: make_jwt(600)}),
    ],
)
def test_expiry(endpoint: Site, make: Callable[..., Any], expiry: Any, answer: dict[str, Any]) -> None:
    """B43, the rest of which is in tests/tokens."""
    said = {"access": "a2", **{name: value() if callable(value) else value for name, value in answer.items()}}
    tokens = brought(make(endpoint.say(said).url, **({"expiry": expiry} if expiry else {})))
    assert tokens.received is not None
    assert tokens.remaining(tokens.received) == pytest.approx(600, abs=5)
    assert abs(tokens.received.wall - time.time()) < 60


def test_the_answers_date_tells_how_wrong_a_clock_is_where_the_jwt_has_only_exp(endpoint: Site) -> None:
    later = int(time.time()) + 7200
    access = jwt.encode({"exp": later + 600}, "k" * 32, algorithm="HS256")
    endpoint.say({"access": access}, headers=[("date", formatdate(later, usegmt=True))])
    tokens = brought(simplejwt(endpoint.url))
    assert tokens.received is not None
    assert tokens.remaining(tokens.received) == pytest.approx(600, abs=30)


@pytest.mark.parametrize("expires_in", [None, "soon", "", [], True])
def test_an_expiry_that_is_none_is_unknown(endpoint: Site, expires_in: Any) -> None:
    assert brought(simplejwt(endpoint.say({"access": "a2", "expires_in": expires_in}).url)).expires_at is None


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER", None, 7])
def test_token_type_may_be_anything(endpoint: Site, token_type: Any) -> None:
    endpoint.say({"access_token": "a2", "token_type": token_type})
    assert brought(oauth2(endpoint.url)).access == "a2"


@both
def test_an_answer_without_a_refresh_token_keeps_the_one_we_had(endpoint: Site, make: Callable[..., Any]) -> None:
    """B32"""
    spent = Tokens("a1", "r1", refresh_expires_at=4e9)
    for answer in ({"access": "a2"}, {"access": "a2", "refresh": None}, {"access": "a2", "refresh_token": ""}):
        tokens = brought(make(endpoint.say(answer).url), spent)
        assert (tokens.access, tokens.refresh, tokens.refresh_expires_at) == ("a2", "r1", 4e9)
