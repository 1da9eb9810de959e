"""When the timed operators of a store's epics are called: where the store delivers, whatever thread they begin on."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TypeVar

from reactivex import abc, typing
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from rxauth.concurrency.runtime import running_loop

T = TypeVar("T")


class EpicScheduler(PeriodicScheduler):
    """What epics are subscribed with in a store that was given no scheduler.

    What is due now happens now, as without it. What is due later happens on the store's event loop, also when another
    thread asks for it; without a loop, or when that is closed, in the time of `virtual`, if there is one, or else on
    a thread of reactivex's `TimeoutScheduler`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__()
        self._loop = loop
        self._began = (super().now, loop.time() if loop is not None else 0.0)
        #: The scheduler of the virtual time of a session that lives in the store.
        self.virtual: abc.SchedulerBase | None = None

    @property
    def now(self) -> datetime:
        if self._loop is None:
            return self._without_loop().now
        began, at = self._began
        return began + timedelta(seconds=self._loop.time() - at)

    def schedule(self, action: abc.ScheduledAction[T], state: T | None = None) -> abc.DisposableBase:
        return CurrentThreadScheduler.singleton().schedule(lambda _, told: action(self, told), state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: abc.ScheduledAction[T], state: T | None = None
    ) -> abc.DisposableBase:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                return self._later(self._loop, max(0.0, self.to_seconds(duetime)), action, state)
        return self._without_loop().schedule_relative(duetime, lambda _, told: action(self, told), state)

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: abc.ScheduledAction[T], state: T | None = None
    ) -> abc.DisposableBase:
        return self.schedule_relative(self.to_datetime(duetime) - self.now, action, state)

    def _without_loop(self) -> abc.SchedulerBase:
        return self.virtual or TimeoutScheduler.singleton()

    def _later(
        self, loop: asyncio.AbstractEventLoop, seconds: float, action: abc.ScheduledAction[T], state: T | None
    ) -> abc.DisposableBase:
        inner = SingleAssignmentDisposable()
        handles: list[asyncio.TimerHandle] = []

        def begin() -> None:
            if not inner.is_disposed:
                handles.append(loop.call_later(seconds, run))

        def run() -> None:
            if not inner.is_disposed:
                inner.disposable = self.invoke_action(action, state)

        def dispose() -> None:
            inner.dispose()
            if running_loop() is loop:
                cancel()
            else:
                with contextlib.suppress(RuntimeError):  # it is closed, and its timers with it
                    loop.call_soon_threadsafe(cancel)

        def cancel() -> None:
            for handle in handles:
                handle.cancel()

        if running_loop() is loop:
            begin()
        else:
            loop.call_soon_threadsafe(begin)
        return Disposable(dispose)
