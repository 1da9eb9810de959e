"""The real session in a simulated world, under chance that replays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.simulation.runs import live

#: How many seeds of each world, and how many to a test.
SEEDS, PART = {"session": 3_000, "fleet": 750}, 250


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "rxauth")  # faults are logged, and they happen on purpose


@pytest.mark.parametrize(("kind", "first"), [(kind, first) for kind in SEEDS for first in range(0, SEEDS[kind], PART)])
def test_no_interleaving_violates_an_invariant(kind: str, first: int) -> None:
    for seed, violation in live(range(first, first + PART), kind).violations:
        again = f"make simulate ARGS='--world {kind} --first {seed} --seeds 1'"
        pytest.fail(f"seed {seed} of the {kind}: {violation}; replay it with {again}")


@pytest.mark.parametrize("kind", SEEDS)
def test_the_same_seed_makes_the_same_choices(kind: str) -> None:
    assert live(range(20), kind).schedules == live(range(20), kind).schedules


@pytest.mark.parametrize("kind", SEEDS)
def test_the_same_seed_makes_the_same_choices_in_another_process(kind: str) -> None:
    ask = f"from tests.system.simulation.runs import live; print(sorted(live(range(20), {kind!r}).schedules))"
    for hashes in ("0", "12345"):
        told = subprocess.run(
            [sys.executable, "-c", ask],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == str(sorted(live(range(20), kind).schedules))
