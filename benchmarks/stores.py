"""What a dispatch costs: beside plain reactivex wiring and other stores, with idle epics, selectors and a recording."""

from __future__ import annotations

import asyncio
import dataclasses
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import reactivex
import reactivex.subject
from reactivex import operators as ops

from benchmarks.measure import Row, race, row
from rxauth import Store, combine_reducers
from rxauth.recording import record

#: Makes that many dispatches.
Work = Callable[[int], None]


@dataclass(frozen=True)
class Ping:
    pass


def ours() -> Work:
    return _dispatches(_counting())


def plain() -> Work:
    """Neither safe from two threads nor ordered under re-entrancy."""
    subject: reactivex.Subject[Ping] = reactivex.Subject()
    states: reactivex.subject.BehaviorSubject[int] = reactivex.subject.BehaviorSubject(0)
    subject.pipe(ops.scan(lambda state, _: state + 1, 0)).subscribe(states)
    states.subscribe(lambda _: None)

    def work(dispatches: int) -> None:
        ping = Ping()
        for _ in range(dispatches):
            subject.on_next(ping)

    return work


def python_redux() -> tuple[Work, Callable[[], None]]:
    """Compiled with Cython. Its `dispatch` may be called from one thread at a time."""
    from redux import BaseAction, InitAction
    from redux import Store as Peer

    class PeerPing(BaseAction):  # type: ignore[misc]
        pass

    store = Peer(lambda state, action: 0 if state is None else state + 1)
    store.dispatch(InitAction())
    store._subscribe(lambda state: None)

    def work(dispatches: int) -> None:
        ping = PeerPing()
        for _ in range(dispatches):
            store.dispatch(ping)

    return work, store.clean_up


def aioredux(runner: asyncio.Runner) -> Work:
    import aioredux as peer

    async def make() -> Any:
        store = await peer.create_store(lambda state, action: (state or 0) + 1)
        store.subscribe(lambda: None)
        return store

    store = runner.run(make())

    async def dispatch_all(dispatches: int) -> None:
        ping = {"type": "ping"}
        for _ in range(dispatches):
            await store.dispatch(ping)

    return lambda dispatches: runner.run(dispatch_all(dispatches))


