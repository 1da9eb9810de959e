"""What an action is, and how actions are told apart by class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from reactivex import Observable
from reactivex.abc import ObservableBase

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def of_type(kind: type[A], /) -> Callable[[Observable[Any]], Observable[A]]: ...


@overload
def of_type(kind: type[A], kind2: type[B], /) -> Callable[[Observable[Any]], Observable[A | B]]: ...


@overload
def of_type(kind: type[A], kind2: type[B], kind3: type[C], /) -> Callable[[Observable[Any]], Observable[A | B | C]]: ...


@overload
def of_type(
    kind: type[A], kind2: type[B], kind3: type[C], kind4: type[D], /
) -> Callable[[Observable[Any]], Observable[A | B | C | D]]: ...


@overload
def of_type(*kinds: type[Any]) -> Callable[[Observable[Any]], Observable[Any]]: ...


def of_type(*kinds: type[Any]) -> Callable[[Observable[Any]], Observable[Any]]:
    """An operator that lets through what is an instance of one of `kinds`; a subclass matches its base.

    On a store's actions the fluent form, `store.actions.of_type(Echo)`, is quicker: it is routed by class, so an
    action of another class does not visit the subscriber at all.
    """
    check_kinds(kinds)
    from reactivex import operators as ops  # when it is used: importing it takes some milliseconds

    return ops.filter(lambda action: isinstance(action, kinds))


def check_kinds(kinds: tuple[type[Any], ...]) -> None:
    """Raise a TypeError unless `kinds` are one or more classes."""
    if not kinds:
        raise TypeError("of_type() needs at least one action class, for example of_type(Echo)")
    for kind in kinds:
        if not isinstance(kind, type):
            hint = "pass the classes one by one" if isinstance(kind, tuple) else "actions are matched by class"
            raise TypeError(f"of_type() takes classes, got {kind!r}; {hint}, for example of_type(Echo, Login)")


def is_function(action: Any) -> bool:
    """Is it a function action, which is called instead of reduced?"""
    return callable(action) and not isinstance(action, type)


def kind_of(action: Any) -> str:
    """An action's class, for messages: its fields may hold what is nobody's business."""
    return type(action).__name__


def why_no_action(action: Any) -> str:
    """Why this can not be an action, with the remedy; "" when it can."""
    if action is None:
        return "None; an action is an object that says what happened"
    if isinstance(action, type):
        return f"the class {action.__name__}; dispatch an instance: {action.__name__}(...)"
    if callable(action):
        return f"the function {getattr(action, '__name__', action)!s}; only dispatch() and on_next() take functions"
    if isinstance(action, ObservableBase):
        return "an Observable; flatten it, for example with ops.flat_map"
    if isinstance(action, Awaitable):
        return f"{type(action).__name__}, which nobody awaited; map it with session.gate or ops.flat_map"
    return ""
