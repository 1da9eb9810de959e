"""Several processes, one sign-in: they take turns, adopt what another one brought, and never post a spent token."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from rxauth import Session
from rxauth.errors import (
    NotSignedIn,
    RefreshRefused,
    RefreshTimeout,
    RefreshUnavailable,
    SectionLost,
    SessionChanged,
    SessionExpired,
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
    assert [record.generation for record in fleet.board.history if record is not None] == [1, 1, 2, 2, 3]
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
    assert windows == [(5.0, 73.75), (5.0, 46.25)]


def test_an_unreadable_change_is_reported_and_the_session_goes_on() -> None:
    errors: list[Exception] = []
    fleet = Fleet(1, life=200, board=Watched)
    fleet.sessions[0].store._reporter = lambda error, where, action: errors.append(error)
    fleet.board.broken = {"load"}
    fleet.board.tell()  # type: ignore[attr-defined]
    fleet.time.advance(1)
    assert [type(error) for error in errors] == [OSError]
    assert fleet.sessions[0].fresh().run().access == "access-0"


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


class TestAPairThatCouldNotBeSaved:
    """The others would find the one that is spent: they wait."""

    def fleet(self) -> Fleet:
        fleet = Fleet(2)

        def post(tokens: object) -> object:
            fleet.board.broken = {"save"}
            return {"access_token": "a1", "refresh_token": "r1", "expires_in": 60}

        fleet.server.script = [post]
        assert fleet.sessions[0].fresh().run().access == "a1"
        return fleet

    def test_nobody_gets_in_until_it_is(self) -> None:
        fleet = self.fleet()
        waiting = Caller(fleet.sessions[1].fresh())
        fleet.time.advance(3600)
        assert isinstance(waiting.error, RefreshUnavailable)
        assert (fleet.board.held, fleet.server.posts) == (True, 1)
        fleet.board.broken = set()
        fleet.time.advance(70)
        assert fleet.record.generation == 2
        assert fleet.sessions[1].fresh().run().access == "access-2"
        assert fleet.server.posted == ["refresh-0", "r1"], "no spent token, however long that took"

    def test_who_has_it_is_told_at_once_and_not_that_somebody_else_is_in(self) -> None:
        fleet = self.fleet()
        fleet.time.advance(61)
        caller = Caller(fleet.sessions[0].fresh())
        fleet.time.advance(0.1)
        assert isinstance(caller.error, RefreshUnavailable)
        assert "the tokens of the last refresh could not be saved yet" in str(caller.error)
        assert fleet.sessions[0].auth.storage == "failing"

    def test_a_logout_ends_it(self) -> None:
        fleet = self.fleet()
        fleet.sessions[0].logout().run()
        fleet.time.advance(6)
        assert not fleet.board.held
        fleet.board.broken = set()
        with pytest.raises(NotSignedIn):
            fleet.sessions[1].fresh().run()

    def test_one_warning_for_all_tries(self, caplog: pytest.LogCaptureFixture) -> None:
        fleet = self.fleet()
        fleet.time.advance(60)
        assert caplog.text.count("could not be saved") == 1

    def test_a_lost_section_is_the_end_of_it(self) -> None:
        """The lease has run out, and somebody else has refreshed, at a server that lets a spent token pass once."""
        fleet = self.fleet()
        fleet.board.broken = set()

        def fenced(record: Record) -> None:
            fleet.board.before_save = lambda record: None
            fleet.board.put(Record(record.sign_in, 7, pair(fleet.time, 300, name="theirs")))
            raise SectionLost("number 2 has entered")

        fleet.board.before_save = fenced
        fleet.time.advance(6)
        assert not fleet.board.held
        fleet.time.advance(61)
        assert fleet.sessions[0].fresh().run().access == "access-theirs"


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


def test_a_save_that_is_late_does_not_land_on_a_later_one() -> None:
    """Found by the simulation: the first record of a sign-in came after the second, and brought a spent token back."""
    fleet = Fleet(1)
    late = [5.0]
    fleet.board.before_save = lambda record: fleet.time.sleep(late.pop()) if late else None
    fleet.sessions[0].sign_in(pair(fleet.time, 300, age=301, name="bob")).run()
    assert fleet.sessions[0].auth.storage == "failing"
    caller = Caller(fleet.sessions[0].fresh())
    fleet.time.advance(30)
    assert caller.error is None or fleet.sessions[0].fresh().run()
    assert [record.generation for record in fleet.board.history[1:] if record is not None] == [1, 1, 2]


def test_a_lease_that_is_shorter_than_a_refresh_may_take_is_refused() -> None:
    time = VirtualTime()
    board = Board(time)
    board.lease = 20.0  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"lease of 20 s .* deadline"):
        Session(lambda tokens: tokens, storage=board, time=time)
    Session(lambda tokens: tokens, storage=board, time=time, deadline=10.0)


def test_a_logout_whose_tombstone_could_not_be_written_is_written_later(caplog: pytest.LogCaptureFixture) -> None:
    fleet = Fleet(2, life=200)
    fleet.board.broken = {"clear"}
    fleet.sessions[0].logout().run()
    assert fleet.server.logouts, "the server has been told, and nobody waits for the store"
    fleet.time.advance(60)
    assert caplog.text.count("still stored") == 1
    fleet.board.broken = set()
    fleet.time.advance(6)
    assert fleet.record.tokens is None
    with pytest.raises(NotSignedIn):
        fleet.sessions[1].replace().run()


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


def test_a_pair_that_was_adopted_is_stored() -> None:
    fleet = Fleet(2)
    fleet.board.broken = {"exclusive"}
    with pytest.raises(RefreshUnavailable):
        fleet.sessions[1].fresh().run()
    assert fleet.sessions[1].auth.storage == "failing"
    fleet.board.broken = set()
    fleet.sessions[0].fresh().run()
    fleet.time.advance(10)
    fleet.sessions[1].fresh().run()
    assert (fleet.sessions[1].auth.storage, fleet.server.posts) == ("ok", 1)


def test_a_login_that_was_stored_although_that_failed_does_not_overwrite_who_came_later() -> None:
    """Found by the simulation: others had gone on with it, and its own process thought that it was never stored."""
    fleet = Fleet(2, life=200)
    fleet.board.after_save = lambda record: fleet.board.fail_once()
    fleet.sessions[1].sign_in(pair(fleet.time, 300, age=301, name="bob")).run()
    assert fleet.sessions[1].auth.storage == "failing"
    fleet.sessions[0].sign_in(pair(fleet.time, 300, name="eve")).run()
    with pytest.raises(SessionChanged):
        fleet.sessions[1].fresh().run()
    assert fleet.sessions[1].fresh().run().access == "access-eve"
    assert fleet.server.posts == 0


def test_a_login_that_was_never_stored_takes_the_place_of_who_was_there_before() -> None:
    fleet = Fleet(2, life=200)
    fleet.board.broken = {"save"}
    fleet.sessions[1].sign_in(pair(fleet.time, 300, age=301, name="bob")).run()
    fleet.board.broken = set()
    assert fleet.sessions[1].fresh().run().access == "access-1"
    assert fleet.server.posted == ["refresh-bob"]
