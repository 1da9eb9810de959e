"""A story as text marbles: for a terminal, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rxauth.notebook.marbles.folds import Row, lanes, lines, rows, times
from rxauth.notebook.marbles.labels import columns, count, fit, length, wrapped
from rxauth.notebook.marbles.scale import Scale
from rxauth.notebook.marbles.sentence import headline, refreshes, sentence
from rxauth.notebook.marbles.story import Story
from rxauth.notebook.marbles.streams import Line, Mark
from rxauth.notebook.marbles.tokens import Flight, TokenLane

#: Columns for the names, for the lanes, and for the sums.
NAMES, PLOT, SUMS = 14, 64, 20
WIDTH = NAMES + PLOT + SUMS + 2
#: More calls are folded, into about so many bundles; more streams, subscribers and sessions are folded, too.
ROWS, BUNDLES, STREAMS, SUBSCRIBERS, SESSIONS = 24, 12, 16, 4, 6

_PIECES = {
    "signed_out": ".",
    "signing_in": "?",
    "signed_in": "=",
    "fresh": "=",
    "expired": "x",
    "refreshing": "~",
    "degraded": "!",
}
_BLOCKS = " ▁▂▃▄▅▆▇█"
_LEGEND = {
    "token": (
        ("=", "signed in"),
        ("x", "expired"),
        ("~", "refreshing"),
        ("o", "new token"),
        ("!", "degraded"),
        ("?", "signing in"),
        (".", "signed out"),
    ),
    "refresh$": (("^", "starts"), ("o", "new token"), ("x", "failed"), ("?", "overtaken")),
    "calls": (
        ("/", "waits for the token"),
        (".", "queued"),
        ("=", "in flight"),
        ("r", "401, sent again"),
        ("o", "answered"),
        ("x", "failed"),
        ("|", "cancelled or left"),
        (">", "still running"),
    ),
    "streams": (("*", "a value"), ("|", "completed"), ("x", "error"), ("▷", "subscriber left"), (">", "goes on")),
}


def write(story: Story, *, title: str | None = None) -> str:
    """The story in lines of at most 100 columns; no line ends in a space."""
    paper = _Paper(Scale.of(story.end, 0, PLOT - 1))
    _tokens(paper, story)
    if story.peak:
        paper.lane("waiting", _waiting(paper.scale, story), f"peak {story.peak}")
    _calls(paper, story)
    _streams(paper, story)
    if story.actions:
        paper.mark("streams", "*")
        paper.lane("actions", _marbles(paper.scale, story.actions, "-" * PLOT), count(len(story.actions), "action"))
    if story.errors:
        paper.mark("streams", "x")
        paper.lane("errors", _crosses(paper.scale, story.errors), count(len(story.errors), "error"))
    head = [*wrapped(_one_line(title or headline(story)), WIDTH), ""]
    body = [*paper.lines, _axis(paper.scale)] if paper.lines else []
    told = wrapped(sentence(story), WIDTH)
    return "\n".join(line.rstrip() for line in [*head, *body, "", *paper.legend(), *told]).strip("\n")


class _Paper:
    """The lanes so far, and which signs occur in them."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.lines: list[str] = []
        self._used: dict[str, set[str]] = {}

    def lane(self, name: str, plot: str, told: str = "", kind: str = "") -> None:
        name = fit(_one_line(name), NAMES - 1)
        self.lines.append(f"{name}{' ' * (NAMES - columns(name))}{plot} {fit(told, SUMS)}")
        if kind:
            self.mark(kind, plot)

    def mark(self, kind: str, signs: Iterable[str]) -> None:
        self._used.setdefault(kind, set()).update(signs)

    def legend(self) -> list[str]:
        """A line for each kind of lane, with the signs that occur."""
        found = []
        for kind, signs in _LEGEND.items():
            told = [f"{sign} {words}" for sign, words in signs if sign in self._used.get(kind, ())]
            if told:
                found += _together(f"{kind + ':':<10}", told)
        return [*found, ""] if found else []


def _together(head: str, parts: list[str]) -> list[str]:
    """The parts in lines, none of them divided; the first line begins with `head`, others with as much space."""
    lines = [head + parts[0]]
    for part in parts[1:]:
        if columns(lines[-1]) + 3 + columns(part) <= WIDTH:
            lines[-1] += f"   {part}"
        else:
            lines.append(" " * len(head) + part)
    return lines


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _at(scale: Scale, at: float) -> int:
    return min(max(int(scale(at) + 0.5), 0), PLOT - 1)


def _put(line: list[str], begin: int, end: int, sign: str) -> None:
    """From `begin` to `end`, both included."""
    line[begin : end + 1] = sign * (max(end, begin) - begin + 1)


def _tokens(paper: _Paper, story: Story) -> None:
    for lane in story.tokens[:SESSIONS]:
        named = f" {lane.session}" if len(story.tokens) > 1 else ""
        paper.lane(f"token{named}", _token(paper.scale, lane, story.end), _generation(lane), "token")
        if lane.flights:
            paper.lane(f"refresh${named}", _flights(paper.scale, lane.flights), refreshes(lane.flights), "refresh$")
    if len(story.tokens) > SESSIONS:
        paper.lane("", f"and {len(story.tokens) - SESSIONS} more sessions".ljust(PLOT))


