"""The lanes of a picture that are about calls: how many wait, and a row for each call or bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rxauth.notebook.marbles.calls import Call
from rxauth.notebook.marbles.canvas import n, width_of
from rxauth.notebook.marbles.folds import Row, thin, times
from rxauth.notebook.marbles.labels import count, length
from rxauth.notebook.marbles.lanes import Page
from rxauth.notebook.marbles.sentence import reasons, ways
from rxauth.notebook.marbles.story import Story

#: Up to so many calls each has its name at the left and its end at the right, and a row this high.
PITCHES = (24, 24, 24, 22, 22, 22, 20, 20, 20, 20, 20, 20)


def waiting_lane(page: Page, story: Story, *, with_sum: bool) -> None:
    """How many wait, as a hatched area, with its peak."""
    high, canvas = 28.0, page.canvas
    steps = thin(story.waiting, page.scale.lasts(1.5))
    peak, beside = _peak(page, story, steps)
    if peak and beside is None:
        page.y += 14  # it stands above the area
    base = page.y + high
    page.label(page.y + 20, "waiting", "calls in the queue")
    d, level = f"M{n(page.left)} {n(base)}", base
    for at, number in steps:
        level = base - high * number / story.peak
        d += f"H{n(page.scale(at))}V{n(level)}"
    canvas.path(f"{d}H{n(page.right)}V{n(base)}z", "k-none", "waits")
    canvas.path(f"{d}H{n(page.right)}", "step")
    if beside is not None:
        canvas.text(beside, base - high + 12, peak, "halo")
    elif peak:
        rise = page.scale(next(at for at, number in steps if number == story.peak))
        canvas.text(min(rise, page.right - width_of(peak)), base - high - 6, peak, "halo")
    if not with_sum:
        waited = [call for call in story.calls if call.way == "waited"]
        page.note(page.y + 14, f"{len(waited)} waited", f"longest {length(max(call.waited for call in waited))}", "b")
    page.y += high + 26


def _peak(page: Page, story: Story, steps: Sequence[tuple[float, int]]) -> tuple[str, float | None]:
    """What is said of the peak ("" of a single call), and where it has room beside the area; None: nowhere."""
    if story.peak < 2:
        return "", None
    words = f"peak {story.peak}"
    here = next((number for number, step in enumerate(steps) if step[1] == story.peak), 0)
    fall = page.scale(steps[here + 1][0] if here + 1 < len(steps) else story.end)
    until = fall + 12 + width_of(words)
    high = any(number > story.peak / 2 and fall < page.scale(at) < until for at, number in steps[here + 1 :])
    return words, None if high or until > page.right else fall + 12


def calls_lane(page: Page, story: Story, rows: Sequence[Row]) -> None:
    """A row each: hatched while it waits, a line in the queue, solid in flight, and a mark at its end."""
    folded = len(rows) != len(story.calls)
    if not folded and len(rows) <= len(PITCHES):
        _named_rows(page, rows)
    else:
        _crowd(page, story, rows, folded)


def _named_rows(page: Page, rows: Sequence[Row]) -> None:
    pitch = PITCHES[len(rows) - 1]
    for row in rows:
        y, call = page.y + pitch / 2, row.calls[0]
        page.canvas.text(page.left - 16, y + 4, call.name, "s", "end", page.left - 24)
        _row(page, row, y, 7)
        page.note(y + 4, _outcome(call), style="s soft")
        page.y += pitch
    page.y += 12


def _outcome(call: Call) -> str:
    match call.outcome:
        case "answered" if call.why == "tokens":
            return f"token after {length(call.waited)}"
        case "answered" if call.way == "waited":
            return f"waited {length(call.waited)}, then {call.why}"
        case "answered":
            return f"answered {call.why}".removesuffix(" answered")
        case "failed":
            return f"failed: {call.why}"
        case "cancelled":
            return "cancelled"
        case "left":
            return "no answer"
    return "still running"


def _crowd(page: Page, story: Story, rows: Sequence[Row], folded: bool) -> None:
    top = page.y
    if folded:
        page.label(top + 10, count(len(story.calls), "call"), f"in {len(rows)} bundles")
        page.y = top = top + 34
    else:
        page.label(top + 12, count(len(rows), "call"), "one row each")
    pitch, high = (15.0, 8.0) if folded else (8.0, 4.6)
    if not folded and len(rows) <= 30:
        pitch, high = 11.0, 5.6
    for row in rows:
        y = page.y + pitch / 2
        if folded:
            page.canvas.text(page.left - 16, y + 4, times(row.number), "m soft", "end")
        _row(page, row, y, high)
        page.y += pitch
    _sums(page, story, rows, top, pitch)
    page.y += 14


def _row(page: Page, row: Row, y: float, high: float) -> None:
    canvas, scale = page.canvas, page.scale
    ends = row.outcome == "running"
    for begin, end in row.queued:
        canvas.used.add("queued")
        canvas.level(scale(begin), scale(end), y, "queue")
    canvas.bars(
        [(scale(a), page.until(b) if ends else scale(b)) for a, b in row.waits], y - high / 2, high, "", "waits"
    )
    if row.flights:
        canvas.used.add("flight")
    canvas.bars(
        [(scale(a), page.until(b) if ends else scale(b)) for a, b in row.flights], y - high / 2, high, "f-call", ""
    )
    for at in row.refusals:
        canvas.used.add("refusal")
        x, r = scale(at), min(high, 5)
        canvas.path(f"M{n(x)} {n(y - r)}l{n(r)} {n(r)}l{n(-r)} {n(r)}l{n(-r)} {n(-r)}z", "f-bad")
    _mark(page, row, y)


def _mark(page: Page, row: Row, y: float) -> None:
    x = page.scale(row.end)
    match row.outcome:
        case "answered":
            page.canvas.ring(x, y)
        case "failed":
            page.canvas.cross(x, y)
        case "cancelled" | "left":
            page.canvas.bar(x, y)
        case "running":
            page.canvas.arrow(page.right + 3, y, 3, "k-call")


def _sums(page: Page, story: Story, rows: Sequence[Row], top: float, pitch: float) -> None:
    """What the rows add up to, at the right: beside those that it is about, if there is room."""
    if not page.margin:
        return
    used = top
    for words, more, about in _told(story.calls):
        beside = [number for number, row in enumerate(rows) if row.way == about]
        together = about and beside and beside[-1] - beside[0] < len(beside)
        middle = top + pitch * (beside[0] + beside[-1] + 1) / 2 if together else used
        y = max(used, middle - 6)
        used = page.sum(y + 10, words, more)
    page.y = max(page.y, used - 12)


def _told(calls: Sequence[Call]) -> list[tuple[str, str, str]]:
    """The sums: in bold, below it, and about which rows (by their way) it is."""
    number, told = ways(calls), []
    if number["waited"]:
        told.append((f"{number['waited']} waited", f"longest {length(max(call.waited for call in calls))}", "waited"))
    if number["straight"]:
        told.append((f"{number['straight']} went straight through", "token already fresh", "straight"))
    if number["bare"]:
        told.append((f"{number['bare']} needed no token", "", "bare"))
    if number["turned_away"]:
        away = [call for call in calls if call.way == "turned_away"]
        told.append((f"{number['turned_away']} turned away", reasons(away), "turned_away"))
    outcomes = Counter(call.outcome for call in calls)
    if outcomes["failed"]:
        told.append((f"{outcomes['failed']} failed", reasons([call for call in calls if call.outcome == "failed"]), ""))
    left = outcomes["cancelled"] + outcomes["left"]
    if left:
        told.append((f"{left} cancelled or left", "", ""))
    if outcomes["running"]:
        told.append((f"{outcomes['running']} still running", "", ""))
    again = sum(bool(call.refusals) for call in calls)
    if again:
        told.append((f"{again} sent again", "after a 401", ""))
    return told
