"""One run, many waiters: `share_replayed`, and the `Flight` that it is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rxauth.concurrency.single import Leave, Loop, Settle, stay, tell
from rxauth.errors import RxAuthError

T = TypeVar("T")


class Anywhere:
    """The base of a waiter that is told on any thread when its own event loop is closed."""

    __slots__ = ()


class Flight(Generic[T]):
    """An outcome that does not exist yet, and those who wait for it.

    It is owned by nobody who waits: leaving, the first or all of them, changes nothing for the work or for the others.
    Waiters are released in the order in which they came: those of an event loop on that loop, with one callback for
    all of them; the others in the thread that lands the flight.
    """

    __slots__ = ("_begun", "_error", "_lock", "_number", "_starter", "_value", "_waiters", "landed", "start")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[int, tuple[Settle[T], Loop | None]] = {}
        self._number = 0
        self._value: T | None = None
        self._error: Exception | None = None
        self.landed = False
        #: What starts the work, as long as it has not been started: whoever waits may have to do it.
        self.start: Callable[[], None] | None = None
        self._starter: object = None
        self._begun = False

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
                tell(settle, self._value, _again(self._error))
            except BaseException:  # Ctrl-C in one of them is no reason to forget the others
                self._release(group[number:])
                raise

    def _tell_without_loop(self, group: list[Settle[T]]) -> None:
        """Their loop is closed. Nobody is called back elsewhere, but for an epic's calls, which have to end."""
        self._release([settle for settle in group if isinstance(settle, Anywhere)])

    def take_off(self) -> None:
        """Have the work started, unless somebody else is doing so: whoever waits may be the one."""
        if self.start is None:
            return
        me = object()
        try:
            with self._lock:
                if self.start is None or self._starter is not None:
                    return
                self._starter, start = me, self.start
            start()
            self.start = None
        finally:
            if self._starter is me:
                self._starter = None

    def begin(self) -> bool:
        """True for the first thread that is about to do the work: a Ctrl-C may have had two of them started."""
        with self._lock:
            first, self._begun = not self._begun, True
            return first

    def _leave(self, number: int) -> None:
        with self._lock:
            self._waiters.pop(number, None)


def _again(error: Exception | None) -> Exception | None:
    return error.again() if isinstance(error, RxAuthError) else error


def _call_soon(loop: Loop, call: Callable[..., None], *args: Any) -> bool:
    """False when the loop is closed."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True
