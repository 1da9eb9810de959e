"""What a recording tells: the tokens' life, who waited, what came of each call, and what passed through streams.

Nothing is drawn here, and nothing raises: a recording may be made by hand, cut off, or brought by threads that ran
ahead of each other.
"""

from __future__ import annotations

import bisect
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rxauth.api.calls import ApiCall
from rxauth.notebook.marbles.calls import HANDLERS, Call, Calls, steps
from rxauth.notebook.marbles.labels import clean
from rxauth.notebook.marbles.streams import Mark, StreamLane, Streams
from rxauth.notebook.marbles.tokens import Life, TokenLane, Turn, lives_in
from rxauth.recording.eventlog import Event
from rxauth.recording.recording import Recording
from rxauth.session.actions import SessionEvent

#: Seconds by which a release may seem to come before what caused it, because two threads noted them.
APART = 0.001
#: What is later, in seconds, is no time at all.
FOREVER = 1e12


@dataclass(frozen=True, slots=True)
class Gate:
    """A moment at which waiting calls were released: `passed` with tokens, `refused` with an error, `why`."""

    at: float
    passed: int
    refused: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A recording in lanes. All times are seconds after its first event; `end` is that of the last one."""

    end: float = 0.0
    tokens: tuple[TokenLane, ...] = ()
    calls: tuple[Call, ...] = ()
    #: Since when how many waited for tokens, and the most of them.
    waiting: tuple[tuple[float, int], ...] = ()
    peak: int = 0
    gates: tuple[Gate, ...] = ()
    streams: tuple[StreamLane, ...] = ()
    actions: tuple[Mark, ...] = ()
    errors: tuple[Mark, ...] = ()
    #: How many events there were, how many calls were never started, and how many events are not there any more.
    events: int = 0
    skipped: int = 0
    dropped: int = 0

    @property
    def flights(self) -> int:
        """How many refreshes there were."""
        return sum(len(lane.flights) for lane in self.tokens)


def tell(recording: Recording) -> Story:
    """The story of a recording, as far as it goes now."""
    events = recording.events
    dropped = max(events[0].number - 1, 0) if events and isinstance(events[0].number, int) else 0
    # The first state is that before the first event of all: of no use when that one was dropped.
    with _collector_paused():
        return story_of(events, initial=None if dropped else recording.initial, dropped=dropped)


def story_of(events: Iterable[Event], *, initial: Any = None, dropped: int = 0) -> Story:
    """The story of these events, which began in this state of the store."""
    events = list(events)
    moments = _moments(events)
    lives, calls, streams = lives_in(initial), Calls(), Streams()
    for at, event in zip(moments, events, strict=True):
        try:
            _sort(at, event.action, event.stream, lives, calls, streams)
        except Exception:  # an event made by hand may hold anything: the others still tell their part
            continue
    end = max(moments, default=0.0)
    every = calls.all(end)
    lanes = tuple(lane for life in lives.values() if not (lane := life.lane(end)).is_quiet)
    waiting = steps(every)
    return Story(
        end=end,
        tokens=lanes,
        calls=every,
        waiting=waiting,
        peak=max((number for _, number in waiting), default=0),
        gates=_gates(lanes, every),
        streams=streams.lanes(end),
        actions=tuple(streams.actions),
        errors=tuple(streams.errors),
        events=len(moments),
        skipped=calls.skipped.total(),
        dropped=dropped,
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A story is many small objects and no garbage: looking for that, again and again, takes 40 % of telling a long
    one, and more beside a large notebook."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _moments(events: list[Event]) -> list[float]:
    """When each was, counted from the earliest. One whose time is no time is at that of the one before it."""
    moments, known = [], 0.0
    for event in events:
        at = event.at
        if isinstance(at, int | float) and abs(at) <= FOREVER:  # false for NaN, too
            known = float(at)
        moments.append(known)
    first = min(moments, default=0.0)
    return [at - first for at in moments]


def _sort(at: float, event: Any, stream: Any, lives: dict[str, Life], calls: Calls, streams: Streams) -> None:
    """Whoever the event is about goes on with it."""
    if type(event) in HANDLERS:
        calls.add(at, event)
    elif stream:
        streams.add(at, event, clean(str(stream)))
    elif isinstance(event, SessionEvent):
        life = lives.get(event.session)
        if life is None:
            life = lives[event.session] = Life(event.session)
        life.add(at, event)
    elif not isinstance(event, ApiCall):  # a call is told by its answers
        streams.add_action(at, event)


def _gates(lanes: tuple[TokenLane, ...], calls: tuple[Call, ...]) -> tuple[Gate, ...]:
    """Which turns released somebody."""
    turns = {lane.session: sorted(lane.turns, key=lambda turn: turn.at) for lane in lanes}
    times = {session: [turn.at for turn in those] for session, those in turns.items()}
    opened: dict[tuple[str, int], Gate] = {}
    for call in calls:
        for number, span in enumerate(call.spans):
            if span.kind != "waits" or call.session not in times:
                continue
            here = bisect.bisect_right(times[call.session], span.end + APART) - 1
            if here < 0 or times[call.session][here] < span.begin - APART:
                continue
            passed = number + 1 < len(call.spans) or call.outcome in ("answered", "running")
            if passed or call.outcome != "cancelled":
                turn = turns[call.session][here]
                gate = opened.get((call.session, here)) or Gate(turn.at, 0, 0, _why(turn))
                gate = replace(gate, passed=gate.passed + passed, refused=gate.refused + (not passed))
                opened[call.session, here] = gate
    return tuple(sorted(opened.values(), key=lambda gate: gate.at))


def _why(turn: Turn) -> str:
    return turn.error or ("signed out" if turn.what == "signed_out" else "")
