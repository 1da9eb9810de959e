"""Each detail of a flight: what nothing else would notice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import Subject

from rxauth.concurrency import Flight, Single, share_replayed
from rxauth.concurrency.flight import Anywhere
from rxauth.session import AuthState
from rxauth.session.state import refusal
from rxauth.tokens import Tokens
from tests.kit import logged


class Loop:
    """An event loop, as far as a flight knows one: what it is asked to call."""

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed
        self.calls: list[Callable[[], None]] = []

    def call_soon_threadsafe(self, call: Callable[..., None], *args: Any) -> None:
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.calls.append(lambda: call(*args))


class Told(Anywhere):
    """A waiter that may be told on any thread, and how often it was."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []

    def __call__(self, value: Any, error: Exception | None) -> None:
        self.outcomes.append((value, error))


def test_loops_hear_before_those_who_are_called_here() -> None:
    flight: Flight[int] = Flight()
    loop: Any = Loop()
    posted: list[int] = []
    flight.join(lambda value, error: posted.append(len(loop.calls)))
    flight.join(lambda value, error: None, loop)
    flight.land(1)
    assert posted == [1], "a slow callback here must not keep the loop waiting"


def test_all_waiters_of_a_loop_cost_it_one_callback_and_are_told_there_once() -> None:
    flight: Flight[int] = Flight()
    loop: Any = Loop()
    waiters = [Told() for _ in range(3)]
    for waiter in waiters:
        flight.join(waiter, loop)
    flight.land(7)
    assert [waiter.outcomes for waiter in waiters] == [[], [], []]
    [call] = loop.calls
    call()
    assert [waiter.outcomes for waiter in waiters] == [[(7, None)]] * 3


def test_of_a_closed_loop_only_those_are_told_who_may_be_told_anywhere() -> None:
    flight: Flight[int] = Flight()
    closed: Any = Loop(closed=True)
    call, other = Told(), []
    flight.join(call, closed)
    flight.join(lambda value, error: other.append(value), closed)
    flight.land(7)
    assert call.outcomes == [(7, None)]
    assert other == []


def test_only_the_first_outcome_counts() -> None:
    flight: Flight[int] = Flight()
    waiter = Told()
    flight.join(waiter)
    flight.land(1)
    flight.land(2)
    flight.join(waiter)
    assert waiter.outcomes == [(1, None), (1, None)]


@pytest.mark.parametrize("place", range(4))
def test_a_ctrl_c_in_one_callback_leaves_nobody_out_and_tells_nobody_twice(place: int) -> None:
    flight: Flight[int] = Flight()
    told: list[int] = []

    def waiter(number: int) -> Callable[[Any, Any], None]:
        def settle(value: Any, error: Any) -> None:
            told.append(number)
            if number == place:
                raise KeyboardInterrupt

        return settle

    for number in range(4):
        flight.join(waiter(number))
    with pytest.raises(KeyboardInterrupt):
        flight.land(1)
    assert told == [0, 1, 2, 3]


def test_an_error_in_a_callback_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    flight: Flight[int] = Flight()
    waiter = Told()
    flight.join(lambda value, error: {}[value])
    flight.join(waiter)
    flight.land(1)
    assert waiter.outcomes == [(1, None)]
    (record,) = logged(caplog)
    assert record.getMessage() == "rxauth: a callback that waited for a result failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


def test_who_disposes_is_not_told() -> None:
    flight: Flight[int] = Flight()
    joined: list[Any] = []

    def join(settle: Any, loop: Any) -> Any:
        leave = flight.join(settle, loop)
        return lambda: joined.append("left") or leave()

    Single(join).subscribe().dispose()
    assert joined == ["left"]


def test_a_shared_run_calls_back_on_the_loop_of_who_subscribed_there() -> None:
    source: Subject[int] = Subject()
    shared = source.pipe(share_replayed())
    threads: list[int] = []

    async def main() -> int:
        told = asyncio.Event()

        def note(value: int) -> None:
            threads.append(threading.get_ident())
            told.set()

        shared.subscribe(note)

        def land() -> None:
            source.on_next(1)
            source.on_completed()

        threading.Thread(target=land).start()
        await asyncio.wait_for(told.wait(), 60)
        return threading.get_ident()

    assert threads == [asyncio.run(main())]


def test_a_shared_run_of_a_source_that_ends_at_once_tells_its_first_subscriber() -> None:
    got: list[Any] = []
    reactivex.of(1, 2).pipe(share_replayed()).subscribe(got.append)
    assert got == [2]


def test_a_refusal_without_an_error_of_its_own_says_what_it_knows() -> None:
    told = refusal(AuthState(status="degraded", tokens=Tokens("a", "r"), retry_at=9.0))
    assert str(told) == "the last refresh failed; the next one may be tried at retry_at"


def test_a_flight_takes_off_once_also_when_it_is_asked_to_meanwhile() -> None:
    flight: Flight[int] = Flight()
    starts: list[int] = []

    def start() -> None:
        starts.append(len(starts))
        for _ in range(3 if len(starts) < 5 else 0):
            flight.take_off()

    flight.start = start
    flight.take_off()
    flight.take_off()
    assert starts == [0]


def test_a_flight_whose_start_was_interrupted_takes_off_the_next_time() -> None:
    flight: Flight[int] = Flight()
    starts: list[int] = []

    def start() -> None:
        starts.append(len(starts))
        if len(starts) == 1:
            raise KeyboardInterrupt

    flight.start = start
    with pytest.raises(KeyboardInterrupt):
        flight.take_off()
    flight.take_off()
    assert starts == [0, 1]
    flight.take_off()
    assert starts == [0, 1]


def test_the_work_of_a_flight_is_begun_by_one_thread() -> None:
    flight: Flight[int] = Flight()
    assert [flight.begin() for _ in range(3)] == [True, False, False]
