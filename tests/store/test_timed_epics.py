"""Timed operators in epics: on the store's loop, in virtual time, on its scheduler, whatever thread they begin on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import reactivex
from reactivex import Observable, Subject
from reactivex import operators as ops
from reactivex.scheduler import EventLoopScheduler, TimeoutScheduler
from store_kit import PATIENCE, Add, Ping, Seen, in_another_thread, log_reducer

from rxauth import AuthState, Session, Store, auth_reducer
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair

Timed = Callable[[Observable[Any]], Observable[Any]]

#: Operators that wait; each answers one Ping within 0.3 s.
TIMED: dict[str, Timed] = {
    "debounce": lambda source: source.pipe(ops.debounce(0.1)),
    "debounce of a timedelta": lambda source: source.pipe(ops.debounce(timedelta(milliseconds=100))),
    "throttle_with_timeout": lambda source: source.pipe(ops.throttle_with_timeout(0.1)),
    "delay": lambda source: source.pipe(ops.delay(0.1)),
    "timeout": lambda source: source.pipe(ops.ignore_elements(), ops.timeout(0.1, reactivex.of("late"))),
    "buffer_with_time": lambda source: source.pipe(ops.buffer_with_time(0.1), ops.filter(bool)),
    "buffer_with_time_or_count": lambda source: source.pipe(ops.buffer_with_time_or_count(0.1, 9), ops.filter(bool)),
    "window_with_time": lambda source: source.pipe(
        ops.window_with_time(0.1), ops.flat_map(ops.to_list()), ops.filter(bool)
    ),
    "sample": lambda source: source.pipe(ops.sample(0.1)),
    "delay_subscription": lambda source: reactivex.of("on").pipe(ops.delay_subscription(0.1)),
    "timer": lambda source: source.pipe(ops.flat_map(lambda _: reactivex.timer(0.1))),
    "timer and period": lambda source: source.pipe(
        ops.flat_map(lambda _: reactivex.timer(0.05, 0.05).pipe(ops.take(2), ops.last()))
    ),
    "interval": lambda source: source.pipe(ops.switch_map(lambda _: reactivex.interval(0.1).pipe(ops.take(1)))),
    "debounce inside flat_map": lambda source: source.pipe(
        ops.flat_map(lambda ping: reactivex.of(ping).pipe(ops.concat(reactivex.never()), ops.debounce(0.1)))
    ),
    "delay inside switch_map inside merge": lambda source: reactivex.merge(
        source.pipe(ops.switch_map(lambda ping: reactivex.of(ping).pipe(ops.delay(0.1)))), reactivex.never()
    ),
    "delay behind share": lambda source: source.pipe(ops.share(), ops.delay(0.1), ops.share()),
    "delay behind catch": lambda source: reactivex.throw(LookupError()).pipe(ops.catch(source.pipe(ops.delay(0.1)))),
    "delay in defer": lambda source: reactivex.defer(lambda _: source.pipe(ops.delay(0.1))),
    "debounce(0)": lambda source: source.pipe(ops.debounce(0)),
}


@pytest.fixture
def _no_threads_of_reactivex(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a timer left the store's time")

    monkeypatch.setattr(TimeoutScheduler, "schedule_relative", refuse)


def epic_of(timed: Timed, told: Callable[[Any], Any] = lambda _: None) -> Any:
    return lambda actions, state: timed(actions.of_type(Ping)).pipe(ops.do_action(told), ops.map(lambda _: Add("done")))


@pytest.mark.usefixtures("_no_threads_of_reactivex")
@pytest.mark.parametrize("dispatched_by", ["the loop", "another thread"])
@pytest.mark.parametrize("timed", TIMED.values(), ids=TIMED)
def test_on_an_asyncio_store_they_are_on_its_loop_and_in_its_time(timed: Timed, dispatched_by: str) -> None:
    async def main() -> tuple[list[Any], Any]:
        here, where = asyncio.get_running_loop(), []
        store = Store(
            log_reducer, (), epics=[epic_of(timed, lambda _: where.append(asyncio.get_running_loop() is here))]
        )
        if dispatched_by == "the loop":
            store.dispatch(Ping())
        else:
            in_another_thread(lambda: store.dispatch(Ping()))
        await asyncio.sleep(0.35)
        return where, store.state

    assert VirtualTime().run(main()) == ([True], (Ping(), "done"))


@pytest.mark.usefixtures("_no_threads_of_reactivex")
@pytest.mark.parametrize("timed", TIMED.values(), ids=TIMED)
def test_in_the_virtual_time_of_a_session_they_are_in_that_time(timed: Timed) -> None:
    time = VirtualTime()
    store = Store(log_reducer, ())
    for_session: Store[AuthState] = Store(lambda state, action: auth_reducer(state, action), AuthState())
    Session(FakeRefresher(time), store=for_session, select=lambda auth: auth, tokens=pair(time), time=time)
    epic = epic_of(timed)
    for_session.add_epic(lambda actions, state: epic(actions, state).pipe(ops.do_action(store.on_next)))
    for_session.dispatch(Ping())
    time.advance(0.35)
    assert store.state == ("done",)


@pytest.mark.usefixtures("_no_threads_of_reactivex")
@pytest.mark.parametrize("timed", TIMED.values(), ids=TIMED)
def test_on_a_virtual_scheduler_they_are_in_its_time(timed: Timed) -> None:
    time = VirtualTime()
    store = Store(log_reducer, (), epics=[epic_of(timed)], scheduler=time.scheduler)
    time.advance()  # what an epic is due at its start is due in that time, too
    store.dispatch(Ping())
    time.advance(0.35)
    assert store.state == (Ping(), "done")


def test_on_a_store_without_a_loop_they_take_real_time() -> None:
    store, seen = Store(log_reducer, (), epics=[epic_of(TIMED["debounce"])]), Seen()
    store.subscribe(seen)
    store.dispatch(Ping())
    seen.until(lambda: "done" in seen[-1])


def test_a_store_given_a_scheduler_has_them_there() -> None:
    scheduler = EventLoopScheduler()
    threads: list[str] = []
    store = Store(
        log_reducer,
        (),
        epics=[epic_of(TIMED["delay"], lambda _: threads.append(threading.current_thread().name))],
        scheduler=scheduler,
    )
    seen = Seen()
    store.subscribe(seen)
    store.dispatch(Ping())
    seen.until(lambda: seen != [] and "done" in seen[-1])
    assert len(set(threads)) == 1
    assert seen.threads[-1] not in (threading.get_ident(),)
    scheduler.dispose()


def test_what_an_epic_is_due_now_happens_now_on_a_loop_too() -> None:
    """`reactivex.of` is as synchronous in an epic as it is elsewhere."""

    async def main() -> Any:
        store = Store(
            log_reducer,
            (),
            epics=[
                lambda actions, state: actions.of_type(Ping).pipe(ops.flat_map(lambda _: reactivex.of(Add(1), Add(2))))
            ],
        )
        store.dispatch(Ping())
        return store.state

    assert asyncio.run(main()) == (Ping(), 1, 2)


def test_a_timer_that_another_thread_begins_and_stops_is_the_loops() -> None:
    """A value of another thread inside of an epic: the debounce begins there, and the next value stops it there."""

    async def main() -> tuple[list[bool], Any]:
        here, where = asyncio.get_running_loop(), []
        values: Subject[Any] = Subject()
        told = asyncio.Event()

        def note(_: Any) -> None:
            where.append(asyncio.get_running_loop() is here)
            told.set()

        store = Store(
            log_reducer,
            (),
            epics=[lambda actions, state: values.pipe(ops.debounce(0.05), ops.do_action(note), ops.map(Add))],
        )
        in_another_thread(lambda: [values.on_next(number) for number in range(50)])
        await asyncio.wait_for(told.wait(), PATIENCE)
        await asyncio.sleep(0)
        return where, store.state

    assert asyncio.run(main()) == ([True], (49,))


def test_disposing_of_an_epic_stops_its_timers_from_any_thread() -> None:
    async def main() -> Any:
        store = Store(log_reducer, ())
        one = store.add_epic(epic_of(TIMED["delay"]))
        two = store.add_epic(epic_of(TIMED["debounce"]))
        store.dispatch(Ping())
        in_another_thread(one.dispose)
        two.dispose()
        await asyncio.sleep(1)
        return store.state

    assert VirtualTime().run(main()) == (Ping(),)


def test_when_the_loop_is_closed_they_go_on_without_it() -> None:
    stores: list[Any] = []

    async def main() -> None:
        stores.append(Store(log_reducer, (), epics=[epic_of(TIMED["debounce"])]))

    asyncio.run(main())
    [store], seen = stores, Seen()
    store.subscribe(seen)
    store.dispatch(Ping())
    seen.until(lambda: "done" in seen[-1])


def test_the_time_of_an_asyncio_store_is_that_of_its_loop() -> None:
    async def main() -> list[timedelta]:
        store, spans = Store(log_reducer, ()), []
        store.add_epic(
            lambda actions, state: actions.of_type(Ping).pipe(
                ops.time_interval(), ops.do_action(lambda timed: spans.append(timed.interval)), ops.ignore_elements()
            )
        )
        for _ in range(2):
            await asyncio.sleep(10)
            store.dispatch(Ping())
        return spans

    assert [round(span.total_seconds(), 3) for span in VirtualTime().run(main())] == [10, 10]


def test_a_timed_effect_behind_the_gate_is_in_the_stores_time() -> None:
    async def main() -> Any:
        time_of_loop = asyncio.get_running_loop().time
        began, store = time_of_loop(), Store(auth_reducer, AuthState())
        session = Session(lambda tokens: tokens, store=store, select=lambda auth: auth, tokens={"access": "a"})
        seen: list[float] = []
        gate = session.gate(lambda item, tokens: reactivex.of(item).pipe(ops.delay(5)))
        store.add_epic(
            lambda actions, state: actions.of_type(Ping).pipe(
                gate, ops.do_action(lambda _: seen.append(time_of_loop() - began)), ops.ignore_elements()
            )
        )
        store.dispatch(Ping())
        await asyncio.sleep(6)
        return [round(at, 3) for at in seen]

    assert VirtualTime().run(main()) == [5]
