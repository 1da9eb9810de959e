"""The sentence says what the picture says, and nothing that is not so."""

from __future__ import annotations

from typing import Any

import pytest
from marble_kit import (
    Echo,
    Stage,
    Tick,
    ended,
    fifty_calls,
    instant,
    lands,
    recorded,
    released,
    sent,
    signed_in,
    starts,
    stream,
    waits,
)

from rxauth import ApiStarted, ApiSucceeded
from rxauth.api import ApiSkipped
from rxauth.errors import CallCancelled, LoginFailed
from rxauth.notebook.marbles.sentence import headline, sentence
from rxauth.notebook.marbles.story import tell
from rxauth.recording import Emitted, Failed, Recording, Subscribed
from rxauth.session import SignInFailed, SigningIn, StorageChanged
from rxauth.store import ErrorReported
from rxauth.testing import faults


def said(recording: Recording) -> tuple[str, str]:
    story = tell(recording)
    return headline(story), sentence(story)


def test_fifty_calls() -> None:
    assert said(fifty_calls()) == (
        "50 calls, one refresh",
        (
            "50 calls in 737 ms: 33 waited for the token, at most 420 ms, 17 found it fresh; one refresh, "
            "from 0 to 420 ms; 50 answered, 0 failed."
        ),
    )


def test_nothing() -> None:
    assert said(recorded()) == ("Nothing recorded", "An empty recording: nothing has happened yet.")


def test_the_server_ends_the_sign_in() -> None:
    stage = Stage()
    stage.expire()
    stage.server.revoke_family()
    assert said(stage.play(lambda stage: stage.storm(10))) == (
        "10 calls, the sign-in ended",
        (
            "10 calls in 420 ms: 10 waited for the token, at most 420 ms; one refresh, from 0 to 420 ms, was refused, "
            "which ended the sign-in (SessionExpired); 0 answered, 10 failed (SessionExpired)."
        ),
    )


@pytest.mark.filterwarnings("ignore")
def test_an_outage() -> None:
    stage = Stage(life=60)
    stage.expire()
    stage.server.always(faults.unavailable(503))

    async def play(stage: Stage) -> None:
        await stage.storm(3, apart=1, after=9)
        await stage.storm(1, after=9)

    title, words = said(stage.play(play))
    assert title == "4 calls, both refreshes failed"
    assert "2 refreshes, both failed (RefreshUnavailable); 0 answered, 4 failed (RefreshUnavailable)." in words


def test_a_logout_in_mid_flight() -> None:
    stage = Stage(token_latency=1.0)
    stage.expire()

    async def play(stage: Stage) -> None:
        await stage.storm(5, after=0.15)
        stage.session.logout()
        await stage.storm(2)

    assert said(stage.play(play)) == (
        "7 calls, signed out meanwhile",
        (
            "7 calls in 210 ms: 5 waited for the token, at most 200 ms, 2 turned away at the gate; "
            "one refresh, begun at 0 ms, overtaken by the logout at 200 ms; 0 answered, 7 failed (NotSignedIn)."
        ),
    )


def test_a_storage_that_fails() -> None:
    def saving(at: float, error: Exception | None) -> tuple[Any, ...]:
        return at, StorageChanged(sign_in="a", generation=2, at=instant(at), error=error)

    broken = [starts(0), lands(1), saving(1, OSError("full"))]
    assert said(recorded(*broken, initial=signed_in()))[1] == (
        "3 events in 1 s: one refresh, from 0 ms to 1 s; saving failed at 1 s (OSError)."
    )
    mended = said(recorded(*broken, saving(2, KeyError()), saving(5, None), initial=signed_in()))[1]
    assert mended.endswith("saving failed 2 times (KeyError) and worked again at 5 s.")


def test_actions_are_others_only_beside_something_else() -> None:
    assert said(recorded((0, Tick(1)), initial=signed_in()))[1] == "1 event in 0 ms: 1 action (Tick)."
    assert said(recorded((0, Tick(1)), starts(0), initial=signed_in()))[1].endswith("1 other action (Tick).")


