"""What the gate decides, for any life, any clock and any windows."""

from __future__ import annotations

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from rxauth import AuthState, Tokens
from rxauth.concurrency import Instant
from rxauth.session import Windows, is_access_expired
from rxauth.session.explain import explain
from rxauth.session.state import decide, is_premature
from rxauth.tokens.pair import CLOCK_DRIFT
from tests.properties.property_kit import INSTANTS, T0

LIVES = st.floats(0, 1e308) | st.floats(0, 1e5) | st.sampled_from([0.0, 1e-9, 1.0, 5.0, 50.0, 60.0, 240.0, 300.0, 1e12])
NUMBERS = st.none() | st.floats(0, 1e6) | st.just(math.inf)
WINDOWS = st.builds(Windows, st.none() | st.floats(-1e6, 1e6), NUMBERS)
DEFAULT = Windows()
ORDER = ["fresh", "refresh_ahead", "refresh"]


def received(life: float | None, at: Instant = T0) -> Tokens:
    return Tokens.from_response({"access": "a", "refresh": "r", "expires_in": life}, received=at)


def state_of(tokens: Tokens, **changes: object) -> AuthState:
    return AuthState(**{"status": "signed_in", "tokens": tokens, "changed": T0, **changes})  # type: ignore[arg-type]


STATES = st.builds(
    AuthState,
    status=st.sampled_from(["signed_out", "signing_in", "signed_in", "refreshing", "degraded"]),
    tokens=st.none()
    | st.builds(received, st.none() | LIVES, INSTANTS)
    | st.builds(Tokens, st.just("a"), expires_at=LIVES),
    cool_down=st.none() | st.floats(-1e9, 1e9),
    retry_at=st.none() | st.floats(-1e18, 1e18),
    failures=st.integers(0, 10**6),
    in_doubt=st.booleans(),
    changed=st.none() | INSTANTS,
    asked_by=st.text(max_size=5),
)


@given(state=STATES, now=INSTANTS, windows=WINDOWS)
def test_the_gate_decides_and_explains_in_every_state(state: AuthState, now: Instant, windows: Windows) -> None:
    decision = decide(state, now, windows)
    assert (decision == "wait_for_login") == (state.status == "signing_in")
    assert decision != "signed_out" or state.tokens is None
    assert decision != "fresh" or windows.fresh_for(state, now) >= 0
    assert is_access_expired(state, now) in (True, False)
    assert explain(state, "default", now)


@given(life=st.none() | LIVES, windows=WINDOWS)
def test_leeway_is_never_more_than_the_window_ahead_of_it(life: float | None, windows: Windows) -> None:
    leeway, ahead = windows.of(received(life))
    assert leeway <= ahead
    if life is not None:
        assert ahead <= max(life / 2, 0)


@given(life=LIVES)
def test_the_default_windows_are_a_tenth_and_a_quarter_of_the_life(life: float) -> None:
    assert DEFAULT.of(received(life)) == (min(5, life / 10), min(60, life / 4))


@given(life=LIVES, age=st.floats(0, 1), windows=WINDOWS, failures=st.integers(0, 3))
def test_no_refresh_is_due_before_half_of_the_life(life: float, age: float, windows: Windows, failures: int) -> None:
    tokens = received(life)
    now = Instant(T0.wall + life * age, T0.mono + life * age)
    remaining = tokens.remaining(now)
    assume(remaining is not None and remaining > life / 2)
    assert decide(state_of(tokens, failures=failures), now, windows) == "fresh"
    assert not is_premature(tokens, now, refused=False)


@given(
    life=st.floats(0, 1e6),
    windows=WINDOWS,
    steps=st.lists(st.floats(0, 1e5), max_size=8),
    slept=st.lists(st.booleans()),
)
def test_a_token_never_becomes_fresher_as_time_goes_by(
    life: float, windows: Windows, steps: list[float], slept: list[bool]
) -> None:
    """A machine that sleeps stops its monotonic clock; sleeps of about the drift that is let pass are not judged."""
    state = state_of(received(life))
    now, before, stage = T0, math.inf, 0
    for index, step in enumerate(steps):
        asleep = index < len(slept) and slept[index]
        now = Instant(now.wall + step, now.mono + (0 if asleep else step))
        drift = (now.wall - T0.wall) - (now.mono - T0.mono)
        assume(abs(drift - CLOCK_DRIFT) > 1e-3)
        remaining = state.tokens.remaining(now) if state.tokens else None
        assert remaining is not None
        assert remaining <= before + 1e-3
        decision = ORDER.index(decide(state, now, windows))
        assert decision >= stage or before - remaining < 1e-3
        before, stage = remaining, decision


@given(life=st.floats(0, 1e6), age=st.floats(0, 1e6), jump=st.floats(-1e6, 1e6))
def test_the_wall_clock_counts_only_when_it_runs_ahead(life: float, age: float, jump: float) -> None:
    assume(abs(jump - CLOCK_DRIFT) > 1e-3)
    remaining = received(life).remaining(Instant(T0.wall + age + jump, T0.mono + age))
    assert remaining is not None
    assert abs(remaining - (life - age - (jump if jump > CLOCK_DRIFT else 0))) < 1e-2


@given(life=LIVES, windows=WINDOWS, now=INSTANTS)
def test_a_fresh_token_stays_fresh_for_as_long_as_is_said(life: float, windows: Windows, now: Instant) -> None:
    state = state_of(received(life, now))
    seconds = windows.fresh_for(state, now)
    assume(decide(state, now, windows) == "fresh" and 1 < seconds < 1e9)
    later = Instant(now.wall + seconds * 0.999, now.mono + seconds * 0.999)
    assert decide(state, later, windows) == "fresh"


@given(life=st.floats(1, 1e5), age=st.floats(0, 1.2), wait=st.floats(-9, 9), failures=st.integers(1, 9))
def test_nobody_posts_before_the_cool_down_is_over(life: float, age: float, wait: float, failures: int) -> None:
    tokens = received(life)
    now = Instant(T0.wall + life * age, T0.mono + life * age)
    end = now.mono + wait
    state = state_of(tokens, status="degraded", cool_down=end, failures=failures)
    decision = decide(state, now, DEFAULT)
    remaining = tokens.remaining(now)
    assert remaining is not None
    if now.mono < end:
        assert decision == ("fresh" if remaining > 0 else "unavailable")
    else:
        assert decision == (
            "refresh" if remaining <= 0 else "fresh" if remaining > min(60, life / 4) else "refresh_ahead"
        )
