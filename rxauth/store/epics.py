"""Epics: functions from a stream of actions to a stream of actions, each kept apart from the others' failures."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxauth.errors import EndlessEpic, InvalidEpic
from rxauth.store.listeners import LastSeen, Report
from rxauth.store.queue import LONGEST_CHAIN
from rxauth.store.streams import ActionSource, ActionStream, StateView

S = TypeVar("S")

#: A stream of actions in, a stream of actions out (redux-observable's shape).
Epic: TypeAlias = Callable[[ActionStream[Any], StateView[S]], Observable[Any]]

#: How often in a row a failing epic is started again. In a row: it has emitted nothing for an action in between.
RESTARTS = 10

Emit: TypeAlias = Callable[[Any, str], bool]


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


class Start:
    """What epics that are added together emit before all of them are subscribed: it is told when they are."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._held: deque[tuple[Any, str]] = deque()
        self._teller = 0
        #: Where they emit.
        self.emit: Emit = self._hold

    def over(self) -> None:
        """Emit what was held, in order, before what other threads bring meanwhile."""
        self._teller = threading.get_ident()
        while True:
            with self._lock:
                if not self._held:
                    self.emit = self._emit
                    return
                action, where = self._held.popleft()
            self._emit(action, where)

    def _hold(self, action: Any, where: str) -> bool:
        if self._teller != threading.get_ident():  # else it is an answer to what is told now
            with self._lock:
                if self.emit != self._emit:
                    self._held.append((action, where))
                    return True
        return self._emit(action, where)


def supervise(
    epic: Epic[S],
    source: ActionSource,
    state: StateView[S],
    emitting: Start,
    report: Report,
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    """Run `epic`: its actions go to `emitting`, its failures to `report` with the action that it saw last.

    A failed epic is started again, at most `RESTARTS` times in a row; the others never notice. One that completes
    just ends, and so does one that answers its own answers without end. Its timed operators run on `scheduler` where
    they name none. Raises `InvalidEpic`, or what the epic itself raises, when it can not even be started once.
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
        if not emitting.emit(action, where):
            running.dispose()
            endless = EndlessEpic(
                f"{where} answered what it, or another epic, had emitted, {LONGEST_CHAIN:,} times in a row, and is "
                "stopped; it must not be shown what it emits: name what it answers, with actions.of_type(...)"
            )
            report(endless, where, action)

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
