"""`session.ensure(**credentials)`: signed in already, also by what is stored, or else one login."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.errors import (
    LoginFailed,
    NotSignedIn,
    RefreshRefused,
    RefreshUnavailable,
    SessionClosed,
)
from rxauth.storage import Record
from rxauth.testing import TokenServer, VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale
from tests.storage.turns_kit import Board, Fleet

ADA = {"username": "ada", "password": "lovelace"}


def signed_out(**how: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    return time, refresher, Session(refresher, time=time, **how)


def ensured(time: VirtualTime, session: Session[Any], seconds: float = 30.0) -> Caller:
    caller = Caller(session.ensure(**ADA))
    time.advance(seconds)
    assert caller.ends == 1
    return caller


def test_nobody_is_signed_in() -> None:
    time, refresher, session = signed_out()
    assert ensured(time, session).access == "access-login-1"
    assert refresher.logins == [ADA]


def test_somebody_is_signed_in() -> None:
    _, refresher, session = make(life=300)
    caller = Caller(session.ensure(**ADA))
    assert (caller.access, caller.ends) == ("access-0", 1), "at once"
    assert refresher.logins == []


def test_a_stale_pair_is_refreshed() -> None:
    time, refresher, session = make()
    assert ensured(time, session).access == "access-1"
    assert (refresher.posts, refresher.logins) == (1, [])


def test_it_begins_when_called_and_each_call_is_one_login_for_those_that_come_meanwhile() -> None:
    time, refresher, session = signed_out()
    singles = [session.ensure(**ADA) for _ in range(10)]
    assert session.auth.status == "signing_in"
    time.advance(5)
    assert {single.run().access for single in singles} == {"access-login-1"}
    assert {ensured(time, session).access} == {"access-login-1"}
    assert len(refresher.logins) == 1


def test_on_many_threads_it_is_one_login() -> None:
    start, logins = threading.Barrier(16), []

    class Server:
        def __call__(self, tokens: Tokens) -> Any:
            raise AssertionError("there is nothing to refresh")

        def login(self, **credentials: Any) -> Any:
            logins.append(credentials)
            return {"access_token": f"a-{len(logins)}", "refresh_token": "r", "expires_in": 300}

    with Session(Server()) as session:
        got: list[str] = []

        def run() -> None:
            start.wait(60)
            got.append(session.ensure(**ADA).run().access)

        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert got == ["a-1"] * 16
    assert logins == [ADA]


def test_it_may_be_blocked_on_where_a_loop_runs() -> None:
    """As in a notebook's cell: its loop stands still meanwhile."""

    async def cell() -> str:
        with TokenServer() as server, Session(simplejwt(server.url)) as session:
            return str(session.ensure(username="ada", password="lovelace").run().sign_in)

    assert asyncio.run(cell())


def test_the_login_of_somebody_else_is_joined() -> None:
    time, refresher, session = signed_out()
    login, caller = Caller(session.login(username="bob")), Caller(session.ensure(**ADA))
    time.advance(5)
    assert login.access == caller.access == "access-login-1"
    assert refresher.logins == [{"username": "bob"}]


def test_a_login_that_fails_fails_it_as_login_does() -> None:
    time, refresher, session = signed_out()
    refresher.login_script = [RefreshRefused("wrong password", status_code=401)]
    callers = [Caller(session.ensure(**ADA)) for _ in range(3)]
    time.advance(5)
    for caller in callers:
        assert isinstance(caller.error, LoginFailed)
        assert (caller.error.status_code, caller.ends) == (401, 1)
    assert len(refresher.logins) == 1
    assert ensured(time, session).access == "access-login-2"


def test_the_server_ended_the_sign_in_before_or_during_that_refresh() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshRefused()]
    assert ensured(time, session).access == "access-login-1"
    time.advance(301)
    refresher.script = [RefreshRefused()]
    Caller(session.fresh())
    time.advance(5)
    assert ensured(time, session).access == "access-login-2"


def test_a_refresh_that_is_not_possible_now_is_no_reason_to_log_in() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshUnavailable("503")] * 10
    for _ in range(2):
        assert isinstance(ensured(time, session).error, RefreshUnavailable)
    assert refresher.logins == []


