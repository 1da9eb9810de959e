"""One run, many waiters: `share_replayed`, and the `Flight` and `Single` that it is made of."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any, Generic, TypeAlias, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxauth.errors import RxAuthError, WouldDeadlock
from rxauth.runtime import Runtime, running_loop

T = TypeVar("T")

#: Called once, with a value and None or with None and an error.
Settle: TypeAlias = Callable[[T | None, Exception | None], None]
Leave: TypeAlias = Callable[[], None]
Loop: TypeAlias = asyncio.AbstractEventLoop
Join: TypeAlias = Callable[[Settle[T], Loop | None], Leave]

log = logging.getLogger("rxauth")


class _Working(threading.local):
    """What this thread works on for others, as (owner, fetching)."""

    owners: tuple[tuple[object, bool], ...] = ()


_working = _Working()


class Anywhere:
    """The base of a waiter that is told on any thread when its own event loop is closed."""

    __slots__ = ()


class Flight(Generic[T]):
    """An outcome that does not exist yet, and those who wait for it.

    It is owned by nobody who waits: leaving, the first or all of them, changes nothing for the work or for the others.
    Waiters are released in the order in which they came: those of an event loop on that loop, with one callback for
    all of them; the others in the thread that lands the flight.
    """

    __slots__ = ("_error", "_lock", "_number", "_value", "_waiters", "begun", "landed", "start", "starter")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[int, tuple[Settle[T], Loop | None]] = {}
        self._number = 0
        self._value: T | None = None
        self._error: Exception | None = None
        self.landed = False
        #: What starts the work, as long as it has not been started: whoever waits may have to do it.
        self.start: Callable[[], None] | None = None
        self.starter: object = None
        self.begun = False

    def join(self, settle: Settle[T], loop: Loop | None = None) -> Leave:
        """Have `settle` called with the outcome: at once when it is there already."""
        with self._lock:
            if not self.landed:
                self._number += 1
                number = self._number
                self._waiters[number] = (settle, loop)
                return lambda: self._leave(number)
        settle(self._value, _again(self._error))
        return stay

    def land(self, value: T | None = None, error: Exception | None = None) -> None:
        """Release everybody. Only the first outcome counts."""
        with self._lock:
            if self.landed:
                return
            self.landed, self._value, self._error = True, value, error
            waiters = list(self._waiters.values())
            self._waiters.clear()
        by_loop: dict[Loop | None, list[Settle[T]]] = {}
        for settle, loop in waiters:
            by_loop.setdefault(loop, []).append(settle)
        # Loops first: what they are told costs this thread nothing, while a direct callback may take its time.
        for loop, group in sorted(by_loop.items(), key=lambda item: item[0] is None):
            if loop is None:
                self._release(group)
            elif not _call_soon(loop, self._release, group):
                self._tell_without_loop(group)

    def _release(self, group: list[Settle[T]]) -> None:
        for number, settle in enumerate(group, 1):
            try:
                _tell(settle, self._value, _again(self._error))
            except BaseException:  # Ctrl-C in one of them is no reason to forget the others
                self._release(group[number:])
                raise

    def _tell_without_loop(self, group: list[Settle[T]]) -> None:
        """Their loop is closed. Nobody is called back elsewhere, but for an epic's calls, which have to end."""
        self._release([settle for settle in group if isinstance(settle, Anywhere)])

    def _leave(self, number: int) -> None:
        with self._lock:
            self._waiters.pop(number, None)


