"""How much is drawn as little: calls become bundles, marbles that would overlap become one, slivers of time too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rxauth.notebook.marbles.calls import Call, Outcome, SpanKind, Way
from rxauth.notebook.marbles.labels import clean
from rxauth.notebook.marbles.streams import Line, Mark, StreamLane
from rxauth.notebook.marbles.tokens import Piece

#: A stretch of time: from, to.
Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One call, or neighbours of the same shape: where at least one of them waits, queues or is in flight."""

    calls: tuple[Call, ...]
    waits: tuple[Stretch, ...]
    queued: tuple[Stretch, ...]
    flights: tuple[Stretch, ...]
    refusals: tuple[float, ...]
    end: float
    outcome: Outcome
    way: Way

    @property
    def number(self) -> int:
        return len(self.calls)


def rows(calls: Sequence[Call], most: int, folded: int, gap: float) -> list[Row]:
    """A row for each call up to `most` of them, else about `folded` bundles.

    A bundle's stretches are joined when no more than `gap` seconds are between them.
    """
    if len(calls) <= most:
        return [_row((call,), 0.0) for call in calls]
    size = -(-len(calls) // folded)
    bundles: list[tuple[Call, ...]] = []
    while True:
        bundles = list(_bundles(calls, size))
        if len(bundles) <= max(2 * folded, 24) or size >= len(calls):
            return [_row(bundle, gap) for bundle in bundles]
        size *= 2


def _bundles(calls: Sequence[Call], size: int) -> Iterable[tuple[Call, ...]]:
    """Calls of the same shape that stand together; where shapes alternate they are sorted within each `size` calls."""
    for _, run in groupby(enumerate(calls), lambda place: place[0] // size):
        shapes: dict[tuple[Way, Outcome, bool], list[Call]] = {}
        for _, call in run:
            shapes.setdefault((call.way, call.outcome, bool(call.refusals)), []).append(call)
        yield from map(tuple, shapes.values())


def _row(calls: tuple[Call, ...], gap: float) -> Row:
    return Row(
        calls,
        waits=_stretches(calls, "waits", gap),
        queued=_stretches(calls, "queued", gap),
        flights=_stretches(calls, "flight", gap),
        refusals=tuple(begin for begin, _ in join(((at, at) for call in calls for at in call.refusals), gap)),
        end=max(call.end for call in calls),
        outcome=calls[0].outcome,
        way=calls[0].way,
    )


def _stretches(calls: tuple[Call, ...], kind: SpanKind, gap: float) -> tuple[Stretch, ...]:
    found = ((span.begin, span.end) for call in calls for span in call.spans if span.kind == kind)
    return tuple(found) if len(calls) == 1 else tuple(join(found, gap))


def join(stretches: Iterable[Stretch], gap: float) -> list[Stretch]:
    """The stretches in order, those joined that overlap or are no more than `gap` apart."""
    joined: list[Stretch] = []
    for begin, end in sorted(stretches):
        if joined and begin - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


@dataclass(frozen=True, slots=True)
class Marble:
    """One value, or `number` of them that would lie on each other, at a place. `label` is "" where it has no room.

    It takes `half` to each side.
    """

    x: float
    half: float
    number: int
    label: str
    mark: Mark


def marbles_of(
    marks: Sequence[Mark],
    place: Callable[[float], float],
    dot: float,
    pill: Callable[[str], float],
    *,
    edges: Stretch = (-math.inf, math.inf),
    space: float = 2,
) -> list[Marble]:
    """The marks as marbles that do not overlap: dots of radius `dot`, with a label where it fits.

    `pill` says how wide a label is, and a label stays between the `edges`. All is measured in the unit of `place`.
    """
    low, high = edges
    stack: list[tuple[float, float, int, Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        new = (place(mark.at), dot, 1, mark)
        while stack and new[0] - new[1] < stack[-1][0] + stack[-1][1] + space:
            x, _, number, first = stack.pop()
            together = number + new[2]
            half = max(dot, pill(times(together)) / 2)
            middle = (x * number + new[0] * new[2]) / together
            new = (max(min(middle, high - half), low + half), half, together, first)
        stack.append(new)
    found: list[Marble] = []
    for here, (x, half, number, mark) in enumerate(stack):
        if number > 1:
            found.append(Marble(x, half, number, times(number), mark))
            continue
        wide = pill(mark.label) / 2
        left = found[-1].x + found[-1].half + space if found else low
        right = stack[here + 1][0] - stack[here + 1][1] - space if here + 1 < len(stack) else high
        # Its middle may stand a little later than the value, if it still lies over the value's place.
        beside = max(min(x, high - wide), low + wide, min(left + wide, x + wide - dot))
        fits = left <= beside - wide and beside + wide <= right
        found.append(
            Marble(beside if fits else x, max(wide, dot) if fits else half, 1, mark.label if fits else "", mark)
        )
    return found


def times(number: int) -> str:
    return f"× {number}"


def lines(lane: StreamLane, most: int) -> tuple[Line, ...]:
    """A line for each subscriber, the last one for all who have none of their own."""
    if len(lane.lines) <= most:
        return lane.lines
    own, rest = lane.lines[: most - 1], lane.lines[most - 1 :]
    return (*own, together(rest))


def together(some: Sequence[Line]) -> Line:
    """Several lines as one; it ends as they did, if all did so alike."""
    endings = {line.ending for line in some}
    return Line(
        begin=min(line.begin for line in some),
        end=max(line.end for line in some),
        marks=tuple(sorted((mark for line in some for mark in line.marks), key=lambda mark: mark.at)),
        ending=endings.pop() if len(endings) == 1 else "open" if "open" in endings else "completed",
        why=next((line.why for line in some if line.why), ""),
        subscribers=sum(line.subscribers for line in some),
    )


def lanes(streams: Sequence[StreamLane], most: int) -> tuple[StreamLane, ...]:
    """The streams, from the last of `most` on as one."""
    if len(streams) <= most:
        return tuple(streams)
    rest = streams[most - 1 :]
    merged = StreamLane(clean(f"{len(rest)} more"), (together([line for lane in rest for line in lane.lines]),))
    return (*streams[: most - 1], merged)


@dataclass(frozen=True, slots=True)
class Block:
    """Pieces of a token's life that are drawn as one: a single one, or several of which each is a sliver."""

    begin: float
    end: float
    pieces: tuple[Piece, ...]


def blocks(pieces: Sequence[Piece], sliver: float) -> list[Block]:
    """The pieces, neighbours that are all shorter than `sliver` seconds together."""
    found: list[list[Piece]] = []
    were_slivers = False
    for piece in pieces:
        is_sliver = piece.end - piece.begin < sliver
        if is_sliver and were_slivers:
            found[-1].append(piece)
        elif piece.end > piece.begin or piece is pieces[-1]:
            found.append([piece])
            were_slivers = is_sliver
    return [Block(group[0].begin, group[-1].end, tuple(group)) for group in found]


def thin(steps: Sequence[tuple[float, int]], width: float) -> list[tuple[float, int]]:
    """The steps, of those that fall into `width` seconds only the highest and the last."""
    if len(steps) < 3 or width <= 0:
        return list(steps)
    kept: list[tuple[float, int]] = []
    for _, group in groupby(steps, lambda step: int(step[0] / width)):
        inside = list(group)
        highest = max(inside, key=lambda step: step[1])
        kept += [highest, inside[-1]] if highest is not inside[-1] else [highest]
    return kept
