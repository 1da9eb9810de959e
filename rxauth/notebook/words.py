"""Moments and spans in words, for everything that is shown."""

from __future__ import annotations

import math
from datetime import datetime


def clock(wall: float) -> str:
    """Seconds since the epoch as the local time of day; with the date, if that is not today."""
    try:
        moment = datetime.fromtimestamp(wall)
    except (ValueError, OverflowError, OSError):
        return f"{wall:.0f}"
    return f"{moment:%H:%M:%S}" if moment.date() == datetime.now().date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """A length of time, as long as it needs to be: 420 ms, 4.2 s, 4 min 59 s, 2 h 5 min, 3 d 1 h."""
    if not math.isfinite(seconds):
        return "for ever"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = int(seconds)
    for unit, size, part, under in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // under
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def until(seconds: float, wall: float) -> str:
    """When something ends, that has `seconds` to go (negative: has ended) on a clock that says `wall` now."""
    if not math.isfinite(seconds):
        return "never expires"
    end = clock(wall + seconds)
    return f"expires at {end}, in {span(seconds)}" if seconds > 0 else f"expired at {end}, {span(abs(seconds))} ago"


def shorten(text: str, length: int) -> str:
    """The text on one line, cut to `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
