"""What the gate concludes from a state, to the second, and what the selectors say of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from rxauth import AuthState, Tokens
from rxauth.concurrency import Instant
from rxauth.errors import NotSignedIn, RefreshMisconfigured, RefreshUnavailable, SessionExpired
from rxauth.session import (
    Status,
    Windows,
    is_access_expired,
    is_refresh_expired,
    is_refreshing,
    is_signed_in,
    refresh_expires_at,
)
from rxauth.session.state import decide, is_cooling, is_premature, present, refusal

WALL, MONO = 1_700_000_000.0, 500.0
NOW = Instant(WALL, MONO)


def pair(left: float | None = 300.0, life: float | None = 300.0, **more: Any) -> Tokens:
    """A pair with `left` seconds of its `life` left now."""
    at = None if left is None else WALL + left
    return Tokens("a", "r", at, life=life, **more)


def state(left: float | None = 300.0, life: float | None = 300.0, **more: Any) -> AuthState:
    given: dict[str, Any] = {"status": "signed_in", "tokens": pair(left, life), **more}
    return AuthState(**given)


@pytest.mark.parametrize(
    ("windows", "life", "expected"),
    [
        (Windows(), 3600.0, (5.0, 60.0)),
        (Windows(), None, (5.0, 60.0)),
        (Windows(), 50.0, (5.0, 12.5)),
        (Windows(), 40.0, (4.0, 10.0)),
        (Windows(), 240.0, (5.0, 60.0)),
        (Windows(), 200.0, (5.0, 50.0)),
        (Windows(leeway=30), 3600.0, (30, 60.0)),
        (Windows(leeway=30), 40.0, (20.0, 20.0)),
        (Windows(refresh_ahead=600), 3600.0, (5.0, 600)),
        (Windows(refresh_ahead=600), 40.0, (4.0, 20.0)),
        (Windows(leeway=90), 3600.0, (90, 90)),
        (Windows(refresh_ahead=500, spread=1.0), 300.0, (5.0, 113.75)),
        (Windows(refresh_ahead=500, spread=0.0), 300.0, (5.0, 150.0)),
        (Windows(spread=0.0), 4.0, (0.4, 1.15)),
        (Windows(leeway=-10), 3600.0, (-10, 60.0)),
        (Windows(leeway=0, refresh_ahead=0), 3600.0, (0, 0)),
        (Windows(leeway=7, refresh_ahead=70), None, (7, 70)),
    ],
)
def test_the_windows_are_cut_to_a_part_of_the_life(
    windows: Windows, life: float | None, expected: tuple[float, float]
) -> None:
    """A tenth and a quarter of it are the defaults; what a user sets is cut to half, else a refresh never helps."""
    assert windows.of(pair(300, life)) == expected


def test_how_long_a_fresh_token_stays_fresh() -> None:
    windows = Windows(leeway=5, refresh_ahead=60)
    assert windows.fresh_for(state(100.0), NOW) == 40
    assert windows.fresh_for(state(60.0), NOW) == 0
    assert windows.fresh_for(state(10.0), NOW) == 0, "fresh in a cool-down only, which may end any moment"
    assert windows.fresh_for(state(None, None), NOW) == math.inf
    assert Windows(leeway=90, refresh_ahead=60).fresh_for(state(150, 3600), NOW) == 60


@pytest.mark.parametrize(
    ("left", "cooling", "failures", "decision"),
    [
        (61, False, 0, "fresh"),
        (60, False, 0, "refresh_ahead"),
        (60, True, 1, "fresh"),
        (6, False, 0, "refresh_ahead"),
        (5, False, 0, "refresh"),
        (5, True, 0, "unavailable"),
        (5, False, 1, "refresh_ahead"),
        (5, True, 1, "fresh"),
        (0.5, False, 2, "refresh_ahead"),
        (0, False, 1, "refresh"),
        (0, True, 1, "unavailable"),
    ],
)
def test_a_call_in_each_window(left: float, cooling: bool, failures: int, decision: str) -> None:
    """After a failure a token is used to its last second, and nobody waits for a refresh that may fail again."""
    given = state(left, cool_down=MONO + 1 if cooling else None, failures=failures)
    assert decide(given, NOW, Windows(leeway=5, refresh_ahead=60)) == decision


@pytest.mark.parametrize(
    ("left", "failures", "decision"),
    [(-3, 0, "refresh_ahead"), (-10, 0, "refresh"), (-3, 1, "refresh_ahead"), (-10, 1, "refresh")],
)
def test_a_negative_leeway_uses_a_token_past_its_expiry_also_after_a_failure(
    left: float, failures: int, decision: str
) -> None:
    assert decide(state(left, failures=failures), NOW, Windows(leeway=-10)) == decision


def test_a_token_of_unknown_life_is_fresh_until_it_is_refused() -> None:
    assert decide(state(None, None), NOW, Windows()) == "fresh"
    assert decide(state(None, None, refused=True), NOW, Windows()) == "refresh"
    assert decide(state(300, refused=True), NOW, Windows()) == "refresh"


def test_while_somebody_logs_in_calls_wait_even_with_a_fresh_token_of_another() -> None:
    assert decide(state(300, status="signing_in"), NOW, Windows()) == "wait_for_login"


def test_a_cool_down_is_over_when_its_second_has_come() -> None:
    assert is_cooling(state(cool_down=MONO + 0.1), NOW)
    assert not is_cooling(state(cool_down=MONO), NOW)
    assert not is_cooling(state(cool_down=None), NOW)


def test_who_gets_no_token_is_told_why() -> None:
    """Each gets an error of his own, because a raised exception collects frames."""
    ended, outage, wrong = SessionExpired("refused"), RefreshUnavailable("503", retry_at=9.0), RefreshMisconfigured("x")
    for given, error in (
        (AuthState(error=ended), ended),
        (state(error=outage), outage),
        (state(error=wrong), wrong),
    ):
        told = refusal(given)
        assert type(told) is type(error)
        assert (told.args, told is error) == (error.args, False)


def test_who_was_never_signed_in_is_told_how_to() -> None:
    for error in (None, RefreshUnavailable("503"), LookupError()):
        told = refusal(AuthState(error=error))
        assert type(told) is NotSignedIn
        fix = "call session.login(...), or session.sign_in(tokens) with tokens you have"
        assert str(told) == f"nobody is signed in: {fix}"


@pytest.mark.parametrize("error", [None, LookupError("the last login failed"), SessionExpired("of before")])
def test_in_a_cool_down_whose_error_was_another_one_the_time_of_the_next_try_is_told(error: Exception | None) -> None:
    """A login that failed meanwhile is the last error, and no reason to hide the outage."""
    told = refusal(state(error=error, retry_at=1234.5))
    assert isinstance(told, RefreshUnavailable)
    assert told.retry_at == 1234.5
    assert "retry_at" in str(told)


@pytest.mark.parametrize(
    ("left", "life", "refused", "premature"),
    [
        (151, 300, True, True),
        (150, 300, True, False),
        (100, 300, True, False),
        (300, 300, False, False),
        (-1, 300, False, False),
        (0, 0, False, True),
        (0, 0, True, True),
        (0.5, 0.5, False, False),
        (None, None, True, True),
        (None, None, False, False),
        (10, None, True, True),
        (-10, None, True, True),
        (None, 300, True, True),
    ],
)
def test_which_refreshes_speak_of_an_api_that_refuses_every_token(
    left: float | None, life: float | None, refused: bool, premature: bool
) -> None:
    """Stale on arrival, or refused in the first half of its life; of a life that is not known, whenever refused."""
    assert is_premature(pair(left, life), NOW, refused) is premature


@pytest.mark.parametrize(("left", "expired"), [(1, False), (0.001, False), (0, True), (-1, True), (None, False)])
def test_each_token_expires_on_its_second(left: float | None, expired: bool) -> None:
    assert is_access_expired(state(left), NOW) is expired
    refresh = pair(300, refresh_expires_at=None if left is None else WALL + left)
    assert is_refresh_expired(state(tokens=refresh), NOW) is expired
    assert refresh_expires_at(state(tokens=refresh)) == (None if left is None else WALL + left)
    assert refresh_expires_at(AuthState()) is None


def test_without_a_refresh_token_there_is_none_that_lives() -> None:
    assert is_refresh_expired(state(tokens=Tokens("a", None, WALL + 300)), NOW)


@pytest.mark.parametrize(
    ("status", "signed_in"),
    [("signed_out", False), ("signing_in", False), ("signed_in", True), ("refreshing", True), ("degraded", True)],
)
def test_degraded_and_refreshing_are_signed_in(status: Status, signed_in: bool) -> None:
    assert is_signed_in(AuthState(status=status)) is signed_in


def test_a_refresh_goes_on_behind_a_login() -> None:
    assert is_refreshing(state(status="refreshing"))
    assert is_refreshing(state(status="signing_in", resume="refreshing"))
    assert not is_refreshing(state(status="signing_in", resume="signed_in"))
    over = replace(state(status="signed_in"), resume="refreshing")
    assert not is_refreshing(over), "where the login would have gone back to says nothing after it"


def test_present_names_who_is_there_and_who_is_about_to_be() -> None:
    assert present(AuthState()) == ("", "")
    assert present(AuthState(sign_in="ada", pending="bob")) == ("ada", "bob")


@pytest.mark.parametrize(
    ("leeway", "spread", "window"),
    [(0.5, 0.0, 13.0), (0.5, 0.5, 10.5), (0.5, 1.0, 8.0), (-2.0, 0.0, 13.125), (0.0, 1.0, 7.875), (20.0, 0.0, 20.0)],
)
def test_chance_moves_the_background_window_by_a_quarter_of_what_lies_before_the_leeway(
    leeway: float, spread: float, window: float
) -> None:
    """However short the leeway is; where it is the longer of the two, nothing lies before it."""
    assert Windows(leeway=leeway, refresh_ahead=10.5, spread=spread).of(pair(life=100.0)) == (leeway, window)
