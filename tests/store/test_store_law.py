"""The law: a store's states are `actions | scan(reducer) | start_with(initial)`, without repeats of the same object."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from store_kit import Add, Boom, Log, Noop, Seen, in_threads, law, log_reducer

from rxauth import Store


class Copy:
    """The next state is equal to the last, but another object: it counts as new."""


class Clear:
    """Back to the empty tuple, which in CPython is always the same object."""


def reducer(state: Log, action: Any) -> Log:
    if isinstance(action, Copy):
        return tuple([*state])  # noqa: C409 (a new object)
    if isinstance(action, Clear):
        return ()
    return log_reducer(state, action)


@dataclass(frozen=True)
class Node:
    """An action that makes somebody dispatch its children when he sees it."""

    name: int
    changes: bool
    children: tuple[Node, ...]


def tree(rng: random.Random, names: Any, depth: int) -> Node:
    width = rng.randrange(4) if depth else 0
    children = tuple(tree(rng, names, depth - 1) for _ in range(width))
    return Node(next(names), rng.random() < 0.7, children)


def node_reducer(state: Log, action: Node) -> Log:
    return (*state, action.name) if action.changes else state


def breadth_first(root: Node) -> list[Node]:
    order, queue = [], [root]
    while queue:
        order.append(queue.pop(0))
        queue.extend(order[-1].children)
    return order


def no_object_twice(states: list[Any]) -> bool:
    return all(one is not other for one, other in pairwise(states))


@pytest.mark.parametrize("seed", range(20))
def test_the_states_of_a_random_sequence_are_those_of_scan(seed: int) -> None:
    rng = random.Random(seed)
    kinds = [lambda: Add(rng.randrange(3)), Noop, Copy, Clear]
    actions = [rng.choice(kinds)() for _ in range(100)]
    store, states = Store(reducer, ()), Seen()
    store.subscribe(states)
    for action in actions:
        store.dispatch(action)
    assert states == law(reducer, (), actions)
    assert no_object_twice(states)
    assert store.state is states[-1]


@pytest.mark.parametrize("seed", range(20))
def test_the_states_are_those_of_scan_when_a_subscriber_dispatches_meanwhile(seed: int) -> None:
    rng = random.Random(seed)
    root = tree(rng, iter(range(1000)), depth=4)
    store, states, actions = Store(node_reducer, ()), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(lambda node: [store.dispatch(child) for child in node.children])
    store.actions.subscribe(actions)
    store.dispatch(root)
    assert actions == breadth_first(root)
    assert states == law(node_reducer, (), actions)
    assert store.state is states[-1]


@pytest.mark.parametrize("seed", range(20))
def test_the_states_are_those_of_scan_when_an_epic_answers(seed: int) -> None:
    rng = random.Random(seed)
    root = tree(rng, iter(range(1000)), depth=4)
    answer = ops.flat_map(lambda node: reactivex.from_iterable(node.children))
    store = Store(node_reducer, (), epics=[lambda actions, state: actions.of_type(Node).pipe(answer)])
    states, actions = Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    store.dispatch(root)
    assert sorted(node.name for node in actions) == sorted(node.name for node in breadth_first(root))
    assert states == law(node_reducer, (), actions)
    assert store.state is states[-1]


@pytest.mark.parametrize("seed", range(5))
def test_the_states_are_those_of_scan_when_four_threads_dispatch(seed: int) -> None:
    """And each thread's own actions keep their order."""

    def job(name: int) -> None:
        rng = random.Random(seed * 10 + name)
        for number in range(100):
            store.dispatch(Add((name, number)) if rng.random() < 0.8 else Noop())

    store, states, actions = Store(log_reducer, ()), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    in_threads(*(lambda name=name: job(name) for name in range(4)))
    actions.until(lambda: len(actions) == 400)
    assert states == law(log_reducer, (), actions)
    assert store.state is states[-1]
    for name in range(4):
        mine = [number for thread, number in store.state if thread == name]
        assert mine == sorted(mine)


def test_a_late_subscriber_sees_the_rest_of_the_law() -> None:
    store, late = Store(log_reducer, ()), Seen()
    for item in range(3):
        store.dispatch(Add(item))
    store.subscribe(late)
    rest = [Add(3), Noop(), Add(4)]
    for action in rest:
        store.dispatch(action)
    assert late == law(log_reducer, (0, 1, 2), rest)


def test_a_state_equal_to_the_last_but_another_object_is_shown() -> None:
    """Identity decides, as in redux; `select` compares values."""
    store, states = Store(reducer, (1,)), Seen()
    store.subscribe(states)
    store.dispatch(Copy())
    assert states == [(1,), (1,)]
    assert no_object_twice(states)


def test_an_action_that_the_reducer_refused_is_no_part_of_the_law() -> None:
    def refusing(state: Log, action: Any) -> Log:
        if isinstance(action, Boom):
            raise ValueError
        return log_reducer(state, action)

    store, states, actions = Store(refusing, ()), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    for action in (Add(1), Boom(), Add(2)):
        try:
            store.dispatch(action)
        except ValueError:
            assert isinstance(action, Boom)
    assert actions == [Add(1), Add(2)]
    assert states == law(log_reducer, (), actions)
