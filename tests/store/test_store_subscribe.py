"""What a subscriber gets: a snapshot, then every change; and what coming and going during a notification does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.abc import DisposableBase
from store_kit import Add, Noop, Ping, Reports, Seen, in_another_thread, log_reducer

from rxauth import Store


def test_a_late_subscriber_gets_the_current_state_once() -> None:
    """B96"""
    store, late = Store(log_reducer, ()), Seen()
    store.dispatch(Add(1))
    store.dispatch(Add(2))
    store.subscribe(late)
    assert late == [(1, 2)]
    store.dispatch(Add(3))
    assert late == [(1, 2), (1, 2, 3)]


def test_a_late_subscriber_of_the_actions_gets_only_later_ones() -> None:
    store, late = Store(log_reducer, ()), Seen()
    store.dispatch(Add(1))
    store.actions.subscribe(late)
    store.dispatch(Add(2))
    assert late == [Add(2)]


def test_an_action_that_changes_nothing_emits_no_state() -> None:
    """B95"""
    store, states, actions = Store(log_reducer, ()), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    store.dispatch(Noop())
    assert states == [()]
    assert actions == [Noop()]


def test_who_subscribes_during_a_notification_gets_the_newest_state_once() -> None:
    """Also when the queue still holds the entries that led to it."""
    store, late = Store(log_reducer, ()), Seen()

    def join(_: Add) -> None:
        first.dispose()
        store.dispatch(Add(2))
        store.dispatch(Add(3))
        store.subscribe(late)
        store.dispatch(Add(4))

    first = store.actions.of_type(Add).subscribe(join)
    store.dispatch(Add(1))
    assert late == [(1, 2, 3), (1, 2, 3, 4)]


def test_who_subscribes_to_the_actions_during_a_notification_gets_the_next_ones() -> None:
    """The actions that wait in the queue are news to him, the one being shown is not."""
    store, late = Store(log_reducer, ()), Seen()

    def join(_: Add) -> None:
        first.dispose()
        store.dispatch(Add(2))
        store.actions.subscribe(late)
        store.dispatch(Add(3))

    first = store.actions.of_type(Add).subscribe(join)
    store.dispatch(Add(1))
    assert late == [Add(2), Add(3)]


def test_what_a_subscriber_dispatches_on_his_first_state_comes_after_it() -> None:
    store, seen = Store(log_reducer, ()), Seen()

    def eager(state: Any) -> None:
        seen.on_next(state)
        if len(state) < 3:
            store.dispatch(Add(len(state)))
            seen.on_next("dispatched")

    store.subscribe(eager)
    assert seen == [(), "dispatched", (0,), "dispatched", (0, 1), "dispatched", (0, 1, 2)]


def test_a_subscriber_from_another_thread_gets_the_state_before_subscribe_returns_when_nobody_delivers() -> None:
    store, late = Store(log_reducer, (1,)), Seen()
    in_another_thread(lambda: store.subscribe(late))
    assert late == [(1,)]


def test_the_last_value_delivered_is_the_state_when_subscribers_dispatch() -> None:
    """B95: a BehaviorSubject ends on a stale value here."""
    store, before, after = Store(log_reducer, ()), Seen(), Seen()
    store.subscribe(before)
    store.subscribe(lambda state: store.dispatch(Add(len(state))) if len(state) < 5 else None)
    store.subscribe(after)
    assert before[-1] == after[-1] == store.state == (0, 1, 2, 3, 4)


def test_redux_a_subscription_can_be_removed_from_within_itself() -> None:
    """B100, first case"""
    store, one, two, three = Store(log_reducer, ()), Seen(), Seen(), Seen()
    subscriptions: list[DisposableBase] = []

    def once(action: Any) -> None:
        two.on_next(action)
        subscriptions[0].dispose()

    store.actions.subscribe(one)
    subscriptions.append(store.actions.subscribe(once))
    store.actions.subscribe(three)
    store.dispatch(Add(1))
    store.dispatch(Add(2))
    assert (len(one), len(two), len(three)) == (2, 1, 2)


@pytest.mark.parametrize("stream", ["states", "actions"])
def test_redux_all_subscribers_hear_of_the_current_dispatch_though_one_unsubscribes_them(stream: str) -> None:
    """B100, second case"""
    store = Store(log_reducer, ())
    source: Any = store if stream == "states" else store.actions
    heard: list[int] = []
    subscriptions: list[DisposableBase] = []

    def hear(number: int, value: Any) -> None:
        if value == ():
            return  # the state that each gets at once
        heard.append(number)
        if number == 1:
            for subscription in subscriptions:
                subscription.dispose()

    subscriptions += [source.subscribe(partial(hear, number)) for number in range(3)]
    store.dispatch(Add(1))
    assert heard == [0, 1, 2]
    store.dispatch(Add(2))
    assert heard == [0, 1, 2]


def test_redux_only_subscribers_active_when_the_dispatch_began_hear_of_it() -> None:
    """B100, third case"""
    store, one, two, three = Store(log_reducer, ()), Seen(), Seen(), Seen()

    def second(action: Any) -> None:
        if not two:
            store.actions.subscribe(three)
        two.on_next(action)

    store.actions.subscribe(one)
    store.actions.subscribe(second)
    store.dispatch(Add(1))
    assert (one, two, three) == ([Add(1)], [Add(1)], [])
    store.dispatch(Add(2))
    assert (one, two, three) == ([Add(1), Add(2)], [Add(1), Add(2)], [Add(2)])


def test_redux_a_nested_dispatch_uses_the_newest_subscribers() -> None:
    """B100, fourth case"""
    reports = Reports()
    store, one, two, three, four = Store(log_reducer, (), report=reports), Seen(), Seen(), Seen(), Seen()

    def first(action: Any) -> None:
        one.on_next(action)
        leave_one.dispose()
        nonlocal leave_four
        leave_four = store.actions.subscribe(four)
        store.dispatch(Add("nested"))
        assert (len(one), len(two), len(three), len(four)) == (1, 0, 0, 0)

    leave_four: DisposableBase | None = None
    leave_one = store.actions.subscribe(first)
    store.actions.subscribe(two)
    store.actions.subscribe(three)
    store.dispatch(Add("outer"))
    assert not reports.told, "the assertion inside a subscriber"
    assert (len(one), len(two), len(three), len(four)) == (1, 2, 2, 1)
    assert leave_four is not None
    leave_four.dispose()
    store.dispatch(Add("last"))
    assert (len(one), len(two), len(three), len(four)) == (1, 3, 3, 1)


def test_a_subscriber_that_left_is_not_shown_what_was_queued_already() -> None:
    store, seen = Store(log_reducer, ()), Seen()

    def leave_between(action: Any) -> None:
        if action == Add(1):
            store.dispatch(Add(2))
            gone.dispose()

    store.actions.subscribe(leave_between)
    gone = store.actions.subscribe(seen)
    store.dispatch(Add(1))
    assert seen == [Add(1)]


def test_the_same_observer_subscribed_twice_hears_everything_twice_and_leaves_one_by_one() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    first = store.actions.subscribe(seen)
    store.actions.subscribe(seen)
    store.dispatch(Add(1))
    assert len(seen) == 2
    first.dispose()
    first.dispose()
    store.dispatch(Add(2))
    assert len(seen) == 3


def test_the_operators_of_reactivex_work_on_a_store() -> None:
    store, lengths = Store(log_reducer, ()), Seen()
    store.pipe(ops.map(len), ops.filter(lambda length: length != 1)).subscribe(lengths)
    store.dispatch(Add("a"))
    store.dispatch(Add("b"))
    assert lengths == [0, 2]


def test_first_of_a_store_takes_the_current_state_and_leaves() -> None:
    store, first = Store(log_reducer, (1,)), Seen()
    store.pipe(ops.first()).subscribe(first)
    store.dispatch(Add(2))
    assert first == [(1,)]
    assert first.completed == 1


def test_select_emits_now_and_when_the_selection_is_another() -> None:
    store, lengths = Store(log_reducer, ()), Seen()
    store.select(len).subscribe(lengths)
    for action in (Add(1), Noop(), Ping(), Noop()):
        store.dispatch(action)
    assert lengths == [0, 1, 2]


def test_select_takes_equal_selections_for_the_same() -> None:
    store, first = Store(log_reducer, ([1], 0)), Seen()
    store.select(lambda state: list(state[0])).subscribe(first)  # an equal list, another object
    store.dispatch(Add(2))
    assert first == [[1]]


def test_select_takes_the_same_object_for_the_same_though_it_is_not_equal_to_itself() -> None:
    nan = float("nan")
    store, first = Store(log_reducer, (nan,)), Seen()
    store.select(lambda state: state[0]).subscribe(first)
    store.dispatch(Add(2))
    assert len(first) == 1


def test_select_shows_none_as_a_first_value() -> None:
    store, nothing = Store(log_reducer, ()), Seen()
    store.select(lambda state: None).subscribe(nothing)
    store.dispatch(Add(2))
    assert nothing == [None]


def test_each_subscriber_of_a_selection_has_his_own_memory() -> None:
    store, early, late = Store(log_reducer, ()), Seen(), Seen()
    lengths = store.select(len)
    lengths.subscribe(early)
    store.dispatch(Add(1))
    lengths.subscribe(late)
    store.dispatch(Add(2))
    assert early == [0, 1, 2]
    assert late == [1, 2]


def test_a_selection_can_be_left() -> None:
    store, lengths = Store(log_reducer, ()), Seen()
    store.select(len).subscribe(lengths).dispose()
    store.dispatch(Add(1))
    assert lengths == [0]


class Array(tuple[int, ...]):
    """Compares item by item, like an array of numpy: the outcome is neither true nor false."""

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value of an array with more than one element is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_select_takes_what_can_not_be_compared_for_another() -> None:
    store = Store(lambda state, action: Array((*state, action)), Array())
    seen: list[list[int]] = []
    store.select(lambda state: Array(state)).subscribe(lambda array: seen.append(list(array)))
    store.dispatch(1)
    store.dispatch(2)
    assert seen == [[], [1], [1, 2]]
