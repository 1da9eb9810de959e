"""The release of many waiters when the refresh lands, beside those of an `asyncio.Lock` and of `replay`."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import reactivex
from reactivex import operators as ops

from benchmarks.measure import Row, race, row
from rxauth import Session, Tokens


def rows(quick: bool) -> list[Row]:
    rounds = {1_000: 3, 10_000: 2} if quick else {1_000: 15, 10_000: 7, 100_000: 3}
    found: list[Row] = []
    spent: dict[str, dict[int, float]] = {"await": {}, "subscribe": {}}
    for size, number in rounds.items():
        times = race({name: _run(way, size) for name, way in WAYS.items()}, number)
        found += [
            row(
                f"release of {size:,} that await fresh() / an asyncio.Lock",
                times["await"],
                times["lock"],
                1.0,
                items=size,
            ),
            row(
                f"release of {size:,} that subscribe fresh() / replay",
                times["subscribe"],
                times["replay"],
                1.0,
                items=size,
            ),
        ]
        for way, sizes in spent.items():
            sizes[size] = statistics.median(times[way]) / size * 1e6
    least, most = min(rounds), max(rounds)
    for way, sizes in spent.items():
        name = f"release of one that {way}s, among {most:,} / among {least:,}"
        found.append(Row(name, (sizes[most] / sizes[least],), 1.3, sizes[most], sizes[least]))
    return found


def _run(way: Callable[[int], float], size: int) -> Callable[[], float]:
    return lambda: way(size)


class _Refresh:
    """A session whose token has expired, and whose refresh ends when it is told to."""

    def __init__(self) -> None:
        self.end = threading.Event()
        tokens = Tokens("a" * 300, "r", expires_at=1.0)
        self.session: Session[Any] = Session(self._refresh, tokens=tokens, origins=["https://api.example.com"])

    def _refresh(self, tokens: Tokens) -> Tokens:
        self.end.wait()
        return Tokens("b" * 300, "s", expires_at=4e9)


def _await(size: int) -> float:
    async def main() -> float:
        refresh = _Refresh()

        async def wait() -> None:
            await refresh.session.fresh()

        return await _released([asyncio.create_task(wait()) for _ in range(size)], refresh.end.set)

    return asyncio.run(main())


def _lock(size: int) -> float:
    async def main() -> float:
        lock = asyncio.Lock()
        await lock.acquire()

        async def wait() -> None:
            async with lock:
                pass

        return await _released([asyncio.create_task(wait()) for _ in range(size)], lock.release)

    return asyncio.run(main())


async def _released(tasks: list[asyncio.Task[None]], release: Callable[[], None]) -> float:
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # until all of them wait
    start = time.process_time()
    release()
    while not tasks[-1].done():  # first in, first out
        await asyncio.sleep(0.0005)
    assert all(task.done() for task in tasks)
    return time.process_time() - start


def _subscribe(size: int) -> float:
    refresh, told = _Refresh(), _Told(size)
    for _ in range(size):
        refresh.session.fresh().subscribe(told)
    start = time.process_time()
    refresh.end.set()
    told.all.wait()
    return time.process_time() - start


def _replay(size: int) -> float:
    source: reactivex.Subject[int] = reactivex.Subject()
    shared, told = source.pipe(ops.replay(1), ops.ref_count()), _Told(size)
    for _ in range(size):
        shared.subscribe(told)
    start = time.process_time()
    source.on_next(1)
    source.on_completed()
    told.all.wait()
    return time.process_time() - start


class _Told:
    """Counts those who were told."""

    def __init__(self, size: int) -> None:
        self.all = threading.Event()
        self._left = size

    def __call__(self, value: object) -> None:
        self._left -= 1
        if not self._left:
            self.all.set()


WAYS: dict[str, Callable[[int], float]] = {"await": _await, "lock": _lock, "subscribe": _subscribe, "replay": _replay}
