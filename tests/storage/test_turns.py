"""Several processes, one sign-in: they take turns, adopt what another one brought, and never post a spent token."""

from __future__ import annotations

import pytest

from rxauth import Session
from rxauth.errors import (
    NotSignedIn,
    RefreshRefused,
    RefreshUnavailable,
    SessionChanged,
)
from rxauth.storage import Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, pair
from tests.storage.turns_kit import Board, Fleet, Watched


@pytest.mark.parametrize("size", [2, 10])
def test_all_expire_together_and_one_of_them_refreshes(size: int) -> None:
    """B35"""
    fleet = Fleet(size)
    callers = [Caller(session.fresh()) for session in fleet.sessions]
    fleet.time.advance(20)
    assert [caller.access for caller in callers] == ["access-1"] * size
    assert fleet.server.posted == ["refresh-0"]
    assert fleet.record.generation == 2
    assert {session.auth.status for session in fleet.sessions} == {"signed_in"}


def test_twenty_generations_are_twenty_posts_whoever_asks() -> None:
    fleet = Fleet(5)
    for round_ in range(20):
        callers = [Caller(session.fresh()) for session in fleet.sessions[round_ % 3 :]]
        fleet.time.advance(10)
        assert {caller.access for caller in callers} == {f"access-{round_ + 1}"}
        fleet.time.advance(300)
    assert fleet.server.posted == [f"refresh-{number}" for number in range(20)]
    assert fleet.record.generation == 21


def test_a_later_pair_is_adopted_without_a_post() -> None:
    fleet = Fleet()
    fleet.sessions[0].fresh().run()
    assert fleet.sessions[1].fresh().run().access == "access-1"
    assert fleet.server.posts == 1
    fleet.time.advance(301)
    assert fleet.sessions[1].fresh().run().access == "access-2", "and its refresh token is the one that is spent next"
    assert fleet.server.posted == ["refresh-0", "refresh-1"]


def test_a_refused_token_is_replaced_by_the_pair_of_another_process() -> None:
    fleet = Fleet(life=200)
    refused = fleet.sessions[1].fresh().run()
    fleet.sessions[0].replace().run()
    assert fleet.sessions[1].replace(refused).run().access == "access-1"
    assert fleet.server.posts == 1


def test_a_logout_elsewhere_ends_the_session_here_without_a_post() -> None:
    fleet = Fleet()
    fleet.sessions[0].logout().run()
    assert fleet.record.tokens is None, "a tombstone"
    with pytest.raises(NotSignedIn):
        fleet.sessions[1].fresh().run()
    assert (fleet.sessions[1].auth.status, fleet.server.posts) == ("signed_out", 0)
    assert fleet.start().auth.status == "signed_out", "for who starts now, too"


def test_a_logout_elsewhere_during_the_post_wins_and_the_new_pair_is_revoked() -> None:
    fleet = Fleet()
    caller = Caller(fleet.sessions[0].fresh())
    fleet.time.advance(0.1)
    assert fleet.server.posts == 1
    fleet.sessions[1].logout().run()
    fleet.time.advance(5)
    assert isinstance(caller.error, NotSignedIn)
    assert fleet.record.tokens is None
    assert [tokens.access for tokens in fleet.server.logouts] == ["access-0", "access-1"]
    assert not fleet.board.held


def test_another_sign_in_elsewhere_is_a_user_switch() -> None:
    """B34"""
    fleet = Fleet()
    fleet.sessions[0].sign_in(pair(fleet.time, 300, name="bob")).run()
    with pytest.raises(SessionChanged):
        fleet.sessions[1].fresh().run()
    assert fleet.sessions[1].fresh().run().access == "access-bob"
    assert fleet.sessions[1].auth.sign_in == fleet.sessions[0].auth.sign_in
    assert fleet.server.posts == 0


def test_a_record_that_is_lost_is_written_back() -> None:
    fleet = Fleet()
    fleet.board.put(None)
    assert fleet.sessions[0].fresh().run().access == "access-1"
    assert fleet.record.tokens is not None
    assert fleet.record.tokens.access == "access-1"
    assert fleet.sessions[1].fresh().run().access == "access-1", "the others find it again"
    assert fleet.server.posts == 1


def test_a_refused_token_whose_successor_is_stored_signs_nobody_out() -> None:
    """B34: somebody refreshed without taking his turn."""
    fleet = Fleet()
    later = pair(fleet.time, 300, name="later")

    def refuse(tokens: object) -> object:
        fleet.board.put(Record(fleet.record.sign_in, 9, later))
        raise RefreshRefused("invalid_grant")

    fleet.server.script = [refuse]
    assert fleet.sessions[0].fresh().run().access == "access-later"
    assert fleet.sessions[0].auth.status == "signed_in"


