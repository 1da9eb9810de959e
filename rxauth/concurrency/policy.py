"""What happens to an item that arrives while another one runs, and values that many threads emit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, get_args

T = TypeVar("T")

#: All at once; the newest only, which cancels the one before; none while one runs; one after the other.
Policy = Literal["merge", "latest", "first", "in_order"]

Cancel = Callable[[], None]


def check_policy(policy: Any) -> None:
    """Raise a ValueError for what is no policy."""
    if policy not in get_args(Policy):
        raise ValueError(f"policy must be one of {', '.join(get_args(Policy))}; got {policy!r}")


class Turns(Generic[T]):
    """Starts items by a policy, at a cost that does not grow with their number (that of `ops.flat_map` does).

    `start(item, done)` begins one and returns how to cancel it; `done` is to be called once when it is over.
    `accepted(item)` hears of each before it begins, or `dropped(item)` if the policy `first` drops it. Safe from any
    thread; it calls nothing under a lock.
    """

    def __init__(
        self,
        policy: Policy,
        start: Callable[[T, Callable[[], None]], Cancel],
        dropped: Callable[[T], None] = lambda _: None,
        accepted: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._policy = policy
        self._start = start
        self._dropped = dropped
        self._accepted = accepted
        self._lock = threading.Lock()
        self._running: dict[int, Cancel | None] = {}
        self._queue: deque[T] = deque()
        self._number = 0
        self._starting = False
        self._when_idle: Callable[[], None] | None = None

    def add(self, item: T) -> None:
        """Take an item; to be called by one thread at a time."""
        replaced: list[Cancel] = []
        with self._lock:
            dropped = self._policy == "first" and bool(self._running)
            if self._policy == "latest":
                replaced = [cancel for cancel in self._running.values() if cancel is not None]
                self._running.clear()
        if dropped:
            self._dropped(item)
            return
        for cancel in replaced:
            cancel()
        self._accepted(item)
        with self._lock:
            self._queue.append(item)
        self._work()

    def finish(self, when_idle: Callable[[], None]) -> None:
        """No more items will come: call `when_idle` when the last one is over."""
        with self._lock:
            self._when_idle = when_idle
        self._work()

    def cancel(self) -> None:
        """Cancel what runs, and forget what has not begun."""
        with self._lock:
            self._queue.clear()
            running = [cancel for cancel in self._running.values() if cancel is not None]
            self._running.clear()
        for cancel in running:
            cancel()

    def _work(self) -> None:
        """Start what may start. A loop, not a recursion, because an item may be over before `start` returns."""
        with self._lock:
            if self._starting and self._policy == "in_order":
                return
            self._starting = True
        while True:
            with self._lock:
                blocked = self._policy == "in_order" and self._running
                if blocked or not self._queue:
                    self._starting = False
                    idle = self._when_idle if not (self._running or self._queue) else None
                    if idle is not None:
                        self._when_idle = None
                    break
                item = self._queue.popleft()
                self._number += 1
                number = self._number
                self._running[number] = None
            cancel = self._start(item, lambda number=number: self._done(number))  # type: ignore[misc]
            with self._lock:
                still = number in self._running
                if still:
                    self._running[number] = cancel
            if not still:
                cancel()  # over, or cancelled by a newer one while it began
        if idle is not None:
            idle()

    def _done(self, number: int) -> None:
        with self._lock:
            self._running.pop(number, None)
        self._work()
