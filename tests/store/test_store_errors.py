"""Errors: who is told, and that everybody else goes on."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from store_kit import Add, Boom, Crew, Ping, Pong, Reports, Seen, await_event, explosive, log_reducer

from rxauth import Store
from rxauth.errors import ReducerError, StoreError
from tests.kit import logged


def fails(value: Any) -> None:
    raise ValueError("mine")


def test_dispatch_raises_what_the_reducer_raised_and_the_state_is_kept() -> None:
    """And it is the caller's: nobody else is told."""
    reports = Reports()
    store, seen = Store(explosive, (), report=reports), Seen()
    store.dispatch(Add(1))
    store.subscribe(seen)
    store.actions.subscribe(seen)
    with pytest.raises(ValueError, match="boom"):
        store.dispatch(Boom())
    assert store.state == (1,)
    assert seen == [(1,)]
    assert reports.told == []


def test_the_store_goes_on_after_the_reducer_raised() -> None:
    store, seen = Store(explosive, ()), Seen()
    store.subscribe(seen)
    with pytest.raises(ValueError, match="boom"):
        store.dispatch(Boom())
    store.dispatch(Add(1))
    assert seen == [(), (1,)]


def test_what_the_reducer_raises_for_an_epics_action_is_reported() -> None:
    """And the epic goes on: it did nothing wrong that it could be told of."""
    reports = Reports()

    def exploding(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.flat_map(lambda ping: [Boom(), Pong(ping.n)]))

    store = Store(explosive, (), epics=[exploding], report=reports)
    store.dispatch(Ping(1))
    store.dispatch(Ping(2))
    assert store.state == (Ping(1), Pong(1), Ping(2), Pong(2))
    assert reports.errors == ["boom", "boom"]
    assert reports.actions == [Boom(), Boom()]
    assert all("exploding" in where for where in reports.wheres)


def test_a_reducer_that_dispatches_gets_a_clear_error() -> None:
    def reducer(state: Any, action: Any) -> Any:
        if isinstance(action, Ping):
            store.dispatch(Add(1))
        return log_reducer(state, action)

    store = Store(reducer, ())
    with pytest.raises(ReducerError, match="a reducer dispatched Add; a reducer only returns the next state"):
        store.dispatch(Ping())
    store.dispatch(Add(2))
    assert store.state == (2,)


def test_a_reducer_that_dispatches_a_function_action_gets_a_clear_error() -> None:
    def reducer(state: Any, action: Any) -> Any:
        return store.dispatch(lambda dispatch, get_state: dispatch(Pong()))

    store = Store(reducer, ())
    with pytest.raises(ReducerError, match="a reducer dispatched Pong"):
        store.dispatch(Ping())


def test_a_reducer_that_reads_the_store_gets_a_clear_error() -> None:
    def reducer(state: Any, action: Any) -> Any:
        return (*store.state, action)

    store = Store(reducer, ())
    with pytest.raises(ReducerError, match=r"a reducer read store\.state; it is given the state"):
        store.dispatch(Ping())
    assert store.state == ()


def test_a_reducer_that_returns_none_gets_a_clear_error() -> None:
    store = Store(lambda state, action: None, ())  # type: ignore[func-returns-value]
    with pytest.raises(ReducerError, match="the reducer returned None for Ping; return the state, unchanged if"):
        store.dispatch(Ping())
    assert store.state == ()


def test_another_thread_may_dispatch_while_the_reducer_runs() -> None:
    """It waits for its turn; the error above is for the reducer's own thread."""
    reducing, go_on = threading.Event(), threading.Event()

    def slow(state: Any, action: Any) -> Any:
        if action == Add(1):
            reducing.set()
            await_event(go_on)
        return log_reducer(state, action)

    store = Store(slow, ())
    crew = Crew(lambda: store.dispatch(Add(1)))
    await_event(reducing)
    second = Crew(lambda: store.dispatch(Add(2)))
    go_on.set()
    crew.join()
    second.join()
    assert store.state == (1, 2)


def test_the_third_of_three_subscribers_gets_the_value_though_the_second_raises() -> None:
    """B94"""
    reports = Reports()
    store, first, third = Store(log_reducer, (), report=reports), Seen(), Seen()
    store.subscribe(first)
    store.subscribe(fails)
    store.subscribe(third)
    store.dispatch(Add(1))
    assert first == third == [(), (1,)]


def test_a_subscriber_that_raises_stays_subscribed() -> None:
    """B94"""
    store, seen = Store(log_reducer, (), report=Reports()), Seen()

    def failing(value: Any) -> None:
        seen.on_next(value)
        raise ValueError

    store.subscribe(failing)
    store.actions.subscribe(failing)
    for item in range(3):
        store.dispatch(Add(item))
    assert seen == [(), (0,), Add(0), (0, 1), Add(1), (0, 1, 2), Add(2)]