class Single(Observable[T]):
    """An Observable of exactly one value, or an error: subscribe it, `await` it, or `.run()` it.

    Who subscribes, or awaits, on a running event loop is called back on that loop, also behind `.pipe(...)`; anybody
    else in the thread that has the outcome. `.run()` blocks, which is allowed on the thread of a running loop too, but
    raises `WouldDeadlock` on the thread that does the work. On trio it can be awaited as well.
    """

    def __init__(self, join: Join[T], runtime: Runtime | None = None, owner: object = None) -> None:
        super().__init__()
        self._join = join
        self._runtime = runtime or Runtime()
        self._owner = owner

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # A scheduler that is no asyncio one comes from a piped `.run()`, which blocks this thread, and its loop with
        # it, until it is called back: that has to come from another thread.
        blocking = scheduler is not None and not isinstance(scheduler, AsyncIOScheduler)
        # What the observer prints, errors too, shows in the notebook's cell that subscribed.
        context, late = copy_context(), False

        def settle(value: T | None, error: Exception | None) -> None:
            if error is not None:
                observer.on_error(error)
            else:
                observer.on_next(cast(T, value))
                observer.on_completed()

        def told(value: T | None, error: Exception | None) -> None:
            context.run(_tell, settle, value, error) if late else settle(value, error)

        leave = self._join(told, None if blocking else running_loop())
        late = True
        if blocking and is_working(self._owner):
            leave()
            observer.on_error(_would_deadlock())  # which nobody hears if the outcome was there at once
        return Disposable(leave)

    def __await__(self) -> Generator[Any, None, T]:
        loop = running_loop()
        if loop is None:
            return (yield from _on_trio(self).__await__())
        future: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast(T, value))

        leave = self._join(settle, loop)
        try:
            if not future.done() and is_working(self._owner):
                raise _would_deadlock()
            return (yield from future)
        finally:
            leave()

    def run(self, scheduler: abc.SchedulerBase | None = None) -> T:
        """Block until the outcome is there; return the value or raise the error."""
        done = self._runtime.latch()
        outcome: list[tuple[T | None, Exception | None]] = []

        def settle(value: T | None, error: Exception | None) -> None:
            outcome.append((value, error))
            done.set()

        leave = self._join(settle, None)
        try:
            if not outcome:
                if is_working(self._owner):
                    raise _would_deadlock()
                self._runtime.wait(done)
        finally:
            leave()
        value, error = outcome[0]
        if error is not None:
            raise error
        return cast(T, value)


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
                    running = None
                if error is None and not values:
                    error = SequenceContainsNoElementsError()
                flight.land(values[0] if values else None, error)

            def on_next(value: T) -> None:
                values[:] = [value]

            source.subscribe(on_next, land, land)

        return Single(join)

    return operator


async def _on_trio(single: Single[T]) -> T:
    """An await where no asyncio loop runs: httpx works on trio, too."""
    import trio

    token, told, outcome = trio.lowlevel.current_trio_token(), trio.Event(), []

    def settle(value: T | None, error: Exception | None) -> None:
        outcome.append((value, error))
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(told.set)

    leave = single._join(settle, None)
    try:
        await told.wait()
    finally:
        leave()
    value, error = outcome[0]
    if error is not None:
        raise error
    return cast(T, value)


def working(work: Callable[[], T], owner: object, *, fetching: bool = False) -> Callable[[], T]:
    """`work`, marked as what the waiters of `owner` wait for: a blocking wait in it raises, where it would not end.

    `fetching` marks the call of a refresher, whose own requests must not ask for the token that they are to bring.
    """

    def marked() -> T:
        before = _working.owners
        _working.owners = (*before, (owner, fetching))
        try:
            return work()
        finally:
            _working.owners = before

    return marked


def is_working(owner: object) -> bool:
    """True on a thread that the waiters of `owner` wait for."""
    return any(other is owner for other, _ in _working.owners)


def is_fetching(owner: object) -> bool:
    """True inside a call of the refresher of `owner`."""
    return bool(_working.owners) and (owner, True) in _working.owners


def _would_deadlock() -> WouldDeadlock:
    return WouldDeadlock(
        "waiting for a fresh token on the thread that fetches it would wait for ever; in a refresh callable use a "
        "client of its own, in a callback subscribe instead of blocking, or hand the work to another thread"
    )


def _tell(settle: Settle[T], value: T | None, error: Exception | None) -> None:
    """One callback fails: nobody else may suffer from it."""
    try:
        settle(value, error)
    except Exception:
        log.exception("rxauth: a callback that waited for a result failed")


def _again(error: Exception | None) -> Exception | None:
    return error.again() if isinstance(error, RxAuthError) else error


def _call_soon(loop: Loop, call: Callable[..., None], *args: Any) -> bool:
    """False when the loop is closed."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True


def stay() -> None:
    """How to leave what is over already."""
