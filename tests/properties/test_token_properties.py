"""A token endpoint's decoded answer, of whatever shape: a pair with sane numbers, or `InvalidTokens`."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxauth import Tokens
from rxauth.concurrency import Instant
from rxauth.errors import InvalidTokens
from rxauth.tokens import Expiry, TokenFields
from tests.properties.property_kit import (
    INSTANTS,
    JSON,
    ODD_NUMBERS,
    ODD_TEXTS,
    SCALARS,
    SECRETS,
    T0,
    check_sane,
    check_silent,
)

NAMES = ["access", "access_token", "refresh", "refresh_token", "expires_in", "expires_at", "refresh_expires_in",
         "refresh_token_expires_in", "refresh_expires_at", "refresh_token_expires_at", "scope", "token_type", "jwt",
         "rt", "ttl", "rttl"]  # fmt: skip
EXPIRIES = st.sampled_from(get_args(Expiry))
KEYS = st.none() | st.sampled_from(NAMES)
FIELDS = st.builds(
    TokenFields,
    under=st.none() | st.sampled_from(["data", "data.tokens", "data..tokens", ".", "access"]),
    access_key=KEYS,
    refresh_key=KEYS,
    expires_key=KEYS,
    refresh_expires_key=KEYS,
    expiry=EXPIRIES,
)
VALUES = st.one_of(SECRETS, ODD_NUMBERS, ODD_TEXTS, JSON)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
DATES = st.none() | st.floats(-1e11, 1e12)


def under(path: str | None, body: object) -> object:
    for key in reversed(path.split(".") if path else []):
        body = {key: body}
    return body


@given(
    answer=BODIES | JSON,
    fields=FIELDS,
    date=DATES,
    sent=INSTANTS,
    received=INSTANTS,
    later=INSTANTS,
    nest=st.booleans(),
)
def test_every_answer_is_a_sane_pair_or_invalid_tokens(
    answer: Any, fields: TokenFields, date: float | None, sent: Instant, received: Instant, later: Instant, nest: bool
) -> None:
    body = under(fields.under, answer) if nest else answer
    keep = Tokens("s3cret-kept-access", "s3cret-kept-refresh", received=received)
    try:
        tokens = Tokens.from_response(body, fields=fields, received=received, sent=sent, server_date=date, keep=keep)
    except InvalidTokens as error:
        values = answer.values() if isinstance(answer, dict) else [answer]
        found = [value for value in values if isinstance(value, str) and value.startswith("s3cret-")]
        check_silent(error, keep.access, "s3cret-kept-refresh", *found)
    else:
        check_sane(tokens, later)
        assert tokens.refresh is not None


@given(stated=SCALARS, refresh_stated=SCALARS, unit=EXPIRIES, later=INSTANTS)
def test_an_odd_expiry_never_costs_the_tokens(stated: Any, refresh_stated: Any, unit: Expiry, later: Instant) -> None:
    end = "expires_at" if unit.startswith("epoch") else "expires_in"
    answer = {"access": "a", "refresh": "r", end: stated, f"refresh_{end}": refresh_stated}
    tokens = Tokens.from_response(answer, fields=TokenFields(expiry=unit), received=T0)
    check_sane(tokens, later)
    assert (tokens.access, tokens.refresh) == ("a", "r")


@given(seconds=st.floats(0, 1e9) | st.integers(0, 10**9), write=st.sampled_from([float, str, repr, lambda n: f" {n} "]))
def test_an_expiry_means_the_same_however_it_is_written_and_whatever_its_unit(seconds: float, write: Any) -> None:
    units: dict[Expiry, tuple[str, float]] = {
        "seconds": ("expires_in", seconds),
        "milliseconds": ("expires_in", seconds * 1000),
        "epoch": ("expires_at", T0.wall + seconds),
        "epoch_milliseconds": ("expires_at", (T0.wall + seconds) * 1000),
    }
    for unit, (name, number) in units.items():
        answer = {"access": "a", name: write(number)}
        tokens = Tokens.from_response(answer, fields=TokenFields(expiry=unit), received=T0)
        assert tokens.remaining(T0) == pytest.approx(seconds, rel=1e-6, abs=1e-4), unit
        assert tokens.life == pytest.approx(seconds, rel=1e-6, abs=1e-4), unit


@given(
    stated=st.sampled_from(
        [None, "", "soon", math.nan, math.inf, -math.inf, True, False, [], [3600], {}, "9" * 5000, 10**400]
    )
)
def test_what_is_no_number_is_an_unknown_life(stated: Any) -> None:
    tokens = Tokens.from_response({"access": "a", "refresh": "r", "expires_in": stated}, received=T0)
    assert (tokens.life, tokens.expires_at, tokens.remaining(T0)) == (None, None, None)


@given(path=st.lists(st.text(st.characters(exclude_characters="."), min_size=1, max_size=6), min_size=1, max_size=4))
def test_tokens_are_found_under_any_path_and_nowhere_else(path: list[str]) -> None:
    where = ".".join(path)
    answer = under(where, {"access": "a", "refresh": "r"})
    assert Tokens.from_response(answer, fields=TokenFields(under=where), received=T0).access == "a"
    with pytest.raises(InvalidTokens):
        Tokens.from_response(answer, fields=TokenFields(under=f"{where}.more"), received=T0)


@given(name=st.text(min_size=1), value=st.text(min_size=1))
def test_a_token_is_kept_letter_for_letter_or_not_at_all(name: str, value: str) -> None:
    fields = TokenFields(access_key=name)
    sendable = all("!" <= char <= "~" for char in value)
    if sendable:
        assert Tokens.from_response({name: value}, fields=fields, received=T0).access == value
    else:
        with pytest.raises(InvalidTokens):
            Tokens.from_response({name: value}, fields=fields, received=T0)


@given(value=st.one_of(st.none(), st.just(""), st.just(0), st.just(False)), kept=SECRETS)
def test_an_answer_without_a_refresh_token_keeps_the_one_in_use(value: Any, kept: str) -> None:
    keep = Tokens("old", kept, refresh_expires_at=T0.wall + 9)
    tokens = Tokens.from_response({"access": "new", "refresh": value}, received=T0, keep=keep)
    assert (tokens.refresh, tokens.refresh_expires_at) == (kept, keep.refresh_expires_at)
