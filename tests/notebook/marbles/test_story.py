"""What a recording tells, before anything is drawn: token lives, calls, gates and streams."""

from __future__ import annotations

import gc
import math

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
    tokens,
    waits,
)

from rxauth import ApiFailed, ApiStarted, ApiSucceeded, AuthState
from rxauth.api import ApiCancelled, ApiSkipped
from rxauth.concurrency import Instant
from rxauth.errors import CallCancelled, NotSignedIn, RefreshUnavailable, SessionExpired
from rxauth.notebook.marbles.calls import Span
from rxauth.notebook.marbles.story import Gate, Story, tell
from rxauth.recording import Disposed, Emitted, Failed, Recording, Subscribed
from rxauth.recording.encoding import Unknown
from rxauth.recording.record import Event
from rxauth.session import CallWaits, RefreshFailed, SessionEnded, SignedIn, SignedOut, SigningIn
from rxauth.store import ErrorReported


def kinds(story: Story, lane: int = 0) -> list[tuple[str, float, float]]:
    return [(piece.kind, piece.begin, piece.end) for piece in story.tokens[lane].pieces]


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_storm_is_one_refresh_one_gate_and_a_row_for_each_call() -> None:
    story = tell(fifty_calls())
    (lane,) = story.tokens
    (flight,) = lane.flights
    assert (flight.begin, flight.outcome) == (0, "refreshed")
    assert flight.end == pytest.approx(0.42)
    assert [piece.kind for piece in lane.pieces] == ["expired", "refreshing", "fresh"]
    assert lane.pieces[-1].expires_in == pytest.approx(300)
    assert story.peak == 33
    (gate,) = story.gates
    assert (gate.at, gate.passed, gate.refused) == (pytest.approx(0.42), 33, 0)
    assert [call.way for call in story.calls] == ["waited"] * 33 + ["straight"] * 17
    assert {call.outcome for call in story.calls} == {"answered"}


def test_a_token_expires_in_the_middle_of_a_recording() -> None:
    story = tell(recorded(starts(10), lands(12), (20, Tick(1)), initial=signed_in(at=0, life=5)))
    # The first event is the picture's beginning, so the token that lived until 5 had expired before.
    assert kinds(story) == [("expired", 0, 0), ("refreshing", 0, 2), ("fresh", 2, 10)]
    story = tell(recorded((0, Tick(1)), starts(10), lands(12), initial=signed_in(at=0, life=5)))
    assert kinds(story) == [("fresh", 0, 5), ("expired", 5, 10), ("refreshing", 10, 12), ("fresh", 12, 12)]


def test_the_next_generation_follows_in_a_row() -> None:
    story = tell(recorded(starts(0, 1), lands(1, 1), starts(4, 2), lands(5, 2), (9, Tick(1)), initial=signed_in()))
    assert [(piece.kind, piece.generation) for piece in story.tokens[0].pieces[-3:]] == [
        ("fresh", 2),
        ("refreshing", 2),
        ("fresh", 3),
    ]


def test_without_any_event_of_the_session_nobody_claims_to_know_when_its_token_expires() -> None:
    story = tell(recorded(sent(0, 1), ended(1, 1), initial=signed_in(life=300)))
    (piece,) = story.tokens[0].pieces
    assert (piece.kind, piece.expires_in) == ("signed_in", None)


def test_a_failed_refresh_degrades_and_a_refused_one_ends() -> None:
    failed = RefreshFailed(
        sign_in="a", generation=1, at=instant(1), error=RefreshUnavailable("down"), retry_at=Instant(9e9, 9e9)
    )
    story = tell(recorded(starts(0), (1, failed), (2, Tick(1)), initial=signed_in(life=0)))
    assert kinds(story)[1:] == [("refreshing", 0, 1), ("degraded", 1, 2)]
    assert [(flight.outcome, flight.error) for flight in story.tokens[0].flights] == [("failed", "RefreshUnavailable")]
    over = SessionEnded(sign_in="a", generation=1, at=instant(1), cause=SessionExpired("refused"))
    story = tell(recorded(starts(0), (1, over), (2, Tick(1)), initial=signed_in(life=0)))
    assert kinds(story)[1:] == [("refreshing", 0, 1), ("signed_out", 1, 2)]
    assert [flight.outcome for flight in story.tokens[0].flights] == ["ended"]


