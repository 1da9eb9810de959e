"""What is closed and forgotten is freed at once, without the garbage collector: with a storage go its connections."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from rxauth import Session
from rxauth.errors import RxAuthError
from rxauth.storage import MemoryStorage
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, stale


@pytest.fixture(autouse=True)
def nobody_collects() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Broken(MemoryStorage):
    """Fails with what `raised` is."""

    raised: type[Exception] = OSError

    def save(self, *_: Any, **__: Any) -> bool:
        raise self.raised


class Storage(MemoryStorage):
    """Of another class than the memory's, so that it is called on a thread."""


class Watched(Storage):
    """Tells of changes, and knows whom, as long as somebody can stop it."""

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        yield

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: (self, changed)  # type: ignore[func-returns-value, return-value]


def refreshed(session: Session[Any]) -> None:
    session.fresh().run()


def logged_in_and_out(session: Session[Any]) -> None:
    session.login().run()
    session.logout().run()


@pytest.mark.parametrize("storage", [Storage, Broken, Watched])
@pytest.mark.parametrize("used", [refreshed, logged_in_and_out])
def test_a_closed_session_lets_go_of_its_storage(used: Any, storage: type[MemoryStorage]) -> None:
    time = VirtualTime()
    kept = storage()
    session = Session(FakeRefresher(time), tokens=stale(time), storage=kept, time=time)
    used(session)
    session.close()
    time.advance(100)
    gone = weakref.ref(kept)
    del session, kept, time
    assert gone() is None


def test_a_storage_whose_calls_fail_is_freed(tmp_path: Any) -> None:
    path = tmp_path / "tokens"
    path.write_text("{")
    path.chmod(0o600)
    storage = FileStorage(path)
    with suppress(RxAuthError):
        storage.load()
    with suppress(RxAuthError):
        storage.clear("x")
    gone = weakref.ref(storage)
    del storage
    assert gone() is None
