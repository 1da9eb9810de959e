"""`make simulate SEEDS=100000`: live through that many seeds; exit status 1 if an invariant was violated in one."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default 10,000)")
    parser.add_argument("--first", type=int, default=0, help="the first one: with --seeds 1 it replays a failure")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # faults are logged, and they happen on purpose
    schedules: set[tuple[int, ...]] = set()
    longest, failed, began = 0, 0, time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        world = World(seed)
        try:
            world.run()
        except AssertionError as violation:
            failed += 1
            print(f"seed {seed}: {violation}")
        schedules.add(tuple(world.time.choices))
        longest = max(longest, len(world.time.choices))
    rate = options.seeds / (time.monotonic() - began)
    print(
        f"{options.seeds} seeds, {failed} violations, {len(schedules)} distinct interleavings, "
        f"the longest of {longest} choices, {rate:.0f} seeds/s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
