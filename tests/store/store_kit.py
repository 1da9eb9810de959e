"""Actions, reducers and witnesses for the tests of the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import reactivex
from reactivex import operators as ops

#: How long a test waits for another thread before it fails.
PATIENCE = 60.0


@dataclass(frozen=True)
class Action:
    pass


@dataclass(frozen=True)
class Add(Action):
    """Appends `item` to the state of `log_reducer`."""

    item: Any


@dataclass(frozen=True)
class Ping(Action):
    n: int = 0


@dataclass(frozen=True)
class LoudPing(Ping):
    pass


@dataclass(frozen=True)
class Pong(Action):
    n: int = 0


@dataclass(frozen=True)
class Boom(Action):
    """Makes whoever is meant to fail, fail."""


@dataclass(frozen=True)
class Noop(Action):
    """Changes no state."""


Log = tuple[Any, ...]


def log_reducer(state: Log, action: Any) -> Log:
    """Every action but `Noop` makes the state longer: `Add` by its item, others by themselves."""
    match action:
        case Noop():
            return state
        case Add(item=item):
            return (*state, item)
    return (*state, action)


def count_reducer(state: int, action: Any) -> int:
    return state + 1


def explosive(state: Log, action: Any) -> Log:
    """`log_reducer`, but it raises for a `Boom`."""
    if isinstance(action, Boom):
        raise ValueError("boom")
    return log_reducer(state, action)


def law(reducer: Callable[[Any, Any], Any], initial: Any, actions: list[Any]) -> list[Any]:
    """The states that a store must show for these actions, said by reactivex."""
    states: list[Any] = []
    reactivex.from_iterable(actions).pipe(
        ops.scan(reducer, initial),
        ops.start_with(initial),
        ops.distinct_until_changed(comparer=lambda one, other: one is other),
    ).subscribe(states.append)
    return states


class Seen(list[Any]):
    """An observer: a list of the values it was given, and how often it was told of the end.

    `until(predicate)` waits for a value from another thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.completed = 0
        self.after_the_end = 0
        self._changed = threading.Condition()

    def on_next(self, value: Any) -> None:
        with self._changed:
            self.after_the_end += self.completed > 0
            self.threads.append(threading.get_ident())
            self.append(value)
            self._changed.notify_all()

    def on_error(self, error: Exception) -> None:
        raise AssertionError(f"a store's streams do not fail, but here is {error!r}")

    def on_completed(self) -> None:
        with self._changed:
            self.completed += 1
            self._changed.notify_all()

    def until(self, predicate: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(predicate, PATIENCE), f"waited in vain, saw only {self!r}"


@dataclass
class Reports:
    """A `report` that remembers what it was told."""

    told: list[tuple[Exception, str, Any]] = field(default_factory=list)

    def __call__(self, error: Exception, where: str, action: Any) -> None:
        self.told.append((error, where, action))

    @property
    def wheres(self) -> list[str]:
        return [where for _, where, _ in self.told]

    @property
    def actions(self) -> list[Any]:
        return [action for _, _, action in self.told]

    @property
    def errors(self) -> list[str]:
        return [str(error) for error, _, _ in self.told]


class Crew:
    """Threads that must all end in time; what one of them raises fails the test."""

    def __init__(self, *jobs: Callable[[], Any]) -> None:
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(job,), daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def _run(self, job: Callable[[], Any]) -> None:
        try:
            job()
        except BaseException as error:
            self.errors.append(error)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not [thread for thread in self.threads if thread.is_alive()], "a thread hangs"
        if self.errors:
            raise self.errors[0]


def in_threads(*jobs: Callable[[], Any]) -> None:
    Crew(*jobs).join()


def in_another_thread(job: Callable[[], Any]) -> Any:
    results: list[Any] = []
    in_threads(lambda: results.append(job()))
    return results[0]


def await_event(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "waited in vain for another thread"
