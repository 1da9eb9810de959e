"""Several processes, one sign-in: they take turns, adopt what another one brought, and never post a spent token."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from rxauth import Session
from rxauth.errors import NotSignedIn, RefreshRefused, RefreshUnavailable, SessionChanged, SessionExpired
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


def test_the_journal_is_written_before_the_post_and_ends_with_it() -> None:
    fleet = Fleet()
    seen: list[float | None] = []

    def look(tokens: object) -> object:
        seen.append(fleet.record.spending)
        return {"access_token": "a", "refresh_token": "r", "expires_in": 300}

    fleet.server.script = [look]
    began = fleet.time.now().wall
    fleet.sessions[0].fresh().run()
    assert seen == [pytest.approx(began, abs=1)]
    assert (fleet.record.generation, fleet.record.spending) == (2, None)


def test_an_answer_that_spent_nothing_clears_the_journal() -> None:
    fleet = Fleet()
    fleet.server.script = [RefreshUnavailable("503")] * 3
    with pytest.raises(RefreshUnavailable):
        fleet.sessions[0].fresh().run()
    assert (fleet.record.generation, fleet.record.spending) == (1, None)
    fleet.time.advance(10)
    assert fleet.sessions[1].fresh().run().access == "access-4"


def test_an_answer_that_never_came_stays_in_the_journal_and_the_next_start_is_in_doubt() -> None:
    fleet = Fleet(1)
    fleet.server.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        fleet.sessions[0].fresh().run()
    assert fleet.record.spending is not None
    fleet.sessions[0].close()
    fleet.time.advance(3600)
    again = fleet.start()
    assert (again.auth.status, again.auth.in_doubt) == ("degraded", True)
    assert "a process began to refresh at" in again.explain()
    assert "single try" in again.explain()
    assert again.fresh().run().access == "access-2"
    assert (again.auth.in_doubt, fleet.record.spending) == (False, None)


def test_a_pair_in_doubt_that_is_refused_was_spent_by_the_answer_that_was_lost() -> None:
    fleet = Fleet(2)
    fleet.board.put(replace(fleet.record, spending=fleet.time.now().wall))
    fleet.server.script = [RefreshRefused("invalid_grant")]
    with pytest.raises(SessionExpired) as caught:
        fleet.sessions[1].fresh().run()
    assert caught.value.cause == "answer lost"
    assert fleet.server.posts == 1, "one try"
    assert fleet.record.tokens is None


def test_a_pair_in_doubt_is_tried_once_not_three_times() -> None:
    fleet = Fleet(1)
    fleet.board.put(replace(fleet.record, spending=fleet.time.now().wall))
    fleet.server.script = [RefreshUnavailable("503")] * 9
    with pytest.raises(RefreshUnavailable):
        fleet.sessions[0].fresh().run()
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


@pytest.mark.parametrize("broken", ["load", "save", "exclusive"])
def test_without_the_storage_nothing_is_posted_and_it_says_so(broken: str) -> None:
    fleet = Fleet(1)
    session = fleet.sessions[0]
    fleet.board.broken = {broken}
    with pytest.raises(RefreshUnavailable) as caught:
        session.fresh().run()
    assert caught.value.cause == "storage"
    assert "another process may have spent the refresh token" in str(caught.value)
    assert (session.auth.status, session.auth.storage, fleet.server.posts) == ("degraded", "failing", 0)
    assert "storage" in session.explain()
    assert not session.auth.in_doubt
    fleet.board.broken = set()
    fleet.time.advance(6)
    assert session.fresh().run().access == "access-1"
    assert (session.auth.status, session.auth.storage) == ("signed_in", "ok")
    fleet.time.advance(1)
    assert not fleet.board.held


def test_without_the_storage_a_token_is_used_while_it_lives() -> None:
    fleet = Fleet(1, life=40)
    fleet.board.broken = {"load", "save", "exclusive"}
    for _ in range(3):
        assert fleet.sessions[0].fresh().run().access == "access-0"
        fleet.time.advance(10)
    assert fleet.server.posts == 0


def test_new_tokens_that_could_not_be_saved_are_used_and_saved_before_the_next_post() -> None:
    """B30"""
    fleet = Fleet(1)
    session = fleet.sessions[0]
    posts: list[str] = []

    def post(tokens: object) -> object:
        posts.append(repr(fleet.record.generation))
        fleet.board.broken = {"save"} if len(posts) == 1 else set()
        return {"access_token": f"a{len(posts)}", "refresh_token": f"r{len(posts)}", "expires_in": 300}

    fleet.server.script = [post] * 3
    assert session.fresh().run().access == "a1"
    assert session.auth.storage == "failing"
    assert fleet.record.spending is not None, "the others know that the stored pair is in doubt"
    fleet.time.advance(301)
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    assert len(posts) == 1, "not before it is saved"
    fleet.board.broken = set()
    fleet.time.advance(10)
    assert session.fresh().run().access == "a2"
    assert fleet.server.posted == ["refresh-0", "r1"]
    assert [record.generation for record in fleet.board.history if record is not None] == [1, 1, 2, 3]
    assert session.auth.storage == "ok"


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
    assert windows == [(5.0, 60.0), (5.0, 32.5)]


def test_an_unreadable_change_is_reported_and_the_session_goes_on() -> None:
    errors: list[Exception] = []
    fleet = Fleet(1, life=200, board=Watched)
    fleet.sessions[0].store._reporter = lambda error, where, action: errors.append(error)
    fleet.board.broken = {"load"}
    fleet.board.tell()  # type: ignore[attr-defined]
    fleet.time.advance(1)
    assert [type(error) for error in errors] == [OSError]
    assert fleet.sessions[0].fresh().run().access == "access-0"
