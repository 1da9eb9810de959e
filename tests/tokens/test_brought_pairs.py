"""Pairs that a user brings, and pairs that a refresh callable of his makes."""

from __future__ import annotations

import pytest
from token_kit import T0, after, make_jwt

from rxauth import Tokens
from rxauth.refreshers.protocol import tokens_of


def test_a_brought_pair_is_as_old_as_its_jwt_says() -> None:
    access = make_jwt(exp=T0.wall + 100, iat=T0.wall - 200)
    tokens = Tokens(access, "r")
    assert (tokens.life, tokens.expires_at, tokens.remaining(T0)) == (300, T0.wall + 100, 100)


def test_a_brought_jwt_with_exp_alone_is_compared_with_the_wall_clock() -> None:
    tokens = Tokens(make_jwt(exp=T0.wall + 100))
    assert [tokens.remaining(after(s)) for s in (99, 100, 101)] == [1, 0, -1]


def test_a_brought_refresh_jwt_has_its_end_read() -> None:
    assert Tokens("a", make_jwt(exp=T0.wall + 100)).refresh_expires_at == T0.wall + 100


def test_what_the_user_says_of_the_expiry_wins_over_the_claims() -> None:
    tokens = Tokens(make_jwt(exp=5), make_jwt(exp=6), T0.wall + 100, T0.wall + 1000)
    assert (tokens.expires_at, tokens.refresh_expires_at) == (T0.wall + 100, T0.wall + 1000)


def test_an_opaque_pair_is_of_unknown_life() -> None:
    tokens = Tokens("opaque")
    assert (tokens.refresh, tokens.expires_at, tokens.life, tokens.remaining(T0)) == (None, None, None, None)


def test_a_pair_is_immutable_and_can_be_compared_and_hashed() -> None:
    tokens = Tokens("a", "r")
    assert tokens == Tokens("a", "r")
    assert len({tokens, Tokens("a", "r"), Tokens("b", "r")}) == 2
    with pytest.raises(AttributeError):
        tokens.access = "b"  # type: ignore[misc]


@pytest.mark.parametrize("clock_is_fast_by", [-3600.0, 0.0, 3600.0])
def test_what_a_callable_made_has_its_life_counted_from_receipt(clock_is_fast_by: float) -> None:
    true_now = T0.wall - clock_is_fast_by
    made = Tokens(make_jwt(exp=true_now + 300, iat=true_now), "r2")
    tokens = tokens_of(made, T0, after(1))
    assert (tokens.received, tokens.life) == (after(1), 300)
    assert tokens.remaining(after(101)) == 200


def test_a_callable_may_state_the_absolute_expiry() -> None:
    tokens = tokens_of(Tokens("a", "r", T0.wall + 60), T0, T0)
    assert (tokens.life, tokens.remaining(after(59))) == (60, 1)


def test_a_callable_may_state_the_life_alone() -> None:
    tokens = tokens_of(Tokens("a", "r", life=60), T0, T0)
    assert (tokens.remaining(T0), tokens.remaining(after(61))) == (60, -1)


def test_an_expiry_in_the_past_is_a_life_of_zero() -> None:
    tokens = tokens_of(Tokens("a", "r", T0.wall - 60), T0, T0)
    assert (tokens.life, tokens.remaining(T0)) == (0, -60)


def test_a_callable_that_returns_the_same_pair_again_makes_it_no_younger() -> None:
    first = tokens_of(Tokens("a", "r", life=60), T0, T0)
    assert tokens_of(first, after(50), after(50)).remaining(after(50)) == 10


def test_unknown_stays_unknown() -> None:
    tokens = tokens_of(Tokens("opaque", "r"), T0, T0)
    assert (tokens.life, tokens.remaining(after(1e6))) == (None, None)
