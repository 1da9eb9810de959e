"""`TokenServer` does what it says, over sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rxauth.testing import TokenServer, faults


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def refresh(server: TokenServer, token: str) -> httpx.Response:
    return httpx.post(f"{server.url}/api/token/refresh/", json={"refresh": token}, timeout=2)


def me(server: TokenServer, access: str) -> int:
    return httpx.get(f"{server.url}/api/me/", headers={"Authorization": f"Bearer {access}"}).status_code


def test_rotation_and_reuse_detection_end_the_family(server: TokenServer) -> None:
    pair = server.issue()
    second = refresh(server, pair.refresh).json()
    assert me(server, second["access"]) == me(server, pair.access) == 200
    assert refresh(server, pair.refresh).status_code == 401
    assert me(server, second["access"]) == 401, "the winner is signed out, too"
    assert refresh(server, second["refresh"]).status_code == 401
    assert (server.posts, server.reuses) == (3, 1)


@pytest.mark.parametrize(("reuse", "again", "winner"), [("reject", 401, 200), ("allow", 200, 200)])
def test_other_policies_for_a_spent_token(reuse: Any, again: int, winner: int) -> None:
    with TokenServer(reuse=reuse) as server:
        pair = server.issue()
        second = refresh(server, pair.refresh).json()
        assert refresh(server, pair.refresh).status_code == again
        assert refresh(server, second["refresh"]).status_code == winner


def test_without_rotation_the_refresh_token_stays() -> None:
    with TokenServer(rotate=False) as server:
        pair = server.issue()
        assert refresh(server, pair.refresh).json()["refresh"] == pair.refresh
        assert refresh(server, pair.refresh).status_code == 200


def test_lives_end_and_the_clock_may_be_off() -> None:
    with TokenServer(life=0.0, clock_offset=3600) as server:
        assert me(server, server.issue().access) == 401
        date = httpx.get(f"{server.url}/api/public/").headers["date"]
        from rxauth.refreshers.answers import parse_date

        assert 3500 < (parse_date(date) or 0) - time.time() < 3700


def test_oauth2_speaks_forms(server: TokenServer) -> None:
    form = {"grant_type": "password", "username": "ada", "password": "lovelace"}
    pair = httpx.post(server.token_url, data=form).json()
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 300.0)
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert httpx.post(server.token_url, data=form).status_code == 200
    assert httpx.post(server.token_url, data=form).json() == {"error": "invalid_grant"}
    assert (server.posts, server.logins) == (2, 1)


def test_the_script_of_faults_is_met_in_order(server: TokenServer) -> None:
    pair = server.issue()
    server.script(faults.unavailable(503, retry_after=7), faults.html(), faults.empty(), faults.refuse(), None)
    answers = [refresh(server, pair.refresh) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503, 502, 401, 400, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[3].json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    ("fault", "error", "rotated"),
    [
        (faults.reset_before(), httpx.ReadError, False),
        (faults.reset_after(), httpx.ReadError, True),
        (faults.half_close(), httpx.RemoteProtocolError, True),
        (faults.never(), httpx.ReadTimeout, False),
    ],
    ids=["reset before", "reset after", "half close", "never"],
)
def test_faults_of_the_wire(server: TokenServer, fault: Any, error: type[Exception], rotated: bool) -> None:
    pair = server.issue()
    server.script(fault)
    with pytest.raises(error):
        httpx.post(f"{server.url}/api/token/refresh/", json={"refresh": pair.refresh}, timeout=0.5)
    assert (server.current_refresh != pair.refresh) is rotated


def test_odd_expiries_and_tokens_born_expired(server: TokenServer) -> None:
    server.script(faults.wrong_expires("soon"), faults.born_expired())
    pair = refresh(server, server.issue().refresh).json()
    assert pair["expires_in"] == "soon"
    assert me(server, refresh(server, pair["refresh"]).json()["access"]) == 401


def test_everything_asked_is_recorded(server: TokenServer) -> None:
    access = server.issue().access
    me(server, access)
    me(server, "nonsense")
    [first, second] = server.api_calls
    assert (first.method, first.path, first.status, first.token) == ("GET", "/api/me/", 200, "current")
    assert (second.status, second.token) == (401, "unknown")
    assert access not in repr(first)
    server.reset_counts()
    assert server.requests == []


def test_close_frees_the_port() -> None:
    server = TokenServer()
    server.close()
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
