"""The same scenarios against four servers of other makers, each in a process of its own; they do the counting."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import LoginFailed, NotSignedIn, RxAuthError, SessionExpired
from tests.system.servers.server_kinds import Authlib, Counts, FlaskJWT, Server
from tests.system.servers.server_kit import PASSWORD, ROOT, USER, Outcome, in_threads, on_a_loop, until

Calls = Callable[..., list[Outcome]]


@pytest.fixture(params=[in_threads, on_a_loop])
def calls(request: pytest.FixtureRequest) -> Calls:
    way: Calls = request.param
    return way


def only(outcomes: list[Outcome]) -> RxAuthError:
    """The error of the one call."""
    [outcome] = outcomes
    assert isinstance(outcome, RxAuthError), outcome
    return outcome


def test_after_a_login_calls_are_answered_without_a_refresh(server: Server, calls: Calls) -> None:
    with server.session() as session:
        pair = session.login(username=USER, password=PASSWORD).run()
        assert pair.access
        assert pair.refresh
        assert calls(server, session, 3) == [200, 200, 200]
        remaining = pair.remaining(session.runtime.now())
    assert remaining is not None
    assert 3500 < remaining <= 3600
    assert server.counts() == Counts(logins=1)


def test_wrong_credentials_fail_the_login(server: Server) -> None:
    with server.session() as session:
        with pytest.raises(LoginFailed) as failed:
            session.login(username=USER, password="wrong").run()
        assert (failed.value.transient, failed.value.status_code) == (False, server.wrong_password_status)
        assert "credentials" in str(failed.value), "it speaks of what the user can mend"
        with pytest.raises(NotSignedIn):
            session.fresh().run()
    assert server.counts() == Counts()


def test_a_token_that_is_known_to_be_stale_is_refreshed_before_the_call(server: Server, calls: Calls) -> None:
    stale = server.stale(known=True)
    server.reset()
    with server.session(stale) as session:
        assert calls(server, session) == [200]
        assert calls(server, session) == [200]
        assert server.status(session.auth.tokens.access) == 200
    assert server.counts() == Counts(refreshes=1)
    assert server.refused_calls() == 0


def test_a_token_that_the_api_refuses_is_refreshed_and_the_call_repeated(server: Server, calls: Calls) -> None:
    stale = server.stale(known=False)
    server.reset()
    with server.session(stale) as session:
        assert calls(server, session) == [200]
        assert calls(server, session) == [200]
    assert server.counts() == Counts(refreshes=1)
    assert server.refused_calls() == 1


@pytest.mark.parametrize("known", [True, False], ids=["stale", "refused"])
def test_twenty_calls_refresh_once(server: Server, calls: Calls, known: bool) -> None:
    stale = server.stale(known=known)
    server.reset()
    with server.session(stale) as session:
        assert calls(server, session, 20) == [200] * 20
    assert server.counts() == Counts(refreshes=1)


def test_the_refresh_token_rotates_and_the_next_refresh_spends_the_new_one(server: Server) -> None:
    with server.session(server.stale(known=True)) as session:
        pairs = [session.fresh().run(), session.replace().run(), session.replace().run()]
        assert len({pair.refresh for pair in pairs}) == 3
        assert in_threads(server, session) == [200]
        assert server.counts() == Counts(refreshes=3, logins=1)
        assert server.refresh(pairs[1].refresh or "").status_code == server.spent_status


def test_when_its_time_has_passed_the_token_is_refreshed(servers: dict[str, Server]) -> None:
    """In real time, on all servers at once: nobody but the clock ends these tokens."""
    sessions: list[tuple[Server, Session[Any], str]] = []
    for server in servers.values():
        server.reset()
        pair = server.short_lived(2)
        sessions.append((server, server.session(pair, leeway=0, refresh_ahead=0), pair.access))
    for server, session, access in sessions:
        until(lambda server=server, access=access: server.status(access) != 200, "the token to expire")
        assert in_threads(server, session, 3) == [200] * 3, server.name
        assert server.counts() == Counts(refreshes=1, logins=1), server.name
        session.close()


def test_a_spent_refresh_token_ends_the_session_until_the_next_login(server: Server, calls: Calls) -> None:
    stale = server.stale(known=True)
    assert server.refresh(stale.refresh or "").status_code == 200  # by somebody else
    server.reset()
    with server.session(stale) as session:
        outcomes = calls(server, session, 5)
        assert [type(outcome) for outcome in outcomes] == [SessionExpired] * 5
        error = only(outcomes[:1])
        assert (error.cause, error.status_code) == ("refused", server.spent_status)
        assert isinstance(only(calls(server, session)), SessionExpired)
        assert session.auth.status == "signed_out"
        assert server.counts() == Counts(refused_refreshes=1)
        session.login(username=USER, password=PASSWORD).run()
        assert calls(server, session) == [200]


def test_a_session_that_the_server_ended_ends_here_with_the_refusal_as_response(server: Server, calls: Calls) -> None:
    with server.session() as session:
        pair = session.login(username=USER, password=PASSWORD).run()
        assert calls(server, session) == [200]
        server.revoke(pair)
        error = only(calls(server, session))
        assert isinstance(error, SessionExpired)
        assert error.response.status_code in (401, 403)
        assert str(error.response.request.url) == server.me
    assert server.counts() == Counts(refused_refreshes=1, logins=1)


@pytest.mark.parametrize("kind", [FlaskJWT, Authlib])
def test_an_access_token_that_is_revoked_alone_costs_one_refresh(
    servers: dict[str, Server], kind: type[Any], calls: Calls
) -> None:
    """simplejwt can not do it, and django-oauth-toolkit ends the refresh token with it: see test_toolkit_server."""
    server = servers[kind.name]
    with server.session(server.log_in()) as session:
        server.reset()
        server.revoke_access(session.auth.tokens.access)
        assert calls(server, session, 5) == [200] * 5
    assert server.counts() == Counts(refreshes=1)


def test_after_a_logout_the_server_refuses_the_tokens(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with server.session() as session, caplog.at_level(logging.WARNING, "rxauth"):
        pair = session.login(username=USER, password=PASSWORD).run()
        assert server.status(pair.access) == 200
        session.logout().run()
        with pytest.raises(NotSignedIn):
            session.fresh().run()
        assert server.refresh(pair.refresh or "").status_code == server.spent_status
        assert server.status(pair.access) == (server.refused_status if server.ends_access else 200)
    assert caplog.messages == []


def test_a_refresh_that_was_on_its_way_at_the_logout_leaves_nothing_alive(server: Server) -> None:
    """The server rotates while the user leaves: the new pair, which nobody has, is revoked as well."""
    refresher = server.refresher()
    got: list[Tokens] = []
    revoked: list[str | None] = []

    class LeftMeanwhile:
        origins = refresher.origins

        def __call__(self, tokens: Tokens) -> Tokens:
            got.append(refresher(tokens))
            session.logout()
            return got[0]

        def logout(self, tokens: Tokens) -> None:
            try:
                refresher.logout(tokens)
            finally:
                revoked.append(tokens.refresh)

    with Session(LeftMeanwhile(), tokens=server.stale(known=True)) as session:
        with pytest.raises(NotSignedIn):
            session.fresh().run()
        until(lambda: bool(got) and got[0].refresh in revoked, "the new pair to be revoked")
    assert server.refresh(got[0].refresh or "").status_code == server.spent_status


def test_a_server_stops_when_the_test_run_that_started_it_is_killed(tmp_path: Path) -> None:
    program = """
        from tests.system.servers.server_kit import Process
        print(Process("flask_jwt_app").url, flush=True)
        input()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a run that is killed leaves its files
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port = int(run.stdout.readline().rpartition(":")[2])
        run.kill()

    def is_free() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    until(is_free, "the server to stop")