def test_a_logout_in_mid_flight_overtakes_the_refresh_and_its_late_answer_changes_nothing() -> None:
    out = SignedOut(sign_in="a", at=instant(1))
    story = tell(recorded(starts(0), (1, out), lands(2), (3, Tick(1)), initial=signed_in(life=0)))
    assert [(flight.outcome, flight.end) for flight in story.tokens[0].flights] == [("overtaken", 1)]
    assert kinds(story)[1:] == [("refreshing", 0, 1), ("signed_out", 1, 3)]


def test_a_refresh_that_does_not_end_in_the_recording_is_running() -> None:
    story = tell(recorded(starts(0), (1, Tick(1)), initial=signed_in(life=0)))
    assert [(flight.outcome, flight.end) for flight in story.tokens[0].flights] == [("running", None)]


def test_a_login_is_a_piece_and_opens_the_gate() -> None:
    begins = SigningIn(sign_in="b", at=instant(0))
    comes = SignedIn(sign_in="b", at=instant(1), tokens=tokens(1, 7))
    story = tell(recorded((0, begins), waits(0.5, 1), (1, comes), released(1, 1), sent(1, 1), initial=AuthState()))
    assert kinds(story) == [("signed_out", 0, 0), ("signing_in", 0, 1), ("fresh", 1, 1)]
    assert story.gates == (Gate(1, 1, 0),)


def test_each_session_has_its_lane() -> None:
    initial = {"one": signed_in(session="billing"), "two": signed_in(session="search"), "three": AuthState(session="x")}
    story = tell(recorded(starts(0, session="billing"), lands(1, session="billing"), initial=initial))
    assert [(lane.session, len(lane.flights)) for lane in story.tokens] == [("billing", 1), ("search", 0)]


def test_a_beginning_that_was_dropped_is_told_from_the_first_event_that_is_left() -> None:
    story = tell(recorded(lands(5), starts(8, 2), lands(9, 2), initial=AuthState(), first=101))
    assert story.dropped == 100
    assert [flight.outcome for flight in story.tokens[0].flights] == ["refreshed", "refreshed"]
    assert story.tokens[0].flights[0].begin is None
    assert story.tokens[0].pieces[0].kind == "refreshing"


# -- calls ------------------------------------------------------------------------------------------------------------


def test_a_bearer_call_that_is_refused_once_waits_and_is_sent_again() -> None:
    events = [sent(0, 1), ended(1, 1, 401), waits(1, 1), released(2, 1), sent(2, 1), ended(3, 1)]
    (call,) = tell(recorded(*events)).calls
    assert [(span.kind, span.begin, span.end) for span in call.spans] == [
        ("flight", 0, 1),
        ("waits", 1, 2),
        ("flight", 2, 3),
    ]
    assert (call.outcome, call.why, call.refusals, call.waited) == ("answered", "200", (1,), 1)


@pytest.mark.parametrize(
    ("events", "outcome", "why"),
    [
        ([sent(0, 1), ended(1, 1, 204)], "answered", "204"),
        ([sent(0, 1), ended(1, 1, 503)], "failed", "503"),
        ([sent(0, 1), ended(1, 1, 401)], "failed", "401"),
        ([sent(0, 1), ended(1, 1, None)], "left", "no answer"),
        ([sent(0, 1), ended(1, 1, 302), sent(1, 1), ended(2, 1, 200)], "answered", "200"),
        ([waits(0, 1), released(1, 1, SessionExpired("refused"))], "failed", "SessionExpired"),
        ([waits(0, 1), released(1, 1, CallCancelled("left"))], "cancelled", "left"),
        ([waits(0, 1, "fresh()"), released(1, 1)], "answered", "tokens"),
        ([waits(0, 1)], "running", ""),
        ([waits(0, 1), released(1, 1), sent(1, 1)], "running", ""),
    ],
)
def test_how_a_call_ends(events: list[object], outcome: str, why: str) -> None:
    (call,) = tell(recorded(*events, (5, Tick(1)))).calls  # type: ignore[arg-type]
    assert (call.outcome, call.why) == (outcome, why)
    assert call.end == (5 if outcome == "running" else max(span.end for span in call.spans))


