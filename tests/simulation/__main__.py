"""`make simulate SEEDS=100000`: live through that many seeds; exit status 1 if an invariant was violated in one."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.runs import progress, report, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default 10,000)")
    parser.add_argument("--first", type=int, default=0, help="the first one: with --seeds 1 it replays a failure")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="in how many processes (default: cores)")
    parser.add_argument("--until-violation", action="store_true", help="stop at the first one")
    options = parser.parse_args()
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    tally = run(seeds, options.jobs, until_violation=options.until_violation, tell=progress(sys.stderr, options.seeds))
    print(report(tally, time.monotonic() - began))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
