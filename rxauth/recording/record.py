"""What passed through stores, sessions and streams: `record` and the operator `spy`."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxauth.concurrency.runtime import Runtime
from rxauth.recording.eventlog import Event
from rxauth.recording.recording import Recording
from rxauth.recording.signals import Completed, Disposed, Emitted, Failed, Subscribed
from rxauth.session.session import Session
from rxauth.store.store import Store
from rxauth.store.tap import ERRORS, SESSION

__all__ = ["Event", "Recording", "record", "spy"]

T = TypeVar("T")

#: The recordings that are open, for those who spy.
_open: weakref.WeakSet[Recording] = weakref.WeakSet()


def record(*sources: Store[Any] | Session[Any], limit: int = 10_000, time: Runtime | None = None) -> Recording:
    """Record what happens in these stores and sessions from now on, until `close()` or the end of a `with` block.

    Of a session all of its store is recorded. What passes a `spy` meanwhile is recorded, too; without a source that is
    all. `limit` bounds the memory: of more events the oldest are dropped. `time` is the clock, for tests.
    """
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"limit must be 1 or more, got {limit!r}")
    stores = list({id(store): store for store in map(_store_of, sources)}.values())
    recording = Recording(limit=limit, time=time)
    initial = []
    for store in stores:
        tap, state = store.tap(recording)
        recording.sources.add(tap)
        initial.append(state)
    recording.begin(initial[0] if len(initial) == 1 else tuple(initial) or None)
    _open.add(recording)
    recording.sources.add(Disposable(lambda: _open.discard(recording)))
    return recording


def spy(name: str, *, into: Recording | None = None) -> Callable[[Observable[T]], Observable[T]]:
    """An operator that changes nothing and records what passes, under `name`: subscriptions, values, ends.

    `into` is the recording; by default every one that is open at the time. Each subscriber is told apart by a number.
    The values are recorded in the thread that brings them, before they are passed on.
    """
    if not isinstance(name, str) or name in ("", SESSION, ERRORS):
        raise ValueError(f"spy() needs a name of its own for the stream, such as spy('typed'), got {name!r}")
    subscribers = itertools.count(1)

    def note(event: Any) -> None:
        for recording in (into,) if into is not None else tuple(_open):
            recording.note(event, name)

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            subscriber, over = next(subscribers), False
            note(Subscribed(subscriber=subscriber))

            def on_next(value: T) -> None:
                note(Emitted(subscriber=subscriber, value=value))
                observer.on_next(value)

            def end(signal: Any) -> None:
                nonlocal over
                if not over:
                    over = True
                    note(signal)

            def on_error(error: Exception) -> None:
                end(Failed(subscriber=subscriber, error=error))
                observer.on_error(error)

            def on_completed() -> None:
                end(Completed(subscriber=subscriber))
                observer.on_completed()

            subscription = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
            return CompositeDisposable(Disposable(lambda: end(Disposed(subscriber=subscriber))), subscription)

        return Observable(subscribe)

    return operator


def _store_of(source: Any) -> Store[Any]:
    store = source.store if isinstance(source, Session) else source
    if not isinstance(store, Store):
        raise TypeError(
            f"record() takes stores and sessions, got {type(source).__name__}; of an Observable, record "
            "what passes: source.pipe(spy('name'))"
        )
    return store
