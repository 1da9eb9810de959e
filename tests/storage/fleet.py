"""Processes that share one sign-in, at their work: `python -m tests.storage.fleet --storage file --processes 10`.

Each has a session of its own and calls an API whose tokens live for a second or so. For each generation of tokens one
of them may refresh, and nobody's call may fail. Prints a line for each run; ends with status 1 if a run was not good.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rxauth import BearerAuth, Session, simplejwt
from rxauth.session import SessionEnded
from rxauth.storage import Record, SharedStorage
from rxauth.testing import TokenServer
from rxauth.testing.server.handler import is_refresh

#: Between two calls of one process, in seconds.
PAUSE = 0.02
#: For how long a process may be at its last call, and a fleet at one generation more than the tokens live, in seconds.
LAST_CALL, PATIENCE = 60.0, 60.0
#: Of each session: a save is not given up on a disk that is busy with something else.
SETTINGS = {"refresh_ahead": 0.0, "save_timeout": 30.0}


@dataclass(slots=True)
class Tally:
    """What became of one process."""

    calls: int = 0
    failed: int = 0
    ended: int = 0
    whys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """How big a run is. Times in seconds; without a `leeway` the session's own."""

    storage: str = "file"
    processes: int = 10
    generations: int = 20
    life: float = 1.0
    leeway: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: at the server, in the storage and in the processes."""

    generations: int
    posts: int
    refused: int
    reuses: int
    second_tries: int
    calls: int
    failed: int
    ended: int
    whys: tuple[str, ...]
    seconds: float

    def is_good(self, plan: Plan) -> bool:
        """Each generation was posted for once, and nobody noticed anything."""
        nothing = not (self.refused or self.reuses or self.failed or self.ended or self.whys)
        return nothing and self.calls > 0 and self.posts == self.generations >= plan.generations

    def __str__(self) -> str:
        return (
            f"{self.generations} generations, {self.posts} posts, {self.refused} refused, {self.reuses} reused, "
            f"{self.ended} sign-outs, {self.calls} calls, {self.second_tries} sent twice, {self.failed} failed, "
            f"{self.seconds:.1f} s"
        )


def run(plan: Plan) -> Outcome:
    """One fleet, from its first process to the end of its last."""
    start = time.monotonic()
    with TokenServer(life=plan.life) as server, _place(plan.storage) as place:
        storage = opened(place)
        with Session(simplejwt(server.url), storage=storage, tokens=server.issue().tokens, **SETTINGS):
            first = _generation(storage)
        members = [Member(server.url, place, plan.leeway) for _ in range(plan.processes)]
        try:
            _wait(members, storage, first + plan.generations, plan)
        finally:
            tallies = [member.end() for member in members]
        refreshes = [seen for seen in server.requests if is_refresh(seen)]
        statuses = Counter(seen.status for seen in server.api_calls)
        return Outcome(
            _generation(storage) - first,
            len(refreshes),
            sum(seen.status != 200 for seen in refreshes),
            server.reuses,
            statuses[401],
            sum(tally.calls for tally in tallies),
            sum(tally.failed for tally in tallies),
            sum(tally.ended for tally in tallies),
            tuple(why for tally in tallies for why in tally.whys),
            time.monotonic() - start,
        )


class Member:
    """A process of the fleet. It ends when its stdin does, so that it can not outlive this one."""

    def __init__(self, url: str, place: str, leeway: float | None) -> None:
        command = [sys.executable, "-m", "tests.storage.fleet", "--member", url, place, json.dumps(leeway)]
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> Tally:
        """Have it make its last call, and say what became of it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(LAST_CALL + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(60)
        if self.process.returncode != 0 or not self._said:
            return Tally(whys=[f"a process ended with status {self.process.returncode}"])
        return Tally(**json.loads(self._said[-1]))

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self._said.extend(said)


def work(url: str, place: str, leeway: float | None) -> Tally:
    """What a process of the fleet does until its stdin ends."""
    over = threading.Event()
    threading.Thread(target=_listen, args=(over,), daemon=True).start()
    tally = Tally()
    with (
        Session(simplejwt(url), storage=opened(place), **SETTINGS, leeway=leeway) as session,
        httpx.Client(base_url=url, auth=BearerAuth(session), timeout=LAST_CALL) as client,
    ):
        session.store.actions.of_type(SessionEnded).subscribe(lambda _: _note_end(tally))
        while not over.is_set():
            tally.calls += 1
            why = _call(client)
            if why is not None:
                tally.failed += 1
                tally.whys.append(why)
            over.wait(PAUSE)
    return tally


def opened(place: str) -> SharedStorage:
    """The storage at a place: the path of a file, or the URL of a Redis."""
    if place.startswith("redis:"):
        from rxauth.storage.redis import RedisStorage

        return RedisStorage(place, lease=300.0, timeout=LAST_CALL)
    from rxauth.storage.file import FileStorage

    return FileStorage(place)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storage.fleet", description=__doc__)
    parser.add_argument("--storage", choices=["file", "redis"], default="file")
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--life", type=float, default=1.0, help="of an access token, in whole seconds")
    options = parser.parse_args(arguments)
    plan = Plan(options.storage, options.processes, options.generations, options.life)
    outcomes = []
    for number in range(1, options.runs + 1):
        outcome = run(plan)
        outcomes.append(outcome)
        print(f"{plan.storage} {number}: {'good' if outcome.is_good(plan) else 'BAD'}, {outcome}", flush=True)
        for why in sorted(set(outcome.whys)):
            print(f"  {why}", flush=True)
    good = sum(outcome.is_good(plan) for outcome in outcomes)
    print(
        f"{plan.storage}: {good} of {len(outcomes)} runs good, each with {plan.processes} processes: {_sum(outcomes)}"
    )
    return 0 if good == len(outcomes) else 1


def _sum(outcomes: list[Outcome]) -> str:
    names = ("generations", "posts", "refused", "ended", "calls", "failed")
    return ", ".join(f"{sum(getattr(outcome, name) for outcome in outcomes)} {name}" for name in names)


def _wait(members: list[Member], storage: SharedStorage, generation: int, plan: Plan) -> None:
    """Until that generation is stored, or a process has ended, or nothing new has come for too long."""
    last, since = -1, time.monotonic()
    while last < generation and time.monotonic() - since < plan.life + PATIENCE:
        if any(member.process.poll() is not None for member in members):
            return
        now = _generation(storage)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


def _generation(storage: SharedStorage) -> int:
    record: Record | None = storage.load()
    return 0 if record is None else record.generation


def _call(client: httpx.Client) -> str | None:
    """Why the call failed, if it did."""
    try:
        status = client.get("/api/me/").status_code
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None if status == 200 else f"status {status}"


def _note_end(tally: Tally) -> None:
    tally.ended += 1


def _listen(over: threading.Event) -> None:
    """Until the process above closes its end, or is gone; then this one ends, too, also if it hangs."""
    sys.stdin.read()
    over.set()
    time.sleep(LAST_CALL)
    os._exit(2)


@contextmanager
def _place(kind: str) -> Iterator[str]:
    """A file, or a Redis, of the run's own."""
    if kind == "file":
        with tempfile.TemporaryDirectory(prefix="rxauth-fleet-") as folder:
            yield str(Path(folder) / "app" / "tokens")
        return
    from tests.storage.redis_kit import Server

    server: Any = Server()
    try:
        yield server.url
    finally:
        server.end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--member"]:
        print(json.dumps(asdict(work(sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))), flush=True)
    else:
        sys.exit(main())
