"""What the events of a recording add up to: who waits, what is in flight, what came of the calls, and the tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from rxauth.api.calls import ApiCancelled, ApiEvent, ApiFailed, ApiSkipped, ApiStarted, ApiSucceeded
from rxauth.errors import CallCancelled
from rxauth.http.trace import RequestEnded, RequestSent
from rxauth.recording.eventlog import Event
from rxauth.session.actions import (
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    SignInFailed,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.state import AuthState, auth_reducer
from rxauth.session.trace import CallRefused, CallReleased, CallWaits
from rxauth.store.tap import ErrorReported

#: How many answers are remembered, because their call may be repeated with a new token and then counts once.
REPEATABLE = 1000


@dataclass(slots=True)
class Tally:
    """The sum of the events so far. Times are seconds since the recording began.

    A call counts once, as answered or failed: an `ApiCall` by the action that ends it, any other by the status of its
    last answer (from 400 on it failed) or by the error with which it left the gate.
    """

    #: Who waits at the gate, and since when.
    waiting: dict[int, float] = field(default_factory=dict)
    in_flight: set[int] = field(default_factory=set)
    #: The `ApiCall`s that are not answered yet.
    calls: set[int] = field(default_factory=set)
    #: The last `ApiCall`s that are over: what their connection says afterwards does not count.
    over: dict[int, None] = field(default_factory=dict)
    #: How the last calls ended that are no `ApiCall`: True for answered.
    ended: dict[int, bool] = field(default_factory=dict)
    peak: int = 0
    longest: float = 0.0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    refreshes: int = 0
    failed_refreshes: int = 0
    #: The newest error, and when it was.
    error: Exception | None = None
    error_at: float = 0.0
    sessions: dict[str, AuthState] = field(default_factory=dict)

    @classmethod
    def of(cls, initial: Any) -> Tally:
        """Nothing has happened in this state yet."""
        return cls(sessions={auth.session: auth for auth in auth_states(initial)})

    def copy(self) -> Tally:
        """One to go on with, while this one stays as it is."""
        return dataclasses.replace(
            self,
            waiting=dict(self.waiting),
            in_flight=set(self.in_flight),
            calls=set(self.calls),
            over=dict(self.over),
            ended=dict(self.ended),
            sessions=dict(self.sessions),
        )

    def add(self, event: Event) -> None:
        """Count this event, too."""
        count = _counter(type(event.action))  # type: ignore[arg-type]  # classes are hashable
        if count is not None:
            count(self, event.action, event.at)

    def longest_wait(self, now: float) -> float:
        """The longest wait, also of those who wait still; seconds."""
        oldest = next(iter(self.waiting.values()), now)
        return max(self.longest, now - oldest)

    # -- what each kind of event means ----------------------------------------------------------------------------

    def _waits(self, event: CallWaits, at: float) -> None:
        self._repeated(event.caller)
        self.waiting[event.caller] = at
        self.peak = max(self.peak, len(self.waiting))

    def _released(self, event: CallReleased, at: float) -> None:
        since = self.waiting.pop(event.caller, None)
        if since is not None:
            self.longest = max(self.longest, at - since)
        if event.error is None or self._is_api_call(event.caller):
            return
        if isinstance(event.error, CallCancelled):
            self.cancelled += 1
        else:
            self._end(event.caller, answered=False)
            self._note(event.error, at)

    def _refused(self, event: CallRefused, at: float) -> None:
        if not self._is_api_call(event.caller):
            self._repeated(event.caller)
            self._end(event.caller, answered=False)
            self._note(event.error, at)

    def _sent(self, event: RequestSent, at: float) -> None:
        self._repeated(event.caller)
        self.in_flight.add(event.caller)

    def _answered(self, event: RequestEnded, at: float) -> None:
        self.in_flight.discard(event.caller)
        if not self._is_api_call(event.caller):
            self._end(event.caller, answered=event.status is not None and event.status < 400)

    def _is_api_call(self, caller: int) -> bool:
        return caller in self.calls or caller in self.over

    def _end(self, caller: int, *, answered: bool) -> None:
        self.answered += answered
        self.failed += not answered
        self.ended[caller] = answered
        _forget_oldest(self.ended)

    def _repeated(self, caller: int) -> None:
        """The caller's answer was not its last: the call goes on, with a new token or after a redirect."""
        if caller in self.ended:
            answered = self.ended.pop(caller)
            self.answered -= answered
            self.failed -= not answered

    def _call(self, event: ApiEvent[Any], at: float) -> None:
        if isinstance(event, ApiSkipped):
            return
        if isinstance(event, ApiStarted):
            self.calls.add(event.id)
            return
        self.calls.discard(event.id)
        self.over[event.id] = None
        _forget_oldest(self.over)
        self.in_flight.discard(event.id)
        self.waiting.pop(event.id, None)
        self.answered += isinstance(event, ApiSucceeded)
        self.cancelled += isinstance(event, ApiCancelled)
        if isinstance(event, ApiFailed):
            self.failed += 1
            self._note(event.error, at)

    def _session(self, event: SessionEvent, at: float) -> None:
        auth = self.sessions.get(event.session) or AuthState(session=event.session)
        self.sessions[event.session] = auth_reducer(auth, event)
        self.refreshes += isinstance(event, TokensRefreshed)
        self.failed_refreshes += isinstance(event, RefreshFailed | SessionEnded)
        if isinstance(event, RefreshFailed | SignInFailed):
            self._note(event.error, at)
        elif isinstance(event, SessionEnded):
            self._note(event.cause, at)
        elif isinstance(event, StorageChanged) and event.error is not None:
            self._note(event.error, at)

    def _reported(self, event: ErrorReported, at: float) -> None:
        self._note(event.error, at)

    def _note(self, error: Exception, at: float) -> None:
        self.error, self.error_at = error, at


def _forget_oldest(callers: dict[int, Any]) -> None:
    if len(callers) > REPEATABLE:
        del callers[next(iter(callers))]


Count: TypeAlias = Callable[[Tally, Any, float], None]

_COUNTERS: dict[type[Any], Count] = {
    CallWaits: Tally._waits,
    CallReleased: Tally._released,
    CallRefused: Tally._refused,
    RequestSent: Tally._sent,
    RequestEnded: Tally._answered,
    ApiEvent: Tally._call,
    SessionEvent: Tally._session,
    ErrorReported: Tally._reported,
}


@lru_cache(maxsize=1024)  # classes come and go in a notebook
def _counter(kind: type[Any]) -> Count | None:
    return next((count for base, count in _COUNTERS.items() if issubclass(kind, base)), None)


def auth_states(state: Any) -> Iterator[AuthState]:
    """The sessions' slices in a state: itself, or the values of its fields."""
    if isinstance(state, AuthState):
        yield state
    else:
        for inner in _values(state):
            yield from auth_states(inner)


def _values(state: Any) -> Iterable[Any]:
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        return [getattr(state, one.name) for one in dataclasses.fields(state)]
    if isinstance(state, Mapping):
        return state.values()
    return state if isinstance(state, tuple) else ()
