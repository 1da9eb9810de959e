"""The colours and patterns of marble diagrams: light, dark, or as the reader's system says.

Colour is never alone: what waits is hatched, what is in flight is solid, and each end has a shape of its own.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Theme: TypeAlias = Literal["auto", "light", "dark"]
Palette: TypeAlias = dict[str, str]

LIGHT: Palette = {
    "card": "#ffffff",
    "edge": "#d1d9e0",
    "text": "#1f2328",
    "soft": "#59636e",
    "grid": "#e4e8ec",
    "line": "#7d8590",
    "good": "#0b6b4b",
    "good-fill": "#c9f0e0",
    "busy": "#a34f00",
    "busy-fill": "#ffe2c2",
    "busy-mid": "#f0b67c",
    "bad": "#b3261e",
    "bad-fill": "#fde0dd",
    "bad-mid": "#eda39c",
    "call": "#0a5ca8",
    "call-fill": "#d8e9fa",
    "call-mid": "#9fc7ee",
    "idle-fill": "#f0f2f5",
}
DARK: Palette = {
    "card": "#14181f",
    "edge": "#3d444d",
    "text": "#e6edf3",
    "soft": "#a6b1bd",
    "grid": "#262c36",
    "line": "#7d8795",
    "good": "#4fd6a5",
    "good-fill": "#11392d",
    "busy": "#f2a641",
    "busy-fill": "#4a3110",
    "busy-mid": "#70501f",
    "bad": "#ff8f87",
    "bad-fill": "#4a1e1c",
    "bad-mid": "#7d3733",
    "call": "#6cb6ff",
    "call-fill": "#12304f",
    "call-mid": "#23568a",
    "idle-fill": "#20262f",
}

#: The patterns of areas: the colour behind, the colour of the lines, the tile's size, the lines, and their width.
PATTERNS: dict[str, tuple[str, str, int, str, float]] = {
    "waits": ("busy-fill", "busy", 6, "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", 1.3),
    "refreshing": ("busy-fill", "busy-mid", 14, "M-2 16L16 -2M-2 2L2 -2M12 16L16 12", 2.5),
    "expired": ("bad-fill", "bad-mid", 10, "M0 0L10 10M10 0L0 10", 1),
    "degraded": ("bad-fill", "bad-mid", 7, "M0 3H7", 1.5),
    "signing_in": ("call-fill", "call-mid", 12, "M6 0V12", 2),
}

_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif"
_FIXED = (
    f"text{{font:12.5px {_FONT}}}.h{{font-size:19px;font-weight:600}}.b{{font-weight:600}}.s{{font-size:12px}}"
    ".m{font-size:11px}.grid,.line,.gate,.queue,.step,.end{fill:none}.line{stroke-width:1.2}"
    ".gate{stroke-width:1.6;stroke-dasharray:1.6 3.6;stroke-linecap:butt}.queue{stroke-width:1.4}"
    ".end{stroke-width:2}.step{stroke-width:1.3}.halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
    ".dash{stroke-dasharray:4 3}"
)


def style(theme: Theme) -> str:
    """The style sheet."""
    if theme == "auto":
        return f"{_FIXED}{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"
    return _FIXED + _colours(LIGHT if theme == "light" else DARK)


def patterns(used: set[str]) -> str:
    """The definitions of those patterns that are used."""
    made = []
    for name in sorted(used & PATTERNS.keys()):
        behind, lines, size, path, width = PATTERNS[name]
        made.append(
            f'<pattern id="{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
            f'<rect class="f-{behind}" width="{size}" height="{size}"/>'
            f'<path class="k-{lines}" d="{path}" stroke-width="{width}" fill="none"/></pattern>'
        )
    return f"<defs>{''.join(made)}</defs>" if made else ""


def _colours(palette: Palette) -> str:
    rules = [f".halo{{stroke:{palette['card']}}}"]
    rules += [f".f-{name}{{fill:{colour}}}.k-{name}{{stroke:{colour}}}" for name, colour in palette.items()]
    rules.append(
        f"text{{fill:{palette['text']}}}text.soft{{fill:{palette['soft']}}}"
        f".grid{{stroke:{palette['grid']}}}.line{{stroke:{palette['line']}}}.gate{{stroke:{palette['text']}}}"
        f".queue{{stroke:{palette['call']}}}.step{{stroke:{palette['busy']}}}.open{{fill:{palette['card']}}}"
    )
    return "".join(rules)
