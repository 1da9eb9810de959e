"""The reducer by itself: everything carries where it began, and what began elsewhere changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth import AuthState, Tokens, auth_reducer
from rxauth.concurrency import Instant
from rxauth.errors import NotSignedIn, RefreshUnavailable, SessionExpired
from rxauth.session import (
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
    Windows,
)
from rxauth.session.state import decide, refusal

NOW = Instant(1000.0, 10.0)
LATER = Instant(1005.0, 15.0)
PAIR = Tokens("a", "r", 2000.0, sign_in="ada", generation=7)
NEXT = Tokens("b", "s", 3000.0, sign_in="ada", generation=8)


def signed_in() -> AuthState:
    state = auth_reducer(AuthState(), SigningIn(sign_in="ada", at=NOW))
    return auth_reducer(state, SignedIn(sign_in="ada", at=NOW, tokens=PAIR))


def test_the_way_in() -> None:
    state = auth_reducer(AuthState(), SigningIn(sign_in="ada", at=NOW))
    assert (state.status, state.pending, state.tokens) == ("signing_in", "ada", None)
    state = auth_reducer(state, SignedIn(sign_in="ada", at=LATER, tokens=PAIR))
    assert (state.status, state.sign_in, state.generation, state.pending) == ("signed_in", "ada", 7, "")


@pytest.mark.parametrize("where", [{"sign_in": "bob", "generation": 7}, {"sign_in": "ada", "generation": 6}])
@pytest.mark.parametrize(
    "event",
    [
        lambda **about: RefreshStarted(at=LATER, asked_by="x", **about),
        lambda **about: TokensRefreshed(at=LATER, tokens=NEXT, **about),
        lambda **about: RefreshFailed(at=LATER, error=LookupError(), retry_at=LATER, **about),
        lambda **about: SessionEnded(at=LATER, cause=SessionExpired("x"), **about),
        lambda **about: StorageChanged(at=LATER, error=OSError(), **about),
    ],
    ids=["started", "refreshed", "failed", "ended", "storage"],
)
def test_what_began_with_another_pair_changes_nothing(event: Any, where: dict[str, Any]) -> None:
    state = signed_in()
    assert auth_reducer(state, event(**where)) is state
    assert auth_reducer(state, event(sign_in="ada", generation=7)) is not state


@pytest.mark.parametrize(
    "event",
    [
        SignedIn(sign_in="eve", at=LATER, tokens=PAIR),
        SignInFailed(sign_in="eve", at=LATER, error=LookupError()),
        SignedOut(sign_in="eve", at=LATER),
    ],
    ids=["signed in", "failed", "signed out"],
)
def test_a_login_that_was_overtaken_changes_nothing(event: Any) -> None:
    for state in (signed_in(), auth_reducer(signed_in(), SigningIn(sign_in="bob", at=NOW))):
        assert auth_reducer(state, event) is state


def test_events_of_another_session_and_other_actions_change_nothing() -> None:
    state = signed_in()
    assert auth_reducer(state, SignedOut(session="billing", sign_in="ada", at=LATER)) is state
    assert auth_reducer(state, object()) is state


def test_a_failed_login_gives_back_what_was_before_it_also_what_happened_meanwhile() -> None:
    state = auth_reducer(signed_in(), SigningIn(sign_in="bob", at=NOW))
    state = auth_reducer(state, RefreshStarted(sign_in="ada", generation=7, at=NOW, asked_by="x"))
    assert state.status == "signing_in"
    state = auth_reducer(state, TokensRefreshed(sign_in="ada", generation=7, at=NOW, tokens=NEXT))
    state = auth_reducer(state, SignInFailed(sign_in="bob", at=LATER, error=LookupError("no")))
    assert (state.status, state.tokens, state.generation) == ("signed_in", NEXT, 8)


def test_a_failure_degrades_and_a_success_forgets_it() -> None:
    state = auth_reducer(
        signed_in(),
        RefreshFailed(sign_in="ada", generation=7, at=NOW, error=LookupError(), retry_at=LATER, in_doubt=True),
    )
    assert (state.status, state.retry_at, state.cool_down, state.failures, state.in_doubt) == (
        "degraded",
        1005.0,
        15.0,
        1,
        True,
    )
    state = auth_reducer(state, TokensRefreshed(sign_in="ada", generation=7, at=LATER, tokens=NEXT))
    assert (state.status, state.retry_at, state.cool_down, state.failures, state.in_doubt, state.error) == (
        "signed_in",
        None,
        None,
        0,
        False,
        None,
    )


def test_an_end_and_a_logout_leave_no_tokens() -> None:
    ended = auth_reducer(signed_in(), SessionEnded(sign_in="ada", generation=7, at=NOW, cause=SessionExpired("x")))
    assert (ended.status, ended.tokens, ended.sign_in, ended.generation) == ("signed_out", None, "", 0)
    assert isinstance(refusal(ended), SessionExpired)
    out = auth_reducer(signed_in(), SignedOut(sign_in="ada", at=NOW))
    assert (out.status, out.tokens, out.error) == ("signed_out", None, None)
    assert type(refusal(out)) is NotSignedIn


def test_what_the_gate_concludes() -> None:
    state = signed_in()
    windows = Windows(leeway=5, refresh_ahead=60)
    assert decide(state, Instant(1900.0, 0.0), windows) == "fresh"
    assert decide(state, Instant(1950.0, 0.0), windows) == "refresh_ahead"
    assert decide(state, Instant(1995.0, 0.0), windows) == "refresh"
    assert decide(AuthState(), NOW, windows) == "signed_out"
    assert decide(AuthState(status="signing_in"), NOW, windows) == "wait_for_login"
    error = RefreshUnavailable("503", retry_at=1005.0)
    failed = RefreshFailed(sign_in="ada", generation=7, at=NOW, error=error, retry_at=Instant(2100.0, 15.0))
    degraded = auth_reducer(state, failed)
    assert decide(degraded, Instant(1995.0, 14.0), windows) == "fresh", "while it lives"
    assert decide(degraded, Instant(2001.0, 14.0), windows) == "unavailable"
    assert decide(degraded, Instant(2001.0, 15.0), windows) == "refresh"
    assert isinstance(refusal(degraded), RefreshUnavailable)
