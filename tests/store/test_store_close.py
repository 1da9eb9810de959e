"""The end: `close()`, the context managers, and that a store never ends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject
from store_kit import Add, Ping, Pong, Reports, Seen, in_another_thread, in_threads, log_reducer

from rxauth import Store
from rxauth.errors import StoreClosed, StoreNeverCompletes


def test_close_completes_states_actions_and_selections_once() -> None:
    """B98"""
    store = Store(log_reducer, ())
    seen = [Seen() for _ in range(4)]
    store.subscribe(seen[0])
    store.actions.subscribe(seen[1])
    store.actions.of_type(Ping, Pong).subscribe(seen[2])
    store.select(len).subscribe(seen[3])
    store.close()
    store.close()
    assert [one.completed for one in seen] == [1, 1, 1, 1]


def test_two_threads_that_close_complete_the_streams_once() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.subscribe(seen)
    in_threads(*[store.close] * 8)
    seen.until(lambda: seen.completed > 0)
    assert seen.completed == 1


def test_after_close_dispatch_raises_store_closed() -> None:
    store = Store(log_reducer, ())
    store.dispatch(Add(1))
    store.close()
    with pytest.raises(StoreClosed, match="the store is closed, so it takes no Add; make a new Store"):
        store.dispatch(Add(2))
    assert store.state == (1,)


def test_after_close_a_function_action_that_dispatches_raises_store_closed() -> None:
    store = Store(log_reducer, ())
    store.close()
    with pytest.raises(StoreClosed):
        store.dispatch(lambda dispatch, get_state: dispatch(Add(1)))


def test_after_close_a_source_is_reported_instead_of_raised_into() -> None:
    reports = Reports()
    store, source = Store(log_reducer, (), report=reports), Subject[Any]()
    source.subscribe(store)
    store.close()
    source.on_next(Add(1))
    assert [type(error) for error, _, _ in reports.told] == [StoreClosed]


def test_who_subscribes_after_close_is_told_of_the_end_and_of_nothing_else() -> None:
    store = Store(log_reducer, ())
    store.close()
    for source in (store, store.actions, store.select(len)):
        late = Seen()
        source.subscribe(late).dispose()
        assert (late, late.completed) == ([], 1)


def test_who_left_before_close_is_not_told() -> None:
    store, states, actions = Store(log_reducer, ()), Seen(), Seen()
    store.subscribe(states).dispose()
    store.actions.subscribe(actions).dispose()
    store.close()
    assert (states.completed, actions.completed) == (0, 0)


def test_what_was_dispatched_before_close_is_delivered_before_the_end() -> None:
    store, seen = Store(log_reducer, ()), Seen()

    def last(add: Add) -> None:
        if add.item == 1:
            store.dispatch(Add(2))
            store.close()
            with pytest.raises(StoreClosed):
                store.dispatch(Add(3))

    store.actions.of_type(Add).subscribe(last)
    store.actions.subscribe(seen)
    store.subscribe(seen)
    store.dispatch(Add(1))
    assert seen == [(), (1,), Add(1), (1, 2), Add(2)]
    assert (seen.completed, seen.after_the_end) == (2, 0)


def test_an_epic_gets_its_last_words_in() -> None:
    """Its actions complete first; what it emits then is reduced and shown; then everything completes."""

    def counting(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.count(), ops.map(Pong))

    store, seen = Store(log_reducer, (), epics=[counting]), Seen()
    store.actions.subscribe(seen)
    store.subscribe(seen)
    store.dispatch(Ping())
    store.dispatch(Ping())
    store.close()
    assert store.state == (Ping(), Ping(), Pong(2))
    assert seen[-2:] == [(Ping(), Ping(), Pong(2)), Pong(2)]
    assert (seen.completed, seen.after_the_end) == (2, 0)


def test_what_an_epic_still_has_running_is_disposed_of_at_close() -> None:
    """B98: and what it emits all the same goes nowhere, silently."""
    running, reports = Subject[Any](), Reports()
    store = Store(log_reducer, (), epics=[lambda actions, state: running], report=reports)
    running.on_next(Add(1))
    assert len(running.observers) == 1
    store.close()
    assert running.observers == []
    running.on_next(Add(2))
    assert store.state == (1,)
    assert reports.told == []


def test_an_epic_added_after_close_sees_an_ended_stream() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.close()
    store.add_epic(lambda actions, state: actions.pipe(ops.do_action(seen.on_next, on_completed=seen.on_completed)))
    assert (seen, seen.completed) == ([], 1)


def test_a_subscriber_that_raises_at_the_end_is_reported_and_the_others_are_told() -> None:
    def fails() -> None:
        raise ValueError("at the end")

    reports = Reports()
    store, states, actions = Store(log_reducer, (), report=reports), Seen(), Seen()
    store.actions.subscribe(on_completed=fails)
    store.actions.subscribe(actions)
    store.subscribe(on_completed=fails)
    store.subscribe(states)
    store.close()
    assert (states.completed, actions.completed) == (1, 1)
    assert [(str(error), action) for error, _, action in reports.told] == [("at the end", None)] * 2


def test_a_store_on_a_scheduler_ends_when_the_scheduler_gets_to_it() -> None:
    scheduler = VirtualTimeScheduler()
    store, seen = Store(log_reducer, (), scheduler=scheduler), Seen()
    store.subscribe(seen)
    store.dispatch(Add(1))
    store.close()
    with pytest.raises(StoreClosed):
        store.dispatch(Add(2))
    assert seen.completed == 0
    scheduler.start()
    assert (seen, seen.completed) == ([(), (1,)], 1)


def test_a_store_on_a_loop_ends_there_though_another_thread_closes_it() -> None:
    async def main() -> None:
        store, seen = Store(log_reducer, ()), Seen()
        store.subscribe(seen)
        in_another_thread(store.close)
        assert seen.completed == 0
        await asyncio.sleep(0)
        assert seen.completed == 1

    asyncio.run(main())


def test_leaving_a_with_block_closes_the_store() -> None:
    seen = Seen()
    with Store(log_reducer, ()) as store:
        store.subscribe(seen)
        store.dispatch(Add(1))
    assert (seen, seen.completed) == ([(), (1,)], 1)
    with pytest.raises(StoreClosed):
        store.dispatch(Add(2))


def test_leaving_a_with_block_by_an_error_closes_the_store_and_keeps_the_error() -> None:
    seen = Seen()
    with pytest.raises(ValueError, match="mine"), Store(log_reducer, ()) as store:  # noqa: PT012
        store.subscribe(seen)
        raise ValueError("mine")
    assert seen.completed == 1


def test_leaving_an_async_with_block_closes_the_store() -> None:
    async def main() -> Seen:
        seen = Seen()
        async with Store(log_reducer, ()) as store:
            store.subscribe(seen)
            store.dispatch(Add(1))
        assert seen.completed == 1
        with pytest.raises(StoreClosed):
            store.dispatch(Add(2))
        return seen

    assert asyncio.run(main()) == [(), (1,)]


def test_awaiting_a_store_is_an_error_that_says_what_to_await() -> None:
    async def main() -> None:
        await Store(log_reducer, ())

    with pytest.raises(StoreNeverCompletes, match=r"await the first state that you are after: await store\.pipe"):
        asyncio.run(main())


def test_running_a_store_is_an_error_that_says_what_to_run() -> None:
    with pytest.raises(StoreNeverCompletes, match=r"store\.pipe\(ops\.first\(.*\)\)\.run\(\)"):
        Store(log_reducer, ()).run()


def test_the_first_state_of_a_store_can_be_run() -> None:
    assert Store(log_reducer, (1,)).pipe(ops.first()).run() == (1,)