def test_a_logout_meanwhile_wins() -> None:
    for tokens in (None, "stale"):
        time, refresher, session = signed_out() if tokens is None else make()
        caller = Caller(session.ensure(**ADA))
        time.advance(0.1)
        session.logout()
        time.advance(30)
        assert type(caller.error) is NotSignedIn
        assert session.auth.status == "signed_out"
        assert len(refresher.logins) == (tokens is None)


def test_another_login_meanwhile_is_waited_for() -> None:
    time, _, session = make()
    caller = Caller(session.ensure(**ADA))
    time.advance(0.1)
    session.sign_in(pair(time, 300, name="bob")).run()
    assert caller.access == "access-bob"
    overtaken = Session(FakeRefresher(time), time=time)
    first = Caller(overtaken.ensure(**ADA))
    overtaken.sign_in(pair(time, 300, name="bob")).run()
    assert first.access == "access-bob"


def test_a_refresher_without_a_login_says_so_where_one_is_needed() -> None:
    time = VirtualTime()
    with pytest.raises(TypeError, match=r"session\.sign_in"):
        Session(lambda tokens: tokens, time=time).ensure(**ADA).run()
    session: Session[Any] = Session(lambda tokens: tokens, time=time, tokens=pair(time, 300))
    assert session.ensure(**ADA).run().access == "access-0"


def test_positional_credentials_and_a_closed_session() -> None:
    _, refresher, session = signed_out()
    with pytest.raises(TypeError, match=r"keywords: session\.ensure"):
        session.ensure("ada", "lovelace")  # type: ignore[arg-type]
    session.close()
    with pytest.raises(SessionClosed):
        session.ensure(**ADA).run()
    assert refresher.logins == []


def test_closing_releases_it() -> None:
    time, _, session = signed_out()
    caller = Caller(session.ensure(**ADA))
    time.advance(0.1)
    session.close()
    assert isinstance(caller.error, SessionClosed)


class TestWithAStorage:
    def test_what_is_stored_is_signed_in_already(self) -> None:
        fleet = Fleet(1, life=200)
        assert ensured(fleet.time, fleet.start()).access == "access-0"
        assert fleet.server.logins == []

    def test_somebody_who_signed_in_elsewhere_since(self) -> None:
        fleet = Fleet(2, life=200)
        fleet.sessions[1].logout().run()
        fleet.time.advance(2)
        fleet.board.put(Record("elsewhere", 1, pair(fleet.time, 300, name="elsewhere")))
        assert ensured(fleet.time, fleet.sessions[1]).access == "access-elsewhere"
        assert fleet.server.logins == []

    def test_a_logout_elsewhere_is_followed_by_a_login(self) -> None:
        fleet = Fleet(2)
        fleet.sessions[0].logout().run()
        assert ensured(fleet.time, fleet.sessions[1]).access == "access-login-1"

    def test_a_pair_given_whose_sign_in_is_over(self) -> None:
        time = VirtualTime()
        board, server, given = Board(time), FakeRefresher(time), stale(time)
        Session(server, storage=board, time=time, tokens=given).logout().run()
        for _ in range(3):
            session = Session(server, storage=board, time=time, tokens=given)
            assert ensured(time, session).access == "access-login-1"
        assert (len(server.logins), server.posts) == (1, 0)

    def test_a_storage_that_cannot_be_read_is_no_reason_to_log_in(self) -> None:
        fleet = Fleet(1, life=200)
        fleet.board.broken = {"load"}
        late = fleet.start()
        fleet.time.advance(2)
        assert isinstance(ensured(fleet.time, late).error, RefreshUnavailable)
        fleet.board.broken = set()
        fleet.time.advance(2)
        assert ensured(fleet.time, late).access == "access-0"
        assert fleet.server.logins == []

    def test_on_a_loop_it_waits_for_the_storage(self, tmp_path: Any) -> None:
        from rxauth.storage.file import FileStorage

        with TokenServer() as server:

            async def run() -> str:
                storage = FileStorage(tmp_path / "app" / "tokens")
                async with Session(simplejwt(server.url), storage=storage, save_timeout=30.0) as session:
                    both = await asyncio.gather(*(_waited(session) for _ in range(5)))
                    assert len({tokens.access for tokens in both}) == 1
                    return str(both[0].access)

            assert asyncio.run(run()) == asyncio.run(run())
            assert (server.logins, server.posts) == (1, 0)


async def _waited(session: Session[Any]) -> Tokens:
    return await session.ensure(username="ada", password="lovelace")
