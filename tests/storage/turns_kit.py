"""A storage that several sessions share, in virtual time, and may fail in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rxauth import Session
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair


class Board(MemoryStorage):
    """Each session stands for a process. `broken` names the methods that raise."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self.time = time
        self.broken: set[str] = set()
        self.held = False
        self.calls: list[str] = []
        self.history: list[Record | None] = []
        self.before_save: Callable[[Record], None] = lambda record: None
        self.after_save: Callable[[Record], None] = lambda record: None

    def load(self) -> Record | None:
        self._call("load")
        return super().load()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._call("save")
        self.before_save(record)
        saved = super().save(record, replaces)
        if saved:
            self.history.append(record)
        self.after_save(record)
        return saved

    def fail_once(self) -> None:
        """For `after_save`: it is stored, and said not to be."""
        self.after_save = lambda record: None
        raise OSError(5, "Input/output error")

    def clear(self, sign_in: str) -> None:
        self._call("clear")
        record = self._record
        if record is not None and record.sign_in == sign_in:
            self.put(replace(record, tokens=None, spending=None))

    def put(self, record: Record | None) -> None:
        """What another process, or an accident, leaves here."""
        self._record = record
        self.history.append(record)

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        self._call("exclusive")
        end = self.time.now().mono + wait
        while self.held:
            if self.time.now().mono >= end:
                raise TimeoutError("held by another")
            self.time.sleep(0.05)
        self.held = True
        try:
            yield
        finally:
            self.held = False

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            raise OSError(28, "No space left on device")


class Watched(Board):
    """Tells the others of each change."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time)
        self.watchers: list[Callable[[], None]] = []

    def put(self, record: Record | None) -> None:
        super().put(record)
        self.tell()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        saved = super().save(record, replaces)
        self.tell()
        return saved

    def tell(self) -> None:
        for changed in self.watchers:
            self.time.spawn(changed, "watcher")

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)


class Fleet:
    """Sessions that share a board and a server; the first one signs in with a pair that has `life` seconds left."""

    def __init__(self, size: int = 2, *, life: float = -1.0, board: type[Board] = Board) -> None:
        self.time = VirtualTime()
        self.board = board(self.time)
        self.server = FakeRefresher(self.time)
        tokens = pair(self.time, 300, age=300 - life)
        self.sessions = [self.start(tokens=tokens)]
        self.sessions += [self.start() for _ in range(size - 1)]
        self.board.calls.clear()

    def start(self, **how: Any) -> Session[Any]:
        """One more process."""
        return Session(self.server, storage=self.board, time=self.time, **how)

    @property
    def record(self) -> Record:
        record = self.board._record
        assert record is not None
        return record
