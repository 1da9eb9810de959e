"""Curves as an SVG that reads in light and dark, with nothing but the standard library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 400, 330, 58, 52, 326, 190
#: Colour is never alone: each curve has a dash of its own, too.
DASHES = ("none", "7 3", "2 3")
STYLE = """
svg{font:12px system-ui,sans-serif}.card{fill:#fff}text{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d9dee3}
.c{fill:none;stroke-width:2}.c0{stroke:#b3261e}.c1{stroke:#0b6b4b}.c2{stroke:#0a5ca8}.title{font-weight:600}
@media(prefers-color-scheme:dark){.card{fill:#14181f}text{fill:#e6edf3}.soft{fill:#a6b1bd}.grid{stroke:#343b46}
.c0{stroke:#ff8f87}.c1{stroke:#4fd6a5}.c2{stroke:#6cb6ff}}
"""


@dataclass(frozen=True)
class Panel:
    """Curves of (x, y) by name, on one pair of axes; `logarithmic` is the upright one."""

    title: str
    x: str
    y: str
    curves: dict[str, list[tuple[float, float]]]
    logarithmic: bool = False


def picture(panels: list[Panel]) -> str:
    """The panels side by side."""
    width = WIDTH * len(panels)
    drawn = "".join(
        f'<g transform="translate({place * WIDTH} 0)">{_panel(panel)}</g>' for place, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        f'role="img"><title>What a fleet does to its token endpoint</title><style>{STYLE}</style>'
        f'<rect class="card" width="{width}" height="{HEIGHT}" rx="6"/>{drawn}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    points = [point for curve in panel.curves.values() for point in curve]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    top = max(y for _, y in points)
    decades = math.ceil(math.log10(max(top, 10)))
    rounded = 10**decades if panel.logarithmic else top

    def place(x: float, y: float) -> tuple[float, float]:
        share = math.log10(max(y, 1)) / decades if panel.logarithmic else y / rounded
        return LEFT + (x - low) / (high - low) * PLOT_WIDTH, TOP + (1 - share) * PLOT_HEIGHT

    marks = [10.0**power for power in range(decades + 1)] if panel.logarithmic else [rounded * n / 4 for n in range(5)]
    parts = [f'<text class="title" x="{LEFT - 40}" y="22">{escape(panel.title)}</text>']
    parts.append(f'<text class="soft" x="{LEFT - 40}" y="41">{escape(panel.y)}</text>')
    for mark in marks:
        _, y = place(low, mark)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{PLOT_WIDTH}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(mark)}</text>')
    for mark in _round_marks(low, high):
        x, _ = place(mark, 1)
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{TOP + PLOT_HEIGHT + 18}" text-anchor="middle">{mark:g}</text>'
        )
    middle = LEFT + PLOT_WIDTH / 2
    parts.append(
        f'<text class="soft" x="{middle}" y="{TOP + PLOT_HEIGHT + 36}" text-anchor="middle">{escape(panel.x)}</text>'
    )
    x, y = LEFT - 40.0, HEIGHT - 20
    for number, (name, curve) in enumerate(panel.curves.items()):
        path = "L".join("{:.1f} {:.1f}".format(*place(*point)) for point in curve)
        look = f'class="c c{number}" stroke-dasharray="{DASHES[number]}"'
        parts.append(f'<path {look} d="M{path}"/>')
        parts.append(f'<path {look} d="M{x:.0f} {y - 4}h24"/><text x="{x + 30:.0f}" y="{y}">{escape(name)}</text>')
        x += 38 + 6.3 * len(name)
    return "".join(parts)


def _round_marks(low: float, high: float) -> list[float]:
    """At most six round numbers between the two."""
    step = 10.0 ** math.floor(math.log10((high - low) / 6))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) < 6)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
