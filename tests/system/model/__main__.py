"""`python -m tests.system.model --bound 2`: visit every reachable state; exit status 1 if a rule is broken in one."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.system.model.bounds import BOUNDS, RULES, models
from tests.system.model.exploration import explore


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.model", description=__doc__)
    parser.add_argument("--bound", type=int, choices=BOUNDS, default=1, help="2 takes a minute, 3 far longer")
    parser.add_argument("--limit", type=int, default=5_000_000, help="stop a model at so many states")
    options = parser.parse_args()
    logging.getLogger("rxauth").disabled = True  # faults are logged, and they happen on purpose
    told: set[str] = set()
    states = transitions = 0
    for model in models(options.bound):
        found = explore(model, options.limit)
        states, transitions = states + found.states, transitions + found.transitions
        print(found, flush=True)
        for rule in found.broken:
            if rule not in told:
                print(found.tell(rule), flush=True)
        told.update(found.broken)
    print(f"{states} states, {transitions} transitions, {len(RULES)} rules, {len(told)} broken")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
