"""What passed through streams: the values of each subscriber, the actions that are nobody's call, reported errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from rxauth.notebook.marbles.labels import class_name, clean, value_label
from rxauth.notebook.words import shorten
from rxauth.recording.signals import Completed, Disposed, Emitted, Failed, Subscribed
from rxauth.store.tap import ErrorReported

_LOCALS = re.compile(r"\S*<locals>\.")

Ending = Literal["completed", "failed", "disposed", "open"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at a moment, with a short label and (of an error) where it was."""

    at: float
    label: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One subscriber of a stream, or several that were folded. `why` is the class of the error it failed with."""

    begin: float
    end: float
    marks: tuple[Mark, ...]
    ending: Ending = "open"
    why: str = ""
    subscribers: int = 1


@dataclass(frozen=True, slots=True)
class StreamLane:
    """A stream with a line for each subscriber, in the order in which they came."""

    name: str
    lines: tuple[Line, ...]

    @property
    def values(self) -> int:
        return sum(len(line.marks) for line in self.lines)


@dataclass(slots=True)
class _Subscriber:
    begin: float
    marks: list[Mark] = field(default_factory=list)
    end: float | None = None
    ending: Ending = "open"
    why: str = ""

    def line(self, last: float) -> Line:
        end = last if self.end is None else max(self.end, self.begin)
        return Line(self.begin, end, tuple(self.marks), self.ending, self.why)


class Streams:
    """All streams of a recording, event by event."""

    def __init__(self) -> None:
        self._streams: dict[str, dict[Any, list[_Subscriber]]] = {}
        self.errors: list[Mark] = []
        self.actions: list[Mark] = []

    def add(self, at: float, event: Any, stream: str) -> None:
        """Go on with this event; what is no signal at all counts as a value."""
        follow = HANDLERS.get(type(event))
        if follow is not None:
            follow(self, at, event, stream)
        else:
            self._subscriber(stream, 0, 0.0).marks.append(Mark(at, value_label(event)))

    def add_action(self, at: float, action: Any) -> None:
        """An action that was dispatched and is neither the session's nor a call."""
        self.actions.append(Mark(at, class_name(action)))

    def lanes(self, last: float) -> tuple[StreamLane, ...]:
        """In the order in which they began."""
        return tuple(StreamLane(name, _lines(subscribers, last)) for name, subscribers in self._streams.items())

    def _subscriber(self, stream: str, number: Any, begin: float) -> _Subscriber:
        known = self._streams.setdefault(stream, {}).setdefault(number, [])
        if not known:
            known.append(_Subscriber(begin))
        return known[-1]

    def _subscribed(self, at: float, event: Subscribed, stream: str) -> None:
        # Two spies of one name count their subscribers each for itself, so a number may come again.
        self._streams.setdefault(stream, {}).setdefault(event.subscriber, []).append(_Subscriber(at))

    def _emitted(self, at: float, event: Emitted, stream: str) -> None:
        self._subscriber(stream, event.subscriber, 0.0).marks.append(Mark(at, value_label(event.value)))

    def _failed(self, at: float, event: Failed, stream: str) -> None:
        self._end(at, event, stream, "failed", class_name(event.error))

    def _completed(self, at: float, event: Completed, stream: str) -> None:
        self._end(at, event, stream, "completed")

    def _disposed(self, at: float, event: Disposed, stream: str) -> None:
        self._end(at, event, stream, "disposed")

    def _end(self, at: float, event: Any, stream: str, ending: Ending, why: str = "") -> None:
        subscriber = self._subscriber(stream, event.subscriber, 0.0)
        subscriber.end, subscriber.ending, subscriber.why = at, ending, why

    def _reported(self, at: float, event: ErrorReported, stream: str) -> None:
        where = _LOCALS.sub("", clean(str(event.where)))  # the function alone, not the cell's or the test's it is in
        self.errors.append(Mark(at, class_name(event.error), shorten(where, 40)))


def _lines(subscribers: dict[Any, list[_Subscriber]], last: float) -> tuple[Line, ...]:
    every = [one.line(last) for known in subscribers.values() for one in known]
    return tuple(sorted(every, key=lambda line: line.begin))


HANDLERS: dict[type[Any], Callable[[Streams, float, Any, str], None]] = {
    Subscribed: Streams._subscribed,
    Emitted: Streams._emitted,
    Failed: Streams._failed,
    Completed: Streams._completed,
    Disposed: Streams._disposed,
    ErrorReported: Streams._reported,
}
