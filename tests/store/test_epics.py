"""Epics: streams of actions in, streams of actions out; added, removed, combined."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject
from store_kit import Add, Ping, Pong, Reports, Seen, log_reducer

from rxauth import Store, combine_epics
from rxauth.errors import InvalidAction, InvalidEpic


def ping_pong(actions: Any, state: Any) -> Observable[Any]:
    return actions.of_type(Ping).pipe(ops.map(lambda ping: Pong(ping.n)))


def pongs(store: Store[Any]) -> int:
    return sum(isinstance(action, Pong) for action in store.state)


async def coroutine() -> None: ...


class TicksOfAnotherKind:
    """An epic may be an object."""

    def __call__(self, actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.map(lambda _: None))


def test_an_epic_answers_actions_with_actions() -> None:
    store = Store(log_reducer, (), epics=[ping_pong])
    store.dispatch(Ping(1))
    assert store.state == (Ping(1), Pong(1))


def test_what_an_epic_emits_when_it_starts_is_dispatched() -> None:
    store = Store(log_reducer, (), epics=[lambda actions, state: reactivex.of(Add(1), Add(2))])
    assert store.state == (1, 2)


def test_an_epic_sees_what_was_dispatched_after_it_was_added() -> None:
    store = Store(log_reducer, ())
    store.dispatch(Ping(1))
    store.add_epic(ping_pong)
    store.dispatch(Ping(2))
    assert store.state == (Ping(1), Ping(2), Pong(2))


def test_an_epic_added_by_a_subscriber_sees_the_next_action() -> None:
    store = Store(log_reducer, ())
    store.pipe(ops.filter(bool), ops.take(1)).subscribe(lambda _: store.add_epic(ping_pong))
    store.dispatch(Ping(1))
    store.dispatch(Ping(2))
    assert store.state == (Ping(1), Ping(2), Pong(2))


def test_disposing_of_what_add_epic_returned_stops_the_epics() -> None:
    running = Subject[Any]()
    store = Store(log_reducer, ())
    added = store.add_epic(ping_pong, lambda actions, state: running)
    store.dispatch(Ping(1))
    added.dispose()
    added.dispose()
    store.dispatch(Ping(2))
    running.on_next(Add(1))
    assert store.state == (Ping(1), Pong(1), Ping(2))
    assert running.observers == []


def test_disposing_of_some_epics_leaves_the_others() -> None:
    store = Store(log_reducer, (), epics=[ping_pong])
    store.add_epic(ping_pong).dispose()
    store.dispatch(Ping(1))
    assert pongs(store) == 1


def test_the_same_epic_added_twice_runs_twice() -> None:
    """B97"""
    store = Store(log_reducer, (), epics=[ping_pong])
    second = store.add_epic(ping_pong)
    store.dispatch(Ping(1))
    assert pongs(store) == 2
    second.dispose()
    store.dispatch(Ping(2))
    assert pongs(store) == 3


def test_an_epic_that_completes_just_ends() -> None:
    """B97: it is not started again, nobody is told, and the others go on."""
    starts, reports = Seen(), Reports()

    def once(actions: Any, state: Any) -> Observable[Any]:
        starts.on_next("once")
        return ping_pong(actions, state).pipe(ops.take(1))

    store, seen = Store(log_reducer, (), epics=[once, ping_pong], report=reports), Seen()
    store.subscribe(seen)
    store.dispatch(Ping(1))
    store.dispatch(Ping(2))
    assert pongs(store) == 3
    assert starts == ["once"]
    assert seen.completed == 0
    assert reports.told == []


def test_an_epic_may_emit_after_a_wait() -> None:
    later = Subject[Any]()
    store = Store(log_reducer, ())
    store.add_epic(lambda actions, state: actions.of_type(Ping).pipe(ops.flat_map(lambda _: later)))
    store.dispatch(Ping())
    later.on_next(Pong())
    assert store.state == (Ping(), Pong())


@pytest.mark.parametrize("returned", [None, [], ping_pong, Pong()], ids=["None", "list", "function", "action"])
def test_an_epic_that_returns_no_observable_is_refused_by_name(returned: Any) -> None:
    def wrong(actions: Any, state: Any) -> Any:
        return returned

    says = rf"epic .*wrong returned {type(returned).__name__}; return an Observable of actions"
    with pytest.raises(InvalidEpic, match=says):
        Store(log_reducer, ()).add_epic(wrong)
    with pytest.raises(InvalidEpic, match=says):
        Store(log_reducer, (), epics=[wrong])


def test_what_an_epic_raises_when_it_is_added_is_raised() -> None:
    def failing(actions: Any, state: Any) -> Any:
        raise ValueError("mine")

    store = Store(log_reducer, ())
    with pytest.raises(ValueError, match="mine"):
        store.add_epic(failing)
    store.dispatch(Add(1))
    assert store.state == (1,)


@pytest.mark.parametrize(
    ("emitted", "says"),
    [
        (None, "None; an action is an object that says what happened"),
        (Pong, "the class Pong; dispatch an instance: Pong(...)"),
        (ping_pong, "the function ping_pong; only dispatch() and on_next() take functions"),
        (reactivex.empty(), "an Observable; flatten it"),
    ],
    ids=["None", "class", "function", "observable"],
)
def test_an_emission_that_is_no_action_is_reported_with_the_epics_name(emitted: Any, says: str) -> None:
    """And the epic goes on."""
    reports = Reports()

    def confused(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.flat_map(lambda ping: reactivex.of(emitted, Pong(ping.n))))

    store = Store(log_reducer, (), epics=[confused], report=reports)
    store.dispatch(Ping(1))
    store.dispatch(Ping(2))
    assert store.state == (Ping(1), Pong(1), Ping(2), Pong(2))
    assert len(reports.told) == 2
    for error, where, action in reports.told:
        assert isinstance(error, InvalidAction)
        assert "confused was given " + says in str(error)
        assert where.endswith("confused")
        assert action is emitted


def test_a_coroutine_that_an_epic_emits_is_reported_with_the_epics_name() -> None:
    made, reports = [], Reports()

    def forgetful(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.map(lambda _: made.append(coroutine()) or made[-1]))

    Store(log_reducer, (), epics=[forgetful], report=reports).dispatch(Ping())
    (error,) = reports.errors
    assert "forgetful was given coroutine, which nobody awaited; map it with session.gate or ops.flat_map" in error
    made[0].close()


def test_a_coroutine_that_an_epic_flattens_is_awaited() -> None:
    async def answer(n: int) -> Pong:
        return Pong(n)

    def flattening(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.flat_map(lambda ping: asyncio.ensure_future(answer(ping.n))))

    async def main() -> Any:
        store = Store(log_reducer, (), epics=[flattening])
        store.dispatch(Ping(1))
        return await asyncio.wait_for(store.pipe(ops.first(lambda state: len(state) == 2)), 60)

    assert asyncio.run(main()) == (Ping(1), Pong(1))


def test_an_object_that_is_an_epic_is_named_by_its_class() -> None:
    reports = Reports()
    Store(log_reducer, (), epics=[TicksOfAnotherKind()], report=reports).dispatch(Ping())
    assert reports.wheres == ["epic TicksOfAnotherKind"]


def test_combined_epics_run_in_their_order() -> None:
    def say(word: str) -> Any:
        return lambda actions, state: actions.of_type(Ping).pipe(ops.map(lambda _: Add(word)))

    store = Store(log_reducer, (), epics=[combine_epics(say("a"), combine_epics(say("b"), say("c")), say("d"))])
    store.dispatch(Ping())
    assert store.state == (Ping(), "a", "b", "c", "d")


def test_one_of_combined_epics_fails_alone_and_under_its_own_name() -> None:
    """redux-observable's combineEpics merges them, so that one that fails ends all."""
    reports = Reports()

    def failing(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.map(lambda _: 1 // 0))

    store = Store(log_reducer, (), epics=[combine_epics(failing, ping_pong)], report=reports)
    for number in range(20):
        store.dispatch(Ping(number))
    assert pongs(store) == 20
    assert {where.split(",")[0].rsplit(".")[-1] for where in reports.wheres} == {"failing"}


def test_a_combined_epic_is_an_epic_by_itself() -> None:
    """It can be called, for example to be tested without a store."""
    store = Store(log_reducer, ())
    seen = Seen()
    combine_epics(ping_pong, ping_pong)(store.actions, None).subscribe(seen)  # type: ignore[arg-type]
    store.dispatch(Ping(1))
    assert seen == [Pong(1), Pong(1)]


def test_disposing_of_a_combined_epic_stops_all_of_it() -> None:
    store = Store(log_reducer, ())
    store.add_epic(combine_epics(ping_pong, ping_pong)).dispose()
    store.dispatch(Ping(1))
    assert store.state == (Ping(1),)
