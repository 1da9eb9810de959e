"""Things measured in turn, A B A B, in one process: the ratios of their times, and how much these vary."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Quartiles of the ratio further apart than this share of it are called noisy.
NOISY = 0.10

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratios` are those of the rounds; `ours` and `theirs` are medians, in `unit`.

    `bound` is the most that the median may be; None for a figure that is only reported.
    """

    name: str
    ratios: tuple[float, ...]
    bound: float | None = None
    ours: float | None = None
    theirs: float | None = None
    unit: str = "us"

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.ratios) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def is_noisy(self) -> bool:
        """Do the rounds disagree: by much, or about whether the bound is met?"""
        low, high = self.quartiles
        return high - low > NOISY * self.median or (self.bound is not None and low <= self.bound < high)

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return "noisy run" if self.is_noisy else ""
        met = "met" if self.median <= self.bound else "NOT MET"
        return f"{met}, noisy run" if self.is_noisy else met


def race(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Clock = time.process_time,
    *,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Call all in turn, each round beginning with another one; the times, in seconds. One round more is a warm-up.

    A contestant may return the seconds that count of what it did; else all of it counts.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(0 if warm_up else 1, rounds + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            spent = _timed(contestants[name], clock)
            if number:
                times[name].append(spent)
    return times


def row(
    name: str,
    ours: list[float],
    theirs: list[float],
    bound: float | None = None,
    *,
    items: int = 1,
    scale: float = 1e6,
    unit: str = "us",
) -> Row:
    """The ratios of two contestants' times, each with the other's of the same round; shown per item, in `unit`."""
    ratios = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
    shown = [statistics.median(times) / items * scale for times in (ours, theirs)]
    return Row(name, ratios, bound, shown[0], shown[1], unit)


def _timed(work: Callable[[], object], clock: Clock) -> float:
    gc.collect()
    gc.disable()
    try:
        start = clock()
        told = work()
        return told if isinstance(told, float) else clock() - start
    finally:
        gc.enable()


def table(rows: list[Row]) -> str:
    """One line a measurement."""
    width = max(len(one.name) for one in rows)
    lines = [f"{'what':{width}}  ratio  quartiles      bound      ours  the other  verdict"]
    for one in rows:
        low, high = one.quartiles
        bound = "     " if one.bound is None else f"{one.bound:5.2f}"
        figures = f"{_figure(one.ours)}  {_figure(one.theirs)} {one.unit if one.ours is not None else '':5}"
        lines.append(
            f"{one.name:{width}}  {one.median:5.3f}  {f'{low:.3f}-{high:.3f}':13}  {bound}  {figures}  {one.verdict}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _figure(value: float | None) -> str:
    return " " * 8 if value is None else f"{value:8,.1f}" if value < 1e5 else f"{value:8,.0f}"
