"""A storage that many processes share, with every fault that a store can have, and what must never happen to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rxauth.errors import SectionLost
from rxauth.storage import Key, Record
from tests.system.simulation.clock import Interleaving
from tests.system.simulation.raising import anything

#: What becomes of a call when the storage is not well: it fails, or fails with its work done, or takes so many seconds.
FAULTS: tuple[str | float, ...] = ("fails", "fails", "is lost", 2.5, 7.0)
#: For how long the section is one's own, where that ends by itself, in seconds.
LEASE = 45.0


class Shelf:
    """What is stored, for all processes. It is like a file, whose section ends with its holder, or like a server, whose
    sections end with a lease, and which keeps out a holder that somebody else has followed."""

    def __init__(self, time: Interleaving, dice: random.Random, wrong: list[str]) -> None:
        self.time, self.dice, self.wrong = time, dice, wrong
        self.record: Record | None = None
        self.before: Record | None = None
        self.handles: list[Handle] = []
        self.holder: Turn | None = None
        self.has_lease = dice.random() < 0.4
        self.watched = dice.random() < 0.6
        #: How many of its calls fail, from 0 to 1, and until when all do.
        self.faults = dice.choice((0.0, 0.0, 0.1, 0.3))
        self.down_until = 0.0
        self.numbers: dict[str, int] = {}

    def put(self, record: Record | None, by: Handle | None) -> None:
        if record is not None:
            if record.generation < self.numbers.get(record.sign_in, 0):
                self.wrong.append("the generation of a sign-in went back")
            self.numbers[record.sign_in] = record.generation
        if self.record is not None and record is not None and record.generation != self.record.generation:
            self.before = self.record
        self.record = record
        self._tell(by)

    def set_back(self, record: Record | None) -> None:
        """The server starts again with what it had on its disk, which is nothing or an earlier record."""
        self.numbers.clear()
        self.record, self.holder = record, None
        self._tell(None)

    @property
    def is_free(self) -> bool:
        """Is nobody in the section? The dead have left it, at once or with their lease."""
        if self.holder is None:
            return True
        if self.has_lease:
            return self.time.now().mono >= self.holder.began + LEASE
        return self.holder.handle.is_dead

    def _tell(self, by: Handle | None) -> None:
        for handle in self.handles:
            if handle is not by and handle.changed is not None:
                self.time.spawn(self._notice(handle), "a watcher")

    def _notice(self, handle: Handle) -> Callable[[], None]:
        late = self.dice.choice((0.0, 0.0, 0.2, 3.0))

        def tell() -> None:
            self.time.sleep(late)
            if handle.changed is not None:
                handle.changed()

        return tell


class Turn:
    """One stay in the section. Who was followed by another one may not write any more."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.began = 0.0
        self.is_followed = False


class Handle:
    """One process's way to the shelf. A dead one's calls do not come back."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.changed: Callable[[], None] | None = None
        self.is_dead = False
        self._turn: Turn | None = None
        shelf.handles.append(self)

    def load(self) -> Record | None:
        with self._call():
            return self._shelf.record

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        with self._call():
            stored = self._shelf.record
            if self._turn is not None and self._turn.is_followed:
                raise SectionLost("somebody else has entered")
            if replaces is not None and (stored is None or stored.tokens is None or stored.key != replaces):
                return False
            self._shelf.put(record, self)
            return True

    def clear(self, sign_in: str) -> None:
        with self._call():
            stored = self._shelf.record
            if stored is not None and stored.tokens is not None and stored.sign_in == sign_in:
                self._shelf.put(replace(stored, tokens=None, spending=None), self)

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        turn = Turn(self)
        try:
            with self._call():
                self._enter(turn, self._shelf.time.now().mono + wait)
            yield
        finally:
            if not self._shelf.time.is_over:
                self.live()
            if self._turn is turn:
                self._turn = None
            if self._shelf.holder is turn:
                self._shelf.holder = None

    def _enter(self, turn: Turn, end: float) -> None:
        shelf = self._shelf
        while not shelf.is_free:
            if shelf.time.now().mono >= end:
                raise TimeoutError("held by another process")
            shelf.time.sleep(shelf.dice.choice((0.05, 0.5)))
            self.live()
        if shelf.holder is not None:
            shelf.holder.is_followed = True
        turn.began = shelf.time.now().mono
        shelf.holder = self._turn = turn

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        if self._shelf.watched:
            self.changed = changed
        return self.unwatch

    def unwatch(self) -> None:
        self.changed = None

    def live(self) -> None:
        """What a dead process was about to do, it does not do."""
        if self.is_dead:
            self._shelf.time.sleep(1e9)

    @contextmanager
    def _call(self) -> Iterator[None]:
        shelf, dice = self._shelf, self._shelf.dice
        self.live()
        shelf.time.sleep(dice.choice((0.0, 0.0, 0.0, 0.1, 0.5)))
        down = shelf.time.now().mono < shelf.down_until
        fault = dice.choice(FAULTS) if down or dice.random() < shelf.faults else ""
        if fault == "fails":
            raise self._error("no route to the storage")
        if isinstance(fault, float):
            shelf.time.sleep(fault)
        self.live()
        yield
        self.live()
        if fault == "is lost":
            raise self._error("the storage did not say what it did")

    def _error(self, why: str) -> BaseException:
        return OSError(why) if self._shelf.dice.random() < 0.7 else anything(self._shelf.dice)
