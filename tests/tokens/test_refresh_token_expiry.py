"""How long the refresh token lives: one that is known to be expired is not posted."""

from __future__ import annotations

from typing import Any

import pytest
from token_kit import T0, Expiry, after, make_jwt, received


@pytest.mark.parametrize("name", ["refresh_expires_in", "refresh_token_expires_in"])
def test_the_answer_may_state_the_life_of_the_refresh_token(name: str) -> None:
    tokens = received({"access_token": "a", "refresh_token": "r", name: "1800"})
    assert tokens.refresh_remaining(T0) == 1800


def test_the_life_of_a_refresh_jwt_is_exp_less_iat() -> None:
    tokens = received({"access": "a", "refresh": make_jwt(exp=87_400, iat=1000)})
    assert tokens.refresh_remaining(T0) == 86_400


@pytest.mark.parametrize("stated", [0, "0", -1, None, "never", False])
def test_zero_means_a_refresh_token_without_an_end(stated: object) -> None:
    tokens = received({"access_token": "a", "refresh_token": "r", "refresh_expires_in": stated})
    assert tokens.refresh_remaining(T0) is None


def test_an_opaque_refresh_token_may_live_for_ever() -> None:
    assert received({"access": "a", "refresh": "r"}).refresh_remaining(after(1e9)) is None


@pytest.mark.parametrize(
    ("expiry", "value"),
    [
        ("milliseconds", 1_800_000),
        ("epoch", T0.wall + 1800),
        ("epoch", "2027-01-15T08:30:00Z"),
        ("epoch_milliseconds", (T0.wall + 1800) * 1000),
        ("epoch_milliseconds", "2027-01-15T08:30:00Z"),
    ],
)
def test_a_named_field_is_in_the_unit_of_expiry(expiry: Expiry, value: object) -> None:
    answer = {"access_token": "a", "refresh_token": "r", "rx": value}
    assert received(answer, expiry=expiry, refresh_expires_key="rx").refresh_remaining(T0) == 1800


@pytest.mark.parametrize("expiry", ["epoch", "epoch_milliseconds"])
def test_seconds_from_now_are_never_taken_for_a_moment_in_1970(expiry: Expiry) -> None:
    answer: dict[str, Any] = {"access_token": "a", "refresh_token": "r", "refresh_expires_in": 1800}
    remaining = received(answer, expiry=expiry).refresh_remaining(T0)
    assert remaining is None or remaining > 0


@pytest.mark.parametrize("name", ["refresh_expires_at", "refresh_token_expires_at"])
def test_an_absolute_expiry_has_its_usual_names_too(name: str) -> None:
    answer = {"access_token": "a", "refresh_token": "r", name: T0.wall + 1800}
    assert received(answer, expiry="epoch").refresh_remaining(T0) == 1800


def test_the_second_each_side_of_the_end() -> None:
    tokens = received({"access_token": "a", "refresh_token": "r", "refresh_expires_in": 100})
    assert [tokens.refresh_remaining(after(s)) for s in (99, 100, 101)] == [1, 0, -1]
