"""`make bench-storage`: what a refresh costs more when the tokens are kept in a file or in Redis, and a fresh call.

All kinds refresh in turn, A B C, B C A, in one process, against one server on loopback: real time, because much of it
is waiting for a disk or another process. The bare refresh is that of a session which keeps its tokens in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.demo import BackendError
from rxauth.demo.fleet.storage import place
from rxauth.storage import Key, MemoryStorage, Record, SharedStorage, TokenStorage
from rxauth.storage.file import FileStorage
from rxauth.testing import TokenServer

URL = "https://api.example.com"


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The median of the rounds, and how much they vary."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, rounds: list[float]) -> Quartiles:
        return cls(*statistics.quantiles(rounds, n=4))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a refresh takes with one kind of storage, and how much more than the bare one in the same round."""

    kind: str
    milliseconds: Quartiles
    extra: Quartiles
    ratio: Quartiles


def refreshes(kinds: dict[str, TokenStorage], count: int, rounds: int) -> list[Cost]:
    """Each kind refreshes `count` times in each round. The first is the bare one; the first round is a warm-up."""
    with TokenServer() as server, contextlib.ExitStack() as stack:
        sessions: dict[str, Session[Any]] = {
            # A window of no time, so that so many refreshes at once are not taken for trouble.
            kind: stack.enter_context(
                Session(simplejwt(server.url), storage=storage, tokens=server.issue().tokens, excess_window=0.0)
            )
            for kind, storage in kinds.items()
        }
        spent: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(rounds + 1):
            order = list(sessions)[number % len(sessions) :] + list(sessions)[: number % len(sessions)]
            for kind in order:
                seconds = _timed(partial(_refresh, sessions[kind], count))
                if number:
                    spent[kind].append(seconds / count * 1000)
        posts = len(kinds) * count * (rounds + 1)
        assert (server.posts, server.reuses) == (posts, 0), "each refresh is one post"
    bare, *others = spent
    return [_cost(bare, spent[bare], spent[bare]), *(_cost(kind, spent[kind], spent[bare]) for kind in others)]


def _refresh(session: Session[Any], times: int) -> None:
    for _ in range(times):
        session.replace().run()


def _cost(kind: str, spent: list[float], bare: list[float]) -> Cost:
    pairs = list(zip(spent, bare, strict=True))
    return Cost(
        kind,
        Quartiles.of(spent),
        Quartiles.of([mine - theirs for mine, theirs in pairs]),
        Quartiles.of([mine / theirs for mine, theirs in pairs]),
    )


class Counted:
    """A storage that counts how often it is asked for anything."""

    def __init__(self, storage: SharedStorage) -> None:
        self.calls = 0
        self._storage = storage

    def load(self) -> Record | None:
        self.calls += 1
        return self._storage.load()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self.calls += 1
        return self._storage.save(record, replaces)

    def clear(self, sign_in: str) -> None:
        self.calls += 1
        self._storage.clear(sign_in)

    def exclusive(self, wait: float) -> AbstractContextManager[None]:
        self.calls += 1
        return self._storage.exclusive(wait)


def fresh_calls(storage: SharedStorage, calls: int) -> int:
    """How often the storage was asked for anything while so many calls went out with a fresh token."""
    counted = Counted(storage)
    tokens = Tokens("a" * 300, "r", expires_at=4e9)
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"{}"))
    session: Session[Any] = Session(_never, storage=counted, tokens=tokens, origins=[URL])
    with session, httpx.Client(transport=transport, base_url=URL, auth=BearerAuth(session)) as client:
        before = counted.calls
        assert before > 0, "the pair was stored"
        for _ in range(calls):
            client.get("/me").raise_for_status()
        return counted.calls - before


def _never(tokens: Tokens) -> Tokens:
    raise AssertionError("fresh tokens must not be refreshed")


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def table(costs: list[Cost]) -> str:
    """A Markdown table: a row a kind, the medians of the rounds and their quartiles."""
    lines = ["| storage | a refresh, in ms | more than bare, in ms | ratio |", "|---|---|---|---|"]
    bare, *others = costs
    lines.append(f"| {bare.kind} | {bare.milliseconds} | | |")
    lines += [f"| {cost.kind} | {cost.milliseconds} | {cost.extra} | {cost.ratio} |" for cost in others]
    return "\n".join(lines)


@contextlib.contextmanager
def kinds_in(folder: Path) -> Iterator[dict[str, TokenStorage]]:
    """Memory, a file in this folder, and a Redis of our own."""
    with place("redis", None) as redis:
        yield {
            "memory: the bare refresh": MemoryStorage(),
            "`FileStorage`": FileStorage(folder / "app" / "tokens"),
            "`RedisStorage`": redis.open(),
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-storage", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    parser.add_argument("--folder", type=Path, help="where the file is: on the disk that is measured")
    options = parser.parse_args()
    count, rounds, calls = (5, 3, 100) if options.quick else (20, 30, 10_000)
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder, kinds_in(Path(folder)) as kinds:
            print(table(refreshes(kinds, count, rounds)))
            print(f"medians of {rounds} rounds of {count} refreshes each, and their quartiles")
            for kind, storage in kinds.items():
                if isinstance(storage, SharedStorage):
                    print(f"{calls:,} fresh calls: {fresh_calls(storage, calls)} calls of the {kind}")
    except (ImportError, BackendError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
