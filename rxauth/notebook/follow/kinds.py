"""How one event is called and drawn: its label, its lane and its mark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rxauth.api.calls import AdHocCall, ApiCancelled, ApiEvent, ApiFailed, ApiSkipped, ApiSucceeded
from rxauth.http.trace import RequestEnded, RequestSent
from rxauth.notebook.words import shorten
from rxauth.recording.eventlog import Event
from rxauth.recording.signals import Emitted, Failed, Signal
from rxauth.session.actions import (
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.trace import CallRefused, CallReleased, CallWaits
from rxauth.store.tap import ErrorReported

#: Patterns of so many kinds, one after the other, are folded when they repeat.
PATTERN = 4
#: The lanes of the overview, from top to bottom.
LANES = ("waiting", "token", "sent", "answered", "actions", "streams", "errors")


class Kind(NamedTuple):
    """What events have in common that are drawn alike, and folded to one line when they come in a burst."""

    label: str
    detail: str
    #: One of `LANES`.
    lane: str
    #: dot, ring, square, triangle or cross: nothing is told by its colour alone.
    mark: str
    #: good, busy, bad, call or plain.
    tone: str


class Burst(NamedTuple):
    """Kinds that followed one another `times` times: as one line. `more`: and before that, nobody knows how often."""

    kinds: tuple[Kind, ...]
    times: int
    more: bool = False

    @property
    def often(self) -> str:
        """How often, "" for once."""
        return f"{self.times}{'+' if self.more else ''}" if self.times > 1 else ""

    def __str__(self) -> str:
        name = f"{self.kinds[0].label} {self.kinds[0].detail}".strip()
        names = " · ".join(kind.label for kind in self.kinds) if len(self.kinds) > 1 else name
        return f"{names} × {self.often}" if self.often else names


def last_bursts(events: Sequence[Event], lines: int) -> list[Burst]:
    """The last events, as so many lines at most."""
    found = bursts([kind_of(event) for event in events])
    if found and events[0].number > 1:
        found[0] = found[0]._replace(more=True)
    return found[-lines:]


def bursts(kinds: Sequence[Kind]) -> list[Burst]:
    """Each kind or short pattern of kinds that repeats as one line: fifty calls at once are three lines.

    The list of the inspector folds by the same rule, in `static/rows.js`.
    """
    lines: list[Burst] = []
    here = 0
    while here < len(kinds):
        length, times = 1, 1
        for tried in range(1, PATTERN + 1):
            found = _repeats(kinds, here, tried)
            if found > 1 and found * tried > length * times:
                length, times = tried, found
        lines.append(Burst(tuple(kinds[here : here + length]), times))
        here += length * times
    return lines


def _repeats(kinds: Sequence[Kind], here: int, length: int) -> int:
    """How often the pattern of this length stands here, one after the other."""
    times = 1
    while (end := here + (times + 1) * length) <= len(kinds) and kinds[end - length : end] == kinds[
        here : here + length
    ]:
        times += 1
    return times


def kind_of(event: Event) -> Kind:
    """The kind of this event; what it says holds no more than the recording, and so no secret."""
    action = event.action
    if event.stream:
        return _traced(action, event.stream)
    if isinstance(action, ApiEvent):
        return _call(action)
    if isinstance(action, SessionEvent):
        kind = _session(type(action), action.session)  # type: ignore[arg-type]  # classes are hashable
        return _saving(kind, action) if isinstance(action, StorageChanged) else kind
    return _plain(type(action))  # type: ignore[arg-type]


def _traced(action: Any, stream: str) -> Kind:
    label = type(action).__name__
    match action:
        case CallWaits(asked_by=who):
            return Kind(label, shorten(who, 60), "waiting", "dot", "busy")
        case CallReleased(error=error):
            mark, tone = ("ring", "good") if error is None else ("cross", "bad")
            return Kind(label, "" if error is None else type(error).__name__, "waiting", mark, tone)
        case CallRefused(error=error):
            return Kind(label, type(error).__name__, "waiting", "cross", "bad")
        case RequestSent(method=method, path=path):
            return Kind(label, shorten(f"{method} {path}", 60), "sent", "square", "call")
        case RequestEnded(status=status):
            fine = status is not None and status < 400
            said = "no answer" if status is None else str(status)
            return Kind(label, said, "answered", "ring" if fine else "cross", "call" if fine else "bad")
        case ErrorReported(error=error):
            return Kind(label, type(error).__name__, "errors", "cross", "bad")
        case Signal():
            bad = isinstance(action, Failed)
            mark = "dot" if isinstance(action, Emitted) else "cross" if bad else "ring"
            return Kind(label, shorten(stream, 60), "streams", mark, "bad" if bad else "plain")
    return Kind(label, shorten(stream, 60), "streams", "dot", "plain")


_CALLS: dict[type[Any], tuple[str, str]] = {
    ApiSucceeded: ("ring", "good"),
    ApiFailed: ("cross", "bad"),
    ApiCancelled: ("ring", "plain"),
    ApiSkipped: ("ring", "plain"),
}


def _call(action: ApiEvent[Any]) -> Kind:
    call = action.call
    name = type(call).__name__
    if isinstance(call, AdHocCall):  # the query may hold what is nobody's business
        name = shorten(f"{call.description.method} {call.description.url}".partition("?")[0], 60)
    mark, tone = _CALLS.get(type(action), ("dot", "call"))
    return Kind(type(action).__name__, name, "actions", mark, tone)


_SESSIONS: dict[type[Any], tuple[str, str]] = {
    RefreshStarted: ("triangle", "busy"),
    SigningIn: ("triangle", "busy"),
    TokensRefreshed: ("dot", "good"),
    SignedIn: ("dot", "good"),
    RefreshFailed: ("cross", "bad"),
    SignInFailed: ("cross", "bad"),
    SessionEnded: ("cross", "bad"),
}


@lru_cache(maxsize=256)
def _session(kind: type[Any], session: str) -> Kind:
    mark, tone = _SESSIONS.get(kind, ("ring", "plain"))
    return Kind(kind.__name__, "" if session == "default" else shorten(session, 60), "token", mark, tone)


def _saving(kind: Kind, action: StorageChanged) -> Kind:
    """That the tokens are saved again, or why they are not."""
    if action.error is None:
        return kind._replace(mark="ring", tone="good")
    return kind._replace(detail=f"{type(action.error).__name__} {kind.detail}".strip(), mark="cross", tone="bad")


@lru_cache(maxsize=1024)  # classes come and go in a notebook
def _plain(kind: type[Any]) -> Kind:
    return Kind(kind.__name__, "", "actions", "dot", "plain")