def test_an_api_call_ends_with_its_action_and_queues_before_it_is_sent() -> None:
    echo = Echo(1)
    events = [(0, echo), (0, ApiStarted(echo, id=1)), waits(0, 1), released(2, 1), sent(3, 1), ended(4, 1)]
    (call,) = tell(recorded(*events, (4, ApiSucceeded(echo, None, None, id=1)))).calls
    assert call.name == "Echo"
    assert call.spans == (Span("waits", 0, 2), Span("queued", 2, 3), Span("flight", 3, 4, 200))
    assert (call.outcome, call.way) == ("answered", "waited")


def test_an_api_call_that_was_turned_away_was_never_sent() -> None:
    echo = Echo(1)
    story = tell(recorded((0, ApiStarted(echo, id=1)), (0, ApiFailed(echo, NotSignedIn("nobody"), id=1))))
    assert [(call.way, call.why) for call in story.calls] == [("turned_away", "NotSignedIn")]


def test_a_call_without_a_token_is_in_flight_from_beginning_to_end() -> None:
    echo = Echo(1)
    story = tell(recorded((0, ApiStarted(echo, id=1)), (2, ApiSucceeded(echo, None, None, id=1))))
    assert [(call.way, call.spans) for call in story.calls] == [("bare", (Span("flight", 0, 2),))]


def test_a_call_is_in_flight_until_its_answer_is_read() -> None:
    echo = Echo(1)
    events = [(0, ApiStarted(echo, id=1)), sent(1, 1), ended(2, 1), (3, ApiSucceeded(echo, None, None, id=1))]
    (call,) = tell(recorded(*events)).calls
    assert [(span.kind, span.begin, span.end) for span in call.spans] == [("queued", 0, 1), ("flight", 1, 3)]


def test_a_call_that_is_cancelled_in_the_queue_is_unsent_and_a_skipped_one_is_no_call() -> None:
    echo = Echo(1)
    events = [(0, ApiStarted(echo, id=1)), (1, ApiCancelled(echo, id=1)), (2, ApiSkipped(echo, "dropped", id=2))]
    story = tell(recorded(*events))
    assert [(call.way, call.outcome, call.spans) for call in story.calls] == [
        ("unsent", "cancelled", (Span("queued", 0, 1),))
    ]
    assert story.skipped == 1


def test_a_call_whose_beginning_was_dropped_began_at_the_left_edge() -> None:
    story = tell(recorded((0, Tick(1)), released(1, 1), sent(1, 1), ended(2, 1), ended(3, 2)))
    assert [(call.begin, call.spans[0]) for call in story.calls] == [
        (0, Span("waits", 0, 1)),
        (0, Span("flight", 0, 3, 200)),
    ]


def test_who_leaves_while_it_waits_is_not_counted_at_the_gate() -> None:
    events = [starts(0), waits(0, 1), waits(0, 2), released(1, 1, CallCancelled("left")), lands(2), released(2, 2)]
    story = tell(recorded(*events, initial=signed_in(life=0)))
    assert story.gates == (Gate(2, 1, 0),)


def test_a_gate_that_opens_with_an_error_says_which() -> None:
    over = SessionEnded(sign_in="a", generation=1, at=instant(1), cause=SessionExpired("refused"))
    events = [starts(0), waits(0, 1), (1, over), released(1, 1, SessionExpired("refused"))]
    assert tell(recorded(*events, initial=signed_in(life=0))).gates == (Gate(1, 0, 1, "SessionExpired"),)


# -- streams ----------------------------------------------------------------------------------------------------------


def test_streams_have_a_line_for_each_subscriber_and_end_as_they_did() -> None:
    events = [
        *stream("typed", (1, "j"), (2, "jw"), ends=3),
        (0, Subscribed(subscriber=1), "found"),
        (1, Subscribed(subscriber=2), "found"),
        (2, Emitted(subscriber=2, value=[1, 2]), "found"),
        (3, Disposed(subscriber=2), "found"),
        (4, Failed(subscriber=1, error=ValueError("no")), "found"),
        (5, Subscribed(subscriber=3), "found"),
    ]
    typed, found = tell(recorded(*events)).streams
    assert [(mark.at, mark.label) for mark in typed.lines[0].marks] == [(1, "j"), (2, "jw")]
    assert [(line.begin, line.end, line.ending, line.why) for line in found.lines] == [
        (0, 4, "failed", "ValueError"),
        (1, 3, "disposed", ""),
        (5, 5, "open", ""),
    ]
    assert [mark.label for mark in found.lines[1].marks] == ["2 items"]


