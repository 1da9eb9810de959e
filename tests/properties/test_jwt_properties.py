"""JWTs of any content: read as PyJWT reads them where they are good, ignored where they are not."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxauth import Tokens
from rxauth.concurrency import Instant
from rxauth.errors import InvalidTokens
from rxauth.tokens.claims import read_claims
from tests.properties.property_kit import INSTANTS, JSON, SCALARS, T0, check_sane, make_jwt

CLAIMS = st.fixed_dictionaries({}, optional=dict.fromkeys(("exp", "iat", "nbf", "sub", "aud", "jti"), SCALARS | JSON))
PART = st.one_of(
    st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")),
    st.sampled_from(["", "e30", "W10", "bnVsbA", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0", "eyJiNjQiOmZhbHNlfQ"]),
    st.text(max_size=20),
)
TEXTS = st.lists(PART, min_size=1, max_size=6).map(".".join) | st.text(alphabet=".=-_aZ9é\x00 ", max_size=30)


@given(text=TEXTS)
def test_no_text_makes_the_claims_raise(text: str) -> None:
    claims = read_claims(text)
    assert all(type(claims[name]) is float for name in ("exp", "iat") if name in claims)


@given(text=TEXTS, later=INSTANTS)
def test_a_text_with_dots_is_a_token_like_any_other(text: str, later: Instant) -> None:
    try:
        tokens = Tokens.from_response({"access": text, "refresh": text}, received=T0)
    except InvalidTokens:
        assert not text or not all("!" <= char <= "~" for char in text)
    else:
        check_sane(tokens, later)
        check_sane(Tokens(text, text), later)
        assert tokens.claims == Tokens(text).claims


@given(claims=CLAIMS | JSON, later=INSTANTS, date=st.none() | st.floats(0, 1e10))
def test_claims_of_any_type_give_a_sane_pair(claims: Any, later: Instant, date: float | None) -> None:
    token = make_jwt(claims)
    check_sane(Tokens(token, token), later)
    check_sane(Tokens.from_response({"access": token, "refresh": token}, received=T0, server_date=date), later)


@given(
    exp=st.integers(-(10**12), 10**12),
    iat=st.integers(-(10**12), 10**12),
    rest=st.dictionaries(
        st.text(max_size=5).filter(lambda name: name not in ("exp", "iat", "nbf")), SCALARS, max_size=3
    ),
)
def test_a_good_token_says_what_pyjwt_says(exp: int, iat: int, rest: dict[str, Any]) -> None:
    token = make_jwt({**rest, "exp": exp, "iat": iat})
    options: Any = {"verify_signature": False, "verify_exp": False, "verify_iat": False}
    theirs = jwt.decode(token, options=options)
    tokens = Tokens.from_response({"access": token}, received=T0)
    assert (tokens.claims["exp"], tokens.claims["iat"]) == (theirs["exp"], theirs["iat"])
    assert repr({**tokens.claims, "exp": 0, "iat": 0}) == repr({**theirs, "exp": 0, "iat": 0})
    assert tokens.life == tokens.remaining(T0) == max(0, theirs["exp"] - theirs["iat"])
    brought = Tokens(token)
    assert (brought.expires_at, brought.life) == (theirs["exp"], tokens.life)


@given(life=st.integers(1, 10**7), iat=st.integers(0, 10**10), error=st.integers(-(10**8), 10**8))
def test_no_clock_has_to_agree_with_the_servers(life: int, iat: int, error: int) -> None:
    token = make_jwt({"exp": iat + life, "iat": iat})
    for date in (None, float(iat), float(iat + error)):
        tokens = Tokens.from_response({"access": token}, received=T0, server_date=date)
        assert tokens.remaining(T0) == life


@given(life=st.integers(2, 10**7), ahead=st.integers(-(10**8), 10**8))
def test_without_iat_the_servers_date_puts_its_clock_right(life: int, ahead: int) -> None:
    server_now = T0.wall + ahead
    token = make_jwt({"exp": server_now + life})
    tokens = Tokens.from_response({"access": token}, received=T0, sent=T0, server_date=server_now)
    assert tokens.remaining(T0) == pytest.approx(life, abs=1)


@given(claims=st.fixed_dictionaries({"exp": st.integers(0, 10**10)}), stated=st.floats(0, 1e9))
def test_what_the_answer_states_outranks_the_token(claims: dict[str, Any], stated: float) -> None:
    tokens = Tokens.from_response({"access": make_jwt(claims), "expires_in": stated}, received=T0)
    assert tokens.life == stated
