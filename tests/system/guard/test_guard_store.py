"""What a dispatch costs, in counts: who is visited, and how many steps the store takes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from guard_kit import per_item, steps
from reactivex import operators as ops

from rxauth import Store, combine_reducers
from rxauth.recording import record


@dataclass(frozen=True)
class Ping:
    pass


def dispatches(store: Store[Any]) -> Callable[[int], None]:
    def work(number: int) -> None:
        for _ in range(number):
            store.dispatch(Ping())

    return work


def counting() -> Store[int]:
    store: Store[int] = Store(lambda state, action: state + 1, 0)
    store.subscribe(lambda _: None)
    return store


def test_a_dispatch_takes_few_steps() -> None:
    assert per_item(dispatches(counting())) <= 8


def test_the_reducer_and_each_subscriber_are_visited_once() -> None:
    visits = {"reducer": 0, "subscriber": 0}

    def reducer(state: int, action: Any) -> int:
        visits["reducer"] += 1
        return state + 1

    store: Store[int] = Store(reducer, 0)
    for _ in range(3):
        store.subscribe(lambda _: visits.update(subscriber=visits["subscriber"] + 1))
    visits["subscriber"] = 0
    dispatches(store)(5)
    assert visits == {"reducer": 5, "subscriber": 15}


def test_idle_epics_add_no_step_to_a_dispatch() -> None:
    store = counting()
    without = per_item(dispatches(store))
    for number in range(1000):
        kind = type(f"Kind{number}", (), {})
        store.add_epic(lambda actions, state, kind=kind: actions.of_type(kind).pipe(ops.ignore_elements()))  # type: ignore[misc]
    assert per_item(dispatches(store)) == without


def test_selectors_on_slices_that_did_not_change_add_no_step_to_a_dispatch() -> None:
    state_class = make_dataclass("App", [("pings", int, 0), ("other", int, 0)], frozen=True)
    still: Callable[[Any, Any], Any] = lambda state, action: state  # noqa: E731
    store: Store[Any] = Store(combine_reducers(state_class, pings=lambda n, action: n + 1, other=still), state_class())
    called = [0]

    def look(value: int) -> int:
        called[0] += 1
        return value

    store.select(lambda state: look(state.other)).subscribe(lambda _: None)
    one = per_item(dispatches(store))
    for number in range(1000):
        store.select(lambda state, number=number: look(state.other) + number).subscribe(lambda _: None)  # type: ignore[misc]
    called[0] = 0
    assert per_item(dispatches(store)) == one
    assert called[0] == 0


def test_a_recorded_action_takes_few_steps_more_and_one_that_an_inspector_follows_none() -> None:
    plain = per_item(dispatches(counting()))
    store = counting()
    with record(store) as recording:
        assert per_item(dispatches(store)) - plain <= 4
        recording.follow()
        assert per_item(dispatches(store)) == plain


@pytest.mark.parametrize("followed", [False, True])
def test_a_recorded_action_is_the_only_object_that_is_kept_of_it(followed: bool) -> None:
    """For the garbage collector, which goes through all there are, in the thread that dispatches."""
    store = counting()
    with record(store, limit=1000) as recording:
        if followed:
            recording.follow()
        dispatches(store)(50)
        # The least of several: a thread of an earlier test that ends now begins and drops objects of its own.
        assert min(_objects_more(lambda: dispatches(store)(100)) for _ in range(5)) <= 102
        assert recording.total == 550


def _objects_more(work: Callable[[], object]) -> int:
    gc.collect()
    before = len(gc.get_objects())
    work()
    gc.collect()
    return len(gc.get_objects()) - before


def test_a_subscriber_more_costs_one_step_more() -> None:
    store = counting()
    dispatches(store)(1)
    few = steps(lambda: dispatches(store)(1)).total()
    for _ in range(100):
        store.subscribe(lambda _: None)
    dispatches(store)(1)  # who hears of what is found out anew
    assert steps(lambda: dispatches(store)(1)).total() == few + 100
