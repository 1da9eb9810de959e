"""Values at the edge of their types: no clock, charset, decoder or notation makes a refresh fail or a session end."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxauth import BearerAuth, Tokens, simplejwt
from rxauth.concurrency import Instant
from rxauth.errors import InvalidTokens
from rxauth.session import Settings
from rxauth.tokens.origins import parse_origin
from tests.kit import make
from tests.properties.property_kit import INSTANTS, T0, check_sane, make_jwt


@given(name=st.sampled_from([b"Server", b"X-Region", b"Set-Cookie", b"X-\xfc"]), value=st.binary(max_size=20))
@example(name=b"Server", value="Grüße".encode())
def test_a_header_in_any_charset_does_not_cost_the_tokens(name: bytes, value: bytes) -> None:
    response = httpx.Response(200, headers=[(name, value)], json={"access": "a2", "refresh": "r2"})
    transport = httpx.MockTransport(lambda _: response)
    tokens = simplejwt("https://a.example", transport=transport)(Tokens("a", "r"))
    assert (tokens.access, tokens.refresh) == ("a2", "r2")


@given(encoding=st.sampled_from(["gzip", "deflate", "br", "zstd", "x"]), body=st.binary(max_size=30))
@example(encoding="gzip", body=b"not gzip at all")
def test_a_refusal_that_can_not_be_decoded_is_a_refusal(encoding: str, body: bytes) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        if len(sent) > 1:
            return httpx.Response(200)
        return httpx.Response(401, headers={"content-encoding": encoding}, stream=httpx.ByteStream(body))

    _, refresher, session = make(life=300, origins=["https://api.example.com"])
    with session, httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(session)) as client:
        assert client.get("https://api.example.com/").status_code == 200
    assert (sent, refresher.posts) == (["Bearer access-0", "Bearer access-1"], 1)


@given(
    value=st.sampled_from([math.nan, math.inf, -math.inf, 1e10, 10**400, -(10**400)]),
    name=st.sampled_from(["leeway", "deadline"]),
)
def test_a_number_that_no_clock_can_wait_for_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Settings.of(**{name: value})


@given(exp=st.floats(allow_nan=False), iat=st.floats(allow_nan=False), later=INSTANTS)
@example(exp=1e308, iat=-1e308, later=T0)
def test_the_life_of_a_jwt_is_finite_or_unknown(exp: float, iat: float, later: Instant) -> None:
    token = make_jwt({"exp": exp, "iat": iat})
    check_sane(Tokens.from_response({"access": token, "refresh": token}, received=T0), later)
    check_sane(Tokens(token, token), later)


@given(
    name=st.sampled_from(["expires_at", "refresh_expires_at", "life"]),
    value=st.sampled_from([math.nan, math.inf, 10**400, "soon", [], True]),
)
def test_a_pair_is_never_made_of_numbers_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidTokens):
        Tokens("a", "r", **{name: value})


@given(space=st.text(" ", min_size=1, max_size=3))
def test_a_space_before_an_origin_is_a_value_error_or_nothing(space: str) -> None:
    try:
        origin = parse_origin(f"{space}https://api.example.com")
    except ValueError:
        return
    assert origin == ("https", "api.example.com", 443)


@given(address=st.ip_addresses(v=6))
def test_an_ipv6_origin_is_the_same_however_it_is_written(address: Any) -> None:
    forms = {str(address), str(address).upper(), address.exploded}
    assert len({parse_origin(f"https://[{form}]") for form in forms}) == 1


@given(number=st.integers(2, 5000), backoff=st.floats(0, 1e6))
def test_the_pause_is_a_number_for_any_number_of_tries(number: int, backoff: float) -> None:
    assert Settings.of(backoff=backoff, tries=10_000).pause_before(number, None, 0.5) >= 0


@given(secret=st.from_regex(r"eyJ[a-z]{30}", fullmatch=True))
def test_no_name_of_a_field_that_is_a_token_is_shown(secret: str) -> None:
    with pytest.raises(InvalidTokens) as caught:
        Tokens.from_response({secret: {"user": 1}})
    assert secret not in str(caught.value)
