"""The one queue through which a store tells everybody, and the rules of who works it off."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any, TypeAlias

from reactivex import abc

from rxauth.concurrency.runtime import running_loop
from rxauth.concurrency.single import stays, working
from rxauth.errors import as_error
from rxauth.store.listeners import Listener, Report

#: How many entries of other threads one thread delivers before it hands the rest on.
FAIR_SHARE = 1000

#: How many entries in a row may be the answer of an epic to the one before.
LONGEST_CHAIN = 10_000


#: One thing to tell: the action's number, the thread that dispatched it, the action, the state after it, and whether
#: that is another one. A plain tuple, because one is made with every dispatch and a class would cost a tenth of that.
Entry: TypeAlias = tuple[int, int, Any, Any, bool]


def step(number: int, call: Callable[[], None]) -> Entry:
    """A step of the store's own, in its place among the entries: no thread has the number 0."""
    return number, 0, call, None, False


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
        self._anywhere = scheduler is None and self._loop is None
        self.renew()

    def renew(self) -> None:
        """A new lock and an idle queue; also what the child of a fork needs, whose copies may be in mid-use."""
        self.lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        #: Adds an entry; the caller holds `lock`, and calls `drain()` when he has let go of it.
        self.put = self._entries.append
        #: The entry under way, and who has not had it yet.
        self.entry: Entry = (0, 0, None, None, False)
        self._rest: Iterator[Listener] | None = None
        #: The thread that delivers, 0 for none.
        self.drainer = 0
        self._posted = False
        #: The numbers of the entries that epics put in during a delivery, and how long the chain is that ends there.
        self.chains: deque[tuple[int, int]] = deque()

    @property
    def current(self) -> int:
        """The number of the entry under way."""
        return self.entry[0]

    def is_mine(self) -> bool:
        """True inside a delivery, on the thread that delivers."""
        return self.drainer == get_ident()

    def claim(self) -> bool:
        """Keep others from delivering until `release()`; the caller holds `lock`. False where he can not."""
        if self.drainer or not self._is_here():
            return False
        self.drainer = get_ident()
        return True

    def release(self) -> None:
        self.drainer = 0
        self.drain()

    def drain(self, *, posted: bool = False) -> None:
        """Work off the queue here, if this is the place for it (or it was posted here), else post it there."""
        me = get_ident()
        if self.drainer == me:
            return  # its turn comes after the entry under way
        if not (posted or self._anywhere or self._is_here()):
            with self.lock:
                if self._posted:
                    return
                self._posted = True
            self._post()
            return
        others = 0
        try:
            while True:
                with self.lock:
                    if self.drainer != me:
                        if self.drainer:
                            return
                        self.drainer = me  # inside of the try: a Ctrl-C right here must not leave the queue claimed
                    if self._rest is None:  # else somebody left early, and this is the rest of his entry
                        if not self._entries:
                            self.drainer = 0
                            return
                        self.entry = entry = self._entries.popleft()
                        self._rest = self._recipients(entry) if entry[1] else iter(())
                        others += entry[1] != me
                if others >= FAIR_SHARE:
                    return
                number, thread, action, state, _ = self.entry
                for listener in self._rest:
                    if listener.since < number:
                        try:
                            listener.deliver(action, state)
                        except BaseException as error:
                            if not stays(error):
                                raise
                            self._report(as_error(error, listener.where), listener.where, action)
                self._rest = None
                if not thread:
                    action()
        finally:
            # Still ours? Then we leave early: by an exception that is no error of a subscriber (Ctrl-C), or after a
            # fair share of the others' work. Who dispatched the rest has returned, so somebody must be found for it.
            if self.drainer == me:
                self.drainer = 0
                self._post()

    def _is_here(self) -> bool:
        if self._loop is None:
            return self._anywhere
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
            work = working(self._work_posted, self)
            threading.Thread(target=work, name="rxauth-store", daemon=True).start()

    def _work_posted(self) -> None:
        self._posted = False
        self.drain(posted=True)
