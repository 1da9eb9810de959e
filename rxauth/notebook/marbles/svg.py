"""A story as a picture: SVG that stands alone, without fonts or scripts from elsewhere."""

from __future__ import annotations

from functools import partial
from xml.sax.saxutils import escape

from rxauth.notebook.marbles.canvas import Canvas, n, size_of, width_of
from rxauth.notebook.marbles.folds import lanes, rows
from rxauth.notebook.marbles.labels import clean, count, length, wrapped
from rxauth.notebook.marbles.lanes import Page, actions_lane, errors_lane, flights_lane, stream_lane, token_lane
from rxauth.notebook.marbles.rows import PITCHES, calls_lane, waiting_lane
from rxauth.notebook.marbles.scale import Scale
from rxauth.notebook.marbles.sentence import headline, sentence
from rxauth.notebook.marbles.story import Gate, Story
from rxauth.notebook.marbles.theme import Theme, patterns, style

#: The narrowest picture, and from which width on there is a margin at the right for sums.
NARROWEST, WITH_MARGIN = 360, 760
#: How wide a picture is that nobody asked to be otherwise: at the width of a notebook its letters stay readable.
WIDTH = 960
#: More calls than these are folded, into about so many bundles; more sessions and streams are folded, too.
ROWS, BUNDLES, SESSIONS, STREAMS = 60, 20, 6, 16
#: At most so many dotted lines say that the gate opened.
GATES = 12
_PAD = 28


def draw(story: Story, *, title: str | None = None, width: int = WIDTH, theme: Theme = "auto") -> str:
    """The picture of a story, `width` pixels wide and as high as it needs to be."""
    page = _page(story, width)
    shown, told = title or headline(story), sentence(story)
    _head(page, shown, told)
    top = page.y - 4
    _lanes(page, story)
    bottom = page.y
    grid = _axis(page, top, bottom)
    _legend(page)
    height = n(page.y + 20)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(clean(shown))}</title><desc id="d">{escape(clean(told))}</desc>',
            f"<style>{style(theme)}</style>{patterns(page.canvas.used)}",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{n(page.y + 19)}" rx="14" class="f-card k-edge"/>',
            grid,
            *page.canvas.parts,
            "</svg>",
        )
    )


def _page(story: Story, width: int) -> Page:
    left = min(max(width * 0.15, 92), 190)
    margin = min(max(width * 0.217, 150), 220) if width >= WITH_MARGIN else 0
    right = width - (margin or _PAD)
    return Page(Canvas(), Scale.of(story.end, left, right), width, margin - _PAD if margin else 0, y=0, end=story.end)


def _head(page: Page, title: str, told: str) -> None:
    room = page.width - 2 * _PAD
    y = 41
    for number, line in enumerate(wrapped(clean(title), room, partial(width_of, size=size_of("h")))):
        y += 26 * (number > 0)
        page.canvas.text(_PAD, y, line, "h")
    for number, line in enumerate(wrapped(clean(told), room, width_of)):
        y += 18 if number else 23
        page.canvas.text(_PAD, y, line, "soft")
    page.y = y + 34


def _lanes(page: Page, story: Story) -> None:
    gates = _gates(page, story)
    gate_top, below = page.y + 22, len(page.canvas.parts)
    for lane in story.tokens[:SESSIONS]:
        named = lane.session if len(story.tokens) > 1 else ""
        token_lane(page, lane, named)
        if lane.flights:
            flights_lane(page, lane, named)
    if len(story.tokens) > SESSIONS:
        page.canvas.text(page.left, page.y + 10, f"and {len(story.tokens) - SESSIONS} more sessions", "s soft")
        page.y += 22
    found = rows(story.calls, ROWS, BUNDLES, page.scale.lasts(5))
    if story.peak:
        waiting_lane(page, story, with_sum=len(found) > len(PITCHES) or len(story.calls) != len(found))
    if found:
        calls_lane(page, story, found)
        _gate_lines(page, gates, gate_top, below)
    for stream in lanes(story.streams, STREAMS):
        stream_lane(page, stream)
    if story.actions:
        actions_lane(page, story.actions)
    if story.errors:
        errors_lane(page, story.errors)
    if story.dropped:
        page.canvas.text(page.left, page.y + 12, f"the first {count(story.dropped, 'event')} are not here", "s soft")
        page.y += 24


def _gates(page: Page, story: Story) -> list[Gate]:
    """Those that are shown: of many that lie close together the first."""
    shown: list[Gate] = []
    for gate in story.gates:
        if not shown or page.scale(gate.at) - page.scale(shown[-1].at) > 6:
            shown.append(gate)
    return shown if len(shown) <= GATES else []


