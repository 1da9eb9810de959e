"""A login, or a loss of the storage, that crosses a refresh: no process posts what another one has spent."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import SessionChanged
from rxauth.storage import Record
from tests.kit import Caller, pair
from tests.storage.turns_kit import Board, Fleet, Watched


class Crossing(Fleet):
    """Two processes, of which one is about to refresh when the other has logged in, and is about to store that."""

    def __init__(self) -> None:
        super().__init__()
        self.board.before_save = self._cross

    def _cross(self, record: Record) -> None:
        self.board.before_save = lambda record: None
        self.refresh = Caller(self.sessions[0].fresh())
        self.time.sleep(self.pause)

    def log_in(self, pause: float) -> str:
        self.pause = pause
        login = Caller(self.sessions[1].login())
        self.time.advance(10)
        assert login.access == "access-login-1"
        assert self.server.posted == ["refresh-0"]
        return self.sessions[1].auth.sign_in

    def start_as_configured(self) -> Session[Any]:
        return self.start(tokens=Tokens("access-0", "refresh-0"))


@pytest.mark.parametrize("pause", [0.1, 1.0])
def test_a_login_remembers_a_pair_that_is_spent_while_it_is_stored(pause: float) -> None:
    """Also where it is spent, and its answer not there yet: who posted it says so then."""
    fleet = Crossing()
    sign_in = fleet.log_in(pause)
    again = fleet.start_as_configured()
    assert again.auth.sign_in == fleet.record.sign_in == sign_in
    fleet.time.advance(10)
    assert again.fresh().run().access == "access-login-1"
    assert fleet.server.posted == ["refresh-0"]


def test_nothing_is_posted_when_a_login_is_stored_in_the_place_of_the_journal() -> None:
    fleet = Fleet(1)
    bob = Record("bobs", 1, pair(fleet.time, name="bob"))

    def log_in_elsewhere(record: Record) -> None:
        if record.spending is not None:
            fleet.board.put(bob)

    fleet.board.before_save = log_in_elsewhere
    waiting = Caller(fleet.sessions[0].fresh())
    fleet.time.advance(20)
    assert isinstance(waiting.error, SessionChanged)
    assert fleet.sessions[0].fresh().run().access == "access-bob"
    assert (fleet.server.posts, fleet.record) == (0, bob)


@pytest.mark.parametrize("board", [Board, Watched])
def test_a_storage_that_was_emptied_and_begun_anew_with_a_spent_pair_gets_the_current_one(board: type[Board]) -> None:
    fleet = Fleet(2, board=board)
    for session in fleet.sessions:
        assert session.fresh().run().access == "access-1"
    sign_in = fleet.record.sign_in
    fleet.board._record = None
    again = fleet.start(tokens=Tokens("access-0", "refresh-0", fleet.time.now().wall + 200))
    fleet.time.advance(300)
    for session in (*fleet.sessions, again):
        assert session.fresh().run().access == "access-2"
        fleet.time.advance(5)
    assert fleet.server.posted == ["refresh-0", "refresh-1"]
    assert {session.auth.sign_in for session in (*fleet.sessions, again)} == {sign_in}


@pytest.mark.parametrize("late", [0.0, 2.0])
def test_the_section_is_kept_for_a_login_that_came_while_the_storage_fails(late: float) -> None:
    """After the answer of the refresh, or before it: in the storage there is the pair that it has spent."""
    fleet = Fleet(2)
    first, second = fleet.sessions

    def post(tokens: Tokens) -> Tokens:
        fleet.board.broken.add("save")
        fleet.time.sleep(late)
        return pair(fleet.time, name="1")

    fleet.server.script = [post]
    refresh = Caller(first.fresh())
    fleet.time.advance(0.1)
    login = Caller(first.login())
    fleet.time.advance(4)
    assert login.access == "access-login-1"
    assert refresh.ends == 1
    other = Caller(second.fresh())
    fleet.time.advance(5)
    assert fleet.board.held
    fleet.board.broken.clear()
    fleet.time.advance(30)
    assert isinstance(other.error, SessionChanged)
    assert second.fresh().run().access == "access-login-1"
    assert fleet.server.posted == ["refresh-0"]
    assert (first.auth.storage, fleet.board.held) == ("ok", False)
