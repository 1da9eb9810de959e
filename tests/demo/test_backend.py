"""The demo backend is a real Django server: what it answers, what it counts, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from rxauth import BearerAuth, Session, simplejwt
from rxauth.demo import Backend, BackendError, Counts, backend
from rxauth.errors import LoginFailed, SessionExpired
from tests.storage.storage_kit import until

#: How long an answer may take, in seconds: Django hashes passwords, and 64 threads share what a busy machine leaves.
PATIENCE = 60.0
get, post = partial(httpx.get, timeout=PATIENCE), partial(httpx.post, timeout=PATIENCE)


@pytest.fixture(scope="module")
def running() -> Iterator[Backend]:
    with backend(life=60) as server:
        yield server


@pytest.fixture
def server(running: Backend) -> Backend:
    running.reset_counts()
    return running


def log_in(server: Backend) -> dict[str, str]:
    answer = post(f"{server.url}/api/token/", json={"username": server.user, "password": server.password})
    pair: dict[str, str] = answer.raise_for_status().json()
    return pair


def test_it_speaks_simplejwt(server: Backend) -> None:
    pair = log_in(server)
    header = {"Authorization": f"Bearer {pair['access']}"}
    assert get(f"{server.url}/api/me/", headers=header).json() == {"username": "ada"}
    echo = post(f"{server.url}/api/echo/", headers=header, json={"message": "hi"})
    assert echo.json() == {"message": "hi", "user": "ada"}
    refused = get(f"{server.url}/api/me/", headers={"Authorization": "Bearer x.y.z"})
    assert (refused.status_code, refused.json()["code"]) == (401, "token_not_valid")
    assert refused.headers["www-authenticate"] == 'Bearer realm="api"'
    assert server.counts() == Counts(calls=3, answers=2, unauthorized=1, logins=1)


def test_a_spent_refresh_token_is_blacklisted_and_eight_at_once_bring_one_pair(server: Backend) -> None:
    pair = log_in(server)

    def refresh(_: int) -> int:
        return post(f"{server.url}/api/token/refresh/", json={"refresh": pair["refresh"]}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(refresh, range(8)))
    assert statuses == [200] + [401] * 7
    assert (server.counts().refreshes, server.counts().refused_refreshes) == (1, 7)


def test_a_session_lives_on_it(server: Backend) -> None:
    session: Session[object] = Session(simplejwt(server.url, logout_path="/api/token/blacklist/"))
    session.login(username=server.user, password=server.password).run()
    with httpx.Client(auth=BearerAuth(session), base_url=server.url, timeout=PATIENCE) as client:
        assert client.get("/api/me/").status_code == 200
        session.replace().run()
        assert client.get("/api/me/").status_code == 200
    last = session.auth.tokens
    session.logout().run()
    assert last is not None
    again = post(f"{server.url}/api/token/refresh/", json={"refresh": last.refresh})
    assert again.status_code == 401, "the logout was told to the server"


def test_revoke_ends_every_session_and_logins_work_again(server: Backend) -> None:
    session: Session[object] = Session(simplejwt(server.url))
    session.login(username=server.user, password=server.password).run()
    server.revoke()
    with (
        httpx.Client(auth=BearerAuth(session), base_url=server.url, timeout=PATIENCE) as client,
        pytest.raises(SessionExpired),
    ):
        client.get("/api/me/")
    session.login(username=server.user, password=server.password).run()
    with httpx.Client(auth=BearerAuth(session), base_url=server.url, timeout=PATIENCE) as client:
        assert client.get("/api/me/").status_code == 200


def test_a_wrong_password_is_a_failed_login(server: Backend) -> None:
    session: Session[object] = Session(simplejwt(server.url))
    with pytest.raises(LoginFailed) as caught:
        session.login(username=server.user, password="no").run()
    assert (caught.value.status_code, caught.value.transient) == (401, False)


def test_register_is_an_anonymous_call(server: Backend) -> None:
    answer = post(f"{server.url}/api/register/", json={"username": "grace", "password": "hopper"})
    assert (answer.status_code, answer.json()) == (201, {"username": "grace"})


def test_only_its_owner_may_ask_it_for_counts(server: Backend) -> None:
    for command in ("counts", "reset", "revoke", "nothing"):
        assert post(f"{server.url}/__{command}__/", headers={"X-Rxauth-Demo": "guess"}).status_code == 404
    assert get(f"{server.url}/__counts__/").status_code == 404


def test_two_backends_at_once_and_stop_frees_the_port_and_the_files() -> None:
    with backend() as one, backend() as two:
        assert one.url != two.url
        log_in(one)
        assert (one.counts().logins, two.counts().logins) == (1, 0)
        folder, port = one._folder, int(one.url.rpartition(":")[2])
    assert not folder.exists()
    until(lambda: _is_free(port), "the port is free")  # unless somebody else got it at once
    one.stop()
    assert "stopped" in repr(one)
    with pytest.raises(BackendError, match="does not answer"):
        one.counts()


def test_it_stops_with_its_parent_however_that_ends() -> None:
    program = """
        import sys, time
        from rxauth.demo import backend
        server = backend()
        print(server.url.rpartition(":")[2], server._process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        port, pid = map(int, parent.stdout.readline().split())
        parent.send_signal(signal.SIGKILL)
        parent.wait(60)
        until(lambda: not _listens(port), "the server has ended with its parent")
        assert pid > 0
    finally:
        parent.kill()
        parent.wait(60)
        if parent.stdout is not None:
            parent.stdout.close()


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
