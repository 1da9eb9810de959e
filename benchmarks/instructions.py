"""Machine instructions per item, counted by valgrind: what a noisy machine can not blur.

`python -m benchmarks.instructions NAME COUNT` does that many items of one piece of work; `count(NAME)` runs it twice
under valgrind, with few and with many, and tells what one more costs.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

from benchmarks import calls, gate, stores
from benchmarks.measure import Row

#: Each piece of work, made in the process that is counted.
WORKS: dict[str, Callable[[], Callable[[int], None]]] = {
    "sync": gate.ours_sync,
    "bare sync": gate.bare_sync,
    "async": lambda: gate.ours_async(asyncio.Runner()),
    "bare async": lambda: gate.bare_async(asyncio.Runner()),
    "ApiCall": lambda: calls.ours(asyncio.Runner()),
    "gathered": lambda: calls.bare(asyncio.Runner()),
    "dispatch": stores.ours,
    "plain dispatch": stores.plain,
}
PAIRS = (
    ("BearerAuth, fresh token, sync / fixed header", "sync", "bare sync", 1.03),
    ("BearerAuth, fresh token, async / fixed header", "async", "bare async", 1.03),
    ("an ApiCall / a gathered bare call", "ApiCall", "gathered", 1.20),
    ("a dispatch, one subscriber / plain Subject, scan, BehaviorSubject", "dispatch", "plain dispatch", 1.0),
)
FEW, MANY = 50, 450

VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def rows(quick: bool) -> list[Row]:
    """Nothing where valgrind is not installed."""
    if shutil.which("valgrind") is None:
        print("no valgrind here, so no instructions are counted", file=sys.stderr)
        return []
    found = []
    for name, ours, theirs, bound in PAIRS[-1:] if quick else PAIRS:
        mine, other = count(ours), count(theirs)
        found.append(Row(f"instructions: {name}", (mine / other,), bound, mine / 1e3, other / 1e3, "k"))
    return found


def count(name: str) -> float:
    """Instructions per item."""
    few, many = (_start(name, items) for items in (FEW, MANY))
    return (_total(many) - _total(few)) / (MANY - FEW)


def _start(name: str, items: int) -> subprocess.Popen[str]:
    command = [*VALGRIND, sys.executable, "-m", "benchmarks.instructions", name, str(items)]
    same = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=same)


def _total(process: subprocess.Popen[str]) -> int:
    _, said = process.communicate()
    found = re.search(r"I\s+refs:\s+([\d,]+)", said)
    if process.returncode or found is None:
        raise RuntimeError(f"valgrind failed: {said[-500:]}")
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    work, items = WORKS[sys.argv[1]](), int(sys.argv[2])
    work(FEW)  # caches are filled alike, however many follow
    work(items)
