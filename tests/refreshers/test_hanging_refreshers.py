"""B116: what takes for ever is bounded in time, or at least in threads, however many probes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from rxauth import Session, Tokens
from rxauth.concurrency import Runtime
from rxauth.errors import RefreshTimeout, RefreshUnavailable
from rxauth.refreshers import simplejwt
from rxauth.refreshers.posting import _Bounded
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale


@contextmanager
def dribbling(what: bytes) -> Iterator[str]:
    """A server that sends this, and then one byte of a header after the other, until the client hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=dribble, args=(connection,), daemon=True).start()

        def dribble(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(what)
                while not over.wait(0.02):
                    connection.sendall(b"x")

        over = threading.Event()
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        serving.join(60)


class Counted(Runtime):
    """Keeps the threads that it started."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def spawn(self, work: Any, name: str, *, linger: float = 0.0) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    @property
    def alive(self) -> int:
        return sum(thread.is_alive() for thread in self.threads)


@pytest.mark.parametrize("what", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "], ids=["status", "headers"])
@pytest.mark.parametrize("lent", [False, True], ids=["own", "lent transport"])
def test_headers_that_dribble_end_after_the_time_that_anybody_listens(
    what: bytes, lent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxauth.refreshers.posting.READ_TIMEOUT", 0.3)
    transport = httpx.HTTPTransport() if lent else None
    with dribbling(what) as url:
        runtime = Counted()
        refresher = simplejwt(url, **{"transport": transport} if transport is not None else {})  # type: ignore[arg-type]
        session = Session(
            refresher,
            tokens=Tokens("old", "r", expires_at=1.0),
            time=runtime,
            deadline=0.05,
            listen=0.0,
            cool_down=0.0,
        )
        for _ in range(5):
            with pytest.raises(RefreshUnavailable):
                session.fresh().run()
        for thread in runtime.threads:
            thread.join(60)
        assert runtime.alive == 0
        assert session.auth.in_doubt
    if transport is not None:
        transport.close()


def test_a_lent_connection_is_not_bound_to_the_end_of_an_earlier_request() -> None:
    class Stream:
        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return b"x" * max_bytes

    time, stream = VirtualTime(), Stream()
    with _Bounded(time) as bounded:
        bounded("connection.connect_tcp.complete", {"return_value": stream})
        assert stream.read(2, timeout=5) == b"xx"
        time.advance(91)
        with pytest.raises(httpx.ReadTimeout, match="longer than 90 s"):
            stream.read(2, timeout=5)
    assert stream.read(2, timeout=5) == b"xx"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_callable_that_never_returns_holds_four_threads_however_many_probes(is_async: bool) -> None:
    runtime, over, posted = Counted(), threading.Event(), list[str | None]()

    def refresh(tokens: Tokens) -> Any:
        posted.append(tokens.refresh)
        over.wait(60)
        return {"access": "new", "refresh": "next", "expires_in": 300}

    async def refresh_async(tokens: Tokens) -> Any:
        posted.append(tokens.refresh)
        while not over.is_set():
            await asyncio.sleep(0.01)
        return {"access": "new", "refresh": "next", "expires_in": 300}

    session = Session(
        refresh_async if is_async else refresh,
        tokens=Tokens("old", "r", expires_at=1.0),
        time=runtime,
        deadline=0.01,
        listen=0.0,
        cool_down=0.0,
    )
    errors = []
    for _ in range(12):
        with pytest.raises(RefreshUnavailable) as caught:
            session.fresh().run()
        errors.append(caught.value)
    assert [type(error) for error in errors[:2]] == [RefreshTimeout] * 2
    assert all("refresh" in str(error) and "have not returned" in str(error) for error in errors[2:])
    assert errors[-1].cause == "in_doubt"
    over.set()
    for thread in runtime.threads:
        thread.join(60)
    assert posted == ["r", "r"]
    assert session.fresh().run().access == "new"


def test_a_call_that_returns_at_last_makes_room_for_the_next_probe() -> None:
    time, refresher, session = make()
    refresher.latency, refresher.script = 400.0, [OSError()] * 2
    for _ in range(300):
        Caller(session.fresh())
        time.advance(1)
    assert refresher.posts == 2
    refresher.latency = 0.1
    time.advance(300)
    assert session.fresh().run().access == "access-3"


def test_a_call_for_another_sign_in_is_not_held_up() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time, latency=1e6)
    session = Session(refresher, tokens=stale(time), time=time)
    for _ in range(300):
        Caller(session.fresh())
        time.advance(1)
    assert refresher.posts == 2
    session.sign_in(pair(time, 300, name="bob")).run()
    refresher.latency = 0.1
    assert session.replace().run().access == "access-3"
