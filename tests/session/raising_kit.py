"""What may raise at any place, and the kinds of what it raises; most of them no `Exception`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rxauth import Session
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.storage.protocol import tombstone
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher


class Panic(BaseException):
    """As pyo3's `PanicException`: of an extension that panicked."""


KINDS = [
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    Panic,
    MemoryError,
    RecursionError,
    LookupError,
]
kinds = pytest.mark.parametrize("kind", KINDS)
often = pytest.mark.parametrize("times", [1, 10**6], ids=["once", "always"])


class Trap:
    """Raises for the first so many times that something comes by it which it is for."""

    def __init__(self, kind: type[BaseException], times: int = 1, what: Callable[[Any], bool] = lambda _: True) -> None:
        self.kind, self.times, self.what, self.sprung = kind, times, what, 0
        #: Nothing is raised on the test's own thread, where a caller of the library's would hear of it.
        self.here = threading.get_ident()
        self.everywhere = True

    def __call__(self, passing: Any = None) -> None:
        if not self.everywhere and threading.get_ident() == self.here:
            return
        if self.sprung < self.times and self.what(passing):
            self.sprung += 1
            raise self.kind("sprung")


class Trapped(MemoryStorage):
    """A storage of another kind than the memory's, each method of which may raise."""

    def __init__(self, **traps: Trap) -> None:
        super().__init__()
        self.traps = traps
        self.inside = 0

    def _spring(self, name: str) -> None:
        if name in self.traps:
            self.traps[name]()

    def load(self) -> Record | None:
        self._spring("load")
        return super().load()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._spring("save")
        return super().save(record, replaces)

    def clear(self, sign_in: str) -> None:
        self._spring("clear")
        super().clear(sign_in)


class Shared(Trapped):
    """One that processes take turns at."""

    def clear(self, sign_in: str) -> None:
        self._spring("clear")
        over = tombstone(super().load(), sign_in)
        if over is not None:
            MemoryStorage.save(self, over)

    def exclusive(self, wait: float) -> Any:
        self._spring("exclusive")
        return self._section()

    @contextmanager
    def _section(self) -> Iterator[None]:
        self._spring("enter")
        assert self.inside == 0, "the section was not left"
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._spring("leave")


def refreshes_go_on(time: VirtualTime, refresher: FakeRefresher, session: Session[Any]) -> None:
    """In the end there is a pair again, each refresh token was posted once, and one that did not come is spent."""
    for _ in range(8):
        time.advance(301)
        caller = Caller(session.fresh())
        time.advance(20)
        assert caller.ends == 1
    assert caller.access == f"access-{refresher.posts}"
    assert len(refresher.posted) == len(set(refresher.posted)), refresher.posted
