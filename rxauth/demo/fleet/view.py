"""What a fleet looks like in the terminal: a line of time for each process, and for what is stored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.text import Text

from rxauth.demo.fleet.worker import Tally

#: The columns beside the time, and the widest picture.
NAME, COUNT, WIDEST = 10, 9, 120

FETCHED, TAKEN, KILLED = ("●", "bold yellow"), ("○", "cyan"), ("✗", "bold red")
ALIVE, AHEAD = ("─", "dim"), ("·", "dim")

_KINDS = {"redis": "Redis", "file": "a file"}


@dataclass
class Lane:
    """One process: what it says of itself, when it was `killed` (seconds since the epoch), and how it is `broken`."""

    name: str
    tally: Tally
    killed: float | None = None
    broken: str = ""


@dataclass
class Board:
    """What is known of the whole fleet by now. Printed, it is the picture."""

    kind: str
    lanes: list[Lane]
    seconds: float
    life: float
    began: float = 0.0
    first: int = 0
    generation: int = 0
    refreshes: int = 0
    refused: int = 0
    over: bool = False
    #: When which generation was seen in the storage first.
    stored: list[tuple[float, int]] = field(default_factory=list)

    def note(self, refreshes: int, refused: int, generation: int) -> None:
        """What the server has counted, and the storage holds."""
        self.refreshes, self.refused = refreshes, refused
        if generation != self.generation:
            self.generation = generation
            self.stored.append((time.time(), generation))

    @property
    def advanced(self) -> int:
        """How many generations of tokens have been stored since the login."""
        return self.generation - self.first

    @property
    def answered(self) -> int:
        return sum(lane.tally.answered for lane in self.lanes)

    @property
    def lost(self) -> int:
        return sum(lane.tally.lost for lane in self.lanes)

    @property
    def ended(self) -> int:
        return sum(lane.tally.ended for lane in self.lanes)

    @property
    def idle(self) -> list[str]:
        """Who was answered nothing at all."""
        return [lane.name for lane in self.lanes if lane.tally.answered == 0]

    @property
    def is_good(self) -> bool:
        """Was each refresh token posted once, and did nobody notice anything?"""
        nothing = not (self.refused or self.lost or self.ended or self.idle)
        return self.refreshes == self.advanced > 0 and nothing and not any(lane.broken for lane in self.lanes)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        time_line = _TimeLine(self, max(10, width - 4 - NAME - COUNT))
        lines = [time_line.scale(), *map(time_line.lane, self.lanes), time_line.generations()]
        numbers = f"{_refreshes(self)} at the server, {self.refused} refused, {self.lost} lost call{_s(self.lost)}"
        lines += [Text(), Text(f"{'':{NAME}}{numbers}", "bold"), _legend()]
        title = f"one sign-in in {_KINDS[self.kind]}, tokens of {self.life:g} s"
        yield Panel(Group(*lines), title=title, title_align="left", width=width)


class _TimeLine:
    """Puts moments into columns."""

    def __init__(self, board: Board, width: int) -> None:
        self._board, self._width = board, width
        self._now = width if board.over else self._column(time.time())

    def scale(self) -> Text:
        """0, 5, 10, ... seconds."""
        marks = [" "] * self._width
        step = next(
            step for step in (1, 2, 5, 10, 20, 60, 600, 3600) if self._board.seconds / step <= 8 or step == 3600
        )
        for second in range(0, int(self._board.seconds) + 1, step):
            at = min(self._column(self._board.began + second), self._width - len(f"{second} s"))
            marks[at : at + len(f"{second} s")] = f"{second} s"
        return Text(f"{'':{NAME}}{''.join(marks)}{'answered':>{COUNT}}", "dim")

    def lane(self, lane: Lane) -> Text:
        """The life of one process."""
        end = self._now if lane.killed is None else min(self._now, self._column(lane.killed))
        marks = [ALIVE if column < end else AHEAD for column in range(self._width)]
        if lane.killed is not None:
            marks[end:] = [(" ", "")] * (self._width - end)
        for moments, mark in ((lane.tally.taken, TAKEN), (lane.tally.fetched, FETCHED)):
            for moment in moments:
                marks[self._column(moment)] = mark
        if lane.killed is not None:
            marks[self._column(lane.killed)] = KILLED
        style = "red" if lane.broken or lane.tally.lost or lane.tally.ended else ""
        return Text.assemble(f"{lane.name:{NAME}}", *marks, (f"{lane.tally.answered:>{COUNT},}", style))

    def generations(self) -> Text:
        """The numbers of the pairs that were stored, each where it was seen first."""
        marks = ["─" if column < self._now else "·" for column in range(self._width)]
        for moment, generation in self._board.stored:
            number = str(generation - self._board.first)
            at = min(self._column(moment), self._width - len(number))
            marks[at : at + len(number)] = number
        return Text.assemble(f"{'stored':{NAME}}", ("".join(marks), "green"), f"{self._board.answered:>{COUNT},}")

    def _column(self, moment: float) -> int:
        part = (moment - self._board.began) / self._board.seconds
        return max(0, min(self._width - 1, int(part * self._width)))


def verdict(board: Board) -> Group:
    """The counts, and who counted."""
    counts = (
        f"{_mark(board.refreshes == board.advanced > 0)} [bold]{_refreshes(board)} counted by the server, "
        f"{board.advanced} generation{_s(board.advanced)} stored[/]: "
        + ("each refresh token was posted once" if board.refreshes == board.advanced else "they should be equal")
    )
    others = (
        f"{_mark(not (board.refused or board.lost or board.ended))} {board.answered:,} calls answered, "
        f"{board.lost} lost, {board.refused} refused refreshes, {board.ended} sign-out{_s(board.ended)}"
    )
    lines = [Text(), Text.from_markup(counts), Text.from_markup(others), *map(_of_the_killed, _killed(board))]
    return Group(*lines, *(Text(line, "red") for line in _failures(board)))


def _killed(board: Board) -> list[Lane]:
    return [lane for lane in board.lanes if lane.killed is not None]


def _of_the_killed(lane: Lane) -> Text:
    return Text(
        f"  {lane.name} was killed (kill -9) between two refreshes, and the others went on. Killed with the server's "
        "answer in its hands it would have taken the new tokens along, and only the server could help: docs/storage.md",
        "dim",
    )


def _failures(board: Board) -> list[str]:
    idle = [f"{name}: no call was answered" for name in board.idle]
    broken = [f"{lane.name} {lane.broken}" for lane in board.lanes if lane.broken]
    errors = [f"{lane.name}: {count} x {what}" for lane in board.lanes for what, count in lane.tally.errors.items()]
    return [*idle, *broken, *errors]


def _refreshes(board: Board) -> str:
    return f"{board.refreshes} refresh" + ("" if board.refreshes == 1 else "es")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _mark(good: bool) -> str:
    return "[bold green]✓[/]" if good else "[bold red]✗[/]"


def _legend() -> Text:
    return Text.assemble(
        f"{'':{NAME}}", FETCHED, " refreshed  ", TAKEN, " took it over, without a post  ", KILLED, " killed"
    )
