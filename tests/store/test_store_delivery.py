"""Where subscribers are called: on the scheduler, on the event loop, else in the thread; and what Ctrl-C does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import EventLoopScheduler, VirtualTimeScheduler
from store_kit import Add, Crew, Ping, Pong, Reports, Seen, await_event, in_another_thread, log_reducer

from rxauth import Store


def test_without_a_loop_the_thread_that_dispatches_delivers() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)
    here = threading.get_ident()
    there = in_another_thread(lambda: (store.dispatch(Add(1)), threading.get_ident())[1])
    store.dispatch(Add(2))
    assert seen.threads == [there, here]


def test_a_scheduler_delivers_when_it_runs() -> None:
    """`dispatch` has reduced already."""
    scheduler = VirtualTimeScheduler()
    store, states, actions = Store(log_reducer, (), scheduler=scheduler), Seen(), Seen()
    store.subscribe(states)
    store.actions.subscribe(actions)
    store.dispatch(Add(1))
    store.dispatch(Add(2))
    assert (store.state, states, actions) == ((1, 2), [], [])
    scheduler.start()
    assert states == [(), (1,), (1, 2)]
    assert actions == [Add(1), Add(2)]
    store.dispatch(Add(3))
    assert len(states) == 3
    scheduler.start()
    assert states[-1] == (1, 2, 3)


def test_a_scheduler_with_a_thread_delivers_everything_there() -> None:
    scheduler = EventLoopScheduler()
    store, seen = Store(log_reducer, (), scheduler=scheduler), Seen()
    store.subscribe(seen)
    store.actions.subscribe(seen)
    store.add_epic(lambda actions, state: actions.of_type(Ping).pipe(ops.map(lambda _: Pong())))
    store.dispatch(Ping())
    seen.until(lambda: Pong() in seen)
    assert seen == [(), (Ping(),), Ping(), (Ping(), Pong()), Pong()]
    assert len(set(seen.threads)) == 1
    assert threading.get_ident() not in seen.threads
    scheduler.dispose()


def test_a_store_made_on_a_loop_delivers_there_whichever_thread_dispatches() -> None:
    async def main() -> None:
        store, seen = Store(log_reducer, ()), Seen()
        store.subscribe(seen)
        in_another_thread(lambda: store.dispatch(Add(1)))  # the loop stands still meanwhile
        assert store.state == (1,)
        assert seen == [()]
        await asyncio.sleep(0)
        assert seen == [(), (1,)]
        assert set(seen.threads) == {threading.get_ident()}

    asyncio.run(main())


def test_a_dispatch_on_the_loop_itself_is_delivered_before_it_returns() -> None:
    async def main() -> None:
        store, seen = Store(log_reducer, ()), Seen()
        store.subscribe(seen)
        store.dispatch(Add(1))
        assert seen == [(), (1,)]

    asyncio.run(main())


def test_on_a_loop_the_order_is_the_reducers_though_threads_dispatched_first() -> None:
    async def main() -> None:
        store, seen = Store(log_reducer, ()), Seen()
        store.actions.subscribe(seen)
        in_another_thread(lambda: store.dispatch(Add(1)))
        store.dispatch(Add(2))
        assert seen == [Add(1), Add(2)]

    asyncio.run(main())


def test_a_subscriber_from_another_thread_is_called_on_the_loop() -> None:
    """It gets the state as of its subscribing, in its turn, and nothing twice."""

    async def main() -> None:
        store, late = Store(log_reducer, ()), Seen()
        store.dispatch(Add(1))
        in_another_thread(lambda: store.subscribe(late))
        store.dispatch(Add(2))
        await asyncio.sleep(0)
        assert late == [(1,), (1, 2)]
        assert set(late.threads) == {threading.get_ident()}

    asyncio.run(main())


def test_an_epic_may_make_tasks_whichever_thread_dispatched() -> None:
    def answering(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.flat_map(lambda ping: asyncio.ensure_future(pong(ping.n))))

    async def pong(n: int) -> Pong:
        await asyncio.sleep(0)
        return Pong(n)

    async def main() -> Any:
        store = Store(log_reducer, (), epics=[answering])
        in_another_thread(lambda: store.dispatch(Ping(1)))
        return await asyncio.wait_for(store.pipe(ops.first(lambda state: len(state) == 2)), 60)

    assert asyncio.run(main()) == (Ping(1), Pong(1))


def test_the_first_state_that_one_is_after_can_be_awaited() -> None:
    async def main() -> Any:
        store = Store(log_reducer, ())
        asyncio.get_running_loop().call_soon(store.dispatch, Add(1))
        return await asyncio.wait_for(store.pipe(ops.first(lambda state: bool(state))), 60)

    assert asyncio.run(main()) == (1,)


def test_a_store_outlives_its_loop() -> None:
    """Then the thread that dispatches delivers."""

    async def make() -> Store[Any]:
        return Store(log_reducer, ())

    store, seen = asyncio.run(make()), Seen()
    store.subscribe(seen)
    store.dispatch(Add(1))
    assert seen == [(), (1,)]


def test_what_a_loop_left_over_when_it_closed_comes_with_the_next_dispatch() -> None:
    async def make() -> Store[Any]:
        store = Store(log_reducer, ())
        store.actions.subscribe(seen)
        return store

    seen = Seen()
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(make())
    in_another_thread(lambda: store.dispatch(Add(1)))
    loop.close()
    assert seen == []
    store.dispatch(Add(2))
    assert seen == [Add(1), Add(2)]


def test_ctrl_c_in_a_subscriber_hands_the_delivery_on() -> None:
    """The interrupt reaches who dispatched; the others still get this action and those that wait."""
    reports = Reports()
    store, seen = Store(log_reducer, (), report=reports), Seen()

    def interrupted(action: Any) -> None:
        if action == Add(1):
            store.dispatch(Add(2))
            raise KeyboardInterrupt

    store.actions.subscribe(interrupted)
    store.actions.subscribe(seen)
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(Add(1))
    seen.until(lambda: len(seen) == 2)
    assert seen == [Add(1), Add(2)]
    assert reports.told == []
    store.dispatch(Add(3))
    seen.until(lambda: len(seen) == 3)
    assert seen[-1] == Add(3)


def test_ctrl_c_while_another_thread_waits_in_the_queue_strands_nobody() -> None:
    """The other dispatched, was told that somebody delivers, and has returned."""
    store, seen = Store(log_reducer, ()), Seen()
    delivering, go_on = threading.Event(), threading.Event()

    def interrupted(action: Any) -> None:
        if action == Add(1):
            delivering.set()
            await_event(go_on)
            raise KeyboardInterrupt

    def dispatch() -> None:
        with pytest.raises(KeyboardInterrupt):
            store.dispatch(Add(1))

    store.actions.subscribe(seen)
    store.actions.subscribe(interrupted)
    crew = Crew(dispatch)
    await_event(delivering)
    store.dispatch(Add(2))
    go_on.set()
    crew.join()
    seen.until(lambda: len(seen) == 2)
    assert seen == [Add(1), Add(2)]


def test_ctrl_c_during_the_first_state_leaves_a_store_that_works() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)

    def interrupted(state: Any) -> None:
        if state == ():
            store.dispatch(Add(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.subscribe(interrupted)
    store.dispatch(Add(2))
    seen.until(lambda: len(seen) == 2)
    assert seen == [Add(1), Add(2)]


def test_ctrl_c_in_the_reducer_keeps_the_state_and_the_store_works() -> None:
    def reducer(state: Any, action: Any) -> Any:
        if isinstance(action, Ping):
            raise KeyboardInterrupt
        return log_reducer(state, action)

    store = Store(reducer, ())
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(Ping())
    store.dispatch(Add(1))
    assert store.state == (1,)


def test_ctrl_c_on_a_scheduler_hands_the_delivery_on_to_it() -> None:
    scheduler = VirtualTimeScheduler()
    store, seen = Store(log_reducer, (), scheduler=scheduler), Seen()

    def interrupted(action: Any) -> None:
        if action == Add(1):
            raise KeyboardInterrupt

    store.actions.subscribe(interrupted)
    store.actions.subscribe(seen)
    store.dispatch(Add(1))
    store.dispatch(Add(2))
    with pytest.raises(KeyboardInterrupt):
        scheduler.start()
    scheduler.stop()
    scheduler.start()
    assert seen == [Add(1), Add(2)]
