"""The reducer to the letter: what each event keeps, what it forgets, and what it leaves for the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rxauth import AuthState, Tokens, auth_reducer
from rxauth.concurrency import Instant
from rxauth.errors import RefreshUnavailable, SessionExpired
from rxauth.session import (
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)

NOW = Instant(1000.0, 10.0)
LATER = Instant(1005.0, 15.0)
PAIR = Tokens("a", "r", 2000.0, sign_in="ada", generation=7)
NEXT = Tokens("b", "s", 3000.0, sign_in="ada", generation=8)
BOBS = Tokens("c", "t", 3000.0, sign_in="bob", generation=9)

#: Ada is signed in to a session with a name of its own, whose storage fails, and each other field says something.
ADA = AuthState(
    session="billing",
    status="degraded",
    sign_in="ada",
    generation=7,
    tokens=PAIR,
    error=LookupError("earlier"),
    retry_at=1003.0,
    storage="failing",
    cool_down=13.0,
    failures=2,
    in_doubt=True,
    counted=(1.0, 2.0),
    refused=True,
    asked_by="GET /a",
    changed=NOW,
)
ADAS: dict[str, Any] = {"session": "billing", "sign_in": "ada", "generation": 7, "at": LATER}
#: What is the same after everything that leaves the trouble of the last refresh behind.
WELL: dict[str, Any] = {
    "error": None,
    "retry_at": None,
    "cool_down": None,
    "failures": 0,
    "in_doubt": False,
    "refused": False,
    "changed": LATER,
}


def after(state: AuthState, *events: SessionEvent) -> AuthState:
    for event in events:
        state = auth_reducer(state, event)
    return state


def bobs(kind: type[SessionEvent], **more: Any) -> SessionEvent:
    return kind(session="billing", sign_in="bob", at=LATER, **more)


def test_while_bob_logs_in_everything_of_ada_is_kept() -> None:
    state = after(ADA, bobs(SigningIn))
    assert state == replace(ADA, status="signing_in", pending="bob", resume="degraded", changed=LATER)


def test_a_login_over_a_login_still_goes_back_to_what_was_before_both() -> None:
    carol = SigningIn(session="billing", sign_in="carol", at=LATER)
    state = after(ADA, bobs(SigningIn), carol)
    assert (state.status, state.pending) == ("signing_in", "carol")
    failed = SignInFailed(session="billing", sign_in="carol", at=LATER, error=LookupError())
    assert after(state, failed).status == "degraded"


def test_who_signs_in_begins_anew_but_for_the_sessions_name_and_its_storage() -> None:
    state = after(ADA, bobs(SigningIn), bobs(SignedIn, tokens=BOBS))
    assert state == AuthState(
        session="billing",
        status="signed_in",
        sign_in="bob",
        generation=9,
        tokens=BOBS,
        storage="failing",
        changed=LATER,
    )


def test_a_failed_login_says_why_and_leaves_the_rest_as_it_was() -> None:
    error = LookupError("wrong password")
    begun = SigningIn(session="billing", sign_in="bob", at=NOW)
    state = after(ADA, begun, bobs(SignInFailed, error=error))
    assert state == replace(ADA, error=error, changed=LATER, resume="degraded")
    assert after(state, bobs(SignedIn, tokens=BOBS)) is state, "that login is over"


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_a_logout_ends_who_is_there_and_who_is_about_to_be(who: str) -> None:
    out = SignedOut(session="billing", sign_in=who, at=LATER)
    state = after(ADA, bobs(SigningIn), out)
    assert state == AuthState(session="billing", storage="failing", changed=LATER)


@pytest.mark.parametrize(
    "event",
    [
        SignedIn(sign_in="", at=LATER, tokens=PAIR),
        SignedOut(sign_in="", at=LATER),
        SigningIn(sign_in="", at=LATER),
        RefreshFailed(sign_in="", generation=0, at=LATER, error=LookupError()),
        TokensRefreshed(sign_in="", generation=0, at=LATER, tokens=NEXT),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_names_no_sign_in_signs_nobody_in_or_out(event: SessionEvent) -> None:
    for state in (AuthState(), AuthState(status="signed_in", sign_in="ada", generation=7, tokens=PAIR)):
        assert auth_reducer(state, event) is state


def test_a_refresh_that_starts_says_who_asked_and_whether_the_token_was_refused() -> None:
    state = after(replace(ADA, refused=False), RefreshStarted(**ADAS, asked_by="GET /b", refused=True))
    assert state == replace(ADA, status="refreshing", asked_by="GET /b", refused=True, changed=LATER)
    assert not after(state, RefreshStarted(**ADAS, asked_by="GET /b")).refused


def test_new_tokens_end_all_trouble() -> None:
    state = after(ADA, TokensRefreshed(**ADAS, tokens=NEXT, counted=(3.0,)))
    assert state == replace(ADA, status="signed_in", tokens=NEXT, generation=8, counted=(3.0,), **WELL)


def test_a_failure_that_the_next_call_may_repeat_has_no_cool_down_but_settles_no_doubt() -> None:
    error = LookupError("crashed")
    state = after(ADA, RefreshFailed(**ADAS, error=error))
    assert state == replace(ADA, status="signed_in", **{**WELL, "error": error, "in_doubt": True})


def test_failures_in_a_row_are_counted_and_each_has_its_own_cool_down() -> None:
    error = RefreshUnavailable("503")
    state = after(ADA, RefreshFailed(**ADAS, error=error, retry_at=Instant(1100.0, 110.0)))
    assert state == replace(
        ADA,
        status="degraded",
        error=error,
        retry_at=1100.0,
        cool_down=110.0,
        failures=3,
        refused=False,
        changed=LATER,
    )


@pytest.mark.parametrize(("before", "now"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_doubt_lasts_until_there_are_new_tokens(before: bool, now: bool) -> None:
    failed = RefreshFailed(**ADAS, error=LookupError(), retry_at=LATER, in_doubt=now)
    assert after(replace(ADA, in_doubt=before), failed).in_doubt is (before or now)


def test_an_ended_sign_in_leaves_its_cause_and_who_asked_and_nothing_else() -> None:
    cause = SessionExpired("refused")
    state = after(ADA, SessionEnded(**ADAS, cause=cause))
    assert state == AuthState(session="billing", storage="failing", error=cause, asked_by="GET /a", changed=LATER)


@pytest.mark.parametrize("error", [OSError("full"), None])
def test_a_storage_that_fails_or_works_again_changes_nothing_else(error: Exception | None) -> None:
    before = replace(ADA, storage="ok" if error else "failing")
    assert after(before, StorageChanged(**ADAS, error=error)) == replace(ADA, storage="failing" if error else "ok")


@pytest.mark.parametrize(
    ("event", "then"),
    [
        (RefreshStarted(**ADAS, asked_by="x"), "refreshing"),
        (TokensRefreshed(**ADAS, tokens=NEXT), "signed_in"),
        (RefreshFailed(**ADAS, error=LookupError()), "signed_in"),
        (RefreshFailed(**ADAS, error=LookupError(), retry_at=LATER), "degraded"),
        (SessionEnded(**ADAS, cause=SessionExpired("x")), "signed_out"),
    ],
    ids=["started", "refreshed", "crashed", "failed", "ended"],
)
def test_what_happens_to_ada_while_bob_logs_in_counts_should_he_fail(event: SessionEvent, then: str) -> None:
    begun = SigningIn(session="billing", sign_in="bob", at=NOW)
    state = after(ADA, begun, event)
    assert (state.status, state.pending, state.changed) == ("signing_in", "bob", LATER)
    state = after(state, bobs(SignInFailed, error=LookupError()))
    alone = after(ADA, event)
    assert state.status == then == alone.status
    assert (state.tokens, state.generation, state.sign_in) == (alone.tokens, alone.generation, alone.sign_in)
