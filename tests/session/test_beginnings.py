"""How a session begins on a shared storage: on an event loop, which is not blocked, and before anybody is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from beginnings_kit import ask, on_a_loop, posting, stored
from reactivex import from_iterable

from rxauth import Session, Tokens
from rxauth.errors import NotSignedIn, RefreshUnavailable, SessionChanged, SessionExpired
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, pair
from tests.storage.turns_kit import Board, Fleet, Watched


class Slow(MemoryStorage):
    """Answers when it is told to; notes which threads have asked."""

    def __init__(self, record: Record | None = None) -> None:
        super().__init__()
        self._record = record
        self.may_answer = threading.Event()
        self.asked: list[str] = []
        self.error: Exception | None = None

    def load(self) -> Record | None:
        self._wait("load")
        return super().load()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._wait("save")
        return super().save(record, replaces)

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        yield

    def _wait(self, what: str) -> None:
        self.asked.append(f"{what} on {threading.current_thread().name}")
        assert self.may_answer.wait(60)
        if self.error is not None:
            raise self.error


class Shelf:
    """The methods of a storage that is not the memory."""

    def __init__(self, storage: Slow) -> None:
        self.load, self.save, self.clear = storage.load, storage.save, storage.clear
        self.exclusive = storage.exclusive


def made(storage: Slow, **how: Any) -> Session[Any]:
    return Session(posting, storage=Shelf(storage), **{"save_timeout": 30.0, **how})


@on_a_loop
async def test_on_a_loop_the_storage_is_read_in_the_background_and_calls_wait_for_it() -> None:
    storage = Slow(stored())
    with made(storage) as session:
        assert session.auth.status == "signing_in", "it is made, and the storage has not answered"
        calls = [asyncio.ensure_future(ask(session)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(call.done() for call in calls)
        storage.may_answer.set()
        assert [tokens.access for tokens in await asyncio.gather(*calls)] == ["a"] * 3
        assert (session.auth.status, session.auth.sign_in) == ("signed_in", "ada")
    assert all("rxauth" in who for who in storage.asked)


@on_a_loop
async def test_what_is_stored_and_stale_is_refreshed_before_a_call_goes_on() -> None:
    storage = Slow(stored(-5.0))
    storage.may_answer.set()
    with made(storage) as session:
        assert (await session.fresh()).access == "new-r"


@on_a_loop
async def test_on_a_loop_nothing_stored_means_signed_out() -> None:
    storage = Slow()
    with made(storage) as session:
        call = asyncio.ensure_future(ask(session))
        await asyncio.sleep(0)
        storage.may_answer.set()
        with pytest.raises(NotSignedIn):
            await call
        assert (session.auth.status, session.auth.error) == ("signed_out", None)


@on_a_loop
async def test_on_a_loop_a_storage_that_can_not_be_read_is_told_of_and_read_again() -> None:
    storage = Slow(stored())
    storage.error = OSError(5, "Input/output error")
    with made(storage) as session:
        call = asyncio.ensure_future(ask(session))
        await asyncio.sleep(0)
        storage.may_answer.set()
        with pytest.raises(RefreshUnavailable, match="can not be read") as caught:
            await call
        assert caught.value.cause == "storage"
        assert "can not be read" in session.explain()
        storage.error = None
        assert (await session.fresh()).access == "a", "when it works again"


@on_a_loop
async def test_an_effect_that_began_while_the_storage_was_read_is_the_stored_users() -> None:
    """Also one that comes to the gate only afterwards."""
    storage = Slow(stored())
    with made(storage) as session:
        seen: list[str] = []
        done = asyncio.Event()

        async def effect(item: int, tokens: Tokens) -> int:
            seen.append(f"{item} {tokens.access}")
            return item

        from_iterable([1, 2]).pipe(session.gate(effect, policy="in_order")).subscribe(on_completed=done.set)
        storage.may_answer.set()
        await done.wait()
        assert seen == ["1 a", "2 a"], "and not refused as another user's"


@on_a_loop
async def test_on_a_loop_tokens_that_are_given_wait_for_the_storage_and_are_stored() -> None:
    storage = Slow()
    given = Tokens.from_response({"access_token": "given", "refresh_token": "r", "expires_in": 300})
    with made(storage, tokens=given) as session:
        waiting = asyncio.create_task(ask(session))
        await asyncio.sleep(0)
        assert session.auth.status == "signing_in"
        storage.may_answer.set()
        assert (await waiting).access == "given"
        assert storage._record is not None
        assert storage._record.tokens is not None
        assert storage._record.tokens.access == "given"


@on_a_loop
async def test_a_login_while_the_storage_is_read_wins() -> None:
    storage = Slow(stored())
    with made(storage) as session:
        bobs = session.sign_in({"access_token": "bob", "refresh_token": "b", "expires_in": 300})
        storage.may_answer.set()
        assert (await bobs).access == "bob"
        assert (await session.fresh()).access == "bob"
        assert (await session.replace()).access == "new-b"
        assert storage._record is not None
        assert storage._record.sign_in == session.auth.sign_in, "and is what is stored"


def test_closing_releases_who_waits_for_the_storage() -> None:
    fleet = Fleet(1, life=200)
    fleet.sessions[0].logout().run()
    fleet.time.advance(2)
    waiting = Caller(fleet.sessions[0].fresh())
    assert waiting.ends == 0
    fleet.sessions[0].close()
    assert waiting.ends == 1


class TestNobodyIsSignedInHere:
    """And somebody signs in elsewhere, or the storage could not be read at the start."""

    def test_a_call_finds_who_signed_in_elsewhere(self) -> None:
        fleet = Fleet(2, life=200)
        fleet.sessions[1].logout().run()
        with pytest.raises(NotSignedIn):
            fleet.sessions[0].replace().run()
        fleet.sessions[0].sign_in(pair(fleet.time, 300, name="bob")).run()
        fleet.time.advance(2)
        assert fleet.sessions[1].fresh().run().access == "access-bob"
        assert fleet.sessions[1].auth.sign_in == fleet.sessions[0].auth.sign_in

    def test_a_notice_is_enough(self) -> None:
        fleet = Fleet(2, life=200, board=Watched)
        fleet.sessions[1].logout().run()
        fleet.board.tell()  # type: ignore[attr-defined]
        fleet.time.advance(1)
        assert fleet.sessions[0].auth.status == "signed_out"
        fleet.sessions[0].sign_in(pair(fleet.time, 300, name="bob")).run()
        fleet.time.advance(1)
        assert fleet.sessions[1].auth.status == "signed_in"

    def test_who_has_left_is_not_brought_back_by_a_tombstone_that_was_lost(self) -> None:
        fleet = Fleet(1, life=200)
        before = fleet.record
        fleet.sessions[0].logout().run()
        fleet.board.put(before)
        fleet.time.advance(2)
        with pytest.raises(NotSignedIn):
            fleet.sessions[0].fresh().run()

    def test_the_storage_is_asked_once_a_second_by_all_together(self) -> None:
        time = VirtualTime()
        board = Board(time)
        session = Session(FakeRefresher(time), storage=board, time=time)
        board.calls.clear()
        callers = [Caller(session.fresh()) for _ in range(50)]
        time.advance(0.5)
        callers += [Caller(session.fresh()) for _ in range(50)]
        assert [type(caller.error) for caller in callers] == [NotSignedIn] * 100
        assert board.calls == ["load"]
        time.advance(1)
        Caller(session.fresh())
        time.advance(0.1)
        assert board.calls == ["load", "load"]

    def test_a_storage_that_was_down_at_the_start_is_read_later(self) -> None:
        fleet = Fleet(1, life=200)
        fleet.board.broken = {"load"}
        late = fleet.start()
        fleet.time.advance(2)
        with pytest.raises(RefreshUnavailable) as caught:
            late.fresh().run()
        assert caught.value.cause == "storage"
        fleet.board.broken = set()
        fleet.time.advance(2)
        assert late.fresh().run().access == "access-0"

    def test_the_server_s_word_is_what_a_call_is_told_while_nobody_comes(self) -> None:
        fleet = Fleet(1)
        fleet.server.script = [SessionExpired("over", cause="refused")]
        for _ in range(2):
            with pytest.raises(SessionExpired):
                fleet.sessions[0].fresh().run()
            fleet.time.advance(2)

    def test_a_call_of_who_was_there_before_is_not_sent_in_the_new_ones_name(self) -> None:
        fleet = Fleet(2, life=200)
        adas = fleet.sessions[1].fresh().run()
        fleet.sessions[1].logout().run()
        fleet.sessions[0].sign_in(pair(fleet.time, 300, name="bob")).run()
        fleet.time.advance(2)
        with pytest.raises(NotSignedIn):
            fleet.sessions[1].replace(adas).run()
        fleet.sessions[1].fresh().run()
        with pytest.raises(SessionChanged):
            fleet.sessions[1].replace(adas).run()


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread."""
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("never")
