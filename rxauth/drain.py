"""The one queue through which a store tells everybody, and the rules of who works it off."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from reactivex import abc

from rxauth.runtime import running_loop
from rxauth.streams import Listener, Report

#: How many entries of other threads one thread delivers before it hands the rest on.
FAIR_SHARE = 1000


class Entry(NamedTuple):
    """One thing to tell: action number `number` and the state after it, or a step of the store's own (`special`)."""

    number: int
    thread: int
    action: Any = None
    state: Any = None
    changed: bool = False
    special: Callable[[], None] | None = None


class DrainQueue:
    """Entries are delivered one at a time, in order, each to everybody before the next one begins.

    One thread at a time drains. Who puts an entry in while another thread drains leaves it to that one; who does so
    from within a delivery gets his turn after the current entry (breadth first). No lock is held during a delivery.
    `lock` also guards the numbers and the state that go into the entries, so that their order is the reducer's.
    """

    def __init__(
        self,
        recipients: Callable[[Entry], Iterator[Listener]],
        report: Report,
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self._recipients = recipients
        self._report = report
        self._scheduler = scheduler
        self._loop = None if scheduler is not None else running_loop()
        self.renew()

    def renew(self) -> None:
        """A new lock and an idle queue; also what the child of a fork needs, whose copies may be in mid-use."""
        self.lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self.current = Entry(0, 0)
        self._rest: Iterator[Listener] = iter(())
        self._drainer = 0
        self._posted = False

    def put(self, entry: Entry) -> None:
        """Add an entry; the caller holds `lock`, and calls `drain()` when he has let go of it."""
        self._entries.append(entry)

    def is_mine(self) -> bool:
        """True inside a delivery, on the thread that delivers."""
        return self._drainer == threading.get_ident()

    def claim(self) -> bool:
        """Keep others from delivering until `release()`; the caller holds `lock`. False where he can not."""
        if self._drainer or not self._is_here():
            return False
        self._drainer = threading.get_ident()
        return True

    def release(self) -> None:
        self._drainer = 0
        self.drain()

    def drain(self) -> None:
        """Work off the queue here, if this is the place for it, else see that it is done there."""
        if self._is_here():
            self._work()
            return
        with self.lock:
            if self._posted:
                return
            self._posted = True
        self._post()

    def _is_here(self) -> bool:
        if self._loop is None:
            return self._scheduler is None
        return self._loop is running_loop() or self._loop.is_closed()

    def _post(self) -> None:
        if self._scheduler is not None:
            self._scheduler.schedule(lambda *_: self._work_posted())
        elif self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._work_posted)
            except RuntimeError:  # it was closed this very moment
                self._work_posted()
        else:
            threading.Thread(target=self._work_posted, name="rxauth-store", daemon=True).start()

    def _work_posted(self) -> None:
        self._posted = False
        self._work()

    def _work(self) -> None:
        me = threading.get_ident()
        if self._drainer == me:
            return
        others = 0
        try:
            with self.lock:
                if self._drainer:
                    return
                self._drainer = me  # inside of the try: a Ctrl-C right here must not leave the queue claimed
            while others < FAIR_SHARE:
                self._deliver()
                with self.lock:
                    if not self._entries:
                        self._drainer = 0
                        return
                    self.current = self._entries.popleft()
                    self._rest = iter(()) if self.current.special else self._recipients(self.current)
                others += self.current.thread != me
        finally:
            # Still ours? Then we leave early: by an exception that is no error of a subscriber (Ctrl-C), or after a
            # fair share of the others' work. Who dispatched the rest has returned, so somebody must be found for it.
            if self._drainer == me:
                self._drainer = 0
                self._post()

    def _deliver(self) -> None:
        """Deliver the current entry to those who have not had it yet."""
        entry = self.current
        if entry.special is not None:
            self.current = Entry(entry.number, 0)
            entry.special()
            return
        for listener in self._rest:
            if listener.since < entry.number:
                try:
                    listener.deliver(entry.action, entry.state)
                except Exception as error:
                    self._report(error, listener.where, entry.action)
