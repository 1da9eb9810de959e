"""`TokenServer` does what it says, over sockets and in the same process."""

from __future__ import annotations

import contextlib
import gc
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.refreshers.failures import parse_date
from rxauth.testing import TokenServer, VirtualTime, faults

#: How long anything may take in real time, in seconds, before a test fails.
PATIENCE = 60.0

#: Makes a server, and a client that reaches it.
Make = Callable[..., tuple[TokenServer, httpx.Client]]


@pytest.fixture(params=["url", "transport"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> tuple[TokenServer, httpx.Client]:
            if request.param == "url":
                server = stack.enter_context(TokenServer(**options))
                client = httpx.Client(base_url=server.url, timeout=PATIENCE)
            else:
                server = stack.enter_context(TokenServer(**options, time=VirtualTime()))
                client = httpx.Client(base_url="https://auth.example", transport=server.transport, timeout=PATIENCE)
            return server, stack.enter_context(client)

        yield make


def refresh(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/api/token/refresh/", json={"refresh": token})


def me(client: httpx.Client, access: str) -> int:
    return client.get("/api/me/", headers={"Authorization": f"Bearer {access}"}).status_code


def test_rotation_and_reuse_detection_end_the_family(make: Make) -> None:
    server, client = make()
    pair = server.issue()
    second = refresh(client, pair.refresh).json()
    assert me(client, second["access"]) == me(client, pair.access) == 200
    assert refresh(client, pair.refresh).status_code == 401
    assert me(client, second["access"]) == 401, "the winner is signed out, too"
    assert refresh(client, second["refresh"]).status_code == 401
    assert (server.posts, server.reuses) == (3, 1)


@pytest.mark.parametrize(("reuse", "again", "winner"), [("reject", 401, 200), ("allow", 200, 200)])
def test_other_policies_for_a_spent_token(make: Make, reuse: Any, again: int, winner: int) -> None:
    server, client = make(reuse=reuse)
    pair = server.issue()
    second = refresh(client, pair.refresh).json()
    assert refresh(client, pair.refresh).status_code == again
    assert refresh(client, second["refresh"]).status_code == winner


def test_without_rotation_the_refresh_token_stays(make: Make) -> None:
    server, client = make(rotate=False)
    pair = server.issue()
    assert refresh(client, pair.refresh).json()["refresh"] == pair.refresh
    assert refresh(client, pair.refresh).status_code == 200


def test_access_tokens_die_at_the_end_of_their_life(make: Make) -> None:
    server, client = make(life=0.0)
    assert me(client, server.issue().access) == 401


def test_the_servers_clock_may_be_off() -> None:
    with TokenServer(clock_offset=3600) as server:
        date = httpx.get(f"{server.url}/api/public/").headers["date"]
        assert 3500 < (parse_date(date) or 0) - time.time() < 3700


def test_a_server_may_say_nothing_of_its_clock(make: Make) -> None:
    assert "date" in make()[1].get("/api/public/").headers
    assert "date" not in make(date_header=False)[1].get("/api/public/").headers


def test_oauth2_speaks_forms(make: Make) -> None:
    server, client = make()
    form = {"grant_type": "password", "username": "ada", "password": "lovelace"}
    pair = client.post("/oauth/token", data=form).json()
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 300.0)
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert client.post("/oauth/token", data=form).status_code == 200
    assert client.post("/oauth/token", data=form).json() == {"error": "invalid_grant"}
    assert (server.posts, server.logins) == (2, 1)


def test_the_script_of_faults_is_met_in_order(make: Make) -> None:
    server, client = make()
    pair = server.issue()
    server.script(faults.unavailable(503, retry_after=7), faults.html(), faults.empty(), faults.refuse(), None)
    answers = [refresh(client, pair.refresh) for _ in range(5)]
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
        (faults.drip(1.0), httpx.ReadTimeout, True),
    ],
    ids=["reset before", "reset after", "half close", "never", "drip"],
)
def test_faults_of_the_wire(make: Make, fault: Any, error: type[Exception], rotated: bool) -> None:
    server, client = make()
    pair = server.issue()
    server.script(fault)
    if error is httpx.ReadTimeout:
        client.timeout = 0.5  # type: ignore[assignment]
    with pytest.raises(error):
        refresh(client, pair.refresh)
    end = time.monotonic() + PATIENCE
    while rotated and server.current_refresh == pair.refresh and time.monotonic() < end:
        time.sleep(0.005)  # the client may have given up before the server had read its request
    assert (server.current_refresh != pair.refresh) is rotated


def test_a_client_that_gives_up_does_not_stop_the_server() -> None:
    time = VirtualTime()
    server = TokenServer(time=time, token_latency=10)
    client = httpx.Client(transport=server.transport, base_url="https://auth.example", timeout=3)
    pair, began = server.issue(), time.now().mono
    with pytest.raises(httpx.ReadTimeout):
        refresh(client, pair.refresh)
    assert (time.now().mono - began, server.current_refresh) == (3, pair.refresh)
    time.advance(7)
    assert server.current_refresh != pair.refresh


