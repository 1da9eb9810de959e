"""What a recording holds beside actions: who waited at the gate, what went over the wire, and what streams did.

None of this is dispatched: no reducer, epic or subscriber ever sees it. It is noted only while somebody records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What an observable behind `spy` did for its subscriber number `subscriber`, counted from 1 in each spy."""

    subscriber: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed(Signal):
    """A subscription began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted(Signal):
    """A value passed."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Signal):
    """The observable failed."""

    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Signal):
    """The observable completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposed(Signal):
    """The subscriber left before the end."""
