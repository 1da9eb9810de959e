"""`python -m benchmarks.profiles`: where the time of a call goes, by room, beside the bare call, from cProfile.

The profiler makes each function call dearer, so what counts is who has how many calls, and about how much of the time.
"""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from pathlib import Path

import rxauth
from benchmarks.instructions import WORKS

ITEMS = 2000
OURS = Path(rxauth.__file__).parent


def main() -> None:
    for ours, bare in (("sync", "bare sync"), ("async", "bare async"), ("ApiCall", "gathered")):
        print(table(ours, bare))


def table(ours: str, bare: str) -> str:
    """A Markdown table: each room's share of one item, in function calls and in time."""
    calls, times = profiled(ours)
    bare_calls, bare_times = profiled(bare)
    lines = [f"| {ours} | function calls | of the time of {bare} |", "|---|---|---|"]
    whole = sum(bare_times.values())
    for room, _ in times.most_common():
        if room != "libraries" and times[room] > 0.004 * whole:
            lines.append(f"| `{room}` | {calls[room] / ITEMS:.1f} | {times[room] / whole:.1%} |")
    more = times["libraries"] - bare_times["libraries"]
    lines.append(
        f"| httpx, asyncio and Python itself, more than bare | "
        f"{(calls['libraries'] - bare_calls['libraries']) / ITEMS:.1f} | {more / whole:.1%} |"
    )
    lines.append(
        f"| all, beside {bare_calls['libraries'] / ITEMS:.0f} of {bare} | "
        f"{calls.total() / ITEMS:.0f} | {sum(times.values()) / whole:.1%} |"
    )
    return "\n".join(lines) + "\n"


def profiled(name: str) -> tuple[Counter[str], Counter[str]]:
    """Function calls, and seconds in the functions themselves, by room; all that is not ours is one."""
    work, profile = WORKS[name](), cProfile.Profile()
    work(ITEMS)
    profile.runcall(work, ITEMS)
    calls: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for (file, _, _), (_, count, seconds, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        room = Path(file).name if OURS in Path(file).parents else "libraries"
        calls[room] += count
        times[room] += seconds
    return calls, times


if __name__ == "__main__":
    main()
