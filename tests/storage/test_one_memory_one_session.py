"""B119: a `MemoryStorage` belongs to one session at a time; two that live would spend one refresh token."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import InvalidTokens, StorageError, StorageInUse
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair
from tests.storage.turns_kit import Board


def session_on(storage: MemoryStorage, **how: Any) -> Session[Any]:
    time = VirtualTime()
    return Session(FakeRefresher(time), storage=storage, time=time, **how)


def test_a_second_session_is_refused_and_the_error_names_the_fix() -> None:
    """B119"""
    storage = MemoryStorage()
    first = session_on(storage)
    for _ in range(2):
        with pytest.raises(StorageInUse, match=r"share that session, close\(\) it first, .* FileStorage") as caught:
            session_on(storage)
    assert isinstance(caught.value, StorageError | ValueError)
    assert not first.is_closed


def test_after_the_first_is_closed_the_next_goes_on_with_what_is_stored() -> None:
    storage = MemoryStorage()
    time = VirtualTime()
    with Session(FakeRefresher(time), storage=storage, time=time, tokens=pair(time)):
        pass
    assert session_on(storage).auth.tokens is not None


def test_closing_the_first_twice_does_not_take_it_from_the_second() -> None:
    storage = MemoryStorage()
    first = session_on(storage)
    first.close()
    second = session_on(storage)
    first.close()
    with pytest.raises(StorageInUse):
        session_on(storage)
    second.close()


def test_a_session_that_nobody_holds_does_not_keep_it() -> None:
    storage = MemoryStorage()
    session_on(storage)
    session_on(storage).close()


def test_a_session_that_could_not_be_made_does_not_keep_it() -> None:
    storage = MemoryStorage()
    for wrong in ({"tokens": "token"}, {"select": lambda state: 7}):
        with pytest.raises((InvalidTokens, TypeError)):
            session_on(storage, **wrong)
    session_on(storage).close()


def test_each_session_without_a_storage_has_one_of_its_own_and_a_shared_kind_is_for_sharing() -> None:
    time = VirtualTime()
    sessions = [Session(lambda tokens: tokens, time=time, tokens=Tokens("a")) for _ in range(2)]
    board = Board(time)
    sessions += [Session(lambda tokens: tokens, time=time, storage=board) for _ in range(2)]
    assert len(sessions) == 4
