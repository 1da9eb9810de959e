"""`python -m rxauth.demo.fleet`: many processes share one sign-in, one of them is killed, and nobody is signed out."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from rxauth.bearer import BearerAuth
from rxauth.demo.backend import Backend, BackendError, backend
from rxauth.demo.fleet_storage import open_storage
from rxauth.demo.fleet_worker import PAUSE, Tally, member
from rxauth.errors import RxAuthError
from rxauth.storage import SharedStorage


@dataclass
class Worker:
    """One process, and what it says of itself: a line of JSON each second, and one at its end."""

    number: int
    process: subprocess.Popen[str]
    killed: bool = False
    tally: Tally = field(default_factory=Tally)

    def finish(self, timeout: float) -> None:
        out, _ = self.process.communicate(timeout=timeout)
        for line in out.splitlines():
            self.tally = Tally(**json.loads(line))


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    logging.getLogger("rxauth").addHandler(logging.NullHandler())
    out = Console()
    try:
        with (
            backend(life=options.life, latency=0.02, token_latency=0.1) as server,
            _place(options.storage, options.redis) as place,
        ):
            return asyncio.run(_run(server, place, options, out))
    except (ModuleNotFoundError, BackendError, FileNotFoundError, RxAuthError) as error:
        print(f"{error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


async def _run(server: Backend, place: str, options: argparse.Namespace, out: Console) -> int:
    storage, here = open_storage(place), Tally()
    kind = "a file" if place.startswith("file:") else "Redis"
    out.print(f"[bold]{options.workers} workers and a client[/] share one sign-in in {kind} for {options.seconds:g} s;")
    out.print(f"the access tokens live {options.life:g} s, and one of the workers is killed")
    session = member(server.url, place, here)
    await session.login(username=server.user, password=server.password)
    server.reset_counts()
    first = _generation(storage)
    workers = [_start(number, server.url, place, options.seconds) for number in range(1, options.workers + 1)]
    killing = asyncio.create_task(asyncio.to_thread(_kill_one, workers[0], storage, options.seconds / 2))
    async with httpx.AsyncClient(base_url=server.url, auth=BearerAuth(session), timeout=30) as client:
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            here.calls += 1
            try:
                here.note((await client.get("/api/me/")).status_code)
            except Exception as error:
                here.note_error(error)
            await asyncio.sleep(PAUSE)
    await killing
    for worker in workers:
        await asyncio.to_thread(worker.finish, 60)
    counts, advanced = server.counts(), _generation(storage) - first
    session.close()
    out.print(_table(here, workers))
    living = [here, *(worker.tally for worker in workers if not worker.killed)]
    lost, ends = sum(tally.lost for tally in living), sum(tally.ended for tally in living)
    good = counts.refreshes == advanced > 0 and counts.refused_refreshes == lost == ends == 0
    mark = "[bold green]✓[/]" if good else "[bold red]✗[/]"
    out.print(f"{mark} [bold]{counts.refreshes} refreshes[/] at the server, [bold]{advanced} generations[/] stored")
    out.print(f"  {counts.refused_refreshes} refused, {lost} lost calls, {ends} sign-outs")
    for said in sorted({said for tally in living for said in tally.errors}):
        out.print(f"  [red]{said}[/]")
    return 0 if good else 1


def _start(number: int, url: str, place: str, seconds: float) -> Worker:
    command = [sys.executable, "-m", "rxauth.demo.fleet_worker", url, place, str(seconds)]
    return Worker(number, subprocess.Popen(command, stdout=subprocess.PIPE, text=True))


def _kill_one(worker: Worker, storage: SharedStorage, after: float) -> None:
    """Kill it right after a refresh: one that dies with an answer in its hands takes the new tokens along, and what is
    left is in doubt, which only the server can resolve."""
    time.sleep(after)
    before = _generation(storage)
    while _generation(storage) == before:
        time.sleep(0.01)
    worker.process.kill()
    worker.killed = True


def _generation(storage: SharedStorage) -> int:
    record = storage.load()
    return 0 if record is None else record.generation


def _table(here: Tally, workers: list[Worker]) -> Table:
    table = Table("process", "calls answered", "new tokens", "fetched by itself", box=None, pad_edge=False)
    for name, tally in [("client", here), *((f"worker {worker.number}", worker.tally) for worker in workers)]:
        table.add_row(name, *map(str, (tally.answered, tally.pairs, tally.posts)))
    table.rows[1].style = "dim"
    return table


@contextmanager
def _place(kind: str, redis: str | None) -> Iterator[str]:
    """Where the sign-in is shared: a file in a folder of its own, a Redis of its own, or the one that is given."""
    if redis is not None:
        yield redis
        return
    folder = Path(tempfile.mkdtemp(prefix="rxauth-fleet-"))
    try:
        if kind == "file":
            yield f"file:{folder / 'tokens' / 'session.json'}"
            return
        server = shutil.which("redis-server")
        if server is None:
            raise FileNotFoundError("redis-server is not installed: apt-get install redis-server, or --storage file")
        socket = folder / "redis.sock"
        command = [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                while not socket.exists():
                    time.sleep(0.02)
                yield f"unix://{socket}"
            finally:
                process.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rxauth.demo.fleet", description=__doc__)
    parser.add_argument("--storage", choices=["redis", "file"], default="redis", help="where the sign-in is shared")
    parser.add_argument("--redis", metavar="URL", help="a Redis that runs already; its key rxauth:fleet is used")
    parser.add_argument("--workers", type=int, default=8, help="how many processes (default 8)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long (default 20)")
    parser.add_argument("--life", type=float, default=3.0, help="of the access token, in seconds (default 3)")
    options = parser.parse_args(arguments)
    if options.workers < 2 or options.seconds <= 0 or options.life <= 0:
        parser.error("--workers is 2 or more, --seconds and --life are more than 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
