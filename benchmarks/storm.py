"""`make storm`: twenty callers meet seven kinds of trouble, in five ways of calling, counted at the server.

With `PEERS=1` other clients are measured beside rxauth in the same run. Exit status 1 where a row of ours falls short.
"""

from __future__ import annotations

import argparse
import logging
import sys

from benchmarks.scenarios import SCENARIOS, Outcome
from benchmarks.ways import WAYS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument(
        "--peers", metavar="PYTHON", help="the interpreter in whose environment the peers are installed"
    )
    peers = parser.parse_args().peers
    logging.getLogger("rxauth").setLevel(logging.ERROR)  # each failed refresh is a warning, and they fail on purpose
    rows: list[tuple[str, list[Outcome]]] = []
    for way in WAYS:
        outcomes = []
        for scenario in SCENARIOS:
            outcomes.append(scenario(way))
            _progress(".")
        rows.append((f"rxauth: {way.__doc__}", outcomes))
    fallen = [f"{name}: {outcome.wrong}" for name, outcomes in rows for outcome in outcomes if outcome.wrong]
    if peers is not None:
        from benchmarks.peers import measure

        for name, outcomes in measure(peers, lambda: _progress(".")):
            rows.append((name, outcomes))
    _progress("\n")
    print(table(rows))
    if fallen:
        print("\nrxauth falls short:\n" + "\n".join(fallen))
    return 1 if fallen else 0


def table(rows: list[tuple[str, list[Outcome]]]) -> str:
    """A Markdown table: a row a scenario and client, `ok` or what was wrong."""
    lines = ["| client | " + " | ".join(str(scenario.__doc__) for scenario in SCENARIOS) + " |"]
    lines.append("|---" * (len(SCENARIOS) + 1) + "|")
    for name, outcomes in rows:
        cells = [("✓ " if not outcome.wrong else "✗ ") + str(outcome) for outcome in outcomes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _progress(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