def _token(scale: Scale, lane: TokenLane, end: float) -> str:
    line = [" "] * PLOT
    for piece in lane.pieces:
        last = PLOT - 1 if piece.end >= end else _at(scale, piece.end)
        _put(line, _at(scale, piece.begin), last, _PIECES[piece.kind])
    for flight in lane.flights:
        if flight.outcome == "refreshed" and flight.end is not None:
            line[_at(scale, flight.end)] = "o"
    return "".join(line)


def _generation(lane: TokenLane) -> str:
    last = lane.pieces[-1] if lane.pieces else None
    if last is not None and last.unsaved:
        return "not saved"
    return f"generation {last.generation}" if last is not None and last.generation else ""


def _flights(scale: Scale, flights: Sequence[Flight]) -> str:
    line = ["-"] * PLOT
    signs = {"refreshed": "o", "failed": "x", "ended": "x", "overtaken": "?"}
    for flight in flights:
        if flight.end is not None:
            line[_at(scale, flight.end)] = signs.get(flight.outcome, "-")
    for flight in flights:
        if flight.begin is not None:
            here = _at(scale, flight.begin)
            over = flight.end is not None and _at(scale, flight.end) == here
            line[here - 1 if over and here else here] = "^"
    return "".join(line)


def _waiting(scale: Scale, story: Story) -> str:
    """The most that waited in each column."""
    line, known, last = [0] * PLOT, 0, 0
    for at, number in story.waiting:
        here = _at(scale, at)
        for column in range(last, here + 1):
            line[column] = max(line[column], known)
        line[here] = max(line[here], number)
        known, last = number, here
    for column in range(last + 1, PLOT):
        line[column] = known
    most = len(_BLOCKS) - 1
    return "".join(_BLOCKS[-(-number * most // story.peak)] for number in line)


def _calls(paper: _Paper, story: Story) -> None:
    found = rows(story.calls, ROWS, BUNDLES, paper.scale.lasts(1))
    for row in found:
        name = times(row.number) if len(found) != len(story.calls) else row.calls[0].name
        paper.lane(name, _row(paper.scale, row, story.end), _outcome(row), "calls")


def _row(scale: Scale, row: Row, end: float) -> str:
    line, is_open = [" "] * PLOT, row.outcome == "running"
    for stretches, sign in ((row.queued, "."), (row.waits, "/"), (row.flights, "=")):
        for begin, until in stretches:
            _put(line, _at(scale, begin), PLOT - 1 if is_open and until >= end else _at(scale, until), sign)
    for at in row.refusals:
        line[_at(scale, at)] = "r"
    signs = {"answered": "o", "failed": "x", "running": ">"}
    line[PLOT - 1 if is_open else _at(scale, row.end)] = signs.get(row.outcome, "|")
    return "".join(line)


def _outcome(row: Row) -> str:
    longest = max(call.waited for call in row.calls)
    if row.outcome == "failed":
        return row.calls[0].why
    return f"waited {length(longest)}" if row.way == "waited" else ""


def _streams(paper: _Paper, story: Story) -> None:
    for lane in lanes(story.streams, STREAMS):
        for number, line in enumerate(lines(lane, SUBSCRIBERS)):
            name = lane.name if number == 0 else f"  {line.subscribers} more" if line.subscribers > 1 else ""
            told = count(len(line.marks), "value") if line.marks or line.ending != "failed" else ""
            paper.lane(name, _line(paper, line, story.end), f"{told} {line.why}".strip())


def _line(paper: _Paper, line: Line, end: float) -> str:
    begin = _at(paper.scale, line.begin)
    last = PLOT - 1 if line.ending == "open" and line.end >= end else _at(paper.scale, line.end)
    drawn = " " * begin + "-" * (max(last, begin) - begin + 1) + " " * (PLOT - 1 - max(last, begin))
    sign = {"completed": "|", "failed": "x", "disposed": "▷", "open": ">"}[line.ending]
    paper.mark("streams", sign + "*" * bool(line.marks))
    return _marbles(paper.scale, line.marks, drawn, sign, max(last, begin))


def _marbles(scale: Scale, marks: Sequence[Mark], drawn: str, sign: str = ">", last: int = PLOT - 1) -> str:
    """The values themselves where they have room, `*` where not, and where several have one place."""
    line = list(drawn)
    line[last] = sign
    labels: dict[int, list[str]] = {}
    for mark in sorted(marks, key=lambda mark: mark.at):
        here = _at(scale, mark.at)
        # A value at the moment of the end stands before it.
        labels.setdefault(max(here - 1, 0) if here == last else here, []).append(mark.label.replace(" ", "_"))
    places = sorted(labels)
    for here, following in zip(places, [*(place - 1 for place in places[1:]), last][: len(places)], strict=True):
        label = labels[here][0]
        shown = label if len(labels[here]) == 1 and label.isascii() and len(label) <= following - here else "*"
        line[here : here + len(shown)] = shown
    return "".join(line)


def _crosses(scale: Scale, marks: Sequence[Mark]) -> str:
    line = ["-"] * PLOT
    for mark in marks:
        line[_at(scale, mark.at)] = "x"
    return "".join(line)


def _axis(scale: Scale) -> str:
    line = [" "] * (PLOT + SUMS)
    for at, text in scale.ticks(12):
        here = _at(scale, at)
        line[here : here + len(text)] = text
    return " " * NAMES + "".join(line)