def test_the_dispatcher_is_not_told_of_a_subscriber_that_raises() -> None:
    reports = Reports()
    store = Store(log_reducer, (), report=reports)
    store.actions.subscribe(fails)
    assert store.dispatch(Add(1)) == Add(1)
    assert reports.errors == ["mine"]


def test_report_is_told_the_error_the_place_and_the_action() -> None:
    error, reports = ValueError("mine"), Reports()

    def failing(value: Any) -> None:
        raise error

    store = Store(log_reducer, (), report=reports)
    store.subscribe(failing)
    store.actions.of_type(Add).subscribe(failing)
    store.dispatch(Add(1))
    store.on_error(error)
    assert reports.told == [
        (error, "a subscriber", None),
        (error, "a subscriber", Add(1)),
        (error, "a subscriber of the actions", Add(1)),
        (error, "a source subscribed to the store", None),
    ]


def test_a_selector_that_raises_is_reported_and_asked_again() -> None:
    reports = Reports()
    store, seen = Store(log_reducer, (), report=reports), Seen()
    store.select(lambda state: 6 // (len(state) - 1)).subscribe(seen)
    for item in range(3):
        store.dispatch(Add(item))
    assert reports.wheres == ["a subscriber"]
    assert seen == [-6, 6, 3]


def test_a_subscriber_that_dispatches_what_the_reducer_refuses_gets_the_error_itself() -> None:
    reports = Reports()
    store = Store(explosive, (), report=reports)
    store.actions.of_type(Ping).subscribe(lambda _: store.dispatch(Boom()))
    store.dispatch(Ping())
    assert [(str(error), where, action) for error, where, action in reports.told] == [
        ("boom", "a subscriber of the actions", Ping())
    ]


@pytest.mark.parametrize("culprit", ["subscriber", "epic", "reducer"])
def test_what_waits_behind_an_action_that_fails_is_not_stuck(culprit: str) -> None:
    """B93: [BOOM, after]: `after` is seen and answered."""
    reports = Reports()
    store, seen = Store(explosive if culprit == "reducer" else log_reducer, (), report=reports), Seen()

    def both(_: Ping) -> None:
        store.on_next(Boom())
        store.on_next(Add("after"))

    def exploding(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Boom).pipe(ops.map(fails))

    def answering(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Add).pipe(ops.map(lambda add: Pong()))

    store.actions.of_type(Ping).subscribe(both)
    if culprit == "subscriber":
        store.actions.of_type(Boom).subscribe(fails)
    if culprit == "epic":
        store.add_epic(exploding)
    store.add_epic(answering)
    store.actions.subscribe(seen)
    store.dispatch(Ping())
    assert [action for action in seen if action != Boom()] == [Ping(), Add("after"), Pong()]
    assert len(reports.told) == 1


def test_a_report_that_raises_is_logged_and_the_store_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def report(error: Exception, where: str, action: Any) -> None:
        raise RuntimeError("the report broke")

    store, seen = Store(log_reducer, (), report=report), Seen()
    store.actions.subscribe(fails)
    store.actions.subscribe(seen)
    store.dispatch(Add(1))
    store.dispatch(Add(2))
    assert seen == [Add(1), Add(2)]
    assert len(logged(caplog)) == 2
    assert "the report broke" in caplog.text
    assert "a subscriber of the actions" in caplog.text


def test_a_report_may_dispatch() -> None:
    store, seen = Store(log_reducer, (), report=lambda error, where, action: store.dispatch(Pong())), Seen()
    store.actions.of_type(Ping).subscribe(fails)
    store.actions.subscribe(seen)
    store.dispatch(Ping())
    assert seen == [Ping(), Pong()]


def test_without_a_report_errors_are_logged_without_the_actions_content(caplog: pytest.LogCaptureFixture) -> None:
    @dataclass(frozen=True)
    class Login:
        password: str

    store = Store(log_reducer, ())
    store.actions.subscribe(fails)
    store.dispatch(Login("hunter2"))
    (record,) = logged(caplog)
    assert (record.name, record.levelno) == ("rxauth", logging.ERROR)
    assert record.getMessage() == "rxauth: a subscriber of the actions failed during Login: ValueError('mine')"
    assert "hunter2" not in caplog.text


def test_the_stores_own_errors_have_one_base() -> None:
    with pytest.raises(StoreError):
        Store(lambda state, action: None, ()).dispatch(Ping())  # type: ignore[func-returns-value]
