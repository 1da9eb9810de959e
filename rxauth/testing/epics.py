"""Epics by themselves, in virtual time: against a marble diagram, or against what was recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reactivex import Observable
from reactivex import operators as ops
from reactivex.observable.marbles import parse

from rxauth.recording.record import Event, Recording
from rxauth.store.epics import Epic, name_of
from rxauth.store.reducers import Reducer
from rxauth.store.store import Store
from rxauth.testing.diagram import ANY_ERROR, Mark, explain_difference
from rxauth.testing.time import VirtualTime

#: An epic that has emitted so much, in a store that shows it its own actions, will not end.
ENDLESS = 10_000


@dataclass(frozen=True, slots=True)
class Emission:
    """What an epic did, `at` so many seconds after the start: emit an action, fail with an error, or complete."""

    at: float
    kind: Literal["action", "error", "completed"]
    value: Any = None


def check_epic(
    epic: Epic[Any],
    actions: str,
    expected: str,
    values: Mapping[str, Any] | None = None,
    *,
    reducer: Reducer[Any] | None = None,
    state: Any = None,
    frame: float = 1.0,
    error: Exception | None = None,
    time: VirtualTime | None = None,
) -> None:
    """Raise AssertionError, with both diagrams one above the other, unless `epic` answers `actions` as `expected`.

        check_epic(search, actions="-t-t----|", expected="------s-|", values={"t": Typed("jwt"), "s": Search("jwt")})

    The diagrams are those of `reactivex.from_marbles`: each character is `frame` seconds, `-` is nothing, a letter is
    the action of that name in `values` (without `values`, the letter itself), `(a,b)` are two at once and take up the
    room of their five characters, `#` is a failure (`error`, if you say which), `|` the end: of the epic, or of the
    actions as the store closes.

    The epic runs in a real store with `reducer` and `state`, so what it emits comes back to it. Its timed operators
    run in virtual time as long as they name no scheduler but `time.scheduler`; give `time` when the epic holds a
    session with that time. The run ends with the longer of the two diagrams.
    """
    if not frame > 0:
        raise ValueError(f"frame must be more than 0 seconds, got {frame!r}")
    if not expected.strip():
        raise ValueError("expected is no diagram; for an epic that emits nothing, write so many -")
    names = dict(values or {})
    sent, wanted = (_marks(diagram, names, frame, error) for diagram in (actions, expected))
    if any(mark.kind == "error" for mark in sent):
        raise ValueError("a store's actions never fail, so their diagram has no #")
    length = max(len(diagram.replace(" ", "")) for diagram in (actions, expected))
    got = run_epic(epic, sent, reducer=reducer, state=state, time=time, seconds=(length - 0.5) * frame)
    marks = [Mark(emission.at, emission.kind, emission.value) for emission in got]
    difference = explain_difference(name_of(epic), actions, expected, wanted, marks, names, frame)
    if difference:
        raise AssertionError(difference)


def replay_epic(
    recording: Recording,
    epic: Epic[Any],
    *,
    reducer: Reducer[Any] | None = None,
    state: Any = None,
    seconds: float = 60.0,
) -> Recording:
    """What `epic` emits when it is shown the recorded actions again, at their times, in virtual time.

    Nothing of it is dispatched: what followed then is in the recording. `state` is the first state (None: the
    recorded one), and `reducer` makes the others. It goes on for `seconds` after the last action. Raises
    `InvalidRecording` when the beginning was dropped.
    """
    recording.check_whole()
    sent = [Mark(event.at, "action", event.action) for event in recording if not event.stream]
    first = recording.initial if state is None else state
    end = (sent[-1].at if sent else 0.0) + seconds
    got = run_epic(epic, sent, reducer=reducer, state=first, seconds=end, feed_back=False)
    emitted = [emission for emission in got if emission.kind == "action"]
    return Recording([Event(number, emission.at, emission.value) for number, emission in enumerate(emitted, 1)])


def run_epic(
    epic: Epic[Any],
    sent: Iterable[Mark],
    *,
    seconds: float,
    reducer: Reducer[Any] | None = None,
    state: Any = None,
    time: VirtualTime | None = None,
    feed_back: bool = True,
) -> list[Emission]:
    """Run `epic` in a store of its own for so many seconds of virtual time, and note what it does."""
    clock = time or VirtualTime()
    began = clock.now().mono
    got: list[Emission] = []

    def note(kind: Literal["action", "error", "completed"]) -> Callable[..., None]:
        def noted(value: Any = None) -> None:
            got.append(Emission(clock.now().mono - began, kind, value))
            if feed_back and len(got) == ENDLESS:
                store.close()

        return noted

    @functools.wraps(epic, updated=())
    def watched(actions: Any, view: Any) -> Observable[Any]:
        output = epic(actions, view).pipe(ops.do_action(note("action"), note("error"), note("completed")))
        return output if feed_back else output.pipe(ops.ignore_elements())

    store: Store[Any] = Store(
        reducer or _keep,
        _NO_STATE if state is None else state,
        epics=[watched],
        report=lambda *_: None,
        scheduler=clock.scheduler,
    )

    def send(mark: Mark) -> None:
        if mark.kind != "action":
            store.close()
        elif not store.is_closed:  # as it is before the end where the epic was endless
            store.dispatch(mark.value)

    for mark in sent:
        clock.call_later(mark.at, functools.partial(send, mark))
    clock.advance(seconds)
    if feed_back and len(got) >= ENDLESS:
        raise AssertionError(
            f"the epic {name_of(epic)} answers its own answers, without end: of what it emits, it must not be shown "
            "what it answers; say which actions those are, for example with actions.of_type(Typed)"
        )
    done = list(got)
    store.close()
    clock.advance()
    return done


_NO_STATE = object()


def _keep(state: Any, action: Any) -> Any:
    return state


def _marks(diagram: str, values: Mapping[str, Any], frame: float, error: Exception | None) -> list[Mark]:
    lookup: dict[str | float, Any] = {}
    for name, value in values.items():
        if set(name) & set("-()|#, ") or not name:
            raise ValueError(f"{name!r} can not be the name of an action in a marble diagram; use letters and digits")
        lookup[name] = lookup[_number(name)] = Named(value)
    marks = []
    for at, told in parse(diagram, timespan=frame, lookup=lookup, error=error or ANY_ERROR, raise_stopped=True):
        kind = {"N": "action", "E": "error", "C": "completed"}[told.kind]
        value = getattr(told, "value", None) if kind == "action" else getattr(told, "exception", None)
        if isinstance(value, Named):
            value = value.value
        elif kind == "action" and values:
            raise ValueError(
                f"the diagram {diagram!r} has {value!r}, which values={{...}} does not explain (letters in a row are "
                "one name: put a - between two)"
            )
        marks.append(Mark(_seconds(at), kind, value))  # type: ignore[arg-type]
    return marks


@dataclass(frozen=True, slots=True)
class Named:
    """Tells a value that was looked up from a letter that nobody explained."""

    value: Any


def _number(name: str) -> str | float:
    """What reactivex makes of an element that looks like a number."""
    for kind in (int, float):
        try:
            return kind(name)
        except ValueError:
            continue
    return name


def _seconds(at: Any) -> float:
    return at.total_seconds() if hasattr(at, "total_seconds") else float(at)
