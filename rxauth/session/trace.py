"""Events of calls at the gate, for recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from rxauth.store.tap import SESSION, Traced

#: A number for a caller, new in this process.
next_caller: Callable[[], int] = count(1).__next__


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """Something about one caller of a session. `caller` is a number of the process; for an `ApiCall` it is the `id`
    of its `ApiStarted`."""

    session: str
    caller: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWaits(CallEvent):
    """The caller waits for tokens from now on. `asked_by` says who it is, such as "fresh()" or "the call Echo"."""

    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReleased(CallEvent):
    """The wait is over: with tokens (`error` is None), or with the error that the caller gets."""

    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused(CallEvent):
    """The caller fails at once with `error`: it does not wait, and nothing (more) is sent. `asked_by` is as in
    `CallWaits`."""

    asked_by: str
    error: Exception


def refused(store: Traced, session: str, caller: int, asked_by: str, error: Exception) -> None:
    """Note that this caller (0: one without a number) fails at once."""
    event = CallRefused(session=session, caller=caller or next_caller(), asked_by=asked_by, error=error)
    store.trace(event, SESSION)