def test_answers_are_held_until_the_test_says_so(make: Make) -> None:
    server, client = make()
    pair = server.issue()
    asked: list[int] = []

    def five_times() -> bool:
        asked.append(server.requests[-1].status)
        return len(asked) == 5

    server.hold("/api/token/refresh/", until=five_times)
    assert me(client, pair.access) == 200
    assert asked == [], "other paths are not held"
    assert refresh(client, pair.refresh).status_code == 200
    assert asked == [0] * 5, "the server does its work afterwards"


def test_no_answer_is_held_for_ever(make: Make) -> None:
    server, client = make()
    server.hold("/api/me/", until=lambda: False, at_most=0.05)
    assert me(client, server.issue().access) == 200


def test_twenty_calls_are_on_the_wire_at_once() -> None:
    """However slow the machine is at starting them: each answer waits for the last one to arrive."""
    with TokenServer() as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        access = server.issue().access
        server.hold("/api/me/", until=lambda: len(server.api_calls) >= 20, at_most=PATIENCE)
        with ThreadPoolExecutor(20) as threads:
            assert list(threads.map(lambda _: me(client, access), range(20))) == [200] * 20
        assert len(server.api_calls) == 20


def test_odd_expiries_and_tokens_born_expired(make: Make) -> None:
    server, client = make()
    server.script(faults.wrong_expires("soon"), faults.born_expired())
    pair = refresh(client, server.issue().refresh).json()
    assert pair["expires_in"] == "soon"
    assert me(client, refresh(client, pair["refresh"]).json()["access"]) == 401


def test_an_api_that_refuses_whatever_it_is_shown(make: Make) -> None:
    server, client = make()
    access = server.issue().access
    server.reject_all_api(403)
    assert me(client, access) == 403
    server.reject_all_api(None)
    assert me(client, access) == 200


def test_everything_asked_is_recorded(make: Make) -> None:
    server, client = make()
    access = server.issue().access
    me(client, access)
    me(client, "other")
    [first, second] = server.api_calls
    assert (first.method, first.path, first.status, first.token) == ("GET", "/api/me/", 200, "current")
    assert (second.status, second.token) == (401, "unknown")
    assert access not in repr(first)
    server.reset_counts()
    assert server.requests == []


def test_one_server_has_both_faces() -> None:
    with TokenServer() as server:
        pair = refresh(httpx.Client(transport=server.transport, base_url="http://test"), server.issue().refresh).json()
        answer = httpx.get(f"{server.url}/api/me/", headers={"Authorization": f"Bearer {pair['access']}"})
        assert answer.json() == {"user": "ada"}
        assert len(server.requests) == 2


def test_close_frees_the_port() -> None:
    server = TokenServer()
    url = server.url
    server.close()
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_connection_that_comes_while_it_closes_is_closed_too() -> None:
    server = TokenServer()
    url = httpx.URL(server.url)
    listener: Any = server._listener
    with socket.socket() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def connect_and_close() -> None:
            client.connect((url.host, url.port))
            listener._loop.call_soon(listener._closing.set)  # in the round in which the connection is accepted

        listener._loop.call_soon_threadsafe(connect_and_close)
        listener._thread.join(PATIENCE)
        server.close()
        gc.collect()
        client.settimeout(PATIENCE)
        assert client.recv(1) == b""
    assert [str(warning.message) for warning in caught] == []


def test_who_does_not_read_his_answer_is_closed_too() -> None:
    with socket.socket() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with TokenServer() as server:
            server.always(faults.Fault(status=200, body=b"0" * 50_000_000))
            url = httpx.URL(server.url)
            client.connect((url.host, url.port))
            client.sendall(b"POST /api/token/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert client.recv(1) == b"H", "it is answering"
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_who_has_not_read_his_last_answer_is_closed_too() -> None:
    """It fits into what asyncio keeps for him, so who answered him was done."""
    with socket.socket() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with TokenServer() as server:
            server.always(faults.Fault(status=200, body=b"0" * 60_000))
            url = httpx.URL(server.url)
            listener: Any = server._listener
            listener._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.connect((url.host, url.port))
            client.sendall(b"POST /api/token/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert client.recv(1) == b"H"
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_server_that_was_closed_before_it_had_a_port_says_so() -> None:
    server = TokenServer()
    server.close()
    with pytest.raises(RuntimeError, match="with block"):
        server.url  # noqa: B018


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="reuse must be one of revoke_family, reject, allow; got 'nope'"):
        TokenServer(reuse="nope")  # type: ignore[arg-type]
    with TokenServer() as server:
        for say in (server.script, server.always):
            with pytest.raises(TypeError, match=r"such as faults.unavailable\(503\); got 503"):
                say(503)  # type: ignore[arg-type]


def test_a_pair_may_be_another_users_also_after_a_refresh() -> None:
    with TokenServer() as server:
        ada, bob = server.issue(), server.issue(user="bob")
        pairs: list[Any] = [ada, bob]
        for given in (ada, bob):
            session = Session(
                simplejwt("https://api.example.com", transport=server.transport),
                tokens=Tokens(given.access, given.refresh),
            )
            pairs.append(session.replace().run())
        assert [Tokens(pair.access).claims["sub"] for pair in pairs] == ["ada", "bob", "ada", "bob"]


def test_each_pair_issued_after_the_first_sign_in_is_another_accounts(make: Make) -> None:
    server, _ = make()
    subjects = [server.issue().tokens.claims["sub"] for _ in range(3)]
    assert subjects[0] == server.user
    assert len(set(subjects)) == 3
