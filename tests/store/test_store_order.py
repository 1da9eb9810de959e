"""Everybody, subscriber or epic, sees all actions and states in the order of the reducer."""

from __future__ import annotations

from typing import Any

from reactivex import Observable
from reactivex import operators as ops
from store_kit import Add, Noop, Ping, Pong, Seen, in_threads, log_reducer

from rxauth import Store


def test_when_dispatch_returns_the_state_contains_the_action() -> None:
    store = Store(log_reducer, ())
    store.dispatch(Add(1))
    assert store.state == (1,)


def test_when_dispatch_returns_the_state_contains_the_action_inside_a_subscriber_too() -> None:
    """Though the others hear of it only after the current action."""
    store, inside, others = Store(log_reducer, ()), Seen(), Seen()

    def nested(_: Ping) -> None:
        store.dispatch(Add("nested"))
        inside.on_next((store.state, list(others)))

    store.actions.of_type(Ping).subscribe(nested)
    store.actions.subscribe(others)
    store.dispatch(Ping())
    assert inside == [((Ping(), "nested"), [])]
    assert others == [Ping(), Add("nested")]


def test_when_dispatch_returns_the_state_contains_the_action_from_any_thread() -> None:
    store = Store(log_reducer, ())

    def job(name: int) -> None:
        for number in range(100):
            store.dispatch(Add((name, number)))
            assert (name, number) in store.state

    in_threads(*(lambda name=name: job(name) for name in range(4)))
    assert len(store.state) == 400


def test_dispatching_from_subscribers_is_breadth_first() -> None:
    """B91: A1 A2 A3 A4, to every subscriber."""
    store, before, after = Store(log_reducer, ()), Seen(), Seen()
    answers = {"A1": ["A2", "A3"], "A2": ["A4"]}
    store.actions.subscribe(before)
    store.actions.subscribe(lambda add: [store.dispatch(Add(item)) for item in answers.get(add.item, [])])
    store.actions.subscribe(after)
    store.dispatch(Add("A1"))
    assert [add.item for add in before] == ["A1", "A2", "A3", "A4"]
    assert before == after
    assert store.state == ("A1", "A2", "A3", "A4")


def test_epics_emit_breadth_first() -> None:
    """B91: redux-observable's own case: one epic answers with two actions, another answers the first of these."""

    def two(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Add).pipe(
            ops.filter(lambda add: add.item == "A1"), ops.flat_map(lambda _: [Add("A2"), Add("A3")])
        )

    def one(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Add).pipe(ops.filter(lambda add: add.item == "A2"), ops.map(lambda _: Add("A4")))

    store, seen = Store(log_reducer, (), epics=[two, one]), Seen()
    store.actions.subscribe(seen)
    store.dispatch(Add("A1"))
    assert [add.item for add in seen] == ["A1", "A2", "A3", "A4"]
    assert store.state == ("A1", "A2", "A3", "A4")


def test_every_epic_and_subscriber_sees_ping_before_pong() -> None:
    """B90: the epic that answers is the first of all; the others still see the question before the answer."""
    store = Store(log_reducer, ())
    views = [Seen() for _ in range(4)]
    store.actions.subscribe(views[0])

    def answering(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.map(lambda ping: Pong(ping.n)))

    def watching(actions: Any, state: Any) -> Observable[Any]:
        return actions.pipe(ops.do_action(views[1].on_next), ops.ignore_elements())

    store.add_epic(answering, watching)
    store.actions.subscribe(views[2])
    store.subscribe(lambda state: views[3].append(state[-1]) if state else None)
    store.dispatch(Ping(1))
    store.dispatch(Ping(2))
    assert views == [[Ping(1), Pong(1), Ping(2), Pong(2)]] * 4


def test_an_epic_sees_the_state_right_after_the_action_it_is_shown() -> None:
    """Though the store is further on, because a subscriber before it dispatched."""
    seen = Seen()

    def watching(actions: Any, state: Any) -> Observable[Any]:
        look = ops.do_action(lambda add: seen.on_next((add.item, state.state, state.newest)))
        return actions.of_type(Add).pipe(look, ops.ignore_elements())

    store = Store(log_reducer, ())
    store.actions.subscribe(lambda add: store.dispatch(Add("second")) if add.item == "first" else None)
    store.add_epic(watching)
    store.dispatch(Add("first"))
    assert seen == [
        ("first", ("first",), ("first", "second")),
        ("second", ("first", "second"), ("first", "second")),
    ]


def test_an_epic_sees_the_initial_state_when_it_starts() -> None:
    seen = Seen()

    def watching(actions: Any, state: Any) -> Observable[Any]:
        seen.on_next(state.state)
        return actions.pipe(ops.ignore_elements())

    store = Store(log_reducer, ("initial",), epics=[watching])
    store.dispatch(Add(1))
    store.add_epic(watching)
    assert seen == [("initial",), ("initial", 1)]


def test_states_are_shown_before_the_action_that_made_them() -> None:
    """So that an answer that is dispatched on an action always finds its state shown."""
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)
    store.subscribe(seen)
    store.dispatch(Add(1))
    assert seen == [(), (1,), Add(1)]


def test_actions_and_states_of_many_threads_come_in_one_order_to_everybody() -> None:
    store = Store(log_reducer, ())
    by_epic, actions, states = Seen(), Seen(), Seen()
    store.add_epic(lambda actions, state: actions.pipe(ops.do_action(by_epic.on_next), ops.ignore_elements()))
    store.actions.subscribe(actions)
    store.subscribe(states)
    in_threads(*(lambda name=name: [store.dispatch(Add((name, n))) for n in range(200)] for name in range(4)))
    actions.until(lambda: len(actions) == 800)
    assert tuple(add.item for add in actions) == store.state
    assert by_epic == actions
    assert [len(state) for state in states] == list(range(801))


def test_a_no_op_in_between_does_not_disturb_the_order() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(lambda action: store.dispatch(Noop()) if action == Add(1) else None)
    store.actions.subscribe(seen)
    store.subscribe(seen)
    store.dispatch(Add(1))
    assert seen == [(), (1,), Add(1), Noop()]
