"""The observers of a store, each with what it has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = Callable[[Exception, str, Any], None]


class LastSeen:
    """The last action that one epic was shown, to name the culprit when it fails later."""

    __slots__ = ("action", "count")

    def __init__(self) -> None:
        self.action: Any = None
        self.count = 0


class Listener:
    """One subscription: where its values go and which entries of the store's queue it must not be shown again."""

    __slots__ = ("on_completed", "on_next", "since", "where")

    def __init__(self, observer: tuple[Any, Any], where: str = "a subscriber") -> None:
        self.on_next: Callable[[Any], None] = observer[0] or _nothing
        self.on_completed: Callable[[], None] = observer[1] or _nothing
        self.since = 0
        self.where = where

    def deliver(self, action: Any, state: Any) -> None:
        raise NotImplementedError


class StateListener(Listener):
    __slots__ = ()

    def deliver(self, action: Any, state: Any) -> None:
        self.on_next(state)


class SelectListener(Listener):
    """Passes on what a selector makes of the state when that is neither the same object as before nor equal to it."""

    __slots__ = ("_last", "_selector", "reads")

    def __init__(self, observer: tuple[Any, Any], selector: Callable[[Any], Any], reads: frozenset[str] | None) -> None:
        super().__init__(observer)
        self._selector = selector
        #: The attributes of the state that the selector reads, if that is known.
        self.reads = reads
        self._last: Any = _NOTHING_YET

    def deliver(self, action: Any, state: Any) -> None:
        value = self._selector(state)
        if value is self._last or (self._last is not _NOTHING_YET and _are_equal(value, self._last)):
            return
        self._last = value
        self.on_next(value)


class ActionListener(Listener):
    __slots__ = ("_seen",)

    def __init__(self, observer: tuple[Any, Any], where: str, seen: LastSeen | None) -> None:
        super().__init__(observer, where)
        self._seen = seen

    @property
    def is_epics(self) -> bool:
        return self._seen is not None

    def deliver(self, action: Any, state: Any) -> None:
        if self._seen is not None:
            self._seen.action = action
            self._seen.count += 1
        self.on_next(action)


def _are_equal(one: Any, other: Any) -> bool:
    """False for what can not be compared as a whole, such as the arrays of numpy."""
    try:
        return bool(one == other)
    except Exception:
        return False


class _NothingYet:
    def __repr__(self) -> str:
        return "nothing yet"


_NOTHING_YET = _NothingYet()


def _nothing(*_: Any) -> None:
    pass
