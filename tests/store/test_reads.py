"""A selector that only reads fields of the state is called when one of these changed, and any other always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import pytest

from rxauth import Store
from rxauth.store.reads import reads

STILL = {"kept": "the same"}


@dataclass(frozen=True)
class App:
    left: int = 0
    right: int = 0

    @property
    def both(self) -> int:
        return self.left + self.right

    def total(self) -> int:
        return self.left + self.right


class Pair(NamedTuple):
    left: int = 0
    right: int = 0


@dataclass(frozen=True)
class Change:
    field: str


def reduce(state: Any, action: Change) -> Any:
    if isinstance(state, Pair):
        return state._replace(**{action.field: getattr(state, action.field) + 1000})
    return replace(state, **{action.field: getattr(state, action.field) + 1000})


def whole(state: Any) -> Any:
    return state


def in_a_closure(state: Any) -> Any:
    return [number for number in range(2) if (lambda: state.left)()]


def kept(state: Any) -> Any:
    other = state
    return other.left


def replaced(state: Any) -> Any:
    state = App(9, 9)
    return state.left


def by_locals(state: Any) -> Any:
    return locals()["state"].left + state.right


def either(state: Any) -> Any:
    return state.left if state.right else None


def many(*states: Any) -> Any:
    return states[0].left


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (lambda state: state.left, {"left"}),
        (lambda state: state.left.real + state.right, {"left", "right"}),
        (lambda state, offset=1: state.left + offset, {"left"}),
        (lambda state: str(state.left), {"left"}),
        (lambda state: [one + 1 for one in (state.left,)], {"left"}),
        (lambda state: state.total(), {"total"}),
        (either, {"left", "right"}),
        (lambda state: whole(state), None),
        (lambda state: state, None),
        (lambda state: state is STILL, None),
        (lambda state: state == App(), None),
        (lambda state: STILL, None),
        (lambda: 1, None),
        (in_a_closure, None),
        (kept, None),
        (replaced, None),
        (by_locals, None),
        (many, None),
        (attrgetter("left"), None),
        (partial(either), None),
        (App.total, {"left", "right"}),
        (App().total, None),
    ],
)
def test_what_a_selector_reads_is_found_in_its_code(selector: Any, expected: set[str] | None) -> None:
    assert reads(selector) == expected


def heard(selector: Callable[[Any], Any], *fields: str, start: Any = None) -> tuple[int, list[Any]]:
    """How often the selector was called for changes of these fields, and the values that its subscriber got.

    It is to call `noted` with its value.
    """
    noticed.clear()
    store: Store[Any] = Store(reduce, start or App())
    got: list[Any] = []
    store.select(selector).subscribe(got.append)
    for field in fields:
        store.dispatch(Change(field))
    return len(noticed), got


noticed: list[Any] = []


def noted(value: Any) -> Any:
    noticed.append(value)
    return value


def test_a_selector_is_called_when_a_field_that_it_reads_changed() -> None:
    assert heard(lambda state: noted(state.left), "right", "left", "right") == (2, [0, 1000])


def test_a_selector_of_two_fields_is_called_for_either() -> None:
    assert heard(lambda state: noted(state.left + state.right), "right", "left") == (3, [0, 1000, 2000])


@pytest.mark.parametrize(
    "selector",
    [
        lambda state: noted(whole(state).left),
        lambda state: noted(state.both),
        lambda state: noted(state.total()),
        lambda state: noted(max([state.left for _ in "xy"])),
    ],
    ids=["passes it on", "a property", "a method", "a comprehension"],
)
def test_a_selector_that_may_read_anything_misses_nothing(selector: Callable[[Any], Any]) -> None:
    _, got = heard(selector, "left", "right", "left")
    assert got[-1] in (2000, 3000)


def test_a_property_of_the_state_is_no_field() -> None:
    assert heard(lambda state: noted(state.both), "left", "right") == (3, [0, 1000, 2000])


def test_a_state_that_is_no_dataclass_is_looked_at_by_every_selector() -> None:
    assert heard(lambda state: noted(state.left), "right", "left", start=Pair()) == (3, [0, 1000])


def test_a_state_whose_attributes_run_code_is_looked_at_by_every_selector() -> None:
    @dataclass(frozen=True)
    class Watched(App):
        def __getattribute__(self, name: str) -> Any:
            return object.__getattribute__(self, name)

    assert heard(lambda state: noted(state.left), "right", "left", start=Watched()) == (3, [0, 1000])


def test_a_state_of_another_class_is_looked_at_by_every_selector() -> None:
    @dataclass(frozen=True)
    class Other:
        left: int = 0
        right: int = 0

    store: Store[Any] = Store(lambda state, action: action, App())
    got: list[Any] = []
    store.select(lambda state: state.left).subscribe(got.append)
    for state in (Other(1), Other(2), App(2, 1), App(3, 1)):
        store.dispatch(state)
    assert got == [0, 1, 2, 3]


def test_who_subscribes_later_misses_no_change() -> None:
    store: Store[App] = Store(reduce, App())
    first, second = [], []
    store.select(lambda state: state.left).subscribe(first.append)
    store.dispatch(Change("right"))
    store.select(lambda state: state.right).subscribe(second.append)
    store.dispatch(Change("right"))
    store.dispatch(Change("left"))
    assert (first, second) == ([0, 1000], [1000, 2000])


def test_the_order_is_that_of_subscription() -> None:
    store: Store[App] = Store(reduce, App())
    order: list[str] = []
    store.select(lambda state: state.left).subscribe(lambda _: order.append("left"))
    store.subscribe(lambda _: order.append("state"))
    store.select(lambda state: (state.left, state.right)).subscribe(lambda _: order.append("both"))
    order.clear()
    store.dispatch(Change("right"))
    store.dispatch(Change("left"))
    assert order == ["state", "both", "left", "state", "both"]


def test_what_is_dispatched_meanwhile_is_compared_with_the_state_before_it() -> None:
    store: Store[App] = Store(reduce, App())
    got: list[int] = []
    store.select(lambda state: state.left).subscribe(
        lambda left: [store.dispatch(Change("right")), store.dispatch(Change("left"))] if left < 3000 else None
    )
    store.select(lambda state: state.left).subscribe(got.append)
    assert got == [3000]
    store.dispatch(Change("left"))
    assert got == [3000, 4000]


def test_more_sets_of_fields_than_are_remembered_do_no_harm() -> None:
    names = [f"field{number}" for number in range(8)]
    wide = make_dataclass("Wide", [(name, int, 0) for name in names], frozen=True)
    store: Store[Any] = Store(
        lambda state, changed: replace(state, **{n: getattr(state, n) + 1000 for n in changed}), wide()
    )
    got: dict[str, list[int]] = {name: [] for name in names}
    for name in names:
        store.select(FIELD[name]).subscribe(got[name].append)
    expected = dict.fromkeys(names, 1)
    for mask in range(1, 256):
        changed = tuple(name for index, name in enumerate(names) if mask >> index & 1)
        store.dispatch(changed)
        for name in changed:
            expected[name] += 1
    assert {name: len(values) for name, values in got.items()} == expected


FIELD: dict[str, Callable[[Any], Any]] = {
    "field0": lambda state: state.field0,
    "field1": lambda state: state.field1,
    "field2": lambda state: state.field2,
    "field3": lambda state: state.field3,
    "field4": lambda state: state.field4,
    "field5": lambda state: state.field5,
    "field6": lambda state: state.field6,
    "field7": lambda state: state.field7,
}
