"""Two clocks and one life: what is left of a token now."""

from __future__ import annotations

import pytest
from token_kit import DAY, T0, after, make_jwt, received

from rxauth import Tokens
from rxauth.concurrency import Instant
from rxauth.session import AuthState, Windows, is_access_expired
from rxauth.session.state import decide


def pair(life: float = 300) -> Tokens:
    return received({"access_token": "a", "refresh_token": "r", "expires_in": life})


def test_life_is_counted_from_receipt() -> None:
    assert [pair().remaining(after(s)) for s in (0, 100, 299, 300, 301)] == [300, 200, 1, 0, -1]


@pytest.mark.parametrize("drift", [-5.0, -1.0, 1.0, 4.9, 5.0])
def test_a_drift_of_up_to_five_seconds_is_ignored(drift: float) -> None:
    assert pair().remaining(after(100, jump=drift)) == 200


@pytest.mark.parametrize("slept", [5.1, 60.0, 8 * 3600.0])
def test_after_sleep_the_wall_clock_overrules(slept: float) -> None:
    """The monotonic clock stood still while the machine slept, the token aged."""
    assert pair().remaining(after(100, jump=slept)) == pytest.approx(200 - slept)


@pytest.mark.parametrize("jump", [-5.1, -3600.0, -400 * DAY])
def test_a_clock_set_back_does_not_prolong_a_token(jump: float) -> None:
    assert pair().remaining(after(299, jump=jump)) == 1
    assert pair().remaining(after(301, jump=jump)) == -1


def test_a_pair_loaded_from_storage_is_measured_by_the_wall_clock() -> None:
    """Its monotonic moment meant something in another process only."""
    loaded = Tokens("a", "r", T0.wall + 300, life=300)
    assert loaded.remaining(Instant(T0.wall + 100, mono=3.0)) == 200
    assert loaded.remaining(Instant(T0.wall + 301, mono=1e9)) == -1


@pytest.mark.parametrize("days", [30, 400])
def test_a_life_of_many_days_overflows_nothing(days: int) -> None:
    """B26"""
    tokens = pair(days * DAY)
    assert tokens.remaining(after(DAY)) == (days - 1) * DAY
    assert decide(AuthState(status="signed_in", tokens=tokens), after((days - 1) * DAY), Windows()) == "fresh"
    assert "20" in repr(tokens)


@pytest.mark.parametrize("life", [1e12, 1e300])
def test_an_absurd_life_is_simply_long(life: float) -> None:
    tokens = pair(life)
    assert (tokens.remaining(after(DAY)) or 0) > 1e11
    assert decide(AuthState(status="signed_in", tokens=tokens), after(DAY), Windows()) == "fresh"
    assert repr(tokens)


def test_claims_of_an_absurd_size_are_simply_long() -> None:
    tokens = received({"access": make_jwt(exp=1.7e308, iat=-1.7e308)})
    assert (tokens.remaining(after(DAY)) or 0) > 1e11
    assert decide(AuthState(status="signed_in", tokens=tokens), after(DAY), Windows()) == "fresh"
    assert repr(tokens)


@pytest.mark.parametrize(("seconds", "expired"), [(299, False), (300, True), (301, True)])
def test_the_boundary_exactly_and_one_second_each_side_of_it(seconds: float, expired: bool) -> None:
    """B61"""
    state = AuthState(status="signed_in", tokens=pair())
    assert is_access_expired(state, after(seconds)) is expired


@pytest.mark.parametrize(
    ("seconds", "decision"),
    [
        (239, "fresh"),  # refresh_ahead is 60 s
        (240, "refresh_ahead"),
        (241, "refresh_ahead"),
        (294, "refresh_ahead"),  # leeway is 5 s
        (295, "refresh"),
        (296, "refresh"),
        (301, "refresh"),
    ],
)
def test_each_window_begins_on_its_second(seconds: float, decision: str) -> None:
    assert decide(AuthState(status="signed_in", tokens=pair()), after(seconds), Windows()) == decision
