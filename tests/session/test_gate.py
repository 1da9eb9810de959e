"""`session.gate`: any effect behind the gate, and `session.gated`: function actions."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import reactivex
from reactivex import Subject
from reactivex import operators as ops

from rxauth import Session, Tokens
from rxauth.errors import RefreshRefused, SessionExpired, TokenRejected
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, make, pair
from tests.kit import stale as old


def test_each_item_runs_with_fresh_tokens() -> None:
    time, refresher, session = make()
    seen: list[str] = []
    source: Subject[int] = Subject()
    source.pipe(session.gate(lambda item, tokens: reactivex.of(f"{item} {tokens.access}"))).subscribe(seen.append)
    for number in range(3):
        source.on_next(number)
    assert seen == []
    time.advance(1)
    assert seen == ["0 access-1", "1 access-1", "2 access-1"]
    assert refresher.posts == 1


def test_a_failed_wait_ends_only_its_own_item_and_becomes_an_action() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshRefused()]
    seen: list[Any] = []
    source: Subject[int] = Subject()
    source.pipe(
        session.gate(lambda item, tokens: reactivex.of(item), failed=lambda item, error: (item, type(error)))
    ).subscribe(seen.append)
    source.on_next(1)
    time.advance(1)
    session.login().run()
    source.on_next(2)
    assert seen == [(1, SessionExpired), 2]


def test_without_failed_the_error_is_reported_to_the_store() -> None:
    from rxauth import AuthState, Store, auth_reducer

    reported: list[Any] = []
    store = Store(auth_reducer, AuthState(), report=lambda *what: reported.append(what))
    time = VirtualTime()
    session = Session(FakeRefresher(time), store=store, select=lambda state: state, time=time)
    source: Subject[str] = Subject()
    done: list[str] = []
    source.pipe(session.gate(lambda item, tokens: reactivex.of(item))).subscribe(done.append)
    source.on_next("item")
    [(error, where, action)] = reported
    assert (type(error).__name__, where, action) == ("NotSignedIn", "the gate of session default", "item")
    assert done == []


def test_a_rejected_token_is_replaced_once_and_the_item_runs_again() -> None:
    time, refresher, session = make(life=300)
    tried: list[str] = []

    def effect(item: int, tokens: Tokens) -> Any:
        tried.append(tokens.access)
        if tokens.access == "access-0":
            raise TokenRejected
        return reactivex.of(item)

    seen: list[int] = []
    source: Subject[int] = Subject()
    source.pipe(session.gate(effect)).subscribe(seen.append)
    source.on_next(7)
    time.advance(1)
    assert (tried, seen, refresher.posts) == (["access-0", "access-1"], [7], 1)


def test_a_second_rejection_is_the_items_failure() -> None:
    time, refresher, session = make(life=300)
    seen: list[str] = []
    source: Subject[int] = Subject()
    source.pipe(
        session.gate(
            lambda item, tokens: reactivex.throw(TokenRejected()), failed=lambda item, error: type(error).__name__
        )
    ).subscribe(seen.append)
    source.on_next(1)
    time.advance(1)
    assert (seen, refresher.posts) == (["TokenRejected"], 1)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("merge", ["start 1", "start 2", "start 3", "end 1", "end 2", "end 3"]),
        ("latest", ["start 1", "start 2", "start 3", "end 3"]),
        ("first", ["start 1", "end 1"]),
        ("in_order", ["start 1", "end 1", "start 2", "end 2", "start 3", "end 3"]),
    ],
)
def test_the_policies(policy: Any, expected: list[str]) -> None:
    _, _, session = make(life=300)
    log: list[str] = []
    ends: dict[int, Subject[int]] = {}

    def effect(item: int, tokens: Tokens) -> Any:
        log.append(f"start {item}")
        ends[item] = Subject()
        return ends[item].pipe(ops.take(1))

    source: Subject[int] = Subject()
    source.pipe(session.gate(effect, policy=policy)).subscribe(lambda item: log.append(f"end {item}"))
    for number in (1, 2, 3):
        source.on_next(number)
    for number in (1, 2, 3):
        if number in ends:
            ends[number].on_next(number)
    assert log == expected


def test_an_unknown_policy_is_refused_with_those_that_exist() -> None:
    _, _, session = make(life=300)
    with pytest.raises(ValueError, match="merge, latest, first, in_order"):
        Subject().pipe(session.gate(lambda item, tokens: reactivex.of(1), policy="newest")).subscribe()  # type: ignore[arg-type]


def test_the_gate_completes_when_the_source_and_its_items_have() -> None:
    time, _, session = make()
    events: list[str] = []
    reactivex.of(1, 2).pipe(session.gate(lambda item, tokens: reactivex.of(item))).subscribe(
        lambda item: events.append(str(item)), on_completed=lambda: events.append("end")
    )
    time.advance(1)
    assert events == ["1", "2", "end"]


def test_an_effect_may_be_async() -> None:
    async def main() -> list[str]:
        session = Session(lambda tokens: Tokens("new", "r"), tokens=Tokens("old", "r", expires_at=1.0))

        async def effect(item: int, tokens: Tokens) -> str:
            await asyncio.sleep(0)
            return f"{item} {tokens.access}"

        values: list[str] = await reactivex.of(1, 2, 3).pipe(session.gate(effect), ops.to_list())
        return values

    assert sorted(asyncio.run(main())) == ["1 new", "2 new", "3 new"]


def test_an_async_effect_without_a_loop_says_what_to_do() -> None:
    _, _, session = make(life=300)

    async def effect(item: int, tokens: Tokens) -> int:
        return item

    errors: list[Exception] = []
    reactivex.of(1).pipe(session.gate(effect, failed=lambda item, error: errors.append(error))).subscribe()
    assert "no event loop was running" in str(errors[0])


def test_an_effect_that_returns_no_observable_says_what_it_returned() -> None:
    _, _, session = make(life=300)
    errors: list[Exception] = []
    reactivex.of(1).pipe(
        session.gate(lambda item, tokens: 5, failed=lambda item, error: errors.append(error))  # type: ignore[arg-type, return-value]
    ).subscribe()
    assert "returned int; return an Observable or an awaitable" in str(errors[0])


def test_disposing_of_the_gate_starts_nothing_any_more() -> None:
    time, _, session = make()
    ran: list[int] = []

    def effect(item: int, tokens: Tokens) -> Any:
        ran.append(item)
        return reactivex.of(item)

    subscription = reactivex.of(1, 2).pipe(session.gate(effect)).subscribe()
    time.advance(0.1)
    subscription.dispose()
    time.advance(1)
    assert ran == []
    assert session.auth.tokens is not None
    assert session.auth.tokens.access == "access-1"


def test_a_gated_function_waits_for_the_refresh_and_returns_its_result() -> None:
    time, refresher, session = make()
    order: list[str] = []

    def load(dispatch: Any, get_state: Any) -> str:
        order.append(get_state().tokens.access)
        return "loaded"

    one = session.store.dispatch(session.gated(load))
    two = session.store.dispatch(session.gated(load))
    session.store.dispatch(lambda dispatch, get_state: order.append("plain"))
    assert order == ["plain"]
    assert (one.run(), two.run()) == ("loaded", "loaded")
    assert order == ["plain", "access-1", "access-1"]
    assert refresher.posts == 1
    assert time.now()


def test_a_gated_function_is_not_held_without_a_token() -> None:
    time = VirtualTime()
    session: Session[Any] = Session(FakeRefresher(time), time=time)
    assert session.store.dispatch(session.gated(lambda dispatch, get_state: 42)).run() == 42


def test_a_gated_functions_error_and_a_failed_refresh_reach_who_awaits_it() -> None:
    _, refresher, session = make()
    refresher.script = [RefreshRefused()]
    ran: list[int] = []
    with pytest.raises(SessionExpired):
        session.store.dispatch(session.gated(lambda dispatch, get_state: ran.append(1))).run()
    assert ran == []

    def broken(dispatch: Any, get_state: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        session.store.dispatch(session.gated(broken)).run()


def test_a_gated_coroutine_runs_on_the_loop_it_was_dispatched_on() -> None:
    async def main() -> tuple[bool, str]:
        session = Session(lambda tokens: Tokens("new", "r"), tokens=Tokens("old", "r", expires_at=1.0))
        loop = asyncio.get_running_loop()

        async def load(dispatch: Any, get_state: Any) -> tuple[bool, str]:
            await asyncio.sleep(0)
            return asyncio.get_running_loop() is loop, get_state().tokens.access

        result: tuple[bool, str] = await session.store.dispatch(session.gated(load))
        return result

    assert asyncio.run(main()) == (True, "new")


@pytest.mark.parametrize("stale", [True, False])
def test_the_error_of_a_gated_function_that_nobody_waits_for_is_reported(stale: bool) -> None:
    from rxauth import AuthState, Store, auth_reducer

    reported: list[Any] = []
    time = VirtualTime()
    store = Store(auth_reducer, AuthState(), report=lambda *what: reported.append(what[:2]))
    tokens = old(time) if stale else pair(time)
    session = Session(FakeRefresher(time), store=store, select=lambda state: state, tokens=tokens, time=time)

    def broken(dispatch: Any, get_state: Any) -> None:
        raise LookupError("mine")

    store.dispatch(session.gated(broken))
    time.advance(1)
    gc.collect()
    assert [(str(error), where) for error, where in reported] == [("mine", "a gated function")]
    held = store.dispatch(session.gated(broken))
    time.advance(1)
    with pytest.raises(LookupError):
        held.run()
    del held
    gc.collect()
    assert len(reported) == 1, "who waited has heard it"


def test_who_blocks_his_loop_on_a_gate_gets_what_needs_no_loop() -> None:
    """In a notebook's cell, where `.run()` blocks the loop on which an async effect would run."""
    reports: list[str] = []
    session = Session(lambda tokens: Tokens("new", "r"), tokens=Tokens("old", "r", expires_at=1.0))
    session.store._reporter = lambda error, where, action: reports.append(str(error))

    async def effect(item: int, tokens: Tokens) -> int:
        return item

    async def cell() -> None:
        values = reactivex.of(1).pipe(session.gate(lambda item, tokens: reactivex.of(tokens.access)))
        assert values.run() == "new"
        with pytest.raises(Exception, match="no elements"):
            reactivex.of(1).pipe(session.gate(effect)).run()

    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(asyncio.run(cell()) is None), daemon=True)
    thread.start()
    thread.join(60)
    assert done, "it hangs, or fails"
    assert len(reports) == 1
    assert "or run() blocks it" in reports[0]
