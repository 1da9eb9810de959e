"""How long a token lives, however oddly the server says it (B43)."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from token_kit import T0, Expiry, make_jwt, received

NOTHING = object()


def life_of(expires_in: object, access: str = "opaque", **fields: Any) -> float | None:
    answer = {"access_token": access}
    return received(answer if expires_in is NOTHING else answer | {"expires_in": expires_in}, **fields).life


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (3600, 3600.0),
        ("3600", 3600.0),
        (3600.0, 3600.0),
        ("3600.5", 3600.5),
        (" 3600 ", 3600.0),
        (0.25, 0.25),
        (1e12, 1e12),
        ("1e12", 1e12),
        (0, 0.0),
        ("0", 0.0),
        (-1, 0.0),
        ("-1", 0.0),
        (-0.0, 0.0),
    ],
)
def test_expires_in_may_be_a_number_or_text(expires_in: object, life: float) -> None:
    assert life_of(expires_in) == life


@pytest.mark.parametrize(
    "nonsense",
    [NOTHING, None, "", "soon", "1h", True, False, math.nan, math.inf, -math.inf, "NaN", "inf", [], {}, [60], 10**400],
)
def test_an_expires_in_that_is_no_number_counts_as_missing(nonsense: object) -> None:
    assert life_of(nonsense) is None
    access = make_jwt(exp=T0.wall + 60, iat=T0.wall)
    assert life_of(nonsense, access) == 60


@pytest.mark.parametrize("expires_in", [0, -1])
def test_an_expiry_of_zero_or_less_means_already_stale(expires_in: int) -> None:
    remaining = received({"access_token": "a", "expires_in": expires_in}).remaining(T0)
    assert remaining is not None
    assert remaining <= 0


def test_an_opaque_token_without_an_expiry_is_of_unknown_life() -> None:
    tokens = received({"access_token": "opaque"})
    assert (tokens.life, tokens.expires_at, tokens.remaining(T0)) == (None, None, None)


def test_expires_in_wins_over_the_claims() -> None:
    assert life_of(60, make_jwt(exp=T0.wall + 300, iat=T0.wall)) == 60


@pytest.mark.parametrize(
    ("claims", "life"),
    [
        ({"exp": 1300, "iat": 1000}, 300.0),
        ({"exp": 1300.5, "iat": 1000.25}, 300.25),
        ({"exp": "1300", "iat": "1000"}, 300.0),
        ({"exp": 900, "iat": 1000}, 0.0),
        ({"iat": 1000}, None),
        ({}, None),
        ({"exp": None, "iat": None}, None),
        ({"exp": True, "iat": 1000}, None),
        ({"exp": "tomorrow", "iat": 1000}, None),
        ({"exp": [1300], "iat": 1000}, None),
    ],
)
def test_the_life_of_a_jwt_is_exp_less_iat_without_any_clock(claims: dict[str, Any], life: float | None) -> None:
    tokens = received({"access": make_jwt(**claims)})
    assert tokens.life == life
    assert tokens.remaining(T0) == life


@pytest.mark.parametrize("iat", [None, "yesterday", False])
def test_a_jwt_without_a_usable_iat_is_measured_by_exp_and_our_clock(iat: object) -> None:
    tokens = received({"access": make_jwt(exp=T0.wall + 300, iat=iat)})
    assert (tokens.life, tokens.remaining(T0)) == (300, 300)


@pytest.mark.parametrize("claim", [{"sub": 5}, {"aud": 3}, {"jti": 1}, {"nbf": 9e9}, {"iss": []}])
def test_claims_that_we_do_not_use_may_be_anything(claim: dict[str, Any]) -> None:
    assert received({"access": make_jwt(exp=1300, iat=1000, **claim)}).life == 300


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "two.parts",
        "not.a.jwt",
        "..",
        "....",
        f"{_part({'alg': 'dir', 'enc': 'A256GCM'})}.k.iv.ciphertext.tag",
        f"{_part({'alg': 'HS256'})}.{_part([])}.sig",
        f"{_part({'alg': 'HS256'})}.{_part(5)}.sig",
        f"{_part([])}.{_part({'exp': 5})}.sig",
        f"{_part({'alg': 'HS256'})}.{'!' * 20}.sig",
        "é.é.é".encode().hex() + ".x.y",
    ],
    ids=[
        "opaque",
        "two-parts",
        "three-words",
        "dots",
        "four-dots",
        "jwe",
        "list",
        "number",
        "odd-header",
        "bad64",
        "x",
    ],
)
def test_a_token_that_is_no_jwt_is_opaque(token: str) -> None:
    tokens = received({"access_token": token})
    assert (tokens.claims, tokens.life) == ({}, None)
    assert received({"access_token": token, "expires_in": 60}).life == 60


def test_an_unsigned_jwt_and_one_of_an_unknown_algorithm_still_tell_their_life() -> None:
    for algorithm in ("none", "EdDSA", "made-up"):
        token = f"{_part({'alg': algorithm})}.{_part({'exp': 1300, 'iat': 1000})}.c2ln"
        assert received({"access": token}).life == 300


def test_a_jwt_nested_too_deeply_to_read_is_opaque() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).rstrip(b"=").decode()
    assert received({"access": f"{_part({'alg': 'HS256'})}.{deep}.sig"}).life is None


@pytest.mark.parametrize(
    ("expiry", "fields", "life"),
    [
        ("seconds", {"expires_in": 60}, 60.0),
        ("milliseconds", {"expires_in": 60_000}, 60.0),
        ("milliseconds", {"expires_in": "60000"}, 60.0),
        ("epoch", {"expires_at": T0.wall + 60}, 60.0),
        ("epoch", {"expires_at": str(int(T0.wall) + 60)}, 60.0),
        ("epoch_milliseconds", {"expires_at": (T0.wall + 60) * 1000}, 60.0),
        ("epoch", {"expires_at": "2027-01-15T08:01:00Z"}, 60.0),
        ("epoch", {"expires_at": "2027-01-15T09:01:00.000+01:00"}, 60.0),
        ("epoch", {"expires_at": "2027-01-15T08:01:00.0000000Z"}, 60.0),
        ("epoch", {"expires_at": "2027-01-15T08:01:00"}, 60.0),
        ("epoch_milliseconds", {"expires_at": "2027-01-15T08:01:00Z"}, 60.0),
        ("epoch", {"expires_at": "some day"}, None),
        ("epoch", {"expires_in": 60}, None),
        ("epoch", {"expires_at": T0.wall - 60}, 0.0),
        ("jwt", {"expires_in": 60}, None),
    ],
)
def test_the_unit_of_the_expiry_is_one_keyword(expiry: Expiry, fields: dict[str, Any], life: float | None) -> None:
    assert received({"access_token": "a", **fields}, expiry=expiry).life == life


def test_expiry_jwt_looks_only_at_the_token() -> None:
    answer = {"access_token": make_jwt(exp=1300, iat=1000), "expires_in": 5}
    assert received(answer, expiry="jwt").life == 300


def test_a_missing_epoch_expiry_falls_back_to_the_jwt() -> None:
    assert received({"access": make_jwt(exp=1300, iat=1000)}, expiry="epoch").life == 300
