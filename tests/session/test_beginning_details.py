"""Each detail of a beginning on an event loop, where the storage is read in the background."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from beginnings_kit import ask, on_a_loop, posting, stored

from rxauth import AuthState, Session, Store, Tokens, auth_reducer
from rxauth.concurrency import Runtime
from rxauth.concurrency.runtime import LINGER
from rxauth.errors import RefreshUnavailable
from rxauth.storage import Key, Record


class Shelf:
    """A storage that several processes could use; it is read when `may_read` is set."""

    def __init__(self, record: Record | None = None) -> None:
        self.record = record
        self.error: Exception | None = None
        self.replaced: list[Key | None] = []
        self.may_read = threading.Event()

    def load(self) -> Record | None:
        assert self.may_read.wait(60)
        if self.error is not None:
            raise self.error
        return self.record

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self.record = record
        self.replaced.append(replaces)
        return True

    def clear(self, sign_in: str) -> None:
        self.record = None

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        yield


class Alone:
    """A storage of this process alone."""

    def __init__(self, record: Record) -> None:
        self.saved = [record]

    def load(self) -> Record | None:
        return self.saved[-1]

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self.saved.append(record)
        return True

    def clear(self, sign_in: str) -> None:
        raise AssertionError("nobody signs out")


async def first(session: Session[Any], shelf: Shelf) -> Tokens:
    """What a call gets that was there before the storage was read."""
    call = asyncio.ensure_future(ask(session))
    await asyncio.sleep(0)
    assert session.auth.status == "signing_in"
    shelf.may_read.set()
    return await call


def made(shelf: Shelf, **how: Any) -> Session[Any]:
    return Session(posting, storage=shelf, name="billing", **how)


@on_a_loop
async def test_a_pair_in_doubt_is_in_doubt() -> None:
    shelf = Shelf(replace(stored(), spending=1.0))
    with made(shelf) as session:
        assert (await first(session, shelf)).access == "a", "it lives, whatever becomes of its refresh token"
        assert (session.auth.status, session.auth.in_doubt) == ("degraded", True)
        assert session.auth.changed is not None
        assert abs(session.auth.changed.wall - session.runtime.now().wall) < 60
        assert "answer" in str(session.auth.error)


@on_a_loop
async def test_what_follows_takes_the_place_of_what_was_read() -> None:
    shelf = Shelf(stored(-5.0))
    with made(shelf) as session:
        assert (await first(session, shelf)).access == "new-r"
    assert shelf.replaced == [("ada", 3), ("ada", 3)], "the journal, and the pair"
    assert shelf.record is not None
    assert (shelf.record.sign_in, shelf.record.generation) == ("ada", 4)


@on_a_loop
async def test_a_storage_that_can_not_be_read_is_reported() -> None:
    reports: list[tuple[Exception, str, Any]] = []
    shelf = Shelf()
    shelf.error = OSError(5, "Input/output error")
    store = Store(auth_reducer, AuthState(session="billing"), report=lambda *report: reports.append(report))
    with made(shelf, store=store, select=lambda auth: auth) as session:
        with pytest.raises(RefreshUnavailable) as caught:
            await first(session, shelf)
        assert str(caught.value) == "nobody is signed in here, and what is stored can not be read: OSError"
        assert reports == [(shelf.error, "session billing, loading its tokens", None)]
        assert (session.auth.status, type(session.auth.error)) == ("signed_out", RefreshUnavailable)
        assert session.auth.changed is not None
        assert not session.is_busy


@on_a_loop
@pytest.mark.parametrize("record", [None, stored()], ids=["nobody", "somebody"])
async def test_a_session_that_has_begun_is_busy_no_more(record: Record | None) -> None:
    """Else `Sessions` would take it for one in use for ever."""
    shelf = Shelf(record)
    with made(shelf) as session:
        assert session.is_busy
        shelf.may_read.set()
        while session.auth.status == "signing_in":
            await asyncio.sleep(0.01)
        assert not session.is_busy


def test_what_was_read_is_not_written_again() -> None:
    storage = Alone(stored(-5.0))
    with Session(posting, storage=storage) as session:
        assert session.fresh().run().access == "new-r"
    assert [(record.sign_in, record.generation) for record in storage.saved] == [("ada", 3), ("ada", 4)]


class Noting(Runtime):
    """The real one, which notes what it is to do in the background."""

    def __init__(self) -> None:
        self.spawned: list[tuple[str, float]] = []

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        self.spawned.append((name, linger))
        super().spawn(work, name, linger=linger)


@on_a_loop
async def test_tokens_that_are_given_are_stored_though_the_interpreter_exits_meanwhile() -> None:
    time = Noting()
    shelf = Shelf()
    with made(shelf, tokens=stored().tokens, time=time):
        assert time.spawned[0] == ("rxauth-flight", LINGER)
        shelf.may_read.set()  # else it would wait for that in whatever test comes next


@on_a_loop
async def test_tokens_that_are_given_and_can_not_be_stored_are_used_and_it_says_so() -> None:
    shelf = Full()
    shelf.may_read.set()
    with made(shelf, tokens=stored().tokens) as session:
        while session.auth.storage == "ok":
            await asyncio.sleep(0.01)
        assert shelf.refused, "it is full, not slow"
        assert (session.auth.status, (await session.fresh()).access) == ("signed_in", "a")


class Full(Shelf):
    refused = 0

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self.refused += 1
        raise OSError(28, "No space left on device")
