"""The real session in a simulated world, under chance that replays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.runs import live

SEEDS, PART = 3_000, 250


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "rxauth")  # faults are logged, and they happen on purpose


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_no_interleaving_violates_an_invariant(first: int) -> None:
    for seed, violation in live(range(first, first + PART)).violations:
        pytest.fail(f"seed {seed}: {violation}; replay it with make simulate ARGS='--first {seed} --seeds 1'")


def test_the_same_seed_makes_the_same_choices() -> None:
    assert live(range(20)).schedules == live(range(20)).schedules


def test_the_same_seed_makes_the_same_choices_in_another_process() -> None:
    ask = "from tests.simulation.runs import live; print(sorted(live(range(20)).schedules))"
    for hashes in ("0", "12345"):
        told = subprocess.run(
            [sys.executable, "-c", ask],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == str(sorted(live(range(20)).schedules))