def test_two_spies_of_one_name_are_two_lines() -> None:
    story = tell(recorded(*stream("same", (1, "a"), ends=2), (3, Subscribed(subscriber=1), "same")))
    assert [line.ending for line in story.streams[0].lines] == ["completed", "open"]


def test_actions_of_an_app_are_told_but_neither_calls_nor_what_the_session_says() -> None:
    story = tell(recorded((0, Tick(1)), (1, Echo(1)), starts(2), (3, Unknown("shop:Bought", ()))))
    assert [(mark.at, mark.label) for mark in story.actions] == [(0, "Tick"), (3, "Bought")]


def test_reported_errors_say_class_and_place() -> None:
    reported = ErrorReported(error=KeyError("secret"), where="the epic search", during="Search")
    (mark,) = tell(recorded((1, reported, "errors"))).errors
    assert (mark.label, mark.where) == ("KeyError", "the epic search")


# -- odd recordings ---------------------------------------------------------------------------------------------------


def test_nothing_recorded_is_an_empty_story() -> None:
    assert tell(Recording()) == Story()


def test_times_count_from_the_first_event_whatever_the_order() -> None:
    story = tell(recorded(sent(7, 1), sent(5, 2), ended(6, 2), ended(5.5, 1)))
    assert story.end == 2
    assert [(call.begin, call.end) for call in story.calls] == [(0, 1), (2, 2)]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, "soon", None])
def test_a_time_that_is_none_is_that_of_the_event_before(odd: object) -> None:
    story = tell(recorded((1, Tick(1)), (2, Tick(2)), (odd, Tick(3))))
    assert [mark.at for mark in story.actions] == [0, 1, 1]


def test_an_event_that_makes_no_sense_is_left_out_and_the_others_are_told() -> None:
    unhashable = CallWaits(session="default", caller=[], asked_by="x")  # type: ignore[arg-type]
    nonsense = SignedIn(sign_in="b", at=None, tokens="no tokens")  # type: ignore[arg-type]
    story = tell(recorded((0, unhashable, "session"), (0, nonsense), (1, Tick(1)), (2, object(), "typed")))
    assert [mark.label for mark in story.actions] == ["Tick"]
    assert story.calls == ()
    assert [mark.label for lane in story.streams for line in lane.lines for mark in line.marks] == ["object"]


def test_an_initial_state_that_holds_itself_is_no_session() -> None:
    cyclic: dict[str, object] = {}
    cyclic["me"] = cyclic
    assert tell(Recording([Event(1, 0.0, Tick(1))], initial=cyclic)).tokens == ()


def test_a_recording_that_was_saved_tells_the_same() -> None:
    recording = fifty_calls()
    story, again = tell(recording), tell(Recording.from_lines(recording.to_lines()))
    assert [call.outcome for call in again.calls] == [call.outcome for call in story.calls]
    assert [piece.kind for piece in again.tokens[0].pieces] == [piece.kind for piece in story.tokens[0].pieces]


@pytest.mark.parametrize("on", [True, False])
def test_the_garbage_collector_is_left_as_it_was(on: bool) -> None:
    try:
        (gc.enable if on else gc.disable)()
        tell(fifty_calls())
        assert gc.isenabled() is on
    finally:
        gc.enable()


def test_a_real_logout_in_mid_flight() -> None:
    stage = Stage(token_latency=1.0)
    stage.expire()

    async def play(stage: Stage) -> None:
        for number in range(5):
            stage.store.dispatch(Echo(number))
        stage.session.logout()
        await stage.storm(2)

    story = tell(stage.play(play))
    assert [flight.outcome for flight in story.tokens[0].flights] == ["overtaken"]
    assert {(call.way, call.why) for call in story.calls} == {("waited", "NotSignedIn"), ("turned_away", "NotSignedIn")}
