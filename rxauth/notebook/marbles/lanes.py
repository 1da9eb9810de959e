"""The lanes of a picture that are lines: tokens, refreshes, streams, actions and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from rxauth.notebook.marbles.canvas import Canvas, size_of, width_of
from rxauth.notebook.marbles.folds import Block, blocks, lines, marbles_of
from rxauth.notebook.marbles.labels import count, length, wrapped
from rxauth.notebook.marbles.scale import Scale
from rxauth.notebook.marbles.sentence import refreshes
from rxauth.notebook.marbles.streams import Line, Mark, StreamLane
from rxauth.notebook.marbles.theme import PATTERNS
from rxauth.notebook.marbles.tokens import Piece, TokenLane
from rxauth.notebook.words import shorten

#: A stream with more subscribers than these shows some of them as one line.
SUBSCRIBERS = 5


@dataclass(slots=True)
class Page:
    """Where things are: `y` is how far down it is drawn, `margin` the room for sums at the right (0 for none)."""

    canvas: Canvas
    scale: Scale
    width: int
    margin: float
    y: float
    end: float

    @property
    def left(self) -> float:
        return self.scale.left

    @property
    def right(self) -> float:
        return self.scale.right

    def until(self, at: float) -> float:
        """The place of an end; what lasts to the recording's end is drawn to the end of the axis."""
        return self.right if at >= self.end else self.scale(at)

    def label(self, y: float, name: str, more: str = "") -> None:
        """A lane's name at the left, and below it what it is."""
        room = self.left - 24
        self.canvas.text(self.left - 16, y, name, "b", "end", room)
        if more and width_of(more, 12) <= room:
            self.canvas.text(self.left - 16, y + 15, more, "s soft", "end", room)

    def note(self, y: float, text: str, more: str = "", style: str = "") -> None:
        """A sum at the right, if there is a margin."""
        if self.margin and text:
            self.canvas.text(self.right + 16, y, text, style, room=self.margin)
            if more:
                self.canvas.text(self.right + 16, y + 17, more, "s soft", room=self.margin)

    def sum(self, y: float, text: str, more: str = "") -> float:
        """A sum at the right, in as many lines as it takes; returns where the next one may begin."""
        for words, style in ((text, "b"), (more, "s soft")):
            for line in wrapped(words, self.margin, partial(width_of, size=size_of(style))):
                self.canvas.text(self.right + 16, y, line, style)
                y += 17
        return y - 2


# -- tokens -----------------------------------------------------------------------------------------------------------

_WORDS = {
    "signed_out": ("–", "signed out"),
    "signing_in": ("…", "signing in"),
    "signed_in": ("✓", "signed in"),
    "fresh": ("✓", "fresh"),
    "expired": ("✕", "expired"),
    "refreshing": ("↻", "refreshing"),
    "degraded": ("!", "degraded"),
}
_FILLS = {
    "signed_out": "f-card k-line dash",
    "signing_in": "k-call",
    "signed_in": "f-idle-fill k-good",
    "fresh": "f-good-fill k-good",
    "expired": "k-bad",
    "refreshing": "k-busy",
    "degraded": "k-bad",
}


def token_lane(page: Page, lane: TokenLane, named: str) -> None:
    """A bar in pieces; what has no room for its words says it with its pattern alone."""
    y, high = page.y, 26.0
    page.label(y + 17, named or "token", "token" if named else "")
    found = blocks(lane.pieces, page.scale.lasts(4))
    for block in found:
        # What came last goes on to the end of the axis, also when nothing was recorded after it.
        _block(page, block, y, high, page.until(block.end) if block is found[-1] else page.scale(block.end))
    page.note(y + 17, _token_note(page, lane), style="s soft")
    page.y += high + (20 if named and not lane.flights else 14)


def _block(page: Page, block: Block, y: float, high: float, until: float) -> None:
    x = page.scale(block.begin)
    wide = max(until - x, 1.5)
    if len(block.pieces) > 1:
        behind = "busy-fill"
        page.canvas.rect(x, y, wide, high, "k-busy", "refreshing", r=4)
        said = [f"{len(block.pieces)} changes", f"× {len(block.pieces)}"]
    else:
        piece = block.pieces[0]
        pattern = piece.kind if piece.kind in PATTERNS else ""
        behind = PATTERNS[pattern][0] if pattern else ""
        style = _FILLS[piece.kind] + (" dash" if piece.unsaved and piece.kind != "signed_out" else "")
        page.canvas.rect(x, y, wide, high, style, pattern, r=7)
        said = _sayings(piece)
    for words in said:
        if width_of(words) + 12 <= wide:
            page.canvas.text(x + 9, y + 17.5, words, f"halo k-{behind}" if behind else "")
            return


