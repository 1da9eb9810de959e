"""`exp` alone is compared with our clock, corrected by as much as the answer's `Date` proves."""

from __future__ import annotations

import pytest
from token_kit import T0, after, make_jwt, received

from rxauth import Tokens
from rxauth.concurrency import Instant

SERVER_LIFE = 300.0


def pair_of_a_server_ahead_by(ahead: float, *, round_trip: float = 0.0, date: bool = True) -> Tokens:
    """A pair with `exp` alone, from a server whose clock is ahead of ours; it wrote its answer half way through."""
    written = T0.wall - round_trip / 2 + ahead
    return received(
        {"access": make_jwt(exp=written + SERVER_LIFE)},
        sent=Instant(T0.wall - round_trip, T0.mono - round_trip),
        date=float(int(written)) if date else None,
    )


@pytest.mark.parametrize("ahead", [-86_400.0, -3600.0, -60.0, 60.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("round_trip", [0.0, 0.3, 4.0])
def test_a_clock_that_is_off_by_an_hour_changes_next_to_nothing(ahead: float, round_trip: float) -> None:
    remaining = pair_of_a_server_ahead_by(ahead, round_trip=round_trip).remaining(T0)
    assert remaining == pytest.approx(SERVER_LIFE - round_trip / 2, abs=1 + round_trip / 2)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_without_a_date_nothing_is_corrected(ahead: float) -> None:
    tokens = pair_of_a_server_ahead_by(ahead, date=False)
    assert tokens.expires_at == T0.wall + ahead + SERVER_LIFE


@pytest.mark.parametrize(
    ("date", "sent_before", "correction"),
    [
        (T0.wall, 0.0, 0.0),  # the same second
        (T0.wall - 1, 0.0, 0.0),  # Date is floored: its second reaches up to now
        (T0.wall - 2, 1.0, 0.0),  # it may have been written when the request arrived
        (T0.wall - 2, 0.0, 1.0),  # a second before we sent it: behind by 1 s at least
        (T0.wall - 3601, 0.0, 3600.0),
        (T0.wall + 1, 0.0, -1.0),  # later than the receipt: ahead by 1 s at least
        (T0.wall + 1, 30.0, -1.0),
        (T0.wall + 3600, 0.0, -3600.0),
        (T0.wall - 31, 30.0, 0.0),
        (T0.wall - 32, 30.0, 1.0),
    ],
)
def test_only_what_lies_outside_of_the_interval_counts(date: float, sent_before: float, correction: float) -> None:
    exp = T0.wall + SERVER_LIFE
    sent = Instant(T0.wall - sent_before, T0.mono - sent_before)
    tokens = received({"access": make_jwt(exp=exp)}, sent=sent, date=date)
    assert tokens.expires_at == exp + correction


def test_a_stated_absolute_expiry_is_corrected_too() -> None:
    answer = {"access_token": "a", "expires_at": T0.wall + 3600 + SERVER_LIFE}
    assert received(answer, expiry="epoch", date=T0.wall + 3600).life == SERVER_LIFE


@pytest.mark.parametrize("date", [None, T0.wall, T0.wall - 3600, T0.wall + 3600])
def test_a_life_needs_no_clock_to_agree(date: float | None) -> None:
    by_field = received({"access_token": "a", "expires_in": 300}, date=date)
    by_claims = received({"access": make_jwt(exp=1300, iat=1000)}, date=date)
    assert by_field.expires_at == by_claims.expires_at == T0.wall + 300


@pytest.mark.parametrize("ours_is_ahead_by", [-3600.0, 0.0, 3600.0])
def test_our_clock_being_an_hour_fast_or_slow_does_not_shorten_the_life(ours_is_ahead_by: float) -> None:
    """B60: at most one refresh per life, whatever the wall clock says."""
    true_now = T0.wall - ours_is_ahead_by
    tokens = received({"access": make_jwt(exp=true_now + 300, iat=true_now)})
    assert (tokens.remaining(T0), tokens.remaining(after(299))) == (300, 1)


def test_a_refresh_jwt_with_exp_alone_is_corrected_as_well() -> None:
    refresh = make_jwt(exp=T0.wall - 3600 + 1000)  # our clock is an hour fast
    tokens = received({"access": "a", "refresh": refresh}, date=T0.wall - 3601)
    assert tokens.refresh_remaining(T0) == 1000
