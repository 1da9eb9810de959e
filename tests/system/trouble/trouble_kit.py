"""Real threads, wires and processes, and how to wait for them without luck."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from rxauth import Session, Tokens, simplejwt
from rxauth.testing import TokenServer

ROOT = Path(__file__).parents[3]
#: How long anything may take, in seconds, before a test fails.
PATIENCE = 60.0


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for `holds()`, which is asked again and again."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.005)


async def until_async(holds: Callable[[], object], what: str) -> None:
    """The same on asyncio and on trio."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for {what}"
        await anyio.sleep(0.005)


class Sluice:
    """A relay in front of a server: requests pass at once, answers wait while it is shut.

    `holding` is set when an answer has come, so the server has done what was asked, and nobody has been told.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = threading.Event()
        self.holding = threading.Event()
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        """Hold the answers that come from now on."""
        self._open.clear()
        self.holding.clear()

    def close(self) -> None:
        self.open()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, work: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, name="sluice", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._run(self._relay, self._listener.accept()[0])

    def _relay(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            requests = self._run(self._pump, client, server, lambda: None)
            self._pump(server, client, self._hold)
            requests.join(PATIENCE)

    def _hold(self) -> None:
        self.holding.set()
        self._open.wait()

    def _pump(self, source: socket.socket, target: socket.socket, before: Callable[[], None]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                before()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Stage:
    """A token server, and the sluice through which its token endpoint is reached."""

    server: TokenServer
    sluice: Sluice

    def session(self, *, expired: bool = True, **options: Any) -> Session[Any]:
        """Signed in, with a stale access token."""
        given = self.server.issue(expired=expired)
        refresher = simplejwt(self.sluice.url)
        return Session(refresher, tokens=Tokens(given.access, given.refresh), origins=[self.server.url], **options)

    @property
    def asked(self) -> tuple[int, int]:
        """How many refreshes reached the server, and how many of them with a spent token."""
        return self.server.posts, self.server.reuses


@contextmanager
def stage(*, shut: bool = True) -> Iterator[Stage]:
    with TokenServer() as server:
        sluice = Sluice(server.url)
        if not shut:
            sluice.open()
        try:
            yield Stage(server, sluice)
        finally:
            sluice.close()


def waiting(session: Session[Any]) -> int:
    """How many wait for the refresh in flight."""
    flight = session._flight
    return len(flight[1]._waiters) if flight is not None else 0


class Crew:
    """Threads that must all end in time; what one of them raises fails the test."""

    def __init__(self, *jobs: Callable[[], Any]) -> None:
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(job,), daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def _run(self, job: Callable[[], Any]) -> None:
        try:
            job()
        except BaseException as error:
            self.errors.append(error)

    def join(self) -> None:
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.errors:
            raise self.errors[0]
        assert not any(thread.is_alive() for thread in self._threads), "a thread hangs"
