"""What passed through a store: bounded, numbered and without secrets; to be saved, loaded, replayed and compared."""

from __future__ import annotations

import difflib
import itertools
import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from reactivex.disposable import CompositeDisposable

from rxauth.actions import check_kinds
from rxauth.canonical import Canonical
from rxauth.closing import Closing
from rxauth.encoding import decode, encode
from rxauth.errors import InvalidRecording
from rxauth.redaction import Redactor
from rxauth.reducers import Reducer
from rxauth.runtime import Runtime
from rxauth.store import Store

S = TypeVar("S")

#: The version of the format that is written; others are refused.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Action `number`, counted from 1, `at` so many seconds (monotonic) after the recording began."""

    number: int
    at: float
    action: Any


class Recording(Closing):
    """The last `limit` actions of a store, in order, and the state before the first one of all.

    Tokens, passwords and whatever else is secret were replaced before they came in: see `rxauth.redaction.Redactor`.
    `dropped` says how many actions, the oldest, are not there any more.
    """

    def __init__(self, events: Iterable[Event] = (), *, initial: Any = None, limit: int = 10_000) -> None:
        self._events: deque[Event] = deque(events, maxlen=limit)
        self.initial = initial
        self._arrived: deque[Event] = deque(maxlen=limit)
        self._redact = Redactor()
        self._lock = threading.Lock()
        self._sources = CompositeDisposable()

    @property
    def events(self) -> tuple[Event, ...]:
        """All that is there; also what was dispatched and not delivered yet."""
        with self._lock:
            self._take_in()
            return tuple(self._events)

    @property
    def actions(self) -> list[Any]:
        """The actions alone."""
        return [event.action for event in self.events]

    @property
    def dropped(self) -> int:
        events = self.events
        return events[0].number - 1 if events else 0

    def of_type(self, *kinds: type[Any]) -> list[Any]:
        """The actions that are instances of one of these classes."""
        check_kinds(kinds)
        return [action for action in self.actions if isinstance(action, kinds)]

    def close(self) -> None:
        """Stop recording; what is there stays. Idempotent."""
        self._sources.dispose()

    def _take_in(self) -> None:
        """Keep what arrived, without its secrets; the caller holds the lock."""
        while self._arrived:
            arrived = self._arrived.popleft()
            self._events.append(Event(arrived.number, arrived.at, self._redact(arrived.action)))

    def _delivered(self, action: Any) -> None:
        with self._lock:
            self._take_in()

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        events = self.events
        span = f"{events[-1].at - events[0].at:.3g} s" if events else "empty"
        return f"Recording({len(events)} actions, {span}{f', {self.dropped} dropped' if self.dropped else ''})"

    # -- to text and back ------------------------------------------------------------------------------------------

    def to_lines(self) -> Iterator[str]:
        """JSON lines: a head with the version and the first state, then a line for each action."""
        yield json.dumps({"rxauth": VERSION, "initial": encode(self.initial)})
        for event in self.events:
            yield json.dumps({"n": event.number, "at": round(event.at, 6), "action": encode(event.action)})

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> Self:
        """The recording in these lines. Raises `InvalidRecording` for another version or a damaged line.

        Import the modules that define your actions first: nothing is imported here, and an action of an unknown class
        is loaded as `rxauth.encoding.Unknown`.
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
        return cls(events, initial=decode(read.get("initial")), limit=max(len(events), 1))

    def save(self, path: str | Path) -> None:
        """Write it as JSON lines."""
        Path(path).write_text("".join(f"{line}\n" for line in self.to_lines()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; see `from_lines`."""
        return cls.from_lines(Path(path).read_text(encoding="utf-8").splitlines())

    # -- what to do with it ----------------------------------------------------------------------------------------

    def replay(self, reducer: Reducer[S], initial: S | None = None) -> list[S]:
        """The states that `reducer` makes of it: first `initial` (None: the recorded one), then one for each action.

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
                f"the first {self.dropped} actions were dropped, so it can not be replayed from the recorded state; "
                "give record() a larger limit="
            )

    def compare(self, other: Recording, *, times: bool = False) -> str:
        """How `other` differs, as a unified diff of the actions; "" when it does not.

        What is new in each run counts as the same: the ids of sign-ins and calls, the numbers of generations and the
        fingerprints of tokens are compared by their order of appearance; moments only with `times=True`.
        """
        ours, theirs = (list(Canonical(times=times).lines(one.events)) for one in (self, other))
        return "\n".join(difflib.unified_diff(ours, theirs, "this recording", "the other", lineterm="", n=2))


def record(store: Store[Any], *, limit: int = 10_000, time: Runtime | None = None) -> Recording:
    """Record what is dispatched to `store` from now on, until `close()` or the end of a `with` block.

    `limit` bounds the memory: of more actions the oldest are dropped. `time` is the clock, for tests.
    """
    if limit < 1:
        raise ValueError(f"limit must be 1 or more, got {limit!r}")
    clock, recording = time or Runtime(), Recording(limit=limit)
    began, numbers = clock.now().mono, itertools.count(1)

    def note(action: Any) -> None:
        recording._arrived.append(Event(next(numbers), clock.now().mono - began, action))

    tap, initial = store.tap(note)
    recording.initial = recording._redact(initial)
    # What is delivered is taken in at once, so that no secret stays here for longer than in the store's own queue.
    delivered = store.actions.subscribe(recording._delivered)
    recording._sources.add(tap)
    recording._sources.add(delivered)
    return recording


def _read(number: int, line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise InvalidRecording(f"line {number} is no JSON object; was the file cut off, or changed by hand?")
    return read


def _event(number: int, read: dict[str, Any]) -> Event:
    try:
        return Event(int(read["n"]), float(read["at"]), decode(read["action"]))
    except InvalidRecording as error:
        raise InvalidRecording(f"line {number}: {error}") from None
    except Exception as error:
        raise InvalidRecording(f"line {number} is no recorded action ({type(error).__name__}: {error})") from None
