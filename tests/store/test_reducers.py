"""`combine_reducers`: one reducer for a frozen dataclass, made of one for each field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from store_kit import Add, Noop, Ping, Seen, log_reducer

from rxauth import Store, combine_reducers
from rxauth.errors import InvalidState, ReducerError


@dataclass(frozen=True)
class App:
    notes: tuple[Any, ...] = ()
    pings: int = 0
    user: str | None = None
    version: list[int] = field(default_factory=lambda: [1])


@dataclass
class Mutable:
    notes: tuple[Any, ...] = ()


class Pair(NamedTuple):
    notes: tuple[Any, ...] = ()


def notes(state: tuple[Any, ...], action: Any) -> tuple[Any, ...]:
    return (*state, action.item) if isinstance(action, Add) else state


def pings(state: int, action: Any) -> int:
    return state + 1 if isinstance(action, Ping) else state


def test_each_field_is_reduced_by_its_own_reducer() -> None:
    reduce = combine_reducers(App, notes=notes, pings=pings)
    after = reduce(reduce(App(), Add("milk")), Ping())
    assert (after.notes, after.pings) == (("milk",), 1)


def test_the_same_object_comes_back_when_no_field_changed() -> None:
    before = App()
    assert combine_reducers(App, notes=notes, pings=pings)(before, Noop()) is before


def test_a_new_object_comes_back_when_a_field_is_another_object_and_the_other_fields_are_kept() -> None:
    before = App(("milk",), 5, "ada")
    after = combine_reducers(App, notes=lambda state, action: [*state], pings=pings)(before, Noop())
    assert after is not before
    assert before == App(("milk",), 5, "ada")
    assert (after.notes, after.pings, after.user) == (["milk"], 5, "ada")
    assert after.version is before.version


def test_a_field_without_a_reducer_stays_as_it_is() -> None:
    before = App(user="ada")
    after = combine_reducers(App, notes=notes)(before, Add(1))
    assert (after.user, after.notes) == ("ada", (1,))


def test_every_reducer_sees_its_slice_from_before_the_action() -> None:
    seen: list[Any] = []

    def looking(state: Any, action: Any) -> Any:
        seen.append(state)
        return state

    combine_reducers(App, notes=notes, pings=looking, user=looking)(App(pings=7, user="ada"), Add(1))
    assert seen == [7, "ada"]


def test_a_slice_that_becomes_none_is_an_error_that_names_it() -> None:
    reduce = combine_reducers(App, notes=lambda state, action: None)
    with pytest.raises(ReducerError, match=r"the reducer of App\.notes returned None for Ping; return the slice"):
        reduce(App(), Ping())


def test_a_slice_that_is_none_may_stay_none_and_become_something() -> None:
    reduce = combine_reducers(App, user=lambda state, action: "ada" if isinstance(action, Ping) else state)
    before = App()
    assert reduce(before, Noop()) is before
    assert reduce(before, Ping()).user == "ada"


def test_what_a_slices_reducer_raises_is_raised() -> None:
    def failing(state: Any, action: Any) -> Any:
        raise ValueError("mine")

    store = Store(combine_reducers(App, notes=notes, pings=failing), App())
    with pytest.raises(ValueError, match="mine"):
        store.dispatch(Add(1))
    assert store.state.notes == ()


@pytest.mark.parametrize("state_class", [dict, Pair, App(), "App", None], ids=repr)
def test_what_is_no_dataclass_is_refused(state_class: Any) -> None:
    with pytest.raises(InvalidState, match="needs a frozen dataclass first, got"):
        combine_reducers(state_class)


def test_a_dataclass_that_can_be_changed_in_place_is_refused() -> None:
    with pytest.raises(InvalidState, match=r"Mutable can be changed in place; declare it @dataclass\(frozen=True\)"):
        combine_reducers(Mutable, notes=notes)


def test_a_reducer_for_a_field_that_does_not_exist_is_refused() -> None:
    """The message lists what is wrong and what there is."""
    with pytest.raises(InvalidState, match="App has no field note, ping; it has notes, pings, user, version"):
        combine_reducers(App, note=notes, ping=pings)


def test_a_field_that_the_constructor_does_not_take_has_no_reducer() -> None:
    @dataclass(frozen=True)
    class Counted:
        notes: tuple[str, ...] = ()
        count: int = field(default=0, init=False)

    with pytest.raises(InvalidState, match=r"Counted\.count can have no reducer, .* make it a property"):
        combine_reducers(Counted, notes=lambda notes, action: notes, count=lambda count, action: count + 1)


def test_combined_reducers_nest() -> None:
    @dataclass(frozen=True)
    class Outer:
        app: App = App()
        log: tuple[Any, ...] = ()

    reduce = combine_reducers(Outer, app=combine_reducers(App, notes=notes), log=log_reducer)
    before = Outer()
    assert reduce(before, Noop()) is before
    assert reduce(before, Add(1)) == Outer(App((1,), version=before.app.version), (1,))


def test_a_store_of_combined_reducers_emits_only_when_a_slice_changed() -> None:
    store, seen = Store(combine_reducers(App, notes=notes, pings=pings), App()), Seen()
    store.select(lambda app: app.notes).subscribe(seen)
    store.subscribe(seen)
    for action in (Noop(), Ping(), Add(1)):
        store.dispatch(action)
    assert seen == [(), App(), App(pings=1), (1,), App((1,), 1)]
