"""The time axis: from seconds to places, with round ticks in a fitting unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Up to how many seconds a unit is used, how long it is, and its name.
_UNITS = ((0.001, 1e-6, "µs"), (2.0, 0.001, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (345_600.0, 3600.0, "h"))
_DAY = (86_400.0, "d")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps 0 to `left` and `seconds`, the end of the axis, to `right`."""

    seconds: float
    left: float
    right: float

    @classmethod
    def of(cls, end: float, left: float, right: float) -> Scale:
        """The axis of a recording whose last event was at `end`: a little longer, so that what it led to is seen."""
        return cls(end * 1.04 if end > 1e-6 else 0.001, left, right)

    def __call__(self, at: float) -> float:
        return self.left + (self.right - self.left) * min(max(at / self.seconds, 0.0), 1.0)

    def lasts(self, width: float) -> float:
        """How many seconds so wide a stretch is."""
        return self.seconds * width / max(self.right - self.left, 1.0)

    def ticks(self, apart: float) -> list[tuple[float, str]]:
        """Round moments, at least `apart` from each other, with what to write there; the last one names the unit."""
        size, name = _unit(self.seconds)
        step = _round(max(self.lasts(apart) / size, 1e-9), name)
        found = [number * step for number in range(int(self.seconds / size / step) + 1)]
        texts = [f"{value:.10g}" for value in found]
        texts[-1] += f" {name}"
        return [(value * size, text) for value, text in zip(found, texts, strict=True)]


def _unit(seconds: float) -> tuple[float, str]:
    return next(((size, name) for most, size, name in _UNITS if seconds <= most), _DAY)


def _round(least: float, unit: str) -> float:
    """The least round number from `least` on: 1, 2 or 5 times a power of ten, or what divides an hour or a day."""
    divisors = {"min": (15.0, 30.0, 60.0), "s": (15.0, 30.0, 60.0), "h": (6.0, 12.0, 24.0, 48.0)}.get(unit, ())
    power = 10.0 ** math.floor(math.log10(least))
    decimal = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)
    if least <= 5 or not divisors:
        return decimal
    return next((divisor for divisor in divisors if divisor >= least * 0.999), decimal)
