"""What the live panel and the inspector share: a recording that is looked at again and again, and numbered batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from rxauth.concurrency.runtime import Instant, Runtime, running_loop
from rxauth.notebook.follow.history import History
from rxauth.notebook.follow.kinds import Kind, kind_of
from rxauth.notebook.follow.summary import Summary, summary
from rxauth.notebook.follow.tally import Tally
from rxauth.recording.eventlog import Event, EventLog
from rxauth.recording.record import record
from rxauth.recording.recording import Recording
from rxauth.session.registry import sessions_in
from rxauth.session.session import Session
from rxauth.session.state import Windows
from rxauth.store.store import Store

#: The recording keeps so many times what is shown, for an event loop that is busy for a while.
SPARE = 4


class Feed:
    """A store, session or recording, and what it has come to.

    After `start()`, `look()` runs every `period` seconds on the event loop of the caller, so that dispatching threads
    do nothing but record, and no other thread shows anything. `tell` is called there with the new events, also when
    there are none, because time goes by; `failed` with what it raises.
    """

    def __init__(
        self,
        source: Store[Any] | Session[Any] | Recording,
        *,
        limit: int,
        period: float,
        tell: Callable[[list[Event]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        check_source(source, limit)
        self.store = None if isinstance(source, Recording) else source.store if isinstance(source, Session) else source
        self.lead = source.name if isinstance(source, Session) else ""
        self._period, self._tell, self._failed = period, tell, failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._owned = not isinstance(source, Recording)
        self.runtime = self._runtime()
        self._began: Instant | None = None
        if isinstance(source, Recording):
            self.recording = source
        else:
            self._began = self.runtime.now()
            time = None if type(self.runtime) is Runtime else self.runtime
            self.recording = record(source, limit=limit * SPARE, time=time)
        reducer = None if self.store is None else self.store.reducer
        self.history = History(reducer, self.recording.initial, limit)

    @property
    def title(self) -> str:
        """The session's name, or the store's class of state."""
        if self.lead:
            return self.lead
        names = list(self.history.now.sessions)
        if len(names) == 1 and names != ["default"]:
            return names[0]
        return "recording" if self.store is None else f"Store of {type(self.store.state).__name__}"

    @property
    def subtitle(self) -> str:
        return "rxauth recording" if self.store is None else "rxauth session" if self.lead else "rxauth store"

    @property
    def is_over(self) -> bool:
        """Nothing will happen any more: the store is closed, or the recording."""
        return self._closed or self.recording.sources.is_disposed or (self.store is not None and self.store.is_closed)

    @property
    def is_live(self) -> bool:
        """Is it looked at again and again?"""
        return self._loop is not None and not self.is_over

    def start(self) -> bool:
        """Begin to look; False where no event loop runs, for example in a terminal."""
        self._loop = running_loop()
        if self._loop is None:
            return False
        self._loop.call_later(self._period, self._tick)
        if self._owned:
            self.recording.follow()  # so that the dispatching code feels it less
        return True

    def look(self) -> None:
        """Take in what is new, and tell it."""
        news = self.recording.since(self.history.last)
        self.history.add(news)
        self._tell(news)

    def close(self) -> None:
        """Stop recording and looking, after a last look. Idempotent, from any thread."""
        if self._owned:
            self.recording.close()
        if not self._closed:
            self._closed = True
            self.on_loop(self._last_look)

    def on_loop(self, work: Callable[[], None]) -> None:
        """Run it on the loop that shows things; here, where there is none (any more)."""
        loop = self._loop
        if loop is None or loop.is_closed() or loop is running_loop():
            work()
        else:
            loop.call_soon_threadsafe(work)

    def soon(self, work: Callable[[], None]) -> None:
        """Run it in the loop's next round, so that others have a turn before."""
        if self._loop is None or self._loop.is_closed():
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    def seconds(self) -> float:
        """The loop's time, to measure with."""
        return monotonic() if self._loop is None else self._loop.time()

    def summary(self) -> Summary:
        """Where things stand now."""
        return self._words(self.history.now, None)

    def summary_at(self, tally: Tally, at: float) -> Summary:
        """Where things stood `at` seconds after the recording began."""
        return self._words(tally, at)

    def now(self) -> Instant:
        """The moment now; for a recording alone, that of its last event."""
        if self._began is not None:
            return self.runtime.now()
        events = self.history.events
        return self._instant(events[-1].at if events else 0.0)

    def _words(self, tally: Tally, at: float | None) -> Summary:
        sessions = [] if self.store is None else sessions_in(self.store)
        windows: dict[str, Windows] = {session.name: session.settings.windows for session in sessions}
        if at is None:
            now = self.now()
            events = self.history.events
            at = now.mono - self._began.mono if self._began is not None else events[-1].at if events else 0.0
        else:
            now = self._instant(at)
        return summary(tally, at, now, windows, self.lead)

    def _instant(self, at: float) -> Instant:
        began = self._began or _anchor(self.history.events) or self.runtime.now()
        return Instant(began.wall + at, began.mono + at)

    def _runtime(self) -> Runtime:
        sessions = [] if self.store is None else sessions_in(self.store)
        named = [session for session in sessions if session.name == self.lead] or sessions
        return named[0].runtime if named else Runtime()

    def _tick(self) -> None:
        if self._closed or self._loop is None:
            return
        over = self.is_over
        self._safely(self.look)
        if over:
            self.close()
        else:
            self._loop.call_later(self._period, self._tick)

    def _last_look(self) -> None:
        self._safely(self.look)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._failed(error)


class Batches:
    """Events as messages for the browser, numbered so that it sees when one is missing."""

    def __init__(self) -> None:
        self._number = 0

    def next(self, events: Sequence[Event], kind: str) -> dict[str, object]:
        """The message of these events, which follow one another.

        `rows` has two numbers for each: its place in `kinds`, and its time in tenths of a millisecond.
        """
        self._number += 1
        kinds: dict[Kind, int] = {}
        rows: list[int] = []
        for event in events:
            rows += (kinds.setdefault(kind_of(event), len(kinds)), int(event.at * 10_000))
        first = events[0].number if events else 0
        return {"type": kind, "batch": self._number, "first": first, "kinds": list(kinds), "rows": rows}


def check_source(source: object, limit: int = 1) -> None:
    """Raise a TypeError unless it is something to look at, and a ValueError for a limit that leaves nothing."""
    if not isinstance(source, Store | Session | Recording):
        raise TypeError(
            f"expected a Store, a Session or a Recording, got {type(source).__name__}; of an Observable, look at what "
            "passes: record() it with .pipe(spy('name'))"
        )
    if limit < 1:
        raise ValueError(f"limit must be 1 or more, got {limit!r}")


def _anchor(events: EventLog) -> Instant | None:
    """When the recording began, as the newest event of a session tells it."""
    for event in reversed(events):
        at = getattr(event.action, "at", None)
        if isinstance(at, Instant):
            return Instant(at.wall - event.at, at.mono - event.at)
    return None
