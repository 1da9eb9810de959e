"""How events are called and drawn, and how a burst becomes one line."""

from __future__ import annotations

import pytest
from events_kit import Add, ended, events, released, sent, waits

from rxauth import ApiFailed, NotSignedIn, Request, call
from rxauth.api import ApiStarted
from rxauth.concurrency import Instant
from rxauth.notebook.follow.kinds import LANES, Kind, bursts, kind_of
from rxauth.recording import Emitted, Failed
from rxauth.recording.record import Event
from rxauth.session import StorageChanged
from rxauth.store import ErrorReported
from rxauth.store.tap import ERRORS

ADD, MARK = Kind("Add", "", "actions", "dot", "plain"), Kind("Mark", "", "actions", "dot", "plain")


@pytest.mark.parametrize(
    ("event", "label", "detail", "lane"),
    [
        (waits(1), "CallWaits", "fresh()", "waiting"),
        (released(1, NotSignedIn("nobody")), "CallReleased", "NotSignedIn", "waiting"),
        (sent(1), "RequestSent", "GET /api/me/", "sent"),
        (ended(1, 401), "RequestEnded", "401", "answered"),
        (ended(1, None), "RequestEnded", "no answer", "answered"),
        (Add("x"), "Add", "", "actions"),
        (ApiStarted(call(Request.get("/api/me/?q=secret"))), "ApiStarted", "GET /api/me/", "actions"),
    ],
)
def test_an_event_is_called_by_its_class_and_what_tells_it_apart(
    event: object, label: str, detail: str, lane: str
) -> None:
    kind = kind_of(events(event)[0])
    assert (kind.label, kind.detail, kind.lane) == (label, detail, lane)
    assert kind.lane in LANES


def test_failures_have_a_mark_of_their_own_not_only_a_colour() -> None:
    failures = [ended(1, 500), released(1, NotSignedIn("no")), ApiFailed(call(Request.get("/")), NotSignedIn("no"))]
    kinds = [kind_of(event) for event in events(*failures)]
    kinds += [kind_of(Event(1, 0.0, ErrorReported(error=ValueError(), where="an epic"), ERRORS))]
    kinds += [kind_of(Event(1, 0.0, Failed(subscriber=1, error=ValueError()), "typed"))]
    assert {(kind.mark, kind.tone) for kind in kinds} == {("cross", "bad")}


def test_tokens_that_are_not_saved_are_a_failure_and_then_are_saved_again() -> None:
    failed, saved = (
        StorageChanged(session="billing", sign_in="a", generation=1, at=Instant(0, 0), error=error)
        for error in (OSError("full"), None)
    )
    assert kind_of(Event(1, 0.0, failed)) == Kind("StorageChanged", "OSError billing", "token", "cross", "bad")
    assert kind_of(Event(1, 0.0, saved)) == Kind("StorageChanged", "billing", "token", "ring", "good")


def test_a_spied_stream_is_named() -> None:
    assert kind_of(Event(1, 0.0, Emitted(subscriber=1, value=3), "typed")).detail == "typed"


def test_the_same_kind_again_and_again_is_one_line() -> None:
    assert [(str(burst), burst.times) for burst in bursts([ADD] * 31 + [MARK])] == [("Add × 31", 31), ("Mark", 1)]


def test_a_pattern_that_repeats_is_one_line() -> None:
    pattern = [kind_of(event) for event in events(ended(1), Add("x"), sent(1))]
    assert [str(burst) for burst in bursts([*pattern * 15, MARK])] == ["RequestEnded · Add · RequestSent × 15", "Mark"]


def test_nothing_is_lost_by_folding() -> None:
    kinds = [ADD, MARK, ADD, MARK, ADD, ADD, ADD, MARK]
    assert [kind for burst in bursts(kinds) for _ in range(burst.times) for kind in burst.kinds] == kinds


class Counted:
    """Equal to every other one, and counts how often that was asked."""

    asked = 0

    def __eq__(self, other: object) -> bool:
        Counted.asked += 1
        return True

    __hash__ = object.__hash__


def test_folding_is_linear() -> None:
    def comparisons(events: int) -> int:
        Counted.asked = 0
        bursts([Counted() for _ in range(events)])  # type: ignore[misc]
        return Counted.asked

    assert 0 < comparisons(40_000) < 11 * comparisons(4_000)