def _sayings(piece: Piece) -> list[str]:
    """What a piece is, from at length to a sign."""
    sign, word = _WORDS[piece.kind]
    short = f"{sign} {word}" + (", not saved" if piece.unsaved and piece.kind in ("fresh", "signed_in") else "")
    generation = f" – generation {piece.generation}" if piece.generation else ""
    left = piece.expires_in
    more = [short, sign]
    match piece.kind:
        case "fresh" if left is not None:
            more = [f"{short}{generation}, expires in {length(left)}", short + generation, *more]
        case "refreshing" if piece.refused:
            more = [f"{short} – the API refused the old token", *more]
        case "refreshing" if left is not None and left > piece.end - piece.begin:
            more = [f"{short} – the old token is still valid", *more]
        case "degraded" if left is not None and left > piece.end - piece.begin:
            more = [f"{short} – the token is still valid", *more]
        case "degraded" | "signed_out" if piece.error:
            more = [f"{short} – {piece.error}", *more]
        case "signed_in" | "expired":
            more = [short + generation, *more]
    return more


def _token_note(page: Page, lane: TokenLane) -> str:
    """What matters and may have had no room: that it expired, or that it is over."""
    last = lane.turns[-1] if lane.turns else None
    if last is not None and last.what in ("ended", "signed_out"):
        return f"{'✕ ended' if last.what == 'ended' else 'signed out'} at {length(last.at)}"
    if lane.pieces and lane.pieces[-1].unsaved:
        return "✕ not saved"
    expired = [piece for piece in lane.pieces if piece.kind == "expired"]
    if expired:
        return f"✕ expired at {length(expired[0].begin)}" if expired[0].begin else "✕ expired at the start"
    generations = {piece.generation for piece in lane.pieces if piece.generation}
    return f"{len(generations)} generations" if len(generations) > 2 else ""


def flights_lane(page: Page, lane: TokenLane, named: str) -> None:
    """The refreshes: a triangle where one starts, and its outcome."""
    y = page.y + 14
    page.label(y + 4, "refresh$", named or "shared, replays last")
    page.canvas.level(page.left, page.right, y)
    ends = [(flight.end, flight) for flight in lane.flights if flight.end is not None]
    crowd = len(lane.flights) > 12 or _are_close(page, [flight.begin for flight in lane.flights])
    small = 5 if crowd else 9
    landings = [page.scale(end) for end, _ in ends]
    for number, x in _folded(page, [flight.begin for flight in lane.flights if flight.begin is not None], 2 * small):
        close = [place for place in landings if 0 <= place - x < small + 6]
        x = max(close[0] - small - 6, page.left - 8) if close else x  # beside the outcome, not under it
        page.canvas.triangle(x, y, 5 if crowd else 6)
        if number > 1:
            page.canvas.text(x, y - 10, f"× {number}", "m halo", "middle")
    for outcome in ("refreshed", "failed", "ended", "overtaken"):
        moments = [end for end, flight in ends if flight.outcome == outcome]
        for _, x in _folded(page, moments, 2 * small):
            _landing(page.canvas, outcome, x, y, small)
    if any(flight.outcome == "running" for flight in lane.flights):
        page.canvas.arrow(page.right, y, style="k-busy")
    page.note(y + 4, refreshes(lane.flights), style="b")
    page.y += 42


def _landing(canvas: Canvas, outcome: str, x: float, y: float, r: float) -> None:
    if outcome == "refreshed":
        canvas.disc(x, y, r)
    elif outcome == "overtaken":
        canvas.late(x, y)
    else:
        canvas.refused(x, y, r - 1)


def _are_close(page: Page, begins: Sequence[float | None]) -> bool:
    places = sorted(page.scale(at) for at in begins if at is not None)
    return any(after - before < 40 for before, after in pairwise(places))


