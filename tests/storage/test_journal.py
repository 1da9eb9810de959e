"""A pair that somebody began to spend, and whose answer is late or never comes: what the others find, and do."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from rxauth.errors import (
    NotSignedIn,
    RefreshRefused,
    RefreshTimeout,
    RefreshUnavailable,
    SessionExpired,
)
from tests.kit import Caller, pair
from tests.storage.turns_kit import Fleet


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


class TestAnAnswerThatIsLate:
    """Who posts is told by the clock at 30 s, and listens for 60 s more: nobody else posts meanwhile."""

    def fleet(self, answer_after: float) -> tuple[Fleet, Caller]:
        fleet = Fleet(2)
        fleet.server.latency = answer_after
        caller = Caller(fleet.sessions[0].fresh())
        fleet.time.advance(31)
        assert isinstance(caller.error, RefreshTimeout)
        fleet.server.latency = 0.2
        return fleet, caller

    def test_the_others_are_told_until_when_and_do_not_wait_in_line(self) -> None:
        fleet, _ = self.fleet(50)
        assert not fleet.board.held
        with pytest.raises(RefreshUnavailable, match="had no answer in time and listens for it until") as caught:
            fleet.sessions[1].fresh().run()
        assert caught.value.cause == "in_doubt"
        assert caught.value.retry_at == pytest.approx(fleet.record.spending)
        assert (fleet.sessions[1].auth.status, fleet.server.posts) == ("degraded", 1)
        started = fleet.start()
        assert (started.auth.status, started.auth.in_doubt) == ("degraded", True)
        with pytest.raises(RefreshUnavailable):
            started.fresh().run()
        assert fleet.server.posts == 1

    def test_the_answer_counts_for_all(self) -> None:
        fleet, _ = self.fleet(50)
        fleet.time.advance(20)
        assert (fleet.record.generation, fleet.record.spending) == (2, None)
        assert [session.fresh().run().access for session in fleet.sessions] == ["access-1"] * 2
        assert fleet.server.posts == 1

    def test_after_that_time_there_is_one_try(self) -> None:
        fleet, _ = self.fleet(1000)
        fleet.time.advance(62)
        assert fleet.sessions[1].fresh().run().access == "access-2"
        assert fleet.server.posted == ["refresh-0"] * 2

    def test_a_journal_that_can_not_be_written_keeps_the_others_out(self) -> None:
        fleet = Fleet(2)
        fleet.server.script = [lambda tokens: fleet.time.sleep(49) or {"access_token": "a", "refresh_token": "r"}]
        first = Caller(fleet.sessions[0].fresh())
        fleet.time.advance(10)
        fleet.board.broken = {"save"}
        fleet.time.advance(21)
        assert first.ends == 1
        assert fleet.board.held
        fleet.board.broken = set()
        fleet.time.advance(6)
        assert not fleet.board.held
        assert fleet.record.spending is not None

    def test_a_time_that_is_too_far_away_is_a_wrong_clock(self) -> None:
        fleet = Fleet(2)
        fleet.board.put(replace(fleet.record, spending=fleet.time.now().wall + 3600))
        assert fleet.sessions[1].fresh().run().access == "access-1"


def test_a_late_answer_of_who_has_logged_out_does_not_bring_the_record_back() -> None:
    """Found by the simulation."""
    fleet = Fleet(2)
    fleet.server.latency = 50.0
    waiting = Caller(fleet.sessions[0].fresh())
    fleet.time.advance(5)
    fleet.sessions[0].logout().run()
    fleet.time.advance(100)
    assert isinstance(waiting.error, NotSignedIn)
    assert fleet.record.tokens is None
    assert not fleet.board.held


def test_a_late_answer_keeps_the_others_from_posting_although_somebody_else_has_signed_in_here() -> None:
    """Found by the simulation: his record could not be stored, and the others, still signed in, knew nothing."""
    fleet = Fleet(2)
    fleet.server.latency = 50.0
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(5)
    fleet.board.broken = {"save"}
    fleet.sessions[0].sign_in(pair(fleet.time, 300, name="bob")).run()
    fleet.board.broken = set()
    fleet.time.advance(27)
    with pytest.raises(RefreshUnavailable, match="listens for it until"):
        fleet.sessions[1].fresh().run()
    assert fleet.server.posts == 1
