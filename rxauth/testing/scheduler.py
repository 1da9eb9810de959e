"""Virtual time for the operators of reactivex and for asyncio."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from reactivex import abc, typing
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from rxauth.concurrency.runtime import Instant, Latch

T = TypeVar("T")


class Clock(Protocol):
    """What both need of virtual time."""

    def now(self) -> Instant: ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]: ...

    def step(self) -> bool: ...

    def advance_while(self, seconds: float, idle: Callable[[], bool]) -> bool: ...

    def is_background(self) -> bool: ...

    def latch(self) -> Latch: ...

    def wait(self, latch: Latch, timeout: float | None = None) -> bool: ...


class VirtualScheduler(PeriodicScheduler):
    """A reactivex scheduler whose time is virtual: `ops.debounce(0.3, scheduler=time.scheduler)`.

    A store's deliveries run on it too: `Store(..., scheduler=time.scheduler)`; then its epics' timed operators need no
    scheduler of their own. What is scheduled happens inside `time.advance(...)`, on the thread that calls it.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now().wall, tz=UTC)

    def schedule(self, action: abc.ScheduledAction[T], state: T | None = None) -> abc.DisposableBase:
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: abc.ScheduledAction[T], state: T | None = None
    ) -> abc.DisposableBase:
        inner = SingleAssignmentDisposable()

        def run() -> None:
            inner.disposable = self.invoke_action(action, state)

        cancel = self._clock.call_later(self.to_seconds(duetime), run)

        def dispose() -> None:
            cancel()
            inner.dispose()

        return Disposable(dispose)

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: abc.ScheduledAction[T], state: T | None = None
    ) -> abc.DisposableBase:
        return self.schedule_relative(self.to_seconds(duetime) - self._clock.now().wall, action, state)


#: For how many real seconds an idle loop listens to what is not virtual (sockets, executors) before it gives up.
PATIENCE = 5.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose time is virtual: when nothing is ready, the clock moves to what comes next.

    Made by `VirtualTime.run(...)`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = clock.latch()
        super().__init__(_Selector(self._wait))
        # After half a year the clock's floats are coarser than asyncio's nanosecond, and a timer would never be due.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._clock.now().mono

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        self._woken.set()
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        self._woken.set()
        return super().call_soon_threadsafe(callback, *args, context=context)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for real threads, so not for a virtual while: that would be over at once, and warn."""
        await super().shutdown_default_executor()

    def _wait(self, timeout: float | None) -> float | None:
        """Let virtual time go by instead of `timeout` seconds; returns for how many real ones to listen after that."""
        if timeout is not None and timeout <= 0:
            self._clock.step()  # a loop that is always busy must not hold up the background work
            return 0.0
        self._woken = woken = self._clock.latch()
        if self._clock.is_background():  # an async refresh callable: who moves the clock waits for this thread
            self._clock.wait(woken, timeout)
            return 0.0
        ended = self._clock.advance_while(float("inf") if timeout is None else timeout, lambda: not woken.is_set())
        return 0.0 if ended or timeout is not None else None


class _Selector(selectors.DefaultSelector):
    def __init__(self, wait: Callable[[float | None], float | None]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or self._wait(timeout) is not None:
            return events or super().select(0)
        events = super().select(PATIENCE)
        if not events:
            raise AssertionError("the loop waits for ever: nothing in virtual time, and no socket, would wake it")
        return events
