"""What marble diagrams are drawn with: texts and shapes as SVG, each remembered for the legend."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from rxauth.notebook.marbles.labels import clean, columns

#: How large each style's letters are, in pixels; bold ones are wider, so they count as larger.
_SIZES = {"h": 21.5, "b": 14.0, "s": 12.0, "m": 11.0}
#: How wide letters are, as parts of their size, in the widest of the usual fonts (DejaVu Sans).
_EMS = {
    **dict.fromkeys(" ',./:;|!()-[]\\ijlfrtIJ·", 0.37),
    **dict.fromkeys("mwMWQOGDHN%@&#+<=>~…✓✕↻×", 0.84),
}


def width_of(text: str, size: float = 12.5) -> float:
    """About how wide a text is, rather more than less: nobody knows the reader's font."""
    return size * sum(_EMS.get(char) or 0.61 * columns(char) for char in text)


def cut(text: str, room: float, size: float = 12.5) -> str:
    """The text, cut to about so many pixels."""
    if width_of(text, size) <= room:
        return text
    kept, left = "", room - width_of("…", size)
    for char in text:
        left -= width_of(char, size)
        if left < 0:
            break
        kept += char
    return kept.rstrip() + "…"


def size_of(style: str) -> float:
    """How large the letters of this style are."""
    return next((_SIZES[name] for name in style.split() if name in _SIZES), 12.5)


def n(number: float) -> str:
    """A number as SVG reads it, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")


class Canvas:
    """SVG elements in order. `used` names the shapes that occur."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.used: set[str] = set()

    def text(
        self, x: float, y: float, text: str, style: str = "", anchor: str = "start", room: float | None = None
    ) -> None:
        """A text; with `room` it is cut to so many pixels."""
        text = " ".join(clean(text).split())
        if room is not None:
            text = cut(text, room, size_of(style))
        end = "" if anchor == "start" else f' text-anchor="{anchor}"'
        kind = f' class="{style}"' if style else ""
        self.parts.append(f'<text x="{n(x)}" y="{n(y)}"{kind}{end}>{escape(text)}</text>')

    def rect(self, x: float, y: float, width: float, height: float, style: str, fill: str = "", r: float = 0) -> None:
        """A rectangle; `fill` is the name of a pattern."""
        pattern = f' fill="url(#{fill})"' if fill else ""
        if fill:
            self.used.add(fill)
        corner = f' rx="{n(min(r, width / 2))}"' if r else ""
        self.parts.append(
            f'<rect x="{n(x)}" y="{n(y)}" width="{n(max(width, 0))}" height="{n(height)}" class="{style}"'
            f"{pattern}{corner}/>"
        )

    def path(self, d: str, style: str, fill: str = "") -> None:
        pattern = f' fill="url(#{fill})"' if fill else ""
        if fill:
            self.used.add(fill)
        self.parts.append(f'<path d="{d}" class="{style}"{pattern}/>')

    def bars(self, stretches: Iterable[tuple[float, float]], y: float, height: float, style: str, fill: str) -> None:
        """Bars from and to these places, in one path; none is so short that it can not be seen."""
        d = "".join(f"M{n(x)} {n(y)}H{n(max(until, x + 1.2))}v{n(height)}H{n(x)}z" for x, until in stretches)
        if d:
            self.path(d, style, fill)

    def level(self, x: float, until: float, y: float, style: str = "line") -> None:
        self.path(f"M{n(x)} {n(y)}H{n(until)}", style)

    # -- marks, each around its middle --------------------------------------------------------------------------------

    def ring(self, x: float, y: float, r: float = 3.6) -> None:
        """Answered."""
        self.used.add("ring")
        self.parts.append(f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" class="end open k-call"/>')

    def cross(self, x: float, y: float, r: float = 3.6, name: str = "cross") -> None:
        """Failed."""
        self.used.add(name)
        d = f"M{n(x - r)} {n(y - r)}l{n(2 * r)} {n(2 * r)}m0 {n(-2 * r)}l{n(-2 * r)} {n(2 * r)}"
        self.path(d, "end k-bad")

    def bar(self, x: float, y: float, r: float = 5, name: str = "bar") -> None:
        """Left, cancelled or completed: nothing comes after it."""
        self.used.add(name)
        self.path(f"M{n(x)} {n(y - r)}v{n(2 * r)}", "end k-text")

    def arrow(self, x: float, y: float, r: float = 4, style: str = "k-line") -> None:
        """It goes on."""
        self.used.add("arrow")
        self.path(f"M{n(x - r)} {n(y - r)}l{n(r)} {n(r)}l{n(-r)} {n(r)}", f"end {style}")

    def triangle(self, x: float, y: float, r: float = 6) -> None:
        """A refresh starts."""
        self.used.add("triangle")
        self.path(f"M{n(x)} {n(y - r)}l{n(r)} {n(1.9 * r)}h{n(-2 * r)}z", "f-busy")

    def disc(self, x: float, y: float, r: float = 9) -> None:
        """A refresh brought new tokens: a check."""
        self.used.add("disc")
        self.parts.append(f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" class="f-good"/>')
        k = r / 9
        self.path(f"M{n(x - 4 * k)} {n(y + 0.3 * k)}l{n(2.8 * k)} {n(2.9 * k)}l{n(5.2 * k)} {n(-6 * k)}", "end k-card")

    def refused(self, x: float, y: float, r: float = 9) -> None:
        """A refresh failed: a square with a cross."""
        self.used.add("refused")
        self.parts.append(
            f'<rect x="{n(x - r)}" y="{n(y - r)}" width="{n(2 * r)}" height="{n(2 * r)}" rx="3" class="f-bad"/>'
        )
        k = r * 0.42
        d = f"M{n(x - k)} {n(y - k)}l{n(2 * k)} {n(2 * k)}m0 {n(-2 * k)}l{n(-2 * k)} {n(2 * k)}"
        self.path(d, "end k-card")

    def late(self, x: float, y: float) -> None:
        """A refresh whose outcome counts for nothing: an open diamond."""
        self.used.add("late")
        self.path(f"M{n(x)} {n(y - 7)}l7 7l-7 7l-7 -7z", "end open k-line")

    def play(self, x: float, y: float, r: float = 5) -> None:
        """The subscriber left."""
        self.used.add("play")
        self.path(f"M{n(x - r)} {n(y - r)}l{n(1.8 * r)} {n(r)}l{n(-1.8 * r)} {n(r)}z", "end open k-line")

    def pill(
        self, x: float, y: float, half: float, label: str, style: str = "f-call-fill k-call", r: float = 9
    ) -> None:
        """A marble with its label."""
        self.used.add("marble" if "call" in style else "action")
        self.rect(x - half, y - r, 2 * half, 2 * r, style, r=r)
        self.text(x, y + 4, label, "m", "middle")

    def dot(self, x: float, y: float, r: float = 4, style: str = "f-call") -> None:
        """A marble without room for a label."""
        self.used.add("marble" if "call" in style else "action")
        self.parts.append(f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" class="{style}"/>')
