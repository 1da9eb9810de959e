"""Which selectors a new state concerns: those that read a field of it that is another object than before.

With a thousand selectors and one changed field, calling all of them to hear 999 times that nothing is new would be most
of what a dispatch costs.
"""

from __future__ import annotations

import dataclasses
import dis
from collections.abc import Callable
from types import FunctionType
from typing import Any

from rxauth.store.listeners import Listener, SelectListener

#: With these a function can reach its argument in ways that its code does not show.
_PEEKING = frozenset({"locals", "vars", "eval", "exec", "dir", "_getframe", "currentframe"})
#: So many answers are remembered: one for each set of fields that changed together.
_REMEMBERED = 100


def reads(selector: Callable[[Any], Any]) -> frozenset[str] | None:
    """The attributes of its argument that a selector reads; None when it may do anything else with it.

    It is found in the code: `lambda app: app.auth.status` only ever takes `.auth` of `app`. A function that passes its
    argument on, keeps it or compares it is None, and so is what is no plain function.
    """
    if not isinstance(selector, FunctionType) or not selector.__code__.co_argcount:
        return None
    code = selector.__code__
    state = code.co_varnames[0]
    if state in code.co_cellvars or not _PEEKING.isdisjoint(code.co_names):
        return None
    found = set()
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        named = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if step.opcode not in dis.haslocal or state not in named:
            continue
        takes = after is not None and after.opname in ("LOAD_ATTR", "LOAD_METHOD")
        if not step.opname.startswith("LOAD_FAST") or named != (state,) or not takes:
            return None
        found.add(str(after.argval))  # type: ignore[union-attr]  # `takes` says that there is one
    return frozenset(found) or None


class StateRoutes:
    """Who hears of a new state: everybody, but for selectors that read nothing of what changed.

    The order is that of subscription. Not safe by itself: the store locks it.
    """

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._all: tuple[Listener, ...] | None = ()
        self._kind: type[Any] | None = None
        self._fields: tuple[str, ...] = ()
        self._concerned: dict[tuple[str, ...], tuple[Listener, ...]] = {}

    def add(self, listener: Listener) -> int:
        """Returns the key to remove it with."""
        self._listeners[id(listener)] = listener
        self._all = None
        return id(listener)

    def remove(self, key: int) -> None:
        if self._listeners.pop(key, None) is not None:
            self._all = None

    def take(self) -> list[Listener]:
        """Remove all, and return them."""
        taken = list(self._listeners.values())
        self._listeners.clear()
        self._all = ()
        return taken

    def of(self, before: Any, after: Any) -> tuple[Listener, ...]:
        """Who hears of the step from `before` to `after`."""
        kind = type(after)
        if self._all is None or kind is not self._kind:
            self._learn(kind)
        assert self._all is not None
        if not self._fields or type(before) is not kind:
            return self._all
        changed = tuple([name for name in self._fields if getattr(before, name) is not getattr(after, name)])
        found = self._concerned.get(changed)
        if found is None:
            if len(self._concerned) >= _REMEMBERED:
                self._concerned.clear()
            found = self._concerned[changed] = tuple(one for one in self._all if self._is_concerned(one, changed))
        return found

    def _is_concerned(self, listener: Listener, changed: tuple[str, ...]) -> bool:
        read = listener.reads if isinstance(listener, SelectListener) else None
        return read is None or not read.isdisjoint(changed) or not read.issubset(self._fields)

    def _learn(self, kind: type[Any]) -> None:
        """Which fields of this class of state to compare: those that selectors read and that are plain fields."""
        self._all, self._kind = tuple(self._listeners.values()), kind
        self._concerned.clear()
        read = {name for one in self._all if isinstance(one, SelectListener) for name in one.reads or ()}
        self._fields = tuple(sorted(read & _plain_fields(kind)))


def _plain_fields(kind: type[Any]) -> set[str]:
    """The fields of a dataclass whose attributes run no code of its own: they are read under the store's lock."""
    if not dataclasses.is_dataclass(kind) or kind.__getattribute__ is not object.__getattribute__:
        return set()
    fields = {field.name for field in dataclasses.fields(kind)}
    return {name for name in fields if not isinstance(getattr(kind, name, None), property)}
