"""What the demo looks at: the state of its app, and the moments and totals of its storm."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from rxauth import AuthState


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    answered: int = 0
    failed: int = 0


@dataclass(slots=True)
class Seen:
    """The moments of the storm, in seconds since its beginning."""

    began: float = field(default_factory=time.monotonic)
    queued: dict[int, float] = field(default_factory=dict)
    sent: dict[int, float] = field(default_factory=dict)
    done: dict[int, float] = field(default_factory=dict)
    refreshes: list[list[float]] = field(default_factory=list)
    ended: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def now(self) -> float:
        return time.monotonic() - self.began

    def note_queued(self, number: int) -> None:
        self.queued[number] = self.now()


@dataclass(frozen=True, slots=True)
class Totals:
    """Calls, answers and refreshes, and who counted them."""

    calls: int
    answers: int
    refreshes: int
    counted_by: str
