"""An epic that fails: reported by name, started again at most ten times in a row; the others never notice."""

from __future__ import annotations

from typing import Any

import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject
from store_kit import Add, Boom, Ping, Pong, Reports, Seen, log_reducer

from rxauth import Store
from rxauth.store.epics import RESTARTS


def answer(action: Any) -> Pong:
    """Answers a `Ping`, but fails for a `Boom`."""
    if isinstance(action, Boom):
        raise ValueError("boom")
    return Pong(action.n)


def fragile(actions: Any, state: Any) -> Observable[Any]:
    return actions.of_type(Ping, Boom).pipe(ops.map(answer))


def steady(actions: Any, state: Any) -> Observable[Any]:
    return actions.of_type(Boom).pipe(ops.map(lambda _: Add("steady")))


def test_one_epic_fails_and_another_still_answers() -> None:
    """B92: the failure of the first is not even late news for the second."""
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile, steady], report=reports)
    store.dispatch(Boom())
    assert store.state == (Boom(), "steady")
    assert [(str(error), where, action) for error, where, action in reports.told] == [("boom", "epic fragile", Boom())]


def test_an_epic_that_failed_is_started_again_and_answers() -> None:
    """B93: and it is not shown again what it failed on."""
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile], report=reports)
    store.dispatch(Boom())
    store.dispatch(Ping(1))
    assert store.state == (Boom(), Ping(1), Pong(1))
    assert len(reports.told) == 1


def test_an_epic_that_failed_answers_what_waited_in_the_queue() -> None:
    """B93"""
    store = Store(log_reducer, (), report=Reports())
    store.actions.of_type(Boom).subscribe(lambda _: store.dispatch(Ping(1)))
    store.add_epic(fragile)
    store.dispatch(Boom())
    assert store.state == (Boom(), Ping(1), Pong(1))


def test_an_epic_that_fails_ten_times_in_a_row_is_still_started_again() -> None:
    """B92"""
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile], report=reports)
    for _ in range(10):
        store.dispatch(Boom())
    store.dispatch(Ping(1))
    assert store.state[-1] == Pong(1)
    assert reports.wheres == ["epic fragile"] * 10


def test_an_epic_that_fails_once_more_is_stopped_and_named() -> None:
    """B92: the others go on."""
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile, steady], report=reports)
    for _ in range(15):
        store.dispatch(Boom())
    store.dispatch(Ping(1))
    assert store.state == (*(Boom(), "steady") * 15, Ping(1))
    assert RESTARTS == 10
    assert reports.wheres == [
        *["epic fragile"] * 10,
        "epic fragile, which failed 11 times in a row and is stopped",
    ]
    assert reports.actions == [Boom()] * 11


def test_an_epic_that_answers_in_between_does_not_fail_in_a_row() -> None:
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile], report=reports)
    for number in range(30):
        store.dispatch(Boom())
        store.dispatch(Ping(number))
    assert store.state[-1] == Pong(29)
    assert reports.wheres == ["epic fragile"] * 30


def test_what_an_epic_says_when_it_starts_does_not_count_as_an_answer() -> None:
    """Else an epic that greets and then fails would be started again for ever."""
    starts, reports = Seen(), Reports()

    def greeting(actions: Any, state: Any) -> Observable[Any]:
        starts.on_next("start")
        return fragile(actions, state).pipe(ops.start_with(Add("hello")))

    store = Store(log_reducer, (), epics=[greeting], report=reports)
    for _ in range(15):
        store.dispatch(Boom())
    assert len(starts) == 11
    assert len(reports.told) == 11


def test_an_epic_that_fails_whenever_it_starts_is_stopped_after_ten_restarts() -> None:
    """Not raised: the stream failed, not the epic. And it does not go on for ever."""
    starts, reports = Seen(), Reports()

    def hopeless(actions: Any, state: Any) -> Observable[Any]:
        starts.on_next("start")
        return reactivex.throw(ValueError("hopeless"))

    store = Store(log_reducer, (), epics=[hopeless], report=reports)
    store.dispatch(Add(1))
    assert len(starts) == 11
    assert reports.errors == ["hopeless"] * 11
    assert "is stopped" in reports.wheres[-1]


def test_an_epic_that_can_not_be_called_again_is_reported_and_stopped() -> None:
    """Also when it raises, or returns nothing, only the second time."""
    starts, reports = Seen(), Reports()

    def once(actions: Any, state: Any) -> Any:
        starts.on_next("start")
        if len(starts) == 1:
            return fragile(actions, state)
        if len(starts) == 2:
            return None
        raise ValueError("not again")

    store = Store(log_reducer, (), epics=[once], report=reports)
    store.dispatch(Boom())
    assert len(starts) == 11
    assert reports.errors[0] == "boom"
    assert "returned NoneType" in reports.errors[1]
    assert reports.errors[2:] == ["not again"] * 9
    store.dispatch(Ping(1))
    assert store.state == (Boom(), Ping(1))


def test_each_epic_has_restarts_of_its_own() -> None:
    reports = Reports()
    store = Store(log_reducer, (), epics=[fragile], report=reports)
    for _ in range(11):
        store.dispatch(Boom())
    store.add_epic(fragile)
    store.dispatch(Boom())
    store.dispatch(Ping(1))
    assert store.state[-1] == Pong(1)


def test_a_failure_after_a_wait_names_the_action_that_the_epic_saw_last() -> None:
    reports, later = Reports(), Subject[Any]()

    def waiting(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.flat_map(lambda _: later))

    store = Store(log_reducer, (), epics=[waiting], report=reports)
    store.dispatch(Ping(7))
    store.dispatch(Add(1))  # another class: the epic did not see it
    later.on_error(ValueError("late"))
    assert reports.errors == ["late"]
    assert reports.actions == [Ping(7)]
    assert reports.wheres[0].endswith("waiting")


def test_a_failed_epics_running_work_is_disposed_of() -> None:
    running = Subject[Any]()

    def epic(actions: Any, state: Any) -> Observable[Any]:
        return reactivex.merge(fragile(actions, state), running)

    store = Store(log_reducer, (), epics=[epic], report=Reports())
    store.dispatch(Boom())
    assert len(running.observers) == 1
    running.on_next(Add(1))
    assert store.state == (Boom(), 1)


def test_an_epic_that_was_removed_is_not_started_again() -> None:
    starts, later = Seen(), Subject[Any]()

    def epic(actions: Any, state: Any) -> Observable[Any]:
        starts.on_next("start")
        return later

    store = Store(log_reducer, (), report=Reports())
    store.add_epic(epic).dispose()
    later.on_error(ValueError("late"))
    assert starts == ["start"]


def test_a_subscriber_inside_an_epic_that_raises_is_reported_under_the_epics_name() -> None:
    reports = Reports()

    def careless(actions: Any, state: Any) -> Observable[Any]:
        actions.of_type(Ping).subscribe(lambda ping: 1 // 0)
        return reactivex.never()

    Store(log_reducer, (), epics=[careless], report=reports).dispatch(Ping(1))
    assert reports.actions == [Ping(1)]
    assert reports.wheres[0].endswith("careless")
