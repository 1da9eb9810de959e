"""Persist before publish, and what happens when the storage fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from rxauth import Session
from rxauth.errors import LoginFailed, RefreshUnavailable, SessionChanged
from rxauth.session import StorageChanged, TokensRefreshed
from rxauth.session.jobs.persistence import GuardedStorage
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale


class Faulty(MemoryStorage):
    """Fails while `broken`, hangs while `hanging`; notes what it saved."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self.time = time
        self.broken = self.hanging = False
        self.saved: list[str | None] = []

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        if self.hanging:
            self.time.sleep(1e6)
        if self.broken:
            raise OSError("disk full")
        self.saved.append(record.tokens.refresh)
        return super().save(record, replaces)


def with_storage() -> tuple[VirtualTime, FakeRefresher, Faulty, Session[Any]]:
    time = VirtualTime()
    refresher, storage = FakeRefresher(time), Faulty(time)
    return time, refresher, storage, Session(refresher, storage=storage, tokens=stale(time), time=time)


def test_tokens_are_stored_before_anybody_gets_them() -> None:
    time, _, storage, session = with_storage()
    stored_when_published: list[Any] = []
    session.store.actions.of_type(TokensRefreshed).subscribe(lambda _: stored_when_published.append(storage.load()))
    session.fresh().subscribe(lambda tokens: stored_when_published.append(storage.load()))
    time.advance(1)
    assert [record.tokens.refresh for record in stored_when_published] == ["refresh-1"] * 2


def test_a_failed_save_publishes_says_so_and_is_repeated_before_the_next_post() -> None:
    """B30: the old refresh token is never posted again."""
    time, refresher, storage, session = with_storage()
    changed: list[StorageChanged] = []
    session.store.actions.of_type(StorageChanged).subscribe(changed.append)
    storage.broken = True
    assert session.fresh().run().access == "access-1"
    assert session.auth.storage == "failing"
    assert "could not be saved" in session.explain()
    storage.broken = False
    refresher.script = [lambda tokens: storage.saved.append("posted") or {"access_token": "x", "refresh_token": "y"}]
    time.advance(301)
    session.fresh().run()
    assert storage.saved == ["refresh-0", "refresh-1", "posted", "y"]
    assert refresher.posted == ["refresh-0", "refresh-1"]
    assert session.auth.storage == "ok"
    assert [event.error is None for event in changed] == [False, True]


def test_a_storage_that_hangs_costs_two_seconds_not_the_session() -> None:
    time, _, storage, session = with_storage()
    storage.hanging = True
    began = time.now().mono
    assert session.fresh().run().access == "access-1"
    assert time.now().mono - began == pytest.approx(2.2, abs=0.1)
    assert session.auth.storage == "failing"


def test_a_late_save_does_not_undo_a_logout() -> None:
    """A save is compare-and-set on the pair it replaces."""
    time, _, storage, session = with_storage()
    caller = Caller(session.fresh())
    time.advance(0.1)
    session.logout().run()
    time.advance(1)
    assert storage.load() is None
    record = Record("ada", 2, pair(time))
    assert storage.save(record, replaces=("ada", 1)) is False
    assert storage.load() is None
    assert caller.ends == 1


def test_a_stored_sign_in_is_taken_up() -> None:
    """B37: saved, two hours later restarted: one refresh, no login."""
    time, _, storage, session = with_storage()
    session.fresh().run()
    session.close()
    time.advance(7200)
    refresher = FakeRefresher(time)
    again = Session(refresher, storage=storage, time=time)
    assert again.auth.status == "signed_in"
    again.fresh().run()
    assert (refresher.posted, refresher.logins) == (["refresh-1"], [])


def test_a_first_save_that_failed_takes_over_when_it_is_repeated() -> None:
    """Found by the simulation: it was compared with the pair of who had been signed in before, and never stored."""
    time, refresher, storage, session = with_storage()
    storage.broken = True
    session.sign_in(pair(time, 300, name="bob")).run()
    assert session.auth.storage == "failing"
    storage.broken = False
    time.advance(301)
    session.fresh().run()
    record = storage.load()
    assert record is not None
    assert record.tokens.refresh == "refresh-1"
    assert refresher.posted == ["refresh-bob"]
    assert session.auth.storage == "ok"


def test_a_login_that_is_overtaken_while_it_stores_leaves_the_record_of_who_is_signed_in() -> None:
    """Found by the simulation."""
    time, refresher, storage, session = with_storage()
    slow = Caller(session.login(username="bob"))
    original = storage.save

    def save(record: Record, replaces: Key | None = None) -> bool:
        time.sleep(0.5)
        return original(record, replaces)

    storage.save = save  # type: ignore[method-assign]
    time.advance(0.4)
    refresher.login_script = [RefreshUnavailable("503")]
    session.login(username="eve")
    time.advance(5)
    assert isinstance(slow.error, SessionChanged | LoginFailed)
    record = storage.load()
    assert record is not None
    assert session.auth.tokens is not None
    assert record.tokens.refresh == session.auth.tokens.refresh == "refresh-0"


def test_a_storage_that_can_not_be_read_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Unreadable(MemoryStorage):
        def load(self) -> Record | None:
            raise OSError("no such device")

    time = VirtualTime()
    with caplog.at_level(logging.ERROR, "rxauth"):
        session = Session(FakeRefresher(time), storage=Unreadable(), time=time)
    assert session.auth.status == "signed_out"
    assert "loading its tokens" in caplog.text


def test_the_memory_kind_compares_and_sets() -> None:
    time = VirtualTime()
    storage = MemoryStorage()
    assert storage.load() is None
    assert storage.save(Record("ada", 1, pair(time)))
    assert not storage.save(Record("ada", 3, pair(time)), replaces=("ada", 2))
    assert storage.save(Record("ada", 2, pair(time)), replaces=("ada", 1))
    storage.clear("bob")
    assert storage.load() is not None
    storage.clear("ada")
    assert storage.load() is None


def test_a_fresh_call_touches_no_storage() -> None:
    time = VirtualTime()
    storage = Faulty(time)
    _, _, session = make(life=300, storage=storage)
    storage.saved.clear()
    for _ in range(10):
        session.fresh().run()
    assert storage.saved == []


def test_a_pair_on_top_of_which_an_overtaken_login_put_back_an_earlier_one_is_stored_again() -> None:
    """Found by the simulation: the earlier one had not been stored before, because its own save failed."""
    memory, time = MemoryStorage(), VirtualTime()
    storage = GuardedStorage(memory, time, timeout=2.0)
    bob = replace(pair(time, name="bob"), sign_in="bob's", generation=2)
    ada = replace(pair(time, name="ada"), sign_in="ada's", generation=1)
    assert storage.save(bob, lambda: True) is None
    assert storage.catch_up(ada, lambda: True) is None
    assert storage.catch_up(bob, lambda: True) is None
    record = memory.load()
    assert record is not None
    assert record.tokens is not None
    assert record.tokens.refresh == "refresh-bob"
