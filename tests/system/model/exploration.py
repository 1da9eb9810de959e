"""Every state that a model can reach, breadth-first, and the shortest way to whatever breaks a rule."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

W = TypeVar("W")
Rules = Mapping[str, Callable[..., bool]]


class Move(NamedTuple):
    """One event: its name, the world after it, the rules that it broke, and whether it happens without a fault."""

    event: str
    after: Any
    broken: tuple[str, ...] = ()
    calm: bool = False


class Model(Protocol):
    """What is explored. `key` is equal for worlds that differ only in names: of sign-ins, generations and moments."""

    name: str

    def begin(self) -> Any: ...

    def key(self, world: Any) -> Hashable: ...

    def broken_in(self, world: Any) -> Iterator[str]: ...

    def moves(self, world: Any) -> Iterator[Move]: ...

    def broken_at_rest(self, world: Any) -> Iterator[str]: ...


@dataclass
class Exploration:
    """The graph of what is reachable, and the first, so shortest, way to each broken rule."""

    name: str
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    is_complete: bool = True
    broken: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        whole = "" if self.is_complete else " (not all: there are more than the model expects)"
        return f"{self.name}: {self.states} states, {self.transitions} transitions, {self.seconds:.1f} s{whole}"

    def tell(self, rule: str) -> str:
        """The rule and the shortest path to where it is broken, an event a line."""
        path = "".join(f"\n  {number}. {event}" for number, event in enumerate(self.broken[rule], 1))
        return f"{rule}: broken by{path or ' the very first state'}\n({self})"


def named(*rules: Callable[..., bool]) -> Rules:
    """Rules by their names, as sentences."""
    return {rule.__name__.replace("_", " "): rule for rule in rules}


def broken(rules: Rules, *facts: Any) -> Iterator[str]:
    """The names of the rules that do not hold; a rule that raises does not."""
    for name, rule in rules.items():
        try:
            holds = rule(*facts)
        except Exception as error:
            yield f"{name} ({type(error).__name__}: {error})"
        else:
            if not holds:
                yield name


END = "every path ends once the faults stop"


def explore(model: Model, limit: int = 1_000_000) -> Exploration:
    """Visit every reachable state once, and every transition."""
    began = time.process_time()
    found = Exploration(model.name)
    first = model.begin()
    start = model.key(first)
    came: dict[Hashable, tuple[Hashable, str] | None] = {start: None}
    calm: dict[Hashable, list[Hashable]] = {}
    resting: dict[Hashable, Any] = {}
    queue: deque[tuple[Hashable, Any]] = deque([(start, first)])

    def note(rules: Iterator[str] | tuple[str, ...], key: Hashable, *then: str) -> None:
        for rule in rules:
            if rule not in found.broken:
                found.broken[rule] = [*_path(came, key), *then]

    note(model.broken_in(first), start)
    while queue:
        key, world = queue.popleft()
        calm[key] = []
        for event, after, wrong, is_calm in model.moves(world):
            found.transitions += 1
            note(wrong, key, event)
            reached = model.key(after)
            if is_calm and reached != key:
                calm[key].append(reached)
            if reached not in came:
                came[reached] = (key, event)
                note(model.broken_in(after), reached)
                queue.append((reached, after))
        if not calm[key]:
            resting[key] = world
        if len(came) > limit:
            found.is_complete = False
            break
    for key, world in resting.items():
        note(model.broken_at_rest(world), key)
    if found.is_complete:
        note(_endless(calm), _in_a_circle(calm))
    found.states, found.seconds = len(came), time.process_time() - began
    return found


def _path(came: dict[Hashable, tuple[Hashable, str] | None], key: Hashable) -> list[str]:
    events: list[str] = []
    while (step := came.get(key)) is not None:
        key, event = step
        events.append(event)
    return events[::-1]


def _endless(calm: dict[Hashable, list[Hashable]]) -> Iterator[str]:
    if _in_a_circle(calm) is not None:
        yield END


def _in_a_circle(calm: dict[Hashable, list[Hashable]]) -> Hashable | None:
    """A state from which calm events lead back to it; None when every calm path ends: Kahn's sorting."""
    entries = dict.fromkeys(calm, 0)
    for targets in calm.values():
        for target in targets:
            entries[target] += 1
    free = [key for key, count in entries.items() if not count]
    while free:
        key = free.pop()
        del entries[key]
        for target in calm[key]:
            entries[target] -= 1
            if not entries[target]:
                free.append(target)
    return next(iter(entries), None)
