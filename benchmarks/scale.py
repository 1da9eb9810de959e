"""`make scale`: what a fleet does to its token endpoint, simulated; writes the tables and the picture of docs/scale.md.

Seeded: the same figures on every machine. `--only together` runs one table and prints it, `--check` writes nothing and
fails where docs/scale.md says anything else.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks.fleet import Endpoint, Fleet, Seen, often, take_turns
from benchmarks.scale_plot import Panel, picture
from rxauth.session import Settings, Windows
from rxauth.tokens import Tokens

DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
PICTURE = DOCUMENT.with_name("scale.svg")
MILLION, PROCESSES = 1_000_000, 10_000
HOUR, MINUTE = 3600.0, 60.0
NO_LIMIT = float("inf")
#: How long before its expiry a token is replaced, on average: `refresh_ahead`.
MIDDLE = 60.0


@dataclass(frozen=True)
class Row:
    """A line of a table, and the curve that goes into the picture, if one does."""

    cells: tuple[str, ...]
    curve: list[tuple[float, float]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


Work: TypeAlias = Callable[[], Row]


def luck(seed: int, by_chance: bool) -> tuple[random.Random, Callable[[int], float]]:
    """A source of chance for calls, and what the sessions draw: numbers of their own, or all the same one."""
    drawn = random.Random(f"drawn {seed}")
    return random.Random(seed), (lambda session: drawn.random()) if by_chance else (lambda session: 0.5)


def steady(sessions: int, life: float, every: float) -> Row:
    """Sessions whose tokens are of all ages."""
    calls, chance = luck(1, True)
    own, pair = [chance(number) for number in range(sessions)], Tokens("a", life=life)
    issued = [-calls.uniform(0, life - Windows(spread=spread).of(pair)[1] + every) for spread in own]
    next_call = often(calls, every)
    seen = Fleet(issued, life=life, next_call=next_call, chance=own.__getitem__, endpoint=Endpoint()).run(MINUTE + life)
    mean = sum(posts for second, posts in seen.posts.items() if second >= MINUTE) / life
    each = f"{mean * HOUR / sessions:.2f}"
    return Row((count(sessions), span(life), span(every), each, count(mean), count(seen.peak(60))))


def together(size: int, within: float, by_chance: bool, ahead: float | None = None, hours: int = 24) -> Row:
    """Sessions that signed in in the same `within` seconds, called once a second each."""
    calls, chance = luck(2, by_chance)
    issued = [calls.uniform(0, within) for _ in range(size)]
    fleet = Fleet(
        issued,
        life=HOUR,
        next_call=often(calls, 1.0),
        chance=chance,
        endpoint=Endpoint(),
        settings=Settings.of(refresh_ahead=ahead),
    )
    seen = fleet.run(hours * HOUR)
    peaks = [(float(hour), float(seen.peak(int(hour * HOUR - 1800), hour * HOUR + 1800))) for hour in range(1, hours)]
    shown = [count(int(peaks[hour - 1][1])) if hour < hours else "" for hour in (1, 2, 6, 23)]
    signed_in = "at one instant" if within == 0 else f"within {span(within)}"
    return Row((count(size), signed_in, drawn(by_chance), span(ahead or 60), *shown), peaks)


def shared(processes: int, watched: bool, by_chance: bool) -> Row:
    calls, chance = luck(3, by_chance)
    turns = take_turns(processes, life=HOUR, next_call=often(calls, 1.0), chance=chance, watched=watched)
    waits = f"{turns.mean_wait:.3f} s", f"{turns.longest_wait:.1f} s"
    told = "yes" if watched else "no"
    return Row(
        (count(processes), told, drawn(by_chance), count(processes), count(turns.posts), count(turns.entered), *waits)
    )


def outage(
    minutes: float,
    by_chance: bool,
    answer: str = "none",
    capacity: float = NO_LIMIT,
    longest: float = 60.0,
    scale: int = 1,
) -> Row:
    """A million sessions of all ages, called every 10 s each, and a token endpoint that is out for so many minutes.

    `longest` is their `max_cool_down`. `scale`: each session stands for so many, where all of them would take too long.
    """
    calls, chance = luck(4, by_chance)
    issued = [-calls.uniform(0, HOUR - MIDDLE) for _ in range(MILLION // scale)]
    end = MINUTE + minutes * MINUTE
    endpoint = refusing((MINUTE, end), answer, capacity / scale)
    settings, next_call = Settings.of(max_cool_down=longest), often(calls, 10.0)
    fleet = Fleet(issued, life=HOUR, next_call=next_call, chance=chance, endpoint=endpoint, settings=settings)
    seen = fleet.run(end + 600 + 40 * minutes)
    first = int(end)
    curve = [(float(second), float(seen.posts[first + second] * scale)) for second in range(-60, 181)]
    about = f"{minutes:g} min", answer, limit(capacity), span(longest), drawn(by_chance)
    return Row((*about, *troubles(seen, end, scale)), curve)


def outage_together(minutes: float, by_chance: bool, answer: str = "none", capacity: float = NO_LIMIT) -> Row:
    """10,000 processes that signed in at one instant, called ten times a second; out when all of them must refresh."""
    calls, chance = luck(5, by_chance)
    begin = HOUR - MINUTE
    end = begin + minutes * MINUTE
    issued, endpoint = [0.0] * PROCESSES, refusing((begin, end), answer, capacity)
    seen = Fleet(issued, life=HOUR, next_call=often(calls, 0.1), chance=chance, endpoint=endpoint).run(end + 3000)
    times = sorted(at - end for at in seen.recovered)
    curve = [(at, 100 * (place + 1) / PROCESSES) for place, at in enumerate(times) if place % 50 == 49]
    about = f"{minutes:g} min", answer, limit(capacity), drawn(by_chance)
    return Row((*about, *troubles(seen, end, 1)), [(0.0, 0.0), *curve])


def refusing(out: tuple[float, float], answer: str, capacity: float) -> Endpoint:
    """An endpoint that says `answer` of when to come back."""
    retry_after = 30.0 if answer == "30 s" else None
    return Endpoint(outage=out, capacity=capacity, retry_after=retry_after, announced=answer == "its end")


def troubles(seen: Seen, end: float, scale: int) -> Iterable[str]:
    """How many had failed, the posts a second before and after the end, and when how many had recovered."""
    begin = int(end)
    failed = (len(seen.recovered) + seen.degraded) * scale
    during = sum(seen.posts[second] for second in range(begin - 30, begin)) * scale / 30
    after = seen.peak(begin, begin + 900) * scale
    by = [seen.recovered_by(share) - end for share in (0.5, 0.99, 1.0)]
    return count(failed), count(round(during)), count(after), *(f"{max(0.0, at):.0f} s" for at in by)


def count(many: float) -> str:
    return f"{many:,.0f}"


def span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min" if seconds > 60 else f"{seconds:g} s"


def limit(capacity: float) -> str:
    return "none" if capacity == NO_LIMIT else f"{capacity:,.0f}/s"


def drawn(by_chance: bool) -> str:
    return "their own" if by_chance else "the same"


@dataclass(frozen=True)
class Table:
    """A table of docs/scale.md: its head, and the work for each line."""

    head: str
    work: Sequence[Work]

    def text(self, rows: list[Row]) -> str:
        return "\n".join([self.head, "|" + "---|" * (self.head.count("|") - 1), *map(str, rows)])


_TROUBLES = "failed | posts/s at its end | peak posts/s afterwards | half recovered | 99 % | all |"

#: The longest first, for two cores.
TABLES = {
    "outage": Table(
        f"| out for | `Retry-After` | limit | `max_cool_down` | sessions draw | {_TROUBLES}",
        [
            partial(outage, 1, True),
            partial(outage, 10, True),
            partial(outage, 60, True, scale=20),
            partial(outage, 60, True, longest=300.0, scale=20),
            partial(outage, 10, False, "its end"),
            partial(outage, 10, True, "its end"),
            partial(outage, 10, True, "30 s", 1000),
            partial(outage, 60, True, "30 s", 1000, scale=20),
        ],
    ),
    "steady": Table(
        "| sessions | token life | a call every | posts an hour of each | posts/s of all, mean | peak |",
        [
            partial(steady, PROCESSES, HOUR, 1.0),
            partial(steady, 100_000, HOUR, 1.0),
            partial(steady, MILLION, HOUR, 1.0),
            partial(steady, MILLION, HOUR, HOUR / 2),
            partial(steady, MILLION, 5 * MINUTE, 1.0),
        ],
    ),
    "together": Table(
        "| sessions | signed in | sessions draw | `refresh_ahead` | peak posts/s after 1 h | 2 h | 6 h | 23 h |",
        [
            partial(together, PROCESSES, 0.0, False),
            partial(together, PROCESSES, 0.0, True),
            partial(together, PROCESSES, MINUTE, False),
            partial(together, PROCESSES, MINUTE, True),
            partial(together, PROCESSES, 0.0, True, ahead=600.0),
            partial(together, MILLION, 0.0, True, hours=2),
        ],
    ),
    "together_outage": Table(
        f"| out for | `Retry-After` | limit | sessions draw | {_TROUBLES}",
        [
            partial(outage_together, 5, False),
            partial(outage_together, 5, True),
            partial(outage_together, 5, False, "30 s", 100),
            partial(outage_together, 5, True, "30 s", 100),
            partial(outage_together, 0, False, "30 s", 100),
            partial(outage_together, 0, True, "30 s", 100),
        ],
    ),
    "shared": Table(
        "| processes | storage tells | they draw | posts without it | with it | turns taken | mean wait | longest |",
        [partial(shared, size, told, True) for told in (False, True) for size in (10, 100, 1000, PROCESSES)]
        + [partial(shared, PROCESSES, False, False)],
    ),
}


def replaced(text: str, name: str, new: str) -> str:
    """The document with another table between its two marks."""
    begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"docs/scale.md has no place for the table {name!r}")
    return before + begin + new + end + after


def panels(rows: dict[str, list[Row]]) -> list[Panel]:
    together_, outage_, slow = rows["together"], rows["outage"], rows["together_outage"]
    return [
        Panel(
            "10,000 processes signed in at one instant",
            "hours later",
            "peak posts/s",
            {
                "all the same": together_[0].curve,
                "each its own": together_[1].curve,
                "refresh_ahead=600": together_[4].curve,
            },
            logarithmic=True,
        ),
        Panel(
            "1,000,000 sessions, out for 10 min, end announced",
            "seconds after the end of the outage",
            "posts/s",
            {"all the same": outage_[4].curve, "each its own": outage_[5].curve, "no Retry-After": outage_[1].curve},
            logarithmic=True,
        ),
        Panel(
            "10,000 signed in together, out for 5 min, then 100/s",
            "seconds after the end of the outage",
            "% recovered",
            {"all the same": slow[2].curve, "each its own": slow[3].curve},
        ),
    ]


def run(names: Iterable[str]) -> dict[str, list[Row]]:
    """All lines of these tables, on all cores."""
    with ProcessPoolExecutor() as pool:
        running = {name: [pool.submit(work) for work in TABLES[name].work] for name in names}
        return {name: [future.result() for future in futures] for name, futures in running.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--only", choices=TABLES, help="print this table and write nothing")
    parser.add_argument("--check", action="store_true", help="fail if docs/scale.md says anything else")
    options = parser.parse_args()
    rows = run([options.only] if options.only else TABLES)
    for name, lines in rows.items():
        print(TABLES[name].text(lines), end="\n\n")
    if options.only:
        return
    text = before = DOCUMENT.read_text()
    for name, lines in rows.items():
        text = replaced(text, name, TABLES[name].text(lines))
    drawing = picture(panels(rows))
    if options.check:
        sys.exit(
            "docs/scale.md is out of date: run make scale" if (text, drawing) != (before, PICTURE.read_text()) else 0
        )
    DOCUMENT.write_text(text)
    PICTURE.write_text(drawing)


if __name__ == "__main__":
    main()