def rows(quick: bool) -> list[Row]:
    rounds, dispatches = (5, 1_000) if quick else (41, 5_000)
    found = [*_peers(rounds, dispatches), *_epics(rounds, dispatches // 5), _selectors(rounds, dispatches // 5)]
    return found + _recording(3 if quick else 7, 10_000 if quick else 100_000)


def _peers(rounds: int, dispatches: int) -> list[Row]:
    with asyncio.Runner() as runner:
        redux, end = python_redux()
        others = {
            "plain Subject, scan, BehaviorSubject": plain(),
            "python-redux (compiled by Cython)": redux,
            "aioredux": aioredux(runner),
        }
        works = {"ours": ours(), **others}
        times = race({name: _bound(work, dispatches) for name, work in works.items()}, rounds)
        end()
    return [
        row(f"a dispatch, one subscriber / {name}", times["ours"], times[name], 1.0, items=dispatches)
        for name in others
    ]


IDLE = (0, 1, 10, 100, 1_000)


def _epics(rounds: int, dispatches: int) -> list[Row]:
    """With the same number of idle epics wired with `filter` on one Subject, which each see every action."""
    works = {f"{idle}": _dispatches(_counting(idle)) for idle in IDLE} | {
        f"plain {idle}": plain_epics(idle) for idle in IDLE
    }
    times = race({name: _bound(work, dispatches) for name, work in works.items()}, max(rounds // 4, 3))
    found = []
    for idle in IDLE[1:]:
        bound = 1.2 if idle == 1_000 else None
        found.append(
            row(
                f"a dispatch with {idle:,} idle epics / with none",
                times[f"{idle}"],
                times["0"],
                bound,
                items=dispatches,
            )
        )
    for idle in IDLE:
        name = f"a dispatch with {idle:,} idle epics / plain, a filter each"
        found.append(row(name, times[f"{idle}"], times[f"plain {idle}"], items=dispatches))
    return found


def plain_epics(idle: int) -> Work:
    subject: reactivex.Subject[Any] = reactivex.Subject()
    states: reactivex.subject.BehaviorSubject[int] = reactivex.subject.BehaviorSubject(0)
    subject.pipe(ops.scan(lambda state, _: state + 1, 0)).subscribe(states)
    states.subscribe(lambda _: None)
    for kind in _kinds(idle):
        subject.pipe(ops.filter(lambda action, kind=kind: isinstance(action, kind))).subscribe(lambda _: None)  # type: ignore[misc]

    def work(dispatches: int) -> None:
        ping = Ping()
        for _ in range(dispatches):
            subject.on_next(ping)

    return work


def _kinds(number: int) -> list[type[Any]]:
    return [type(f"Kind{index}", (), {}) for index in range(number)]


def _counting(idle: int = 0) -> Store[int]:
    store: Store[int] = Store(lambda state, action: state + 1, 0)
    for kind in _kinds(idle):
        store.add_epic(lambda actions, state, kind=kind: actions.of_type(kind).pipe(ops.ignore_elements()))  # type: ignore[misc]
    store.subscribe(lambda _: None)
    return store


def _selectors(rounds: int, dispatches: int) -> Row:
    """On a state of ten slices, of which one changes: the selectors are on the other nine."""
    slices = [f"slice{number}" for number in range(9)]
    fields = [("pings", int, 0)] + [(name, tuple, (0,)) for name in slices]
    state_class = dataclasses.make_dataclass("Slices", fields, frozen=True)
    reducers: dict[str, Any] = {name: lambda state, action: state for name in slices}
    reducer: Any = combine_reducers(state_class, pings=lambda state, action: state + 1, **reducers)

    def store_with(selectors: int) -> Work:
        store = Store(reducer, state_class())
        for number in range(selectors):
            name = slices[number % 9]
            selector = eval(f"lambda state: len(state.{name}) + {number}")  # each of its own, as a user writes it
            store.select(selector).subscribe(lambda _: None)
        return _dispatches(store)

    works = {"many": _bound(store_with(1_000), dispatches), "one": _bound(store_with(1), dispatches)}
    times = race(works, max(rounds // 4, 3))
    return row(
        "1,000 selectors on slices that did not change / one", times["many"], times["one"], 1.5, items=dispatches
    )


@dataclass(frozen=True)
class Found:
    text: str
    place: int


def _recording(rounds: int, dispatches: int) -> list[Row]:
    actions = [Found("a text of usual length", number) for number in range(dispatches)]

    def dispatch_all(recording: bool) -> None:
        store: Store[int] = Store(lambda state, action: state + 1, 0)
        kept = record(store, limit=dispatches) if recording else None
        for action in actions:
            store.dispatch(action)
        if kept is not None:
            kept.close()

    times = race({"recorded": lambda: dispatch_all(True), "not": lambda: dispatch_all(False)}, rounds)
    name = f"{dispatches:,} actions through a recording store / one that is not"
    return [row(name, times["recorded"], times["not"], 2.5, items=dispatches), _recorded_memory(dispatches)]


def _recorded_memory(dispatches: int) -> Row:
    """Is a recorded action as large late as early? The actions themselves count: the recording keeps them alive."""
    store: Store[int] = Store(lambda state, action: state + 1, 0)
    half = dispatches // 2
    with record(store, limit=dispatches):
        tracemalloc.start()
        marks = [0]
        for number in range(dispatches):
            store.dispatch(Found("a text of usual length", number + 1_000))
            if number + 1 in (half, dispatches):
                marks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    first, second = (marks[1] - marks[0]) / half, (marks[2] - marks[1]) / half
    return Row(
        f"memory of a recorded action, the second {half:,} / the first", (second / first,), 1.1, second, first, "bytes"
    )


def _dispatches(store: Store[Any]) -> Work:
    def work(dispatches: int) -> None:
        ping = Ping()
        for _ in range(dispatches):
            store.dispatch(ping)

    return work


def _bound(work: Work, items: int) -> Callable[[], None]:
    return lambda: work(items)
