"""`make simulate SEEDS=100000`: live through that many seeds of each world; exit status 1 if one violated an invariant.

The worlds are `session`, one session whose callers and users are chance, and `fleet`, processes on one storage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.system.simulation.runs import WORLDS, progress, report, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default 10,000)")
    parser.add_argument("--world", choices=list(WORLDS), help="one of the worlds (default: each)")
    parser.add_argument("--first", type=int, default=0, help="the first one: with --seeds 1 it replays a failure")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="in how many processes (default: cores)")
    parser.add_argument("--until-violation", action="store_true", help="stop at the first one")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    violations = 0
    for kind in [options.world] if options.world else WORLDS:
        began, tell = time.monotonic(), progress(sys.stderr, options.seeds)
        tally = run(seeds, kind, options.jobs, until_violation=options.until_violation, tell=tell)
        print(f"{kind}: {report(tally, time.monotonic() - began)}", flush=True)
        violations += len(tally.violations)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
