"""What events add up to: who waits, what is in flight, how calls ended, and the sessions' states."""

from __future__ import annotations

from dataclasses import replace

import httpx
from events_kit import Stage, ended, events, released, sent, some_tokens, waits

from rxauth import ApiFailed, ApiSucceeded, AuthState, NotSignedIn, RefreshUnavailable, Request, call
from rxauth.api import ApiCancelled, ApiSkipped, ApiStarted
from rxauth.concurrency import Instant
from rxauth.notebook.follow.summary import token_words
from rxauth.notebook.follow.tally import REPEATABLE, Tally, auth_states
from rxauth.recording import record
from rxauth.session import StorageChanged, Windows
from rxauth.store import ErrorReported
from rxauth.store.tap import ERRORS
from rxauth.testing import faults

ME = call(Request.get("/api/me/"))


def tally(*actions: object) -> Tally:
    sum_of = Tally()
    for event in events(*actions):
        sum_of.add(event)
    return sum_of


def test_who_waits_the_most_at_once_and_the_longest() -> None:
    sum_of = tally(waits(1), waits(2), waits(3), released(1), released(2))
    assert list(sum_of.waiting) == [3]
    assert sum_of.peak == 3
    assert round(sum_of.longest, 6) == 0.3
    assert round(sum_of.longest_wait(1.0), 6) == 0.7, "who waits still counts, too"


def test_a_call_is_in_flight_until_its_answer() -> None:
    assert tally(sent(1), sent(2), ended(1)).in_flight == {2}


def test_a_call_of_httpx_counts_once_by_its_last_answer() -> None:
    refused = tally(sent(1), ended(1, 401))
    assert (refused.answered, refused.failed) == (0, 1)
    repeated = tally(sent(1), ended(1, 401), waits(1), released(1), sent(1), ended(1, 200))
    assert (repeated.answered, repeated.failed) == (1, 0)
    redirected = tally(sent(1), ended(1, 302), sent(1), ended(1, 200))
    assert (redirected.answered, redirected.failed) == (1, 0)


def test_no_answer_a_status_from_400_on_and_an_error_at_the_gate_are_failures() -> None:
    sum_of = tally(sent(1), ended(1, None), sent(2), ended(2, 503), waits(3), released(3, NotSignedIn("nobody")))
    assert (sum_of.answered, sum_of.failed) == (0, 3)
    assert isinstance(sum_of.error, NotSignedIn)


def test_a_storage_that_fails_is_the_newest_error() -> None:
    failed = StorageChanged(sign_in="a", generation=1, at=Instant(0, 0), error=OSError("full"))
    assert isinstance(tally(failed).error, OSError)
    assert isinstance(tally(failed, replace(failed, error=None)).error, OSError), "the newest, also when it is over"


def test_an_api_call_counts_by_the_action_that_ends_it() -> None:
    sum_of = tally(
        ApiStarted(ME, id=1), waits(1), released(1), sent(1), ended(1, 200), ApiSucceeded(ME, {}, None, id=1),
        ApiStarted(ME, id=2), waits(2), released(2, NotSignedIn("nobody")), ApiFailed(ME, NotSignedIn("nobody"), id=2),
        ApiStarted(ME, id=3), sent(3), ApiCancelled(ME, id=3), ApiSkipped(ME, "dropped", id=4),
    )  # fmt: skip
    assert (sum_of.answered, sum_of.failed, sum_of.cancelled) == (1, 1, 1)
    assert not sum_of.calls
    assert not sum_of.in_flight


def test_what_is_remembered_to_count_once_is_bounded() -> None:
    sum_of = tally(*(action for caller in range(REPEATABLE * 2) for action in (sent(caller), ended(caller))))
    assert len(sum_of.ended) == REPEATABLE
    assert sum_of.answered == REPEATABLE * 2


def test_a_recorded_session_adds_up_to_the_state_it_is_in() -> None:
    stage = Stage()
    with record(stage.store, time=stage.time) as recording:
        stage.login()
        stage.time.advance(301)
        with stage.client() as client:
            assert client.get("/api/me/").status_code == 200
            stage.server.always(faults.unavailable())
            stage.time.advance(301)
            assert _get(client) == "RefreshUnavailable"
    sum_of = Tally.of(recording.initial)
    for event in recording.events:
        sum_of.add(event)
    assert sum_of.sessions["default"].status == stage.session.auth.status == "degraded"
    assert sum_of.sessions["default"].generation == stage.session.auth.generation
    assert (sum_of.refreshes, sum_of.failed_refreshes) == (1, 1)
    assert (sum_of.answered, sum_of.failed) == (1, 1)
    assert isinstance(sum_of.error, RefreshUnavailable)
    assert not sum_of.waiting
    assert not sum_of.in_flight


def test_an_error_that_nobody_else_heard_of_is_the_last_error() -> None:
    sum_of = Tally()
    (event,) = events(ErrorReported(error=ValueError("bad"), where="an epic"))
    sum_of.add(type(event)(1, 0.5, event.action, ERRORS))
    assert isinstance(sum_of.error, ValueError)
    assert sum_of.error_at == 0.5


def test_a_copy_goes_its_own_way() -> None:
    sum_of = tally(waits(1), sent(2))
    copy = sum_of.copy()
    for event in events(released(1), ended(2)):
        copy.add(event)
    assert list(sum_of.waiting) == [1]
    assert sum_of.in_flight == {2}
    assert sum_of.answered == 0


def test_sessions_are_found_wherever_they_are_in_a_state() -> None:
    one, two = AuthState(), AuthState(session="billing")
    assert list(auth_states({"auth": one, "more": (two, 3)})) == [one, two]


def _get(client: httpx.Client) -> str:
    try:
        return str(client.get("/api/me/").status_code)
    except Exception as error:
        return type(error).__name__


def test_a_call_that_is_cancelled_on_the_wire_is_cancelled_and_not_failed() -> None:
    """Its connection ends after its action."""
    sum_of = tally(ApiStarted(ME, id=1), sent(1), ApiCancelled(ME, id=1), ended(1, None))
    assert (sum_of.answered, sum_of.failed, sum_of.cancelled, sum_of.in_flight) == (0, 0, 1, set())


def test_a_token_that_is_not_saved_says_so() -> None:
    now = Instant(0.0, 0.0)
    held = AuthState(status="signed_in", tokens=some_tokens(), storage="failing")
    assert token_words(held, now, Windows()).detail.endswith("value redacted · not saved: the storage fails")
    assert token_words(AuthState(storage="failing"), now, Windows()).detail == "the storage fails"
