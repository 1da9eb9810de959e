"""Two things measured in turn, A B A B, in one process: the ratio of their CPU time, and how much it varies."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Quartiles of the ratio further apart than this are called noisy.
NOISY = 0.10


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one measurement found. `low` and `high` are the quartiles of the rounds' ratios."""

    name: str
    median: float
    low: float
    high: float
    bound: float

    @property
    def is_noisy(self) -> bool:
        return self.high - self.low > NOISY * self.median

    @property
    def verdict(self) -> str:
        met = "met" if self.median <= self.bound else "NOT MET"
        return f"{met}, noisy run" if self.is_noisy else met


def compare(name: str, ours: Callable[[], object], bare: Callable[[], object], bound: float, rounds: int = 21) -> Ratio:
    """Call both in turn, each round in the other order, without the garbage collector; the first round is a warm-up."""
    ratios = []
    for number in range(rounds + 1):
        first, second = (ours, bare) if number % 2 else (bare, ours)
        one, two = _timed(first), _timed(second)
        mine, theirs = (one, two) if number % 2 else (two, one)
        if number:
            ratios.append(mine / theirs)
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(name, median, low, high, bound)


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()


def table(ratios: list[Ratio]) -> str:
    """One line a measurement."""
    width = max(len(ratio.name) for ratio in ratios)
    lines = [f"{'what':{width}}  ratio  quartiles     bound  verdict"]
    for ratio in ratios:
        spread = f"{ratio.low:.3f}-{ratio.high:.3f}"
        lines.append(f"{ratio.name:{width}}  {ratio.median:5.3f}  {spread:12}  {ratio.bound:5.2f}  {ratio.verdict}")
    return "\n".join(lines)
