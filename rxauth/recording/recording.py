"""What passed through stores, sessions and streams: bounded, numbered and without secrets; to be saved and replayed."""

from __future__ import annotations

import difflib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, Self, TypeVar

from reactivex.disposable import CompositeDisposable

from rxauth.concurrency.closing import Closing
from rxauth.concurrency.runtime import Runtime
from rxauth.errors import InvalidRecording
from rxauth.recording.comparison import Canonical
from rxauth.recording.encoding import decode, encode
from rxauth.recording.eventlog import Event, EventLog
from rxauth.recording.redactor import Redactor
from rxauth.redaction.display import Shown
from rxauth.store.actions import check_kinds
from rxauth.store.reducers import Reducer

S = TypeVar("S")
T = TypeVar("T")

#: The version of the format that is written; others are refused.
VERSION = 1
#: Of a recording that somebody reads all the time, at most so many events wait for that.
FOLLOWED = 1000
#: What is noted of each: the moment, the event and its stream.
NOTED = 3


class Recording(Shown, Closing):
    """The last `limit` events, in order, and the store's state before the first one of all.

    Tokens, passwords and whatever else is secret were replaced before they came in, by the `Redactor` of this package.
    `dropped` says how many events, the oldest, are not there any more. Safe to read from any thread while it records.
    """

    def __init__(
        self,
        events: Iterable[Event] = (),
        *,
        initial: Any = None,
        limit: int = 10_000,
        time: Runtime | None = None,
    ) -> None:
        self._log = EventLog(events, limit)
        self._total = self._log[-1].number if len(self._log) else 0
        self.initial = initial
        #: For stores: see `rxauth.store.tap.Tap`.
        self.waiting: deque[Any] = deque()
        self.keep: Callable[[tuple[float, Any, str]], None] = self.waiting.extend
        self.patience = 1
        self._redact = Redactor().__call__
        self._lock = threading.Lock()
        # The plain clock is read with every event: through `now()` that would cost three times as much.
        self.clock: Callable[[], float] = monotonic if time is None else lambda: time.now().mono
        self._began = self.clock()
        #: What ends with the recording.
        self.sources = CompositeDisposable()

    @property
    def events(self) -> tuple[Event, ...]:
        """All that is there; also what was dispatched and not delivered yet."""
        self.take_in(1)
        with self._lock:
            log = self._log.copy()
        return tuple(log)

    @property
    def total(self) -> int:
        """How many events there were in all: the number of the newest."""
        self.take_in(1)
        return self._total

    def since(self, number: int) -> list[Event]:
        """The events after `number` that are still there; costs as much as there are, not as there were."""
        self.take_in(1)
        with self._lock:
            return self._log.last(self._total - number)

    @property
    def actions(self) -> list[Any]:
        """What was dispatched, alone."""
        return [event.action for event in self.events if not event.stream]

    @property
    def dropped(self) -> int:
        """How many events, the oldest, are not there any more."""
        events = self.events
        return events[0].number - 1 if events else 0

    def of_type(self, *kinds: type[Any]) -> list[Any]:
        """The actions that are instances of one of these classes; those of `rxauth.recording` are found, too."""
        check_kinds(kinds)
        return [event.action for event in self.events if isinstance(event.action, kinds)]

    def begin(self, initial: Any) -> None:
        """The state before the first event is this."""
        self.initial = self._redact(initial)

    def follow(self) -> None:
        """Leave the work to its reader, who from now on reads many times a second: whoever dispatches only notes."""
        self.patience = FOLLOWED * NOTED

    def close(self) -> None:
        """Stop recording; what is there stays. Idempotent."""
        self.sources.dispose()
        self.patience = 1
        self.take_in(1)

    def note(self, event: Any, stream: str = "") -> None:
        """Record it, from any thread."""
        self.keep((self.clock(), event, stream))
        self.take_in()

    def take_in(self, least: int = 0) -> None:
        """Number what was noted, without its secrets, if that is `least` events; 0: as many as its reader leaves."""
        waiting = self.waiting
        if len(waiting) < (least or self.patience):
            return
        take, add, redact = waiting.popleft, self._log.add, self._redact
        with self._lock:
            while waiting:
                now, event, stream = take(), take(), take()
                self._total = number = self._total + 1
                add((number, now - self._began, redact(event), stream))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        events = self.events
        span = f"{events[-1].at - events[0].at:.3g} s" if events else "empty"
        return f"Recording({len(events)} events, {span}{f', {self.dropped} dropped' if self.dropped else ''})"

    # -- to text and back ------------------------------------------------------------------------------------------

    def to_lines(self) -> Iterator[str]:
        """JSON lines: a head with the version and the first state, then a line for each event."""
        yield json.dumps({"rxauth": VERSION, "initial": encode(self.initial)})
        for event in self.events:
            line = {"n": event.number, "at": round(event.at, 6), "action": encode(event.action)}
            yield json.dumps({**line, "stream": event.stream} if event.stream else line)

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> Self:
        """The recording in these lines. Raises `InvalidRecording` for another version or a damaged line.

        Import the modules that define your actions first: nothing is imported here, and an action of an unknown class
        is loaded as `rxauth.recording.encoding.Unknown`.
        """
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not numbered:
            raise InvalidRecording("it is empty; a recording begins with a line that names its version")
        (_, head), *rest = numbered
        read = _read(1, head)
        if read.get("rxauth") != VERSION:
            raise InvalidRecording(
                f"line 1 says version {read.get('rxauth')!r}, and this rxauth reads version {VERSION}: "
                "is it a recording, and was it made by a newer rxauth?"
            )
        events = [_event(number, _read(number, line)) for number, line in rest]
        initial = _made(1, "recorded state", lambda: decode(read.get("initial")))
        return cls(events, initial=initial, limit=max(len(events), 1))

    def save(self, path: str | Path) -> None:
        """Write it as JSON lines."""
        Path(path).write_text("".join(f"{line}\n" for line in self.to_lines()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; see `from_lines`."""
        return cls.from_lines(Path(path).read_text(encoding="utf-8").splitlines())

    # -- what to do with it ----------------------------------------------------------------------------------------

    def replay(self, reducer: Reducer[S], initial: S | None = None) -> list[S]:
        """The states that `reducer` makes: first `initial` (None: the recorded one), then one for each action.

        Nothing but the reducer runs: no epic, no request. Its tokens are fingerprints, so they revive nobody. Raises
        `InvalidRecording` when the beginning was dropped, and what the reducer raises.
        """
        self.check_whole()
        states: list[S] = [self.initial if initial is None else initial]
        for action in self.actions:
            states.append(reducer(states[-1], action))
        return states

    def check_whole(self) -> None:
        """Raise `InvalidRecording` unless it goes back to its first action."""
        if self.dropped:
            raise InvalidRecording(
                f"the first {self.dropped} events were dropped, so it can not be replayed from the recorded state; "
                "give record() a larger limit="
            )

    def compare(self, other: Recording, *, times: bool = False) -> str:
        """How `other` differs, as a unified diff of the actions; "" when it does not.

        What is new in each run counts as the same: the ids of sign-ins and calls, the numbers of generations and the
        fingerprints of tokens are compared by their order of appearance; moments only with `times=True`.
        """
        ours, theirs = (list(Canonical(times=times).lines(_dispatched(one))) for one in (self, other))
        return "\n".join(difflib.unified_diff(ours, theirs, "this recording", "the other", lineterm="", n=2))


def _dispatched(recording: Recording) -> list[Event]:
    return [event for event in recording.events if not event.stream]


def _read(number: int, line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise InvalidRecording(f"line {number} is no JSON object; was the file cut off, or changed by hand?")
    return read


def _event(number: int, read: dict[str, Any]) -> Event:
    return _made(
        number,
        "recorded action",
        lambda: Event(int(read["n"]), float(read["at"]), decode(read["action"]), str(read.get("stream", ""))),
    )


def _made(number: int, what: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except InvalidRecording as error:
        raise InvalidRecording(f"line {number}: {error}") from None
    except Exception as error:
        raise InvalidRecording(f"line {number} is no {what} ({type(error).__name__}: {error})") from None
