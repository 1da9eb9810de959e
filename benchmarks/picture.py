"""The picture of the README: the cost of a call against calls in flight, and of a dispatch against idle epics.

Written as SVG by hand, because two panels with straight lines need no plotting library; light and dark as the reader's
system says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rxauth.notebook.marbles.theme import DARK, LIGHT

WIDTH, HEIGHT = 960, 392
PANEL = (78, 118, 356, 210)  # x, y, width, height of the first panel's axes
SHIFT = 478

#: A line's points, (how many, microseconds, lower quartile, upper quartile).
Points = list[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    colour: str
    dash: str
    marker: str
    points: Points


def draw(results: dict[str, Any]) -> str:
    """The SVG of these results, as `benchmarks.bench` keeps them; a panel without results stays empty."""
    calls = _rows(results, "calls", r"^([\d,]+) ApiCalls at once, (default limit|limit raised) / gathered")
    lines = [
        Line("bare httpx, gathered", "soft", "5 4", "square", _points(calls, "default limit", theirs=True)),
        Line("ApiCall, at most 100 on the wire", "call", "", "circle", _points(calls, "default limit")),
        Line("ApiCall, all on the wire", "busy", "2 3", "triangle", _points(calls, "limit raised")),
    ]
    epics = _rows(results, "store", r"^a dispatch with ([\d,]+) idle epics / (plain), a filter each")
    others = [
        Line("reactivex, a filter for each epic", "soft", "5 4", "square", _points(epics, "plain", theirs=True)),
        Line("rxauth", "call", "", "circle", _points(epics, "plain")),
    ]
    description = " ".join(_told(line) for line in lines + others)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-labelledby="t d"><title id="t">What a call and a dispatch cost</title>'
        f'<desc id="d">{description}</desc>'
    )
    return "\n".join(
        [
            head,
            _style(),
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>',
            *_panel(0, "One call", "calls in flight at once", lines),
            *_panel(SHIFT, "One dispatch", "idle epics", others),
            "</svg>\n",
        ]
    )


def _rows(results: dict[str, Any], group: str, pattern: str) -> list[tuple[str, float, dict[str, Any]]]:
    """(which line, how many, the row) of each row whose name matches."""
    found = []
    for saved in results.get(group, {}).get("rows", []):
        match = re.match(pattern, saved["name"])
        if match:
            found.append((match[2], float(match[1].replace(",", "")), saved))
    return sorted(found, key=lambda one: one[1])


def _points(rows: list[tuple[str, float, dict[str, Any]]], line: str, *, theirs: bool = False) -> Points:
    """Ours with the quartiles of the ratio as its spread. No epic stands at 1/3: a logarithmic axis has no 0."""
    points = []
    for name, number, saved in rows:
        if name == line:
            value = saved["theirs"] if theirs else saved["ours"]
            low, high = (1.0, 1.0) if theirs else (quartile / saved["median"] for quartile in saved["quartiles"])
            points.append((number or 1 / 3, value, value * low, value * high))
    return points


def _panel(shift: int, what: str, axis: str, lines: list[Line]) -> Iterator[str]:
    left, top, width, height = PANEL[0] + shift, *PANEL[1:]
    everything = [point for line in lines for point in line.points]
    yield f'<text class="head" x="{left - 54}" y="34">{what}, in microseconds</text>'
    if not everything:
        return
    (x_low, x_high), (y_low, y_high) = _range([p[0] for p in everything]), _decades([p[1] for p in everything])

    def x(value: float) -> float:
        return round(left + width * (math.log(value / x_low) / math.log(x_high / x_low)), 1)

    def y(value: float) -> float:
        return round(top + height * (1 - math.log(value / y_low) / math.log(y_high / y_low)), 1)

    for tick in _ticks(y_low, y_high):
        yield f'<path class="grid" d="M{left} {y(tick)}H{left + width}"/>'
        yield f'<text class="tick" text-anchor="end" x="{left - 8}" y="{y(tick) + 4}">{tick:,g}</text>'
    for number in sorted({point[0] for point in everything}):
        yield f'<path class="axis" d="M{x(number)} {top + height}v5"/>'
        label = "none" if number < 1 else f"{number:,.0f}"
        yield f'<text class="tick" text-anchor="middle" x="{x(number)}" y="{top + height + 19}">{label}</text>'
    yield f'<path class="axis" d="M{left} {top}V{top + height}H{left + width}"/>'
    yield f'<text class="soft" text-anchor="middle" x="{left + width / 2}" y="{top + height + 40}">{axis}</text>'
    for index, line in enumerate(lines):
        yield from _line(line, x, y)
        yield from _legend(line, left - 54, 58 + index * 19)


def _line(line: Line, x: Any, y: Any) -> Iterator[str]:
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    path = "L".join(f"{x(number)} {y(value)}" for number, value, _, _ in line.points)
    yield f'<path class="line {line.colour}" d="M{path}"{dash}/>'
    for number, value, low, high in line.points:
        if high > low:
            yield f'<path class="line {line.colour} thin" d="M{x(number)} {y(low)}V{y(high)}"/>'
        yield _marker(line, x(number), y(value))


def _legend(line: Line, left: float, top: float) -> Iterator[str]:
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    yield f'<path class="line {line.colour}" d="M{left} {top - 4}h24"{dash}/>'
    yield _marker(line, left + 12, top - 4)
    yield f'<text class="soft" x="{left + 31}" y="{top}">{line.name}</text>'


def _marker(line: Line, x: float, y: float) -> str:
    shapes = {
        "circle": f'<circle class="mark {line.colour}" cx="{x}" cy="{y}" r="4.5"/>',
        "square": f'<rect class="mark {line.colour}" x="{x - 4}" y="{y - 4}" width="8" height="8"/>',
        "triangle": f'<path class="mark {line.colour}" d="M{x} {y - 5.5}l5 9h-10z"/>',
    }
    return shapes[line.marker]


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high / low) ** 0.05 if high > low else 2.0
    return low / margin, high * margin


def _decades(values: list[float]) -> tuple[float, float]:
    """From the decade below the lowest to the one above the highest."""
    return 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values) * 1.05))


def _ticks(low: float, high: float) -> list[float]:
    decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 3 else (1,)
    return [step * 10.0**decade for decade in decades for step in steps if step * 10.0**decade <= high]


def _told(line: Line) -> str:
    points = ", ".join(f"{value:.3g} at {number if number >= 1 else 0:,.0f}" for number, value, _, _ in line.points)
    return f"{line.name}: {points} (microseconds)."


def _style() -> str:
    return f"<style>{_rules(LIGHT)} @media (prefers-color-scheme: dark) {{ {_rules(DARK)} }}</style>"


def _rules(palette: dict[str, str]) -> str:
    rules = {
        ".card": f"fill: {palette['card']}; stroke: {palette['edge']}",
        "text": f"font: 13px system-ui, sans-serif; fill: {palette['text']}",
        ".head": "font-weight: 600; font-size: 16px",
        ".soft, .tick": f"fill: {palette['soft']}",
        ".grid": f"stroke: {palette['grid']}",
        ".axis": f"stroke: {palette['line']}; fill: none",
        ".line": "fill: none; stroke-width: 2",
        ".thin": "stroke-width: 1.5; stroke-dasharray: none",
        ".mark": f"stroke: {palette['card']}",
    }
    for name in ("soft", "call", "busy"):
        rules[f".line.{name}"] = f"stroke: {palette[name]}"
        rules[f".mark.{name}"] = f"fill: {palette[name]}"
    return " ".join(f"{selector} {{ {rule} }}" for selector, rule in rules.items())
