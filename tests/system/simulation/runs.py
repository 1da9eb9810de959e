"""Many seeds, on every core: what they violated, and how different they were."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from typing import TextIO

from tests.system.simulation.fleet import FleetWorld
from tests.system.simulation.world import World

#: What a seed may bring about: one session, or a fleet of them on one storage.
WORLDS: dict[str, type[World | FleetWorld]] = {"session": World, "fleet": FleetWorld}
#: So many seeds are handed to a process at a time.
PART = 50


Part = tuple[range, str, bool]


@dataclass
class Tally:
    """What a number of seeds brought. `schedules` are hashes of the choices, the same in every process."""

    seeds: int = 0
    longest: int = 0
    violations: list[tuple[int, str]] = field(default_factory=list)
    schedules: set[int] = field(default_factory=set)

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.longest = max(self.longest, other.longest)
        self.violations += other.violations
        self.schedules |= other.schedules


def live(seeds: range, kind: str = "session", *, until_violation: bool = False) -> Tally:
    """Live through these seeds of a kind of world, here and one after the other."""
    tally = Tally()
    for seed in seeds:
        world = WORLDS[kind](seed)
        try:
            world.run()
        except AssertionError as violation:
            tally.violations.append((seed, str(violation)))
        tally.seeds += 1
        tally.schedules.add(world.schedule)
        tally.longest = max(tally.longest, len(world.time.choices))
        if until_violation and tally.violations:
            break
    gc.collect()
    return tally


def run(seeds: range, kind: str, jobs: int, *, until_violation: bool, tell: Callable[[Tally], None]) -> Tally:
    """Live through the seeds in so many processes; `tell` is called with what there is so far. Ctrl-C ends it early."""
    tally = Tally()
    starts = range(seeds.start, seeds.stop, PART)
    parts = [(range(start, min(start + PART, seeds.stop)), kind, until_violation) for start in starts]
    try:
        for part in _everywhere(parts, min(jobs, len(parts))):
            tally.add(part)
            tell(tally)
            if until_violation and tally.violations:
                break
    except KeyboardInterrupt:
        pass
    tally.violations.sort()
    return tally


def report(tally: Tally, seconds: float) -> str:
    found = [f"seed {seed}: {violation}\n" for seed, violation in tally.violations]
    return (
        f"{''.join(found)}{tally.seeds} seeds, {len(tally.violations)} violations, {len(tally.schedules)} distinct "
        f"interleavings, the longest of {tally.longest} choices, {tally.seeds / max(seconds, 1e-9):.0f} seeds/s"
    )


def progress(out: TextIO, total: int) -> Callable[[Tally], None]:
    """A line that is written again and again, on a terminal."""
    began = time.monotonic()

    def tell(tally: Tally) -> None:
        rate = tally.seeds / (time.monotonic() - began)
        line = f"{tally.seeds} of {total} seeds, {len(tally.violations)} violations, {rate:.0f} seeds/s"
        out.write(f"\r\033[K{line}" if tally.seeds < total else "\r\033[K")
        out.flush()

    return tell if out.isatty() else lambda tally: None


def _everywhere(parts: list[Part], jobs: int) -> Iterator[Tally]:
    if jobs <= 1:
        _prepare()
        yield from map(_live_part, parts)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _begin_worker, (context.Value("i", 0),)) as pool:  # its end terminates the processes
        yield from pool.imap_unordered(_live_part, parts)


def _live_part(part: Part) -> Tally:
    seeds, kind, until_violation = part
    return live(seeds, kind, until_violation=until_violation)


def _begin_worker(number: Synchronized[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears of Ctrl-C, and ends the others
    with number.get_lock():
        mine = number.value
        number.value += 1
    if sys.platform == "linux":
        # Threads that take turns are quickest on one core.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[mine % len(cores)]})
    _prepare()


def _prepare() -> None:
    logging.disable(logging.CRITICAL)  # faults are logged, and they happen on purpose
    gc.freeze()  # what is imported stays, so that a collection looks at the worlds alone
