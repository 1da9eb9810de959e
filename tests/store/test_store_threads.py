"""Many threads: nothing is lost, nothing is left over, nobody waits for ever."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import EventLoopScheduler
from reactivex.subject import Subject
from store_kit import (
    PATIENCE,
    Add,
    Crew,
    Ping,
    Pong,
    Seen,
    await_event,
    count_reducer,
    in_another_thread,
    in_threads,
    log_reducer,
)

from rxauth import Store
from rxauth.store.queue import FAIR_SHARE


@pytest.fixture
def _preempted() -> Iterator[None]:
    """Threads take turns after a few bytecodes, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_preempted")
def test_eight_threads_and_two_thousand_dispatches_each_count_exactly() -> None:
    """B99: `scan` loses updates here."""
    store, states, actions = Store(count_reducer, 0), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    start = threading.Barrier(8)

    def job() -> None:
        start.wait(PATIENCE)
        for _ in range(2000):
            store.dispatch(Ping())

    in_threads(*[job] * 8)
    assert store.state == 16_000
    actions.until(lambda: len(actions) == 16_000)
    assert states == list(range(16_001))


@pytest.mark.usefixtures("_preempted")
def test_the_last_value_delivered_is_the_state_when_two_threads_dispatch() -> None:
    """B95"""
    for _ in range(50):
        store, states = Store(log_reducer, ()), Seen()
        store.subscribe(states)
        start = threading.Barrier(2)

        def job(name: str, store: Store[Any] = store, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            for number in range(5):
                store.dispatch(Add((name, number)))

        in_threads(lambda job=job: job("one"), lambda job=job: job("two"))
        states.until(lambda states=states: len(states) == 11)
        assert states[-1] is store.state


@pytest.mark.usefixtures("_preempted")
def test_who_subscribes_while_others_dispatch_misses_nothing_and_gets_nothing_twice() -> None:
    """The snapshot and what follows it fit without a gap."""
    store = Store(count_reducer, 0)
    joined = [Seen() for _ in range(200)]

    def dispatching() -> None:
        for _ in range(2000):
            store.dispatch(Ping())

    def joining() -> None:
        for seen in joined:
            store.subscribe(seen)

    in_threads(dispatching, dispatching, joining)
    for seen in joined:
        seen.until(lambda seen=seen: seen and seen[-1] == 4000)
        assert seen == list(range(seen[0], 4001))


def test_two_epics_on_two_threads_answer_each_other() -> None:
    """B99"""
    one, two = EventLoopScheduler(), EventLoopScheduler()
    rounds = 300

    def answering(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.observe_on(one), ops.map(lambda ping: Pong(ping.n)))

    def asking(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Pong).pipe(
            ops.observe_on(two), ops.filter(lambda pong: pong.n < rounds), ops.map(lambda pong: Ping(pong.n + 1))
        )

    store, seen = Store(count_reducer, 0, epics=[answering, asking]), Seen()
    store.actions.subscribe(seen)
    store.dispatch(Ping(1))
    seen.until(lambda: len(seen) == 2 * rounds)
    assert seen == [kind(n) for n in range(1, rounds + 1) for kind in (Ping, Pong)]
    assert store.state == 2 * rounds
    one.dispose()
    two.dispose()


def test_two_epics_that_emit_from_two_threads_while_they_hold_merges_lock_do_not_deadlock() -> None:
    """B99: `merge` calls downstream while it holds a lock; epics that dispatch inline wait here for each other."""
    both_hold = threading.Barrier(2)
    sources: dict[type[Any], Subject[Any]] = {Ping: Subject(), Pong: Subject()}

    def epic_of(mine: type[Any], other: type[Any]) -> Any:
        def epic(actions: Any, state: Any) -> Observable[Any]:
            from_store = actions.of_type(other).pipe(ops.map(lambda action: Add(action)))
            return reactivex.merge(from_store, sources[mine]).pipe(
                ops.do_action(lambda action: both_hold.wait(PATIENCE) if action == mine(0) else None)
            )

        return epic

    store, seen = Store(log_reducer, (), epics=[epic_of(Ping, Pong), epic_of(Pong, Ping)]), Seen()
    store.actions.subscribe(seen)
    in_threads(*(lambda kind=kind: [sources[kind].on_next(kind(n)) for n in range(20)] for kind in (Ping, Pong)))
    seen.until(lambda: len(seen) == 80)
    assert len(store.state) == 80


def test_a_dispatch_during_another_threads_delivery_returns_at_once() -> None:
    """The one who delivers takes it over; its place in the order is kept."""
    store, seen = Store(log_reducer, ()), Seen()
    delivering, go_on = threading.Event(), threading.Event()

    def slow(action: Any) -> None:
        if action == Add(1):
            delivering.set()
            await_event(go_on)

    store.actions.subscribe(slow)
    store.actions.subscribe(seen)
    crew = Crew(lambda: store.dispatch(Add(1)))
    await_event(delivering)
    store.dispatch(Add(2))
    assert store.state == (1, 2)
    assert seen == []
    go_on.set()
    crew.join()
    assert seen == [Add(1), Add(2)]
    assert set(seen.threads) == {crew.threads[0].ident}


def test_who_subscribes_during_another_threads_delivery_gets_the_state_of_that_moment_in_its_turn() -> None:
    store, late = Store(log_reducer, ()), Seen()
    delivering, go_on = threading.Event(), threading.Event()

    def slow(action: Any) -> None:
        if action == Add(1):
            delivering.set()
            await_event(go_on)

    store.actions.subscribe(slow)
    crew = Crew(lambda: store.dispatch(Add(1)))
    await_event(delivering)
    store.dispatch(Add(2))
    store.subscribe(late)
    store.dispatch(Add(3))
    assert late == []
    go_on.set()
    crew.join()
    assert late == [(1, 2), (1, 2, 3)]


def test_a_dispatch_while_another_thread_subscribes_comes_after_the_first_state() -> None:
    """The newcomer is busy with state n: n + 1 may not overtake it."""
    store, late = Store(log_reducer, ()), Seen()

    def slow(state: Any) -> None:
        if state == ():
            in_another_thread(lambda: store.dispatch(Add(1)))
        late.on_next(state)

    store.subscribe(slow)
    assert late == [(), (1,)]


def test_a_subscriber_can_wait_for_another_thread_that_dispatches() -> None:
    """No lock is held during a delivery."""
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.of_type(Ping).subscribe(lambda _: in_another_thread(lambda: store.dispatch(Add(1))))
    store.actions.of_type(Ping).subscribe(lambda _: in_another_thread(lambda: store.actions.subscribe(seen).dispose()))
    store.dispatch(Ping())
    assert store.state == (Ping(), 1)


def test_nobody_is_kept_delivering_others_actions_without_bound() -> None:
    """Who dispatched one action delivers at most a fair share of the others'; another thread does the rest."""
    others = 3 * FAIR_SHARE
    store, seen = Store(count_reducer, 0), Seen()
    delivering, go_on, all_are_there = threading.Event(), threading.Event(), threading.Event()

    def slow(ping: Ping) -> None:
        if ping.n == 0:
            delivering.set()
            await_event(go_on)

    store.actions.of_type(Ping).subscribe(slow)
    store.actions.subscribe(seen)
    # It stays until the end: else the number of its thread would be given to the next one.
    crew = Crew(lambda: (store.dispatch(Ping(0)), await_event(all_are_there)))
    await_event(delivering)
    for number in range(1, others + 1):
        store.dispatch(Ping(number))
    go_on.set()
    seen.until(lambda: len(seen) == others + 1)
    all_are_there.set()
    crew.join()
    assert [ping.n for ping in seen] == list(range(others + 1))
    by_the_first = seen.threads.count(crew.threads[0].ident or 0)
    assert 1 < by_the_first <= FAIR_SHARE + 1


def test_a_thread_delivers_all_of_its_own_actions() -> None:
    """A fair share is a share of the others' work: a chain of 3,000 answers stays on the thread that began it."""
    store, seen = Store(count_reducer, 0), Seen()
    store.actions.of_type(Ping).subscribe(lambda ping: store.dispatch(Ping(ping.n + 1)) if ping.n < 3000 else None)
    store.actions.subscribe(seen)
    store.dispatch(Ping(1))
    assert len(seen) == 3000
    assert set(seen.threads) == {threading.get_ident()}


def test_reading_the_state_while_another_thread_reduces_is_allowed() -> None:
    """And shows the state before; only the reducer itself may not read it."""
    reducing, go_on = threading.Event(), threading.Event()

    def slow(state: Any, action: Any) -> Any:
        reducing.set()
        await_event(go_on)
        return log_reducer(state, action)

    store = Store(slow, ())
    crew = Crew(lambda: store.dispatch(Add(1)))
    await_event(reducing)
    assert store.state == ()
    go_on.set()
    crew.join()
    assert store.state == (1,)
