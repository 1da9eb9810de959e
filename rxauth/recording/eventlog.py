"""Events, and how many of them are kept at little cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

#: Number, moment, action and stream: what an `Event` is made of.
Fields: TypeAlias = tuple[int, float, Any, str]
_WIDTH: Final = 4


@dataclass(frozen=True, slots=True)
class Event:
    """Number `number`, counted from 1, `at` so many seconds (monotonic) after the recording began.

    `action` was dispatched, and `stream` is "". In any other stream it is an event: what callers of a session did
    ("session", in `rxauth.session` and `rxauth.http`), a reported error ("errors", in `rxauth.store`), or what passed a
    `spy` (its name, in `rxauth.recording`).
    """

    number: int
    at: float
    action: Any
    stream: str = ""


class EventLog:
    """Events in order, the last `limit` of them (None: all), which are made anew whenever they are read.

    What is kept are their fields, one after the other: an object for each event would have the garbage collector run
    more often and longer, in whatever thread dispatches just then.
    """

    def __init__(self, events: Iterable[Event] = (), limit: int | None = None) -> None:
        self._fields: deque[Any] = deque(maxlen=None if limit is None else limit * _WIDTH)
        #: Takes in the fields of one event, all in one step.
        self.add: Callable[[Fields], None] = self._fields.extend
        for event in events:
            self.add((event.number, event.at, event.action, event.stream))

    def __len__(self) -> int:
        return len(self._fields) // _WIDTH

    def __getitem__(self, index: int) -> Event:
        place = range(len(self))[index]
        return next(self._slice(place, place + 1))

    def __iter__(self) -> Iterator[Event]:
        return self._slice(0, len(self))

    def __reversed__(self) -> Iterator[Event]:
        return (Event(number, at, action, stream) for stream, action, at, number in _fours(reversed(self._fields)))

    def between(self, start: int, stop: int) -> list[Event]:
        """Those from place `start` until before `stop`, counted from the oldest."""
        return list(self._slice(start, stop))

    def last(self, count: int) -> list[Event]:
        """The newest; costs as much as it returns, not as there are."""
        return list(islice(reversed(self), max(count, 0)))[::-1]

    def popleft(self) -> Event:
        """Take the oldest out."""
        take = self._fields.popleft
        return Event(take(), take(), take(), take())

    def clear(self) -> None:
        self._fields.clear()

    def copy(self) -> EventLog:
        """What is there now, in one step."""
        copy = EventLog()
        copy._fields.extend(self._fields)
        return copy

    def _slice(self, start: int, stop: int) -> Iterator[Event]:
        fields = islice(self._fields, start * _WIDTH, stop * _WIDTH)
        return (Event(*four) for four in _fours(fields))


def _fours(fields: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(fields, fields, fields, fields, strict=True)
