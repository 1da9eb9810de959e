"""What a store notes for whoever records it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

#: The streams of a recording that have a name of their own. Dispatched actions are in the stream "".
SESSION = "session"


ERRORS = "errors"


class Tap(Protocol):
    """A recorder, for a store, which notes each action in it without a call of a method: that would cost a recorded
    dispatch a twentieth more."""

    clock: Callable[[], float]
    #: What was noted and waits to be taken in: the moment, the event and its stream, one after the other.
    waiting: deque[Any]
    #: Notes these three in one step; the caller may hold locks.
    keep: Callable[[tuple[float, Any, str]], None]
    #: `take_in` is due when `waiting` is so long.
    patience: int

    def take_in(self) -> None:
        """Look into what was noted: nobody holds a lock."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReported:
    """An error that nobody else heard of, as told to the store's `report`: `where` it happened, and during which kind
    of action (a class's name, "" for none)."""

    error: Exception
    where: str
    during: str = ""


class Traced(Protocol):
    """A store, for those who note what they do."""

    def trace(self, event: Any, stream: str, *, locked: bool = False) -> None: ...