def _folded(page: Page, moments: Sequence[float], apart: float) -> list[tuple[int, float]]:
    """How many lie at which place, at least so far apart."""
    found: list[tuple[int, float]] = []
    for x in sorted(page.scale(at) for at in moments):
        if found and x - found[-1][1] < apart:
            found[-1] = (found[-1][0] + 1, found[-1][1])
        else:
            found.append((1, x))
    return found


# -- streams ----------------------------------------------------------------------------------------------------------


def stream_lane(page: Page, lane: StreamLane) -> None:
    """A line for each subscriber with a marble for each value."""
    shown = lines(lane, SUBSCRIBERS)
    subscribers = sum(line.subscribers for line in lane.lines)
    for number, line in enumerate(shown):
        y = page.y + 14
        if number == 0:
            more = f"{subscribers} subscribers" if subscribers > 1 else ""
            page.label(y + 4, lane.name, more if len(shown) == 1 else "")
            page.note(y + 4, count(lane.values, "value"), more, "b")
        elif line.subscribers > 1:
            page.canvas.text(page.left - 16, y + 4, f"{line.subscribers} more", "s soft", "end")
        _line(page, line, y)
        page.y += 30
    page.y += 8


def _line(page: Page, line: Line, y: float) -> None:
    canvas, x, until = page.canvas, page.scale(line.begin), page.until(line.end)
    if line.ending != "open":
        until = page.scale(line.end)
    canvas.level(x, until, y)
    canvas.bar(x, y, 4, name="line")
    over = _marbles(page, line.marks, y, "f-call-fill k-call", "f-call")
    until = max(until, over + 7)  # an end at the moment of the last value stands after it
    match line.ending:
        case "completed":
            canvas.bar(until, y, 8, name="done")
        case "failed":
            canvas.cross(until, y, 5.5, name="error")
            _beside(page, until, y, line.why)
        case "disposed":
            canvas.play(until, y)
        case "open":
            canvas.arrow(until, y)


def _beside(page: Page, x: float, y: float, words: str) -> None:
    """Words after a mark, where there is room before the margin."""
    if x + 14 + width_of(words, 11) < page.right:
        page.canvas.text(x + 12, y + 4, words, "m halo")


def _marbles(page: Page, marks: Sequence[Mark], y: float, pill: str, dot: str) -> float:
    """Draws them, and says where the last one ends."""
    edges = (page.left - 8, page.right + 2)
    found = marbles_of(marks, page.scale, 4, lambda label: max(width_of(label, 11) + 10, 18), edges=edges)
    for marble in found:
        if marble.label:
            page.canvas.pill(marble.x, y, marble.half, marble.label, pill)
        else:
            page.canvas.dot(marble.x, y, 4, dot)
    return found[-1].x + found[-1].half if found else page.left - 8


def actions_lane(page: Page, marks: Sequence[Mark]) -> None:
    """What was dispatched and is told nowhere else."""
    y = page.y + 14
    page.label(y + 4, "actions")
    page.canvas.level(page.left, page.right, y)
    _marbles(page, marks, y, "f-idle-fill k-line", "f-line")
    page.note(y + 4, count(len(marks), "action"), style="b")
    page.y += 38


def errors_lane(page: Page, marks: Sequence[Mark]) -> None:
    """The errors that were reported, a cross each, with class and place."""
    y = page.y + 14
    page.label(y + 4, "errors", "reported")
    page.canvas.level(page.left, page.right, y)
    found = _folded(page, [mark.at for mark in marks], 14)
    ordered, here = sorted(marks, key=lambda mark: mark.at), 0
    for number, (many, x) in enumerate(found):
        page.canvas.cross(x, y, 5, name="error")
        room = (found[number + 1][1] - 10 if number + 1 < len(found) else page.right) - x + 4
        mark = ordered[here]
        here += many
        times = f" × {many}" if many > 1 else ""
        for words in (f"{mark.label}{times} in {mark.where}" if mark.where else "", mark.label + times, times.strip()):
            if words and width_of(words, 11) <= room:
                page.canvas.text(x - 4, y + 19, words, "m")
                break
    kinds = {mark.label for mark in marks}
    page.note(y + 4, count(len(marks), "error"), shorten(", ".join(sorted(kinds)), 40), "b")
    page.y += 42
