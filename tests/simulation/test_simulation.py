"""The real session in a simulated world, under chance that replays."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.world import World

SEEDS, PART = 2_000, 250


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_no_interleaving_violates_an_invariant(first: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "rxauth")
    for seed in range(first, first + PART):
        try:
            World(seed).run()
        except AssertionError as violation:
            pytest.fail(f"seed {seed}: {violation}; replay it with make simulate ARGS='--first {seed} --seeds 1'")


def test_the_same_seed_makes_the_same_choices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "rxauth")
    for seed in range(20):
        one, two = World(seed), World(seed)
        one.run()
        two.run()
        assert one.time.choices == two.time.choices
