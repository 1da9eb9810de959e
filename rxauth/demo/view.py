"""What the demo shows in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rxauth.demo.seen import App, Seen, Totals

WIDTH = 60
#: At most this many calls get a line of their own in the timeline; the others are said to be missing.
LINES = 16

_STATUS = {"signed_in": "green", "refreshing": "yellow", "degraded": "red", "signed_out": "red", "signing_in": "yellow"}


def panel(app: App, seen: Seen, calls: int) -> Panel:
    """The live picture: what the state says, and where the calls are."""
    waiting = len(seen.queued) - len(seen.sent)
    flying = len(seen.sent) - len(seen.done)
    table = Table.grid(padding=(0, 2))
    auth = app.auth
    table.add_row("token", Text(f"{auth.status.replace('_', ' ')}, generation {auth.generation}", _STATUS[auth.status]))
    table.add_row("waiting", _bar(waiting, calls, "░", "yellow"))
    table.add_row("in flight", _bar(flying, calls, "█", "blue"))
    table.add_row("answered", _bar(app.answered, calls, "█", "green"))
    return Panel(table, title=f"{calls} calls", title_align="left", width=WIDTH + 24)


def timeline(seen: Seen, calls: int) -> Group:
    """One line a call: hatched while it waits for the token, solid while it is on the wire."""
    end = max([*seen.done.values(), 0.001])
    lines = [Text(f"\n{'':10} 0{'':{WIDTH - 8}}{end * 1000:5.0f} ms", style="dim")]
    for began, *landed in seen.refreshes[:1]:
        bar = " " * _at(began, end) + "─" * max(1, _at(landed[0] if landed else end, end) - _at(began, end)) + "●"
        lines.append(Text.assemble(f"{'refresh':10} ", (bar, "yellow"), " one request" if landed else ""))
    shown = _spread(sorted(number for number in seen.queued if number < calls), LINES)
    for number in shown:
        queued = seen.queued[number]
        sent, done = seen.sent.get(number, end), seen.done.get(number, end)
        waits, flies = _at(sent, end) - _at(queued, end), max(1, _at(done, end) - _at(sent, end))
        bars = (("░" * waits, "yellow"), ("█" * flies, "blue"), ("○", "blue"))
        lines.append(Text.assemble(f"call {number:<5} ", " " * _at(queued, end), *bars))
    if len(shown) < calls:
        lines.append(Text(f"{'':10} … {calls - len(shown)} more like these", style="dim"))
    lines.append(Text.assemble(f"{'':10} ", ("░", "yellow"), " waits for the token  ", ("█", "blue"), " on the wire"))
    return Group(*lines)


def summary(totals: Totals, good: bool) -> Text:
    """The counts, and who counted."""
    mark = ("✓ ", "bold green") if good else ("✗ ", "bold red")
    refreshes = f"{totals.refreshes} refresh" + ("" if totals.refreshes == 1 else "es")
    return Text.assemble(
        "\n",
        mark,
        (f"{totals.calls} calls, {totals.answers} answers, {refreshes}", "bold"),
        f", counted by {totals.counted_by}",
    )


def _bar(count: int, of: int, char: str, style: str) -> Text:
    return Text.assemble((char * round(count / of * WIDTH), style), f" {count}")


def _at(moment: float, end: float) -> int:
    return round(moment / end * (WIDTH - 2))


def _spread(numbers: list[int], most: int) -> list[Any]:
    if len(numbers) <= most:
        return numbers
    step = (len(numbers) - 1) / (most - 1)
    return [numbers[round(index * step)] for index in range(most)]
