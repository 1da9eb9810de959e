"""Epics: functions from a stream of actions to a stream of actions, each kept apart from the others' failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxauth.errors import InvalidEpic
from rxauth.streams import ActionSource, ActionStream, LastSeen, Report, StateView

S = TypeVar("S")

#: A stream of actions in, a stream of actions out (redux-observable's shape).
Epic: TypeAlias = Callable[[ActionStream[Any], StateView[S]], Observable[Any]]

#: How often in a row a failing epic is started again. In a row: it has emitted nothing for an action in between.
RESTARTS = 10


class CombinedEpic:
    """Several epics under one name. A store runs each of them by itself, so one that fails does not stop the others."""

    def __init__(self, epics: tuple[Epic[Any], ...]) -> None:
        self.epics = epics

    def __call__(self, actions: ActionStream[Any], state: StateView[Any]) -> Observable[Any]:
        return reactivex.merge(*(epic(actions, state) for epic in self.epics))


def combine_epics(*epics: Epic[S]) -> Epic[S]:
    """One epic made of several, in their order. Raises `InvalidEpic` for what is no function."""
    return CombinedEpic(tuple(flatten(epics)))


def flatten(epics: tuple[Epic[Any], ...]) -> list[Epic[Any]]:
    """The epics, with combined ones taken apart. Raises `InvalidEpic` for what is none."""
    flat: list[Epic[Any]] = []
    for epic in epics:
        if not callable(epic):
            hint = "; give them one by one: add_epic(*epics)" if isinstance(epic, tuple | list) else ""
            raise InvalidEpic(f"an epic is a function of (actions, state), got {type(epic).__name__}{hint}")
        flat.extend(flatten(epic.epics) if isinstance(epic, CombinedEpic) else [epic])
    return flat


def name_of(epic: Epic[Any]) -> str:
    """How an epic is called in a report: by its qualified name, or its class."""
    name = getattr(epic, "__qualname__", None) or type(epic).__qualname__
    return str(name)


def supervise(
    epic: Epic[S],
    source: ActionSource,
    state: StateView[S],
    emit: Callable[[Any, str], None],
    report: Report,
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    """Run `epic`: its actions go to `emit`, its failures to `report` with the action that it saw last.

    A failed epic is started again, at most `RESTARTS` times in a row; the others never notice. One that completes
    just ends. Its timed operators run on `scheduler` where they name none. Raises `InvalidEpic`, or what the epic
    itself raises, when it can not even be started once.
    """
    where = f"epic {name_of(epic)}"
    seen = LastSeen()
    running = SerialDisposable()
    restarts = 0
    seen_at_restart = 0

    def start() -> None:
        output = epic(ActionStream(source, where=where, seen=seen), state)
        if not isinstance(output, abc.ObservableBase):
            raise InvalidEpic(
                f"{where} returned {type(output).__name__}; return an Observable of actions, "
                "for example actions.of_type(Ping).pipe(ops.map(lambda ping: Pong()))"
            )
        running.disposable = output.subscribe(on_next, on_error, scheduler=scheduler)

    def on_next(action: Any) -> None:
        nonlocal restarts
        if seen.count > seen_at_restart:
            restarts = 0
        emit(action, where)

    def on_error(error: Exception) -> None:
        nonlocal restarts, seen_at_restart
        if restarts >= RESTARTS:
            report(error, f"{where}, which failed {RESTARTS + 1} times in a row and is stopped", seen.action)
            return
        restarts += 1
        seen_at_restart = seen.count
        report(error, where, seen.action)
        try:
            start()
        except Exception as failure:
            on_error(failure)

    start()
    return running
