"""`make bench`: what the gate and the store cost, each beside a peer or the bare thing, in turn, in the same run.

make bench                         # all groups; writes benchmarks/results.json and docs/performance.svg
make bench ARGS="gate store"       # some: their part of the results is replaced
make bench QUICK=1                 # fewer rounds and smaller sizes, to see that it runs; writes nothing
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import calls, gate, imports, instructions, picture, stores, waiters
from benchmarks.measure import Row, table

GROUPS: dict[str, Callable[[bool], list[Row]]] = {
    "gate": gate.rows,
    "calls": calls.rows,
    "store": stores.rows,
    "waiters": waiters.rows,
    "import": imports.rows,
    "instructions": instructions.rows,
}

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PICTURE = HERE.parent / "docs" / "performance.svg"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    told = parser.parse_args()
    unknown = sorted(set(told.groups) - set(GROUPS))
    if unknown:
        parser.error(f"no group is called {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows: list[Row] = []
    for name in told.groups or GROUPS:
        load, start = os.getloadavg()[0], time.monotonic()
        measured = GROUPS[name](told.quick)
        rows += measured
        results[name] = {**_machine(), "load": round(load, 2), "rows": [_saved(one) for one in measured]}
        if not told.quick:
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            PICTURE.write_text(picture.draw(results))
        print(f"{name}: {time.monotonic() - start:.0f} s, load {load:.1f} before it", flush=True)
    print(table(rows))


def _machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _saved(one: Row) -> dict[str, Any]:
    low, high = one.quartiles
    saved = {
        **asdict(one),
        "ratios": [round(ratio, 4) for ratio in one.ratios],
        "median": round(one.median, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "verdict": one.verdict,
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in saved.items()}


if __name__ == "__main__":
    main()
