"""`dispatch`: what it takes and gives back; function actions; a store as the observer of another stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject
from store_kit import Add, Boom, Ping, Reports, Seen, explosive, log_reducer

from rxauth import Store
from rxauth.errors import InvalidAction


async def coroutine() -> None: ...


def test_dispatch_returns_the_action() -> None:
    action = Add(1)
    assert Store(log_reducer, ()).dispatch(action) is action


def test_the_same_object_can_be_dispatched_twice() -> None:
    """B102"""
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)
    action = Add(1)
    store.dispatch(action)
    store.dispatch(action)
    assert store.state == (1, 1)
    assert seen == [action, action]
    assert all(one is action for one in seen)


def test_an_action_is_never_mutated() -> None:
    """B102: any object that is not callable will do, a dict too."""
    action = {"type": "ADD", "payload": [1]}
    store, seen = Store(lambda state, action: (*state, action), ()), Seen()
    store.add_epic(lambda actions, state: actions.pipe(ops.take(1), ops.map(lambda _: action)))
    store.actions.subscribe(seen)
    store.dispatch(action)
    assert action == {"type": "ADD", "payload": [1]}
    assert len(seen) == 2
    assert all(one is action for one in seen)


@pytest.mark.parametrize(
    "action",
    ["text", 0, (), False, {}, b"", object(), Ping()],
    ids=lambda action: f"{type(action).__name__} {action!r:.9}",
)
def test_any_object_that_is_not_callable_is_an_action(action: Any) -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)
    store.dispatch(action)
    assert seen == [action]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (None, "dispatch() was given None"),
        (Ping, "the class Ping; dispatch an instance: Ping(...)"),
        (reactivex.empty(), "an Observable; flatten it"),
        (Subject(), "an Observable; flatten it"),
    ],
    ids=["None", "class", "observable", "subject"],
)
def test_dispatching_what_is_no_action_is_an_error_that_says_what_to_do(action: Any, says: str) -> None:
    store = Store(log_reducer, ())
    for _ in range(2):
        with pytest.raises(InvalidAction) as caught:
            store.dispatch(action)
        assert says in str(caught.value)
    assert store.state == ()


def test_dispatching_a_coroutine_is_an_error_that_names_it() -> None:
    nobody_awaits = coroutine()
    with pytest.raises(InvalidAction, match="coroutine, which nobody awaited"):
        Store(log_reducer, ()).dispatch(nobody_awaits)
    nobody_awaits.close()


def test_a_reducer_must_be_a_function() -> None:
    with pytest.raises(TypeError, match=r"function of \(state, action\), got dict"):
        Store({}, ())  # type: ignore[arg-type]


def test_a_function_action_gets_dispatch_and_get_state_and_its_result_is_returned() -> None:
    store = Store(log_reducer, ())

    def twice(dispatch: Any, get_state: Any) -> str:
        before = get_state()
        dispatch(Add(1))
        dispatch(Add(2))
        return f"{before} {get_state()}"

    assert store.dispatch(twice) == "() (1, 2)"


def test_a_function_action_is_not_shown_to_reducer_and_subscribers() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.actions.subscribe(seen)
    store.dispatch(lambda dispatch, get_state: None)
    assert (store.state, seen) == ((), [])


def test_function_actions_nest() -> None:
    store = Store(log_reducer, ())
    inner = lambda dispatch, get_state: dispatch(Add("inner")).item  # noqa: E731
    assert store.dispatch(lambda dispatch, get_state: dispatch(inner) + "!") == "inner!"
    assert store.state == ("inner",)


def test_a_function_action_raises_to_its_caller() -> None:
    """And what it dispatched before stays."""
    store = Store(log_reducer, ())

    def failing(dispatch: Any, get_state: Any) -> None:
        dispatch(Add(1))
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        store.dispatch(failing)
    assert store.state == (1,)


def test_an_async_function_action_is_awaited_by_its_caller() -> None:
    async def main() -> tuple[str, Any]:
        store = Store(log_reducer, ())

        async def later(dispatch: Any, get_state: Any) -> str:
            await asyncio.sleep(0)
            dispatch(Add(1))
            return "done"

        return await store.dispatch(later), store.state

    assert asyncio.run(main()) == ("done", (1,))


def test_an_object_with_a_call_method_is_a_function_action() -> None:
    @dataclass
    class Thunk:
        item: int

        def __call__(self, dispatch: Any, get_state: Any) -> int:
            dispatch(Add(self.item))
            return self.item

    store = Store(log_reducer, ())
    assert [store.dispatch(Thunk(n)) for n in (1, 2)] == [1, 2]
    assert store.state == (1, 2)


def test_another_stream_can_be_subscribed_by_the_store() -> None:
    store = Store(log_reducer, ())
    reactivex.of(Add(1), Add(2)).subscribe(store)
    assert store.state == (1, 2)


def test_a_source_that_completes_does_not_end_the_store() -> None:
    store, states = Store(log_reducer, ()), Seen()
    store.subscribe(states)
    reactivex.of(Add(1)).subscribe(store)
    store.dispatch(Add(2))
    assert store.state == (1, 2)
    assert states.completed == 0


def test_a_source_that_fails_is_reported_and_does_not_end_the_store() -> None:
    reports = Reports()
    store, states = Store(log_reducer, (), report=reports), Seen()
    store.subscribe(states)
    error = ValueError("the source")
    reactivex.throw(error).subscribe(store)
    store.dispatch(Add(2))
    assert store.state == (2,)
    assert states.completed == 0
    assert reports.told == [(error, "a source subscribed to the store", None)]


def test_a_source_may_emit_function_actions() -> None:
    store = Store(log_reducer, ())
    store.on_next(lambda dispatch, get_state: dispatch(Add(len(get_state()))))
    assert store.state == (0,)


def test_what_the_reducer_raises_for_a_sources_action_is_reported_and_the_source_goes_on() -> None:
    reports = Reports()
    store, source = Store(explosive, (), report=reports), Subject[Any]()
    source.subscribe(store)
    for action in (Add(1), Boom(), None, Add(2)):
        source.on_next(action)
    assert store.state == (1, 2)
    assert reports.errors[0] == "boom"
    assert isinstance(reports.told[1][0], InvalidAction)
    assert reports.wheres == ["a source subscribed to the store"] * 2
    assert reports.actions == [Boom(), None]


def test_a_store_can_be_the_source_of_another_store() -> None:
    first, second = Store(log_reducer, ()), Store(log_reducer, ())
    first.actions.subscribe(second)
    first.dispatch(Add(1))
    assert second.state == (1,)
