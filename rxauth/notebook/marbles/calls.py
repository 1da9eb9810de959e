"""What each call of a recording went through: its waits, its place in the queue, its requests and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rxauth.api.calls import ApiCancelled, ApiEvent, ApiFailed, ApiSkipped, ApiStarted, ApiSucceeded
from rxauth.errors import ApiError, ApiStatusError, CallCancelled
from rxauth.http.trace import RequestEnded, RequestSent
from rxauth.notebook.marbles.labels import call_label, class_name, clean, request_label
from rxauth.session.trace import CallRefused, CallReleased, CallWaits

SpanKind = Literal["waits", "queued", "flight"]
#: `left`: there was no answer, because the connection failed or because the caller left.
Outcome = Literal["answered", "failed", "cancelled", "left", "running"]
#: How it came past the gate: `bare` needed no token, `turned_away` got none, `unsent` ended before it was sent.
Way = Literal["waited", "straight", "bare", "turned_away", "unsent"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a call. `status` is the answer's; None when there is none (yet)."""

    kind: SpanKind
    begin: float
    end: float
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call, or one that only waited for tokens. `why` is the status or the class of the error it ended with."""

    name: str
    session: str
    begin: float
    end: float
    spans: tuple[Span, ...]
    outcome: Outcome
    why: str
    way: Way

    @property
    def waited(self) -> float:
        """How long it waited for tokens, in all; seconds."""
        return sum(span.end - span.begin for span in self.spans if span.kind == "waits")

    @property
    def refusals(self) -> tuple[float, ...]:
        """When its requests were answered 401 and it went on nevertheless."""
        last = self.spans[-1] if self.spans else None
        return tuple(span.end for span in self.spans if span.status == 401 and span is not last)


@dataclass(slots=True)
class _Growing:
    """A call of which we do not know the end yet."""

    begin: float
    name: str = ""
    session: str = ""
    is_api: bool = False
    spans: list[Span] = field(default_factory=list)
    waits_since: float | None = None
    sent_at: float | None = None
    #: From here on nothing is known of it, so that it is in a queue.
    idle_since: float = 0.0
    outcome: Outcome = "running"
    why: str = ""
    never_passed: bool = False
    end: float | None = None

    def name_it(self, name: str, session: str = "") -> None:
        self.name = self.name or name
        self.session = self.session or session

    def close_wait(self, at: float) -> None:
        if self.waits_since is not None:
            self.spans.append(Span("waits", self.waits_since, max(at, self.waits_since)))
            self.waits_since, self.idle_since = None, at

    def close_request(self, at: float, status: int | None) -> None:
        if self.sent_at is not None:
            self.spans.append(Span("flight", self.sent_at, max(at, self.sent_at), status))
            self.sent_at, self.idle_since = None, at

    def close_queue(self, at: float) -> None:
        if self.waits_since is None and self.sent_at is None and at > self.idle_since:
            self.spans.append(Span("queued", self.idle_since, at))

    def finish(self, at: float, outcome: Outcome, why: str) -> None:
        self.end, self.outcome, self.why = at, outcome, why

    def reopen(self) -> None:
        """What looked like its end was none."""
        self.end, self.outcome, self.why = None, "running", ""

    def call(self, last: float) -> Call:
        """What is known of it at the end of the recording."""
        end = max(last if self.end is None else self.end, self.begin)
        way = self._way()
        if way == "bare" and not self.spans:
            self.spans.append(Span("flight", self.begin, end))
        self.close_wait(end)
        self.close_request(end, None)
        if self.is_api and not (self.spans and self.spans[-1].kind == "flight"):
            self.close_queue(end)
        elif self.is_api and self.outcome in ("answered", "failed"):
            # Until then its body was read: the request's own answer comes with the headers.
            self.spans[-1] = replace(self.spans[-1], end=max(end, self.spans[-1].end))
        name = self.name or "a call"
        return Call(name, self.session or "default", self.begin, end, tuple(self.spans), self.outcome, self.why, way)

    def _way(self) -> Way:
        if self.waits_since is not None or any(span.kind == "waits" for span in self.spans):
            return "waited"
        if self.sent_at is not None or any(span.kind == "flight" for span in self.spans):
            return "straight"
        if self.never_passed:
            return "turned_away"
        return "bare" if self.outcome in ("answered", "failed") else "unsent"


class Calls:
    """All calls of a recording, event by event."""

    def __init__(self) -> None:
        self._calls: dict[Any, _Growing] = {}
        self.skipped: Counter[str] = Counter()
        self._first = True

    def add(self, at: float, event: Any) -> None:
        """Go on with this event, of the class of which `HANDLERS` has something to say."""
        HANDLERS[type(event)](self, at, event)

    def all(self, last: float) -> tuple[Call, ...]:
        """In the order in which they began."""
        return tuple(sorted((call.call(last) for call in self._calls.values()), key=lambda call: call.begin))

    def _get(self, caller: Any, begin: float) -> _Growing:
        call = self._calls.get(caller)
        if call is None:
            call = self._calls[caller] = _Growing(begin, idle_since=begin)
        return call

    def _waits(self, at: float, event: CallWaits) -> None:
        call = self._get(event.caller, at)
        call.name_it(_asked_by(event), event.session)
        call.reopen()
        call.waits_since = at

    def _released(self, at: float, event: CallReleased) -> None:
        call = self._get(event.caller, 0.0)
        call.name_it("", event.session)
        if call.waits_since is None:
            call.waits_since = call.begin  # it began before the recording
        call.close_wait(at)
        if call.is_api:
            return
        if event.error is None:
            call.finish(at, "answered", "tokens")
        elif isinstance(event.error, CallCancelled):
            call.finish(at, "cancelled", "left")
        else:
            call.finish(at, "failed", class_name(event.error))

    def _refused(self, at: float, event: CallRefused) -> None:
        call = self._get(event.caller, at)
        call.name_it(_asked_by(event), event.session)
        call.never_passed = True
        if not call.is_api:
            call.finish(at, "failed", class_name(event.error))

    def _sent(self, at: float, event: RequestSent) -> None:
        call = self._get(event.caller, at)
        call.name_it(request_label(event.method, event.path), event.session)
        call.close_wait(at)
        if call.is_api:
            call.close_queue(at)
        call.reopen()
        call.sent_at = at

    def _ended(self, at: float, event: RequestEnded) -> None:
        call = self._get(event.caller, 0.0)
        call.name_it("", event.session)
        if call.sent_at is None:
            call.sent_at = call.begin if not call.spans else call.idle_since
        status = event.status if isinstance(event.status, int) else None
        call.close_request(at, status)
        if not call.is_api:
            outcome: Outcome = "left" if status is None else "answered" if status < 400 else "failed"
            call.finish(at, outcome, "no answer" if status is None else str(status))

    def _started(self, at: float, event: ApiStarted[Any]) -> None:
        call = self._get(event.id, at)
        call.is_api, call.name = True, call_label(event.call)
        call.reopen()

    def _answered(self, at: float, event: ApiSucceeded[Any]) -> None:
        self._over(at, event, "answered", str(getattr(event.response, "status_code", "")) or "answered")

    def _failed(self, at: float, event: ApiFailed[Any]) -> None:
        call = self._over(at, event, "failed", class_name(event.error))
        call.never_passed = not isinstance(event.error, ApiError)
        if isinstance(event.error, ApiStatusError) and call.spans and call.spans[-1].status is not None:
            call.why = str(call.spans[-1].status)

    def _cancelled(self, at: float, event: ApiCancelled[Any]) -> None:
        self._over(at, event, "cancelled", "cancelled")

    def _skipped(self, at: float, event: ApiSkipped[Any]) -> None:
        self.skipped[clean(str(event.why))] += 1

    def _over(self, at: float, event: ApiEvent[Any], outcome: Outcome, why: str) -> _Growing:
        call = self._get(event.id, 0.0)
        call.is_api, call.name = True, call_label(event.call)
        call.finish(at, outcome, why)
        return call


def _asked_by(event: CallWaits | CallRefused) -> str:
    return clean(str(event.asked_by)).partition("?")[0].partition(", answered")[0]


HANDLERS: dict[type[Any], Callable[[Calls, float, Any], None]] = {
    CallWaits: Calls._waits,
    CallReleased: Calls._released,
    CallRefused: Calls._refused,
    RequestSent: Calls._sent,
    RequestEnded: Calls._ended,
    ApiStarted: Calls._started,
    ApiSucceeded: Calls._answered,
    ApiFailed: Calls._failed,
    ApiCancelled: Calls._cancelled,
    ApiSkipped: Calls._skipped,
}


def steps(calls: Iterable[Call]) -> tuple[tuple[float, int], ...]:
    """How many waited for tokens, from when on; of several changes at one moment only the last."""
    changes: Counter[float] = Counter()
    for call in calls:
        for span in call.spans:
            if span.kind == "waits":
                changes[span.begin] += 1
                changes[span.end] -= 1
    number, found = 0, []
    for at in sorted(changes):
        number += changes[at]
        found.append((at, number))
    return tuple(found)
