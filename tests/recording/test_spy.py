"""`spy`: streams in a recording, and nothing else changed."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject

from rxauth import Store, Tokens
from rxauth.recording import Completed, Disposed, Emitted, Failed, Recording, Subscribed, record, spy
from rxauth.testing import VirtualTime


def signals(recording: Recording, name: str) -> list[Any]:
    return [event.action for event in recording.events if event.stream == name]


def test_what_passes_is_recorded_and_passes() -> None:
    got: list[int] = []
    with record() as recording:
        reactivex.of(1, 2).pipe(spy("numbers"), ops.map(lambda n: n * 10)).subscribe(got.append)
    assert got == [10, 20]
    assert signals(recording, "numbers") == [
        Subscribed(subscriber=1),
        Emitted(subscriber=1, value=1),
        Emitted(subscriber=1, value=2),
        Completed(subscriber=1),
    ]


def test_an_error_is_recorded_and_passes() -> None:
    got: list[Exception] = []
    error = LookupError("gone")
    with record() as recording:
        reactivex.throw(error).pipe(spy("failing")).subscribe(on_error=got.append)
    assert got == [error]
    [_, failed] = signals(recording, "failing")
    assert isinstance(failed, Failed)
    assert repr(failed.error) == "LookupError('gone')"


def test_who_leaves_before_the_end_is_recorded_once_and_the_source_is_left() -> None:
    source: Subject[int] = Subject()
    with record() as recording:
        subscription = source.pipe(spy("clicks")).subscribe()
        subscription.dispose()
        subscription.dispose()
        source.on_next(1)
    assert signals(recording, "clicks") == [Subscribed(subscriber=1), Disposed(subscriber=1)]
    assert not source.observers


def test_subscribers_are_told_apart() -> None:
    source: Subject[int] = Subject()
    spied = source.pipe(spy("clicks"))
    with record() as recording:
        spied.subscribe()
        spied.subscribe()
        source.on_next(7)
    assert [event.subscriber for event in signals(recording, "clicks")] == [1, 2, 1, 2]


def test_every_open_recording_gets_it_and_no_closed_one() -> None:
    source: Subject[int] = Subject()
    source.pipe(spy("clicks")).subscribe()
    with record() as first:
        source.on_next(1)
        with record() as second:
            source.on_next(2)
        source.on_next(3)
    source.on_next(4)
    assert [event.value for event in signals(first, "clicks")] == [1, 2, 3]
    assert [event.value for event in signals(second, "clicks")] == [2]


def test_into_names_the_only_recording() -> None:
    with record() as mine, record() as other:
        reactivex.of(1).pipe(spy("numbers", into=mine)).subscribe()
    assert len(signals(mine, "numbers")) == 3
    assert not signals(other, "numbers")


def test_no_secret_comes_in() -> None:
    tokens = Tokens("access-secret-0123456789", "refresh-secret-0123456789")
    with record() as recording:
        reactivex.of(tokens, {"password": "lovelace"}, "Bearer access-secret-0123456789").pipe(spy("made")).subscribe()
    text = "\n".join(recording.to_lines()) + repr(recording.events)
    for secret in ("access-secret", "refresh-secret", "lovelace"):
        assert secret not in text
    assert Emitted(subscriber=1, value=tokens) not in signals(recording, "made"), "its own is another"


def test_the_moments_are_those_of_the_clock_given() -> None:
    time = VirtualTime()
    with record(time=time) as recording:
        reactivex.timer(2.0, 3.0, scheduler=time.scheduler).pipe(ops.take(2), spy("ticks")).subscribe()
        time.advance(10)
    assert [event.at for event in recording.events] == [0, 2, 5, 5]


def test_it_is_saved_and_loaded_with_its_name() -> None:
    with record(time=VirtualTime()) as recording:
        reactivex.of("a").pipe(spy("letters")).subscribe()
    loaded = Recording.from_lines(recording.to_lines())
    assert loaded.events == recording.events
    assert [event.stream for event in loaded] == ["letters"] * 3


def test_streams_are_no_actions() -> None:
    store: Store[int] = Store(lambda state, action: state + action, 0)
    with record(store) as recording:
        store.dispatch(1)
        reactivex.of(100).pipe(spy("numbers")).subscribe()
        store.dispatch(2)
    assert recording.actions == [1, 2]
    assert recording.replay(lambda state, action: state + action) == [0, 1, 3]
    assert [event.number for event in recording] == [1, 2, 3, 4, 5]


def test_a_recording_that_nobody_holds_is_forgotten() -> None:
    recording = record()
    gone = weakref.ref(recording)
    del recording
    gc.collect()
    assert gone() is None
    reactivex.of(1).pipe(spy("numbers")).subscribe()


@pytest.mark.parametrize("name", ["", "session", "errors", 7, None])
def test_a_name_of_its_own_is_needed(name: Any) -> None:
    with pytest.raises(ValueError, match=r"such as spy\('typed'\)"):
        spy(name)


@pytest.mark.parametrize("source", [Subject(), 7, None, [Store(lambda state, action: state, 0)]])
def test_only_stores_and_sessions_are_recorded(source: Any) -> None:
    with pytest.raises(TypeError, match=r"pipe\(spy\('name'\)\)"):
        record(source)