def test_a_beginning_within_the_first_millisecond_is_the_beginning() -> None:
    events = [(0, Tick(1)), starts(0.0002), lands(0.4)]
    assert "one refresh, from 0 to 400 ms" in said(recorded(*events, initial=signed_in()))[1]


def test_one_more_than_a_few_is_told_and_not_counted() -> None:
    four, five = (recorded(*(event for name in names for event in stream(name, (0, 1)))) for names in ("abcd", "abcde"))
    assert said(four)[0] == "4 streams: a, b, c, d"
    assert said(four)[1].endswith("; d brought 1 value and goes on.")
    assert said(five)[0] == "5 streams: a, b, c and 2 more"
    assert said(five)[1].endswith("; 2 more streams brought 2 values.")


def test_streams_alone() -> None:
    found: list[tuple[Any, ...]] = [
        (0, Subscribed(subscriber=1), "found"),
        (0, Subscribed(subscriber=2), "found"),
        (1, Emitted(subscriber=1, value=1), "found"),
        (2, Failed(subscriber=1, error=ValueError("no")), "found"),
    ]
    assert said(recorded(*stream("typed", (0.5, "a"), (1, "b"), ends=1.5), *found)) == (
        "2 streams: typed, found",
        (
            "2 streams in 2 s: typed brought 2 values and completed; "
            "found brought 1 value to 2 subscribers and failed (ValueError), goes on."
        ),
    )


def test_calls_that_are_not_over_or_were_left() -> None:
    events = [sent(0, 1), sent(0, 2), waits(0, 3), released(1, 3, CallCancelled("left")), ended(1, 2, None)]
    assert said(recorded(*events, initial=signed_in())) == (
        "3 calls, no refresh",
        (
            "3 calls in 1 s: 1 waited for the token, at most 1 s, 2 found it fresh; no refresh; "
            "0 answered, 0 failed, 1 cancelled, 1 without an answer, 1 still running."
        ),
    )


def test_calls_that_are_sent_again_fail_or_are_skipped() -> None:
    events = [sent(0, 1), ended(1, 1, 401), sent(1, 1), ended(2, 1), sent(0, 2), ended(2, 2, 503), sent(0, 3)]
    skipped = ApiSkipped(Echo(1), "dropped", id=9)
    words = said(recorded(*events, ended(2, 3, 500), (2, skipped)))[1]
    assert words == (
        "3 calls in 2 s: 3 found a token; 1 answered, 2 failed (1 × 503, 1 × 500), 1 sent again after a 401, 1 skipped."
    )


def test_a_call_that_needs_no_token() -> None:
    echo = Echo(1)
    words = said(recorded((0, ApiStarted(echo, id=1)), (1, ApiSucceeded(echo, None, None, id=1))))[1]
    assert words == "1 call in 1 s: 1 needed none; 1 answered, 0 failed."


def test_a_login_that_fails() -> None:
    events = [SigningIn(sign_in="b", at=instant(0)), SignInFailed(sign_in="b", at=instant(1), error=LoginFailed("no"))]
    assert said(recorded((0, events[0]), (1, events[1]))) == (
        "The sign-in failed",
        "2 events in 1 s: the sign-in failed at 1 s (LoginFailed).",
    )


def test_several_sessions_are_told_by_name() -> None:
    initial = (signed_in(session="billing"), signed_in(session="search"))
    events = [starts(0, session="billing"), lands(0.02, session="billing"), starts(0.01, session="search")]
    assert said(recorded(*events, initial=initial))[1] == (
        "3 events in 20 ms: billing: one refresh, from 0 to 20 ms; "
        "search: one refresh, begun at 10 ms, is still running."
    )


def test_actions_errors_and_what_was_dropped() -> None:
    error = ErrorReported(error=KeyError("x"), where="the epic search")
    assert said(recorded((0, Tick(1)), (1, Tick(2)), (2, error, "errors"), first=8)) == (
        "1 error",
        "3 events in 2 s: 2 actions (Tick × 2); 1 error reported (KeyError); the first 7 events were dropped.",
    )
    assert "the first event was dropped" in said(recorded((0, Tick(1)), first=2))[1]