def test_who_waits_too_long_for_another_process_is_told_by_the_clock() -> None:
    fleet = Fleet(1)
    fleet.board.held = True
    caller = Caller(fleet.sessions[0].fresh())
    fleet.time.advance(29)
    assert caller.ends == 0
    fleet.time.advance(2)
    assert isinstance(caller.error, RefreshUnavailable)
    assert caller.error.cause == "storage"
    assert (fleet.server.posts, fleet.sessions[0].auth.in_doubt) == (0, False)
    fleet.time.advance(30)
    fleet.board.held = False
    assert fleet.sessions[0].fresh().run().access == "access-1"
    fleet.time.advance(60)
    assert not fleet.board.held, "and the turn that came too late was given back"


def test_a_change_is_heard_of_at_once_where_the_storage_says_so() -> None:
    fleet = Fleet(3, life=200, board=Watched)
    fleet.sessions[0].replace().run()
    fleet.time.advance(1)
    for session in fleet.sessions:
        assert session.auth.tokens is not None
        assert session.auth.tokens.access == "access-1"
    fleet.sessions[1].logout().run()
    fleet.board.tell()  # type: ignore[attr-defined]
    fleet.time.advance(1)
    assert {session.auth.status for session in fleet.sessions} == {"signed_out"}
    assert fleet.server.posts == 1


def test_a_closed_session_watches_no_more() -> None:
    fleet = Fleet(1, board=Watched)
    fleet.sessions[0].close()
    assert fleet.board.watchers == []  # type: ignore[attr-defined]


def test_a_fresh_call_touches_no_storage() -> None:
    fleet = Fleet(1, life=200)
    fleet.sessions[0].fresh().run()
    assert fleet.board.calls == []


def test_processes_wake_at_moments_of_their_own() -> None:
    chances = [0.0, 1.0]

    class Chance(VirtualTime):
        def chance(self) -> float:
            return chances.pop(0)

    time = Chance()
    board = Board(time)
    windows = []
    for number in range(2):
        tokens = pair(time, 3600) if number == 0 else None
        session = Session(lambda tokens: tokens, storage=board, time=time, tokens=tokens)
        assert session.auth.tokens is not None
        windows.append(session._windows.of(session.auth.tokens))
    assert windows == [(5.0, 73.75), (5.0, 46.25)]


def test_a_stale_pair_of_another_process_is_taken_over_before_it_is_spent() -> None:
    """Found by the simulation: its refresh failed, it was forgotten, and the one before it was posted."""
    fleet = Fleet(2)
    fleet.sessions[0].fresh().run()
    fleet.time.advance(301)
    fleet.server.script = [RefreshUnavailable("503")] * 3
    with pytest.raises(RefreshUnavailable):
        fleet.sessions[1].fresh().run()
    tokens = fleet.sessions[1].auth.tokens
    assert tokens is not None
    assert tokens.refresh == "refresh-1"
    fleet.board.put(None)
    fleet.time.advance(10)
    assert fleet.sessions[1].fresh().run().access == "access-5"
    assert fleet.server.posted == ["refresh-0", *["refresh-1"] * 4]


def test_a_storage_that_was_set_back_is_put_right() -> None:
    fleet = Fleet(2, board=Watched)
    before = fleet.record
    fleet.sessions[0].fresh().run()
    fleet.time.advance(1)
    fleet.board.put(before)
    fleet.time.advance(1)
    assert (fleet.record.generation, fleet.record.spending) == (2, None)
    assert fleet.record.tokens is not None
    assert fleet.record.tokens.refresh == "refresh-1"
    assert fleet.server.posts == 1


def test_a_logout_elsewhere_leaves_a_login_alone_that_is_under_way_here() -> None:
    """Found by the simulation."""
    fleet = Fleet(2, board=Watched)
    login = Caller(fleet.sessions[1].login(username="bob"))
    fleet.sessions[0].logout().run()
    fleet.board.tell()  # type: ignore[attr-defined]
    fleet.time.advance(5)
    assert login.access == "access-login-1"
    assert fleet.sessions[1].auth.status == "signed_in"


def test_a_lease_that_is_shorter_than_a_refresh_may_take_is_refused() -> None:
    time = VirtualTime()
    board = Board(time)
    board.lease = 20.0  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"lease of 20 s .* deadline"):
        Session(lambda tokens: tokens, storage=board, time=time)
    Session(lambda tokens: tokens, storage=board, time=time, deadline=10.0)
