"""An observable whose running subscription is shared."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.single import Leave, Loop, Settle, Single
from rxauth.errors import CallCancelled

T = TypeVar("T")


def share_replayed() -> Callable[[Observable[T]], Observable[T]]:
    """An operator: everybody who subscribes while the source runs shares that one run and gets its last value.

    The first subscriber joins and starts the source. Those who come while it runs join. When it completes, or fails,
    all of them get that outcome, and it is forgotten: who comes later starts a new run.

    | | who comes after the end | a lone subscriber leaves | an error |
    |---|---|---|---|
    | `share()` | subscribes the source again and misses the value | stops the source | is not kept |
    | `replay(1)` + `ref_count()` | gets the old value or error, and starts a second run | stops the source | is kept |
    | `share_replayed()` | starts one new run | the source goes on | is not kept |

    The middle column is why: a refresh on the wire may have spent the refresh token already, so it must not stop.
    The result is a `Single`. A source that completes without a value is an error, as in `Observable.run`.
    """

    def operator(source: Observable[T]) -> Observable[T]:
        lock = threading.Lock()
        running: Flight[T] | None = None

        def join(settle: Settle[T], loop: Loop | None) -> Leave:
            nonlocal running
            with lock:
                flight, starts = (running, False) if running is not None else (Flight[T](), True)
                running = flight
                leave = flight.join(settle, loop)  # before the start: the source may complete at once
            if starts:
                start(flight)
            return leave

        def start(flight: Flight[T]) -> None:
            values: list[T] = []

            def land(error: Exception | None = None) -> None:
                nonlocal running
                with lock:
                    running = None if running is flight else running
                if error is None and not values:
                    error = SequenceContainsNoElementsError()
                flight.land(values[0] if values else None, error)

            def on_next(value: T) -> None:
                values[:] = [value]

            try:
                source.subscribe(on_next, land, land)
            except BaseException:  # a Ctrl-C, mostly: the run is over, and whoever comes later starts another
                land(CallCancelled("the source was interrupted"))
                raise

        return Single(join)

    return operator