def _gate_lines(page: Page, gates: list[Gate], top: float, below: int) -> None:
    """Dotted lines behind all calls, each with its label below where there is room for it."""
    if not gates:
        return
    places = [page.scale(gate.at) for gate in gates]
    d = "".join(f"M{n(x)} {n(top)}V{n(page.y + 4)}" for x in places)
    page.canvas.parts.insert(below, f'<path class="gate" d="{d}"/>')
    taken = page.left - 8
    for gate, x, following in zip(gates, places, [*places[1:], page.right], strict=True):
        for words in _gate_words(gate):
            wide = width_of(words, size_of("b")) + 20
            if x - wide >= taken:
                page.canvas.text(x - 8, page.y + 6, words, "b halo", "end")
                break
            if x + wide <= following:
                page.canvas.text(x + 8, page.y + 6, words, "b halo")
                taken = x + wide
                break
        taken = max(taken, x + 4)  # also without a label of its own: nobody else's stands beside it
    page.y += 22


def _gate_words(gate: Gate) -> tuple[str, ...]:
    """What is said about it, from at length to short."""
    if gate.passed or not gate.refused:
        return f"gate opens at {length(gate.at)}", f"opens at {length(gate.at)}", "opens"
    refused = f"{gate.refused} refused"
    at = f"{refused} at {length(gate.at)}"
    return (f"{at}: {gate.why}", at, refused) if gate.why else (at, refused)


def _axis(page: Page, top: float, bottom: float) -> str:
    """The ticks' texts, and (to be drawn first) their lines."""
    grid = []
    for at, text in page.scale.ticks(76):
        x = page.scale(at)
        grid.append(f"M{n(x)} {n(top)}V{n(bottom + 4)}")
        page.canvas.text(x, bottom + 20, text, "s soft", "middle")
    page.y = bottom + 34
    return f'<path class="grid" d="{"".join(grid)}"/>'


# -- the legend -------------------------------------------------------------------------------------------------------

_LEGEND = (
    ("waits", "waits for the token"),
    ("queued", "queued"),
    ("flight", "request in flight"),
    ("ring", "answered"),
    ("cross", "failed"),
    ("bar", "cancelled or left"),
    ("refusal", "answered 401, sent again"),
    ("triangle", "refresh starts"),
    ("disc", "new token, for all who wait"),
    ("refused", "refresh failed"),
    ("late", "overtaken: signed out or in"),
    ("marble", "value"),
    ("action", "action"),
    ("done", "completed"),
    ("play", "subscriber left"),
    ("error", "error"),
    ("arrow", "goes on"),
)


def _legend(page: Page) -> None:
    """Of what occurs, in as many lines as it takes."""
    x, y = float(_PAD), page.y + 8
    for name, words in _LEGEND:
        if name not in page.canvas.used:
            continue
        sign = 24 if name in ("waits", "queued", "flight") else 12
        wide = sign + 8 + width_of(words, 12) + 18
        if x > _PAD and x + wide > page.width - _PAD:
            x, y = float(_PAD), y + 20
        _sign(page.canvas, name, x + sign / 2, y)
        page.canvas.text(x + sign + 8, y + 4, words, "s soft")
        x += wide
    page.y = y if x > _PAD else page.y - 8


def _sign(canvas: Canvas, name: str, x: float, y: float) -> None:
    match name:
        case "waits":
            canvas.rect(x - 12, y - 4, 24, 8, "k-busy", "waits", r=1.5)
        case "queued":
            canvas.level(x - 12, x + 12, y, "queue")
        case "flight":
            canvas.rect(x - 12, y - 3, 24, 6, "f-call", r=1.5)
        case "ring":
            canvas.ring(x, y)
        case "cross" | "error":
            canvas.cross(x, y)
        case "bar" | "done":
            canvas.bar(x, y)
        case "refusal":
            canvas.path(f"M{n(x)} {n(y - 5)}l5 5l-5 5l-5 -5z", "f-bad")
        case "triangle":
            canvas.triangle(x, y, 5.5)
        case "disc":
            canvas.disc(x, y, 6)
        case "refused":
            canvas.refused(x, y, 6)
        case "late":
            canvas.late(x, y)
        case "marble":
            canvas.dot(x, y, 5, "f-call-fill k-call")
        case "action":
            canvas.dot(x, y, 5, "f-idle-fill k-line")
        case "play":
            canvas.play(x, y)
        case "arrow":
            canvas.arrow(x + 2, y)
