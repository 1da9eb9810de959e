"""A storage that can not be read or written: the session goes on in memory, and saves before it posts again."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth.errors import (
    NotSignedIn,
    RefreshUnavailable,
    SectionLost,
    SessionChanged,
)
from rxauth.storage import Record
from tests.kit import Caller, pair
from tests.storage.turns_kit import Fleet, Watched


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


def test_an_unreadable_change_is_reported_and_the_session_goes_on() -> None:
    reports: list[tuple[type[Exception], str, Any]] = []
    fleet = Fleet(1, life=200, board=Watched)
    fleet.sessions[0].store._reporter = lambda error, *about: reports.append((type(error), *about))
    fleet.board.broken = {"load"}
    fleet.board.tell()  # type: ignore[attr-defined]
    fleet.time.advance(1)
    assert reports == [(OSError, "session default, looking at what another process stored", None)]
    assert fleet.sessions[0].fresh().run().access == "access-0"


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
