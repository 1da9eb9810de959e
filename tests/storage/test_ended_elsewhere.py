"""The server ends the sign-in in one process: the others on that storage get the event and the cause, as it did."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth import Session, simplejwt
from rxauth.errors import NotSignedIn, RefreshRefused, SessionExpired
from rxauth.session import SessionEnded, SignedOut
from rxauth.storage import Record
from rxauth.testing import TokenServer
from tests.kit import Caller, pair
from tests.storage.kinds import Place
from tests.storage.sign_in_kit import AT_ONCE, ended_within, expired
from tests.storage.turns_kit import Board, Fleet, Watched

PATIENT = {"save_timeout": 30.0}


def events_of(session: Session[Any]) -> list[Any]:
    events: list[Any] = []
    session.store.actions.of_type(SessionEnded, SignedOut).subscribe(events.append)
    return events


def expired_with(caller: Caller, cause: str, status: int | None) -> None:
    assert isinstance(caller.error, SessionExpired), caller
    assert (caller.error.cause, caller.error.status_code, caller.ends) == (cause, status, 1)


@pytest.mark.parametrize("board", [Board, Watched])
def test_waiting_and_later_calls_get_the_cause_and_the_app_gets_the_event(board: type[Board]) -> None:
    fleet = Fleet(3, board=board)
    fleet.server.script = [RefreshRefused("invalid_grant", status_code=401)]
    events = [events_of(session) for session in fleet.sessions]
    waiting = [Caller(session.fresh()) for session in fleet.sessions]
    fleet.time.advance(5)
    later = [Caller(session.fresh()) for session in fleet.sessions]
    fleet.time.advance(5)
    for caller in waiting + later:
        expired_with(caller, "refused", 401)
    assert [[type(event) for event in each] for each in events] == [[SessionEnded]] * 3
    assert {each[0].cause.cause for each in events} == {"refused"}
    assert fleet.server.posts == 1
    assert {session.auth.status for session in fleet.sessions} == {"signed_out"}
    assert "refused, status 401" in fleet.sessions[1].explain()


def test_a_sibling_that_asks_an_hour_later_gets_the_cause() -> None:
    fleet = Fleet(2)
    fleet.server.script = [SessionExpired("over", cause="refresh token expired")]
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(3600)
    events, late = events_of(fleet.sessions[1]), Caller(fleet.sessions[1].fresh())
    fleet.time.advance(5)
    expired_with(late, "refresh token expired", None)
    assert [type(event) for event in events] == [SessionEnded]


def test_a_notice_is_enough_where_the_storage_tells_of_changes() -> None:
    fleet = Fleet(2, board=Watched)
    fleet.server.script = [RefreshRefused(status_code=400)]
    events = events_of(fleet.sessions[1])
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(5)
    assert [event.cause.status_code for event in events] == [400]
    later = Caller(fleet.sessions[1].fresh())
    fleet.time.advance(5)
    expired_with(later, "refused", 400)


def test_an_answer_that_was_lost_keeps_its_cause() -> None:
    fleet = Fleet(2)
    fleet.board.put(Record(fleet.record.sign_in, 1, fleet.record.tokens, spending=fleet.time.now().wall - 1))
    fleet.server.script = [RefreshRefused()]
    callers = [Caller(session.fresh()) for session in fleet.sessions]
    fleet.time.advance(5)
    for caller in callers:
        expired_with(caller, "answer lost", None)


@pytest.mark.parametrize("board", [Board, Watched])
def test_a_logout_elsewhere_stays_a_logout(board: type[Board]) -> None:
    fleet = Fleet(2, board=board)
    events = events_of(fleet.sessions[1])
    fleet.board.held = True
    waiting = Caller(fleet.sessions[1].fresh())
    fleet.time.advance(1)
    fleet.sessions[0].logout().run()
    fleet.board.held = False
    if isinstance(fleet.board, Watched):
        fleet.board.tell()
    fleet.time.advance(5)
    assert type(waiting.error) is NotSignedIn
    assert str(waiting.error) == "signed out in another process"
    assert [type(event) for event in events] == [SignedOut]
    later = Caller(fleet.sessions[1].fresh())
    fleet.time.advance(5)
    assert type(later.error) is NotSignedIn


def test_a_logout_after_the_end_changes_nothing() -> None:
    fleet = Fleet(2)
    fleet.server.script = [RefreshRefused()]
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(5)
    fleet.sessions[0].logout().run()
    assert (fleet.record.tokens, fleet.record.cause) == (None, "refused")


def test_a_later_pair_of_another_process_is_not_buried() -> None:
    fleet = Fleet(1)

    def refuse(tokens: object) -> object:
        fleet.board.put(Record("bobs", 1, pair(fleet.time, 300, name="bob")))
        raise RefreshRefused("invalid_grant")

    fleet.server.script = [refuse]
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(5)
    assert fleet.record.tokens is not None
    assert fleet.record.sign_in == "bobs"


def test_a_login_that_is_under_way_goes_on_and_the_event_is_said() -> None:
    fleet = Fleet(2, board=Watched)
    fleet.server.script = [RefreshRefused()]
    fleet.server.latency = 2.0
    events = events_of(fleet.sessions[1])
    Caller(fleet.sessions[0].fresh())
    fleet.time.advance(1)
    login = Caller(fleet.sessions[1].login())
    fleet.time.advance(10)
    assert login.access == "access-login-1"
    assert [event.cause.cause for event in events] == ["refused"]


@pytest.mark.parametrize("cause", [None, 7, ""])
def test_a_cause_that_is_no_text_does_not_damage_the_record(cause: Any) -> None:
    fleet = Fleet(2)
    fleet.server.script = [SessionExpired("over", cause=cause, status_code="401")]  # type: ignore[arg-type]
    callers = [Caller(session.fresh()) for session in fleet.sessions]
    fleet.time.advance(5)
    assert isinstance(callers[1].error, SessionExpired)
    assert callers[1].error.cause == str(cause or "refused")
    assert callers[1].error.status_code is None


def test_on_a_real_storage_of_each_kind(place: Place) -> None:
    with (
        TokenServer() as server,
        Session(simplejwt(server.url), storage=place.make(), tokens=expired(server), **PATIENT) as first,
        Session(simplejwt(server.url), storage=place.make(), **PATIENT) as second,
    ):
        events = events_of(second)
        server.revoke_family()
        callers = [Caller(session.fresh()) for session in (first, second)]
        ended_within(AT_ONCE, *callers)
        for caller in callers:
            expired_with(caller, "refused", 401)
        assert [type(event) for event in events] == [SessionEnded]
        assert server.posts == 1
        text = place.text()
        assert text is not None
        assert "access" not in text
        third = Session(simplejwt(server.url), storage=place.make(), **PATIENT)
        assert third.auth.status == "signed_out"
        third.close()
