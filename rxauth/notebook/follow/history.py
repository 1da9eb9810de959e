"""The last events, and what the state and the calls were like at each of them: time travel, which sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rxauth.notebook.follow.tally import Tally
from rxauth.recording.eventlog import Event, EventLog

#: So many events apart are the states that are kept, to replay from.
CHECKPOINT = 250


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for a state that can not be told."""

    why: str


@dataclass(frozen=True, slots=True)
class Moment:
    """The state and the tally after event number `number`."""

    number: int
    state: Any
    tally: Tally


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and the moments before and after it."""

    event: Event
    before: Moment
    after: Moment


class History:
    """The last `limit` events of one recording.

    Any of them is replayed from the nearest checkpoint by the reducer alone: no epic runs, so nothing is sent, and the
    tokens in it are fingerprints, so none comes back. What leaves at the old end is folded into the state to begin
    from. `now` is the tally of all.
    """

    def __init__(self, reducer: Callable[[Any, Any], Any] | None, initial: Any, limit: int) -> None:
        self._reducer = reducer
        self._limit = limit
        self._events = EventLog()
        self._last = 0
        state = initial if reducer is not None else Lost("a recording alone has no reducer to replay")
        self._base = Moment(0, state, Tally.of(initial))
        self._checkpoints: dict[int, Moment] = {}
        self.now = Tally.of(initial)
        #: How many events were dropped before they were seen here.
        self.missed = 0

    @property
    def first(self) -> int:
        """The number of the oldest event that is there; one more than `last` when there is none."""
        return self._last + 1 - len(self._events)

    @property
    def last(self) -> int:
        return self._last

    @property
    def events(self) -> EventLog:
        return self._events

    def add(self, events: Iterable[Event]) -> None:
        """Take in the events that follow."""
        for event in events:
            if event.number != self._last + 1:
                self._miss(event.number)
            self._events.add((event.number, event.at, event.action, event.stream))
            self._last = event.number
            self.now.add(event)
        surplus = len(self._events) - self._limit
        if surplus > 0:
            self._base = self._forward(self._base, [self._events.popleft() for _ in range(surplus)])
            for number in [number for number in self._checkpoints if number <= self._base.number]:
                del self._checkpoints[number]

    def step(self, number: int) -> Step | None:
        """Event `number` and what it changed; None when it is not there."""
        if not self.first <= number <= self.last:
            return None
        event = self._events[number - self.first]
        before = self._at(number - 1)
        return Step(event, before, self._forward(before, [event]))

    def _at(self, number: int) -> Moment:
        """The moment after event `number`."""
        start = self._base
        for checkpoint in self._checkpoints.values():
            if start.number < checkpoint.number <= number:
                start = checkpoint
        while start.number + CHECKPOINT <= number:
            start = self._forward(start, self._between(start.number, start.number + CHECKPOINT))
            self._checkpoints[start.number] = start
        return self._forward(start, self._between(start.number, number))

    def _between(self, after: int, number: int) -> list[Event]:
        first = self.first
        return self._events.between(after + 1 - first, number + 1 - first)

    def _forward(self, moment: Moment, events: Iterable[Event]) -> Moment:
        state, tally, number = moment.state, moment.tally.copy(), moment.number
        for event in events:
            tally.add(event)
            number = event.number
            if not event.stream and not isinstance(state, Lost):
                state = self._reduce(state, event)
        return Moment(number, state, tally)

    def _reduce(self, state: Any, event: Event) -> Any:
        assert self._reducer is not None
        try:
            return self._reducer(state, event.action)
        except Exception as error:
            kind = type(event.action).__name__
            return Lost(
                f"the reducer raised {type(error).__name__} when step {event.number} ({kind}) was replayed: "
                "it gets the action without its secrets"
            )

    def _miss(self, number: int) -> None:
        """Events were dropped between the last one here and `number`: what they did is not known."""
        gap = number - self.last - 1
        self.missed += gap
        why = f"{gap} events before step {number} were dropped: more came at once than are kept"
        self._events.clear()
        self._checkpoints.clear()
        self._base = Moment(number - 1, Lost(why), self.now.copy())
