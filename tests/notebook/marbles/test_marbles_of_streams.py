"""`marbles(typed=a, found=b)`: streams that are subscribed for the picture."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import reactivex
from marble_kit import Stage, recorded
from reactivex import Observable, Subject, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxauth import Store
from rxauth.notebook import marbles
from rxauth.recording import record, spy


def test_they_are_subscribed_at_once_and_in_order() -> None:
    order: list[str] = []

    def source(name: str) -> Observable[int]:
        return reactivex.defer(lambda _: order.append(name) or reactivex.of(1))

    marbles(source("first"), source("second"), third=source("third"))
    assert order == ["first", "second", "third"]


def test_one_without_a_name_is_called_stream_and_several_are_numbered() -> None:
    assert marbles(reactivex.of(1)).sentence.endswith("stream brought 1 value and completed.")
    shown = marbles(reactivex.of(1), reactivex.never(), c=reactivex.empty()).sentence
    assert "stream 1 brought 1 value and completed; stream 2 brought nothing and goes on; c brought nothing" in shown


def test_a_stream_that_is_spied_already_is_not_doubled() -> None:
    typed = reactivex.of("a", "b").pipe(spy("typed"))
    shown = marbles(typed=typed, found=typed.pipe(ops.map(str.upper), spy("found")))
    told = shown.sentence.partition(": ")[2]
    assert told == "typed brought 2 values and completed; found brought 2 values and completed."


def test_it_says_nothing_to_recordings_that_are_open() -> None:
    with record() as recording:
        marbles(typed=reactivex.of(1))
    assert len(recording) == 0


def test_values_from_another_thread_are_in_it() -> None:
    source: Subject[int] = Subject()
    shown = marbles(source)
    thread = threading.Thread(target=lambda: (source.on_next(1), source.on_completed()))
    thread.start()
    thread.join()
    assert "brought 1 value and completed" in shown.sentence


def test_closing_leaves_the_streams_and_says_so() -> None:
    left: list[str] = []

    def subscribe(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        observer.on_next(1)
        return Disposable(lambda: left.append("left"))

    shown = marbles(ticks=Observable(subscribe))
    shown.close()
    shown.close()
    assert left == ["left"]
    assert "ticks brought 1 value and was disposed" in shown.sentence


def test_a_failure_is_shown_and_not_raised() -> None:
    def subscribe(observer: abc.ObserverBase[int], scheduler: Any = None) -> abc.DisposableBase:
        raise ZeroDivisionError("at subscription")

    assert "failed (ZeroDivisionError)" in marbles(broken=Observable(subscribe)).sentence


def test_the_picture_of_a_recording_stays_as_it_was() -> None:
    with record() as recording:
        reactivex.of(1).pipe(spy("a")).subscribe()
        shown = marbles(recording)
        reactivex.of(2).pipe(spy("b")).subscribe()
    assert "b brought" not in shown.sentence
    assert "b brought" in marbles(recording).sentence


@pytest.mark.parametrize(
    ("given", "named", "error", "fix"),
    [
        ((), {}, TypeError, "marbles(recording), or marbles(typed=typed)"),
        ((7,), {}, TypeError, "reactivex.from_iterable"),
        ((), {"x": [1, 2]}, TypeError, "got list for 'x'"),
        ((Store,), {}, TypeError, "got the class Store"),
        ((recorded(), reactivex.of(1)), {}, TypeError, "a diagram of their own"),
        ((recorded(),), {"x": reactivex.of(1)}, TypeError, "a diagram of their own"),
        ((reactivex.of(1), recorded()), {}, TypeError, "a diagram of its own"),
        ((recorded(),), {"width": "wide"}, TypeError, "in pixels"),
        ((recorded(),), {"width": 359}, ValueError, "from 360 to 10000"),
        ((recorded(),), {"theme": "pink"}, ValueError, "'auto', 'light', 'dark'"),
        ((), {"title": reactivex.of(1)}, TypeError, "can not have this name"),
        ((), {"errors": reactivex.of(1)}, ValueError, "another keyword"),
    ],
)
def test_wrong_input_names_the_fix(given: Any, named: Any, error: type[Exception], fix: str) -> None:
    with pytest.raises(error) as raised:
        marbles(*given, **named)
    assert fix in str(raised.value)


def test_stores_and_sessions_are_to_be_recorded_first() -> None:
    stage = Stage()
    with pytest.raises(TypeError, match="record it first"):
        marbles(stage.session)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"store\.select"):
        marbles(stage.store)
    assert "states brought 1 value" in marbles(states=stage.store.select(lambda state: state)).sentence


def test_nothing_is_subscribed_when_one_of_them_is_wrong() -> None:
    subscribed: list[int] = []
    source = reactivex.defer(lambda _: subscribed.append(1) or reactivex.of(1))
    with pytest.raises(TypeError):
        marbles(a=source, b=3)  # type: ignore[arg-type]
    assert subscribed == []


def test_its_repr_is_the_sentence() -> None:
    shown = marbles(recorded())
    assert repr(shown) == "Marbles(An empty recording: nothing has happened yet.)"
