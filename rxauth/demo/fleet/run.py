"""`python -m rxauth.demo.fleet`: many processes share one sign-in, one of them is killed, and nobody is signed out."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from rxauth.demo.backend import Backend, BackendError, backend
from rxauth.demo.fleet.storage import Place, place
from rxauth.demo.fleet.view import Board, Lane, verdict
from rxauth.demo.fleet.worker import CALL_TIMEOUT, PAUSE, READY, Tally, member
from rxauth.errors import RxAuthError
from rxauth.http.bearer import BearerAuth
from rxauth.session.session import Session
from rxauth.storage import SharedStorage

#: How long a process may take to start, and to end after its last call, in seconds: on a machine that is busy, too.
START, END = 120.0, CALL_TIMEOUT + 60.0

#: How often the server and the storage are asked how far they are, in seconds.
LOOK = 0.1


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    logging.getLogger("rxauth").addHandler(logging.NullHandler())  # what it would warn of is on the screen
    try:
        with (
            place(options.storage, options.redis) as shared,
            backend(life=options.life, latency=0.02, token_latency=0.1) as server,
        ):
            return asyncio.run(_run(server, shared, options, Console()))
    except (ImportError, BackendError, RxAuthError, TimeoutError) as error:
        print(f"{error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


async def _run(server: Backend, shared: Place, options: argparse.Namespace, out: Console) -> int:
    out.print(f"[bold]rxauth[/]: {options.workers} workers and a client on one sign-in, against Django + simplejwt")
    if shared.note:
        out.print(f"[yellow]{shared.note}[/]")
    workers = [Worker(number) for number in range(1, options.workers + 1)]
    try:
        with out.status(f"starting {options.workers} processes"):
            await asyncio.to_thread(_until_ready, workers)
        fleet = Fleet(server, shared, workers, options.seconds, options.life)
        return await fleet.run(out)
    finally:
        for worker in workers:
            worker.stop()


class Fleet:
    """One run: the client of this process, its workers, and what the server and the storage say of them."""

    def __init__(self, server: Backend, shared: Place, workers: list[Worker], seconds: float, life: float) -> None:
        self._server, self._shared, self._workers = server, shared, workers
        self._storage = shared.open()
        self._seconds = seconds
        self._own = Lane("client", Tally())
        lanes = [self._own, *(worker.lane for worker in workers)]
        self._board = Board(shared.kind, lanes, seconds, life)

    async def run(self, out: Console) -> int:
        """Returns 0 if each refresh token was posted once and nobody noticed anything, else 1."""
        server, board = self._server, self._board
        with member(server.url, self._shared, self._own.tally) as session:
            await session.login(username=server.user, password=server.password)
            board.first = board.generation = _generation(self._storage)
            server.reset_counts()
            board.began = time.time()
            with Live(console=out, refresh_per_second=5, get_renderable=lambda: board):
                for worker in self._workers:
                    worker.go(server.url, self._shared, self._seconds)
                looking = asyncio.create_task(self._look_around())
                killing = asyncio.create_task(self._kill_one())
                await self._call(session)
                await killing
                for worker in self._workers:
                    await asyncio.to_thread(worker.finish)
                while session.is_busy:
                    await asyncio.sleep(PAUSE)
                board.over = True
                await looking
                await asyncio.to_thread(self._look)
        out.print(verdict(board))
        return 0 if board.is_good else 1

    async def _call(self, session: Session[Any]) -> None:
        """What a notebook would do: calls on an event loop of its own."""
        async with httpx.AsyncClient(
            base_url=self._server.url, auth=BearerAuth(session), timeout=CALL_TIMEOUT
        ) as client:
            end = time.monotonic() + self._seconds
            while time.monotonic() < end:
                try:
                    self._own.tally.note(await client.get("/api/me/"))
                except Exception as error:
                    self._own.tally.note(error)
                await asyncio.sleep(PAUSE)

    async def _kill_one(self) -> None:
        await asyncio.sleep(self._seconds / 2)
        await asyncio.to_thread(self._kill_between_two_refreshes)

    def _kill_between_two_refreshes(self) -> None:
        """Nobody refreshes while we are in the section, so it dies between two refreshes.

        One that dies with the server's answer in its hands takes the new tokens along, and what is left is in doubt:
        only a server's grace period could help, and simplejwt has none.
        """
        with self._storage.exclusive(END):
            max(self._workers, key=lambda worker: max(worker.lane.tally.fetched, default=0.0)).kill()

    async def _look_around(self) -> None:
        while not self._board.over:
            with contextlib.suppress(Exception):  # a server that is too busy to answer; the last look tells
                await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK)

    def _look(self) -> None:
        counts = self._server.counts()
        self._board.note(counts.refreshes, counts.refused_refreshes, _generation(self._storage))


class Worker:
    """A process of the fleet, which says how far it is."""

    def __init__(self, number: int) -> None:
        self.lane = Lane(f"worker {number}", Tally())
        self.is_ready = threading.Event()
        self._other_words: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rxauth.demo.fleet.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a Ctrl-C is for us alone, and ends it by its stdin
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def go(self, url: str, shared: Place, seconds: float) -> None:
        """Have it begin. One that is gone already is reported when it is finished."""
        assert self._process.stdin is not None
        orders = json.dumps({"url": url, "place": shared.as_dict(), "seconds": seconds})
        with contextlib.suppress(BrokenPipeError):
            print(orders, file=self._process.stdin, flush=True)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self.lane.killed = time.time()

    def finish(self) -> None:
        """Wait until it has ended by itself; if it does not, or does with an error, that is a failure of the run."""
        try:
            status = self._process.wait(END)
        except subprocess.TimeoutExpired:
            self.lane.broken = f"was still there {END:g} s after its last call"
            return
        self._reader.join(END)
        if status != 0 and self.lane.killed is None:
            self.lane.broken = "\n".join([f"ended with status {status}", *self._other_words])

    def stop(self) -> None:
        """End it, if it is there."""
        self._process.kill()
        self._process.wait()
        self._reader.join(END)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == READY:
                self.is_ready.set()
            elif line.startswith("{"):
                self.lane.tally = Tally(**json.loads(line))
            else:
                self._other_words.append(line.rstrip())
        self.is_ready.set()


def _until_ready(workers: list[Worker]) -> None:
    end = time.monotonic() + START
    for worker in workers:
        worker.is_ready.wait(max(0.0, end - time.monotonic()))


def _generation(storage: SharedStorage) -> int:
    record = storage.load()
    return 0 if record is None else record.generation


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rxauth.demo.fleet", description=__doc__)
    parser.add_argument(
        "--storage", choices=["redis", "file"], help="where the sign-in is shared (default redis, else file)"
    )
    parser.add_argument("--redis", metavar="URL", help="a Redis that runs already; a key of its own is used there")
    parser.add_argument("--workers", type=int, default=8, help="how many processes (default 8)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long (default 20)")
    parser.add_argument("--life", type=float, default=3.0, help="of the access token, in seconds (default 3)")
    options = parser.parse_args(arguments)
    if options.workers < 2 or options.seconds <= 0 or options.life <= 0:
        parser.error("--workers is 2 or more, --seconds and --life are more than 0")
    if options.redis is not None and options.storage == "file":
        parser.error("--redis and --storage file do not go together")
    return options
