"""Reducers: functions from a state and an action to the next state, and `combine_reducers` to make one of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from rxauth.concurrency.runtime import is_sync
from rxauth.errors import InvalidState, ReducerError

S = TypeVar("S")

Reducer: TypeAlias = Callable[[S, Any], S]


def combine_reducers(state_class: type[S], /, **reducers: Callable[[Any, Any], Any]) -> Reducer[S]:
    """One reducer for a frozen dataclass, made of one reducer for each of its fields.

        @dataclass(frozen=True)
        class App:
            auth: AuthState = AuthState()
            notes: tuple[str, ...] = ()

        reducer = combine_reducers(App, auth=auth_reducer, notes=notes_reducer)

    Returns the same object when no slice changed. A field without a reducer stays as it is. Raises `InvalidState` when
    `state_class` is no frozen dataclass, or has no such field, or one that its constructor does not take, and for a
    reducer that is no sync function.
    """
    if not (isinstance(state_class, type) and dataclasses.is_dataclass(state_class)):
        raise InvalidState(f"combine_reducers() needs a frozen dataclass first, got {state_class!r}")
    if not state_class.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise InvalidState(f"{state_class.__name__} can be changed in place; declare it @dataclass(frozen=True)")
    fields = {field.name for field in dataclasses.fields(state_class)}
    unknown = sorted(set(reducers) - fields)
    if unknown:
        raise InvalidState(
            f"{state_class.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(fields))}"
        )
    computed = sorted(
        field.name for field in dataclasses.fields(state_class) if field.name in reducers and not field.init
    )
    if computed:
        raise InvalidState(
            f"{state_class.__name__}.{computed[0]} can have no reducer, because its constructor does not take it: make "
            "it a property"
        )
    for name, reducer in reducers.items():
        if not is_sync(reducer):
            raise InvalidState(
                f"the reducer of {state_class.__name__}.{name} must be a sync function of (slice, action), got "
                f"{type(reducer).__name__}"
            )
    slices = tuple(reducers.items())
    given = tuple(field.name for field in dataclasses.fields(state_class) if field.init)

    def reduce(state: S, action: Any) -> S:
        changes: dict[str, Any] = {}
        for name, reducer in slices:
            before = getattr(state, name)
            after = reducer(before, action)
            if after is None and before is not None:
                raise ReducerError(
                    f"the reducer of {state_class.__name__}.{name} returned None for {type(action).__name__}; "
                    "return the slice, unchanged if the action is none of its business"
                )
            if after is not before:
                changes[name] = after
        if not changes:
            return state
        # As `dataclasses.replace` does, which takes twice as long: it looks at every field again.
        return type(state)(**{name: changes[name] if name in changes else getattr(state, name) for name in given})

    return reduce
