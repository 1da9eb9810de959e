"""Time and background work, in one object that can be replaced.

Every reading of the clock, every wait and every start of background work is a call on a `Runtime`, so that a day of
token life is tested in milliseconds and a simulation can choose the order of all these calls.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from reactivex import abc

T = TypeVar("T")


#: The system's: processes that an app seeds alike, or forks, must not draw alike, and its own draws are not disturbed.
CHANCE = random.SystemRandom()


class Instant(NamedTuple):
    """One moment on two clocks, in seconds.

    `wall` counts from the epoch and may jump; `mono` never runs backwards, but means nothing in another process and
    may stand still while the machine sleeps.
    """

    wall: float
    mono: float


class Latch(Protocol):
    """A flag that is set once."""

    def set(self) -> None: ...

    def is_set(self) -> bool: ...


class Pending(Generic[T]):
    """Work that runs on a thread of its own. `done` is set when `result()` would return or raise at once."""

    __slots__ = ("_error", "_value", "done")

    def __init__(self, done: Latch) -> None:
        self.done = done
        self._value: T | None = None
        self._error: BaseException | None = None

    def run(self, work: Callable[[], T]) -> None:
        try:
            self._value = work()
        except BaseException as error:
            self._error = error
        finally:
            self.done.set()
            del self, work  # which the error's traceback would hold

    def result(self) -> T:
        """The work's result; raises what the work raised. It is asked for once."""
        error, self._error = self._error, None  # its traceback will hold who asks, and so this object
        if error is None:
            return self._value  # type: ignore[return-value]  # run() has set it
        try:
            raise error
        finally:
            del error


class Runtime:
    """The real clock and real daemon threads. Its methods may be called from any thread."""

    #: A scheduler of reactivex in this time, where that is not the real one.
    scheduler: abc.SchedulerBase | None = None

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Block the calling background thread."""
        time.sleep(seconds)

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        """Start `work` on a daemon thread. At interpreter exit it is waited for, at most `linger` seconds.

        It runs in the context of who starts it: in a notebook what it prints, errors too, shows in his cell.
        """
        thread = threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True)
        thread.start()
        if linger > 0:
            _linger(thread, linger)

    def latch(self) -> Latch:
        return threading.Event()

    def wait(self, latch: Latch, timeout: float | None = None) -> bool:
        """Block until `latch` is set; false when `timeout` seconds went by first."""
        assert isinstance(latch, threading.Event)
        return latch.wait(timeout)

    def io(self, work: Callable[[], T], name: str) -> Pending[T]:
        """Start `work`, which may block for as long as it likes, and return without waiting for it.

        Starting and being answered are two moments, which lets a caller give up waiting while the work goes on.
        """
        pending: Pending[T] = Pending(self.latch())

        def run() -> None:
            _current.set(self)
            pending.run(work)

        self.spawn(run, name)
        return pending

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, on an event loop of its own in the calling background thread."""
        return asyncio.run(main)

    def chance(self) -> float:
        """A random number from 0 to 1, for the jitter between tries."""
        return CHANCE.random()

    def yield_point(self, name: str) -> None:
        """A place between two steps where another thread may run. Only a simulation does something here."""


_current: ContextVar[Runtime] = ContextVar("rxauth.concurrency.runtime")


def current_runtime() -> Runtime:
    """The runtime whose `io` runs this code; the real one elsewhere. For a refresher, which is given none."""
    return _current.get(None) or Runtime()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


#: How long the interpreter's exit waits for a thread that stores tokens, in seconds.
LINGER = 5.0

_lingering: list[tuple[threading.Thread, float]] = []
_lingering_lock = threading.Lock()


def _linger(thread: threading.Thread, seconds: float) -> None:
    with _lingering_lock:
        _lingering[:] = [entry for entry in _lingering if entry[0].is_alive()]
        _lingering.append((thread, seconds))


@atexit.register
def _wait_at_exit() -> None:
    """Give a refresh that the server may already have answered the time to store its tokens."""
    start = time.monotonic()
    for thread, seconds in list(_lingering):
        thread.join(max(0.0, start + seconds - time.monotonic()))


def _renew_after_fork() -> None:
    global _lingering_lock
    _lingering_lock = threading.Lock()
    _lingering.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def is_sync(function: Any) -> bool:
    """Can it be called for what it returns, at once?"""
    return callable(function) and not inspect.iscoroutinefunction(function)
