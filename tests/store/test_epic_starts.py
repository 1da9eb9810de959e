"""Epics that are added together hear of one another from the start; one that answers itself without end is stopped."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import Observable, Subject
from reactivex import operators as ops
from reactivex.scheduler import CurrentThreadScheduler, TrampolineScheduler
from store_kit import Action, Add, Crew, LoudPing, Ping, Pong, Reports, Seen, count_reducer, log_reducer

from rxauth import Session, Store, Tokens, combine_epics
from rxauth.errors import EndlessEpic, InvalidEpic, TooManyRefreshes
from rxauth.session import Refresh, TokensRefreshed
from rxauth.store.queue import LONGEST_CHAIN
from tests.kit import make


def starts(actions: Any, state: Any) -> Observable[Any]:
    return reactivex.of(Ping(1), Ping(2))


def answers(actions: Any, state: Any) -> Observable[Any]:
    return actions.of_type(Ping).pipe(ops.map(lambda ping: Pong(ping.n)))


def echo(actions: Any, state: Any) -> Observable[Any]:
    return actions  # type: ignore[no-any-return]


HEARD = (Ping(1), Pong(1), Ping(2), Pong(2))


def by_argument(*epics: Any) -> Store[Any]:
    return Store(log_reducer, (), epics=list(epics))


def by_call(*epics: Any) -> Store[Any]:
    store = Store(log_reducer, ())
    store.add_epic(*epics)
    return store


def combined(*epics: Any) -> Store[Any]:
    return by_call(combine_epics(*epics))


@pytest.mark.parametrize("add", [by_argument, by_call, combined])
def test_what_an_epic_emits_at_its_start_is_heard_by_those_added_with_it(add: Callable[..., Store[Any]]) -> None:
    """B115, wherever it stands among them."""
    for epics in ((starts, answers), (answers, starts)):
        store = add(*epics)
        assert store.state == HEARD


def test_what_an_epic_emits_at_its_start_is_heard_on_a_loop_too() -> None:
    async def main() -> Any:
        store = by_argument(starts, answers)
        await asyncio.sleep(0)
        return store.state

    assert asyncio.run(main()) == HEARD


def test_an_epic_added_with_others_inside_of_a_notification_is_heard_by_them() -> None:
    store = Store(log_reducer, ())
    store.actions.of_type(Add).subscribe(lambda _: store.add_epic(starts, answers))
    store.dispatch(Add(0))
    assert store.state == (0, Ping(1), Ping(2), Pong(1), Pong(2)), "breadth first"


def test_one_that_can_not_be_started_leaves_none_of_those_added_with_it() -> None:
    store = Store(log_reducer, ())
    with pytest.raises(InvalidEpic):
        store.add_epic(starts, answers, lambda actions, state: None)  # type: ignore[arg-type, return-value]
    store.dispatch(Ping(3))
    assert store.state == (Ping(3),)


def test_an_epic_that_answers_itself_without_end_is_stopped_and_named() -> None:
    reports = Reports()
    store, seen = Store(count_reducer, 0, epics=[echo], report=reports), Seen()
    store.dispatch(Ping())
    [(error, where, action)] = reports.told
    assert isinstance(error, EndlessEpic)
    assert "epic echo answered what it" in str(error)
    assert (where, action, store.state) == ("epic echo", Ping(), LONGEST_CHAIN + 1)
    store.actions.subscribe(seen)
    store.dispatch(Pong())
    assert seen == [Pong()], "the store lives on, without that epic"


def test_an_endless_epic_leaves_the_others_at_work() -> None:
    reports = Reports()
    store = Store(
        count_reducer,
        0,
        epics=[echo, lambda actions, state: actions.of_type(Add).pipe(ops.map(lambda _: Pong()))],
        report=reports,
    )
    store.dispatch(Ping())
    assert len(reports.told) == 1
    before = store.state
    store.dispatch(Add(1))
    assert store.state == before + 2


def test_two_epics_that_answer_each_other_without_end_are_parted() -> None:
    def pings(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Pong).pipe(ops.map(lambda pong: Ping(pong.n + 1)))

    reports = Reports()
    store = Store(count_reducer, 0, epics=[answers, pings], report=reports)
    store.dispatch(Ping())
    [where] = reports.wheres
    assert where in ("epic answers", "epic test_two_epics_that_answer_each_other_without_end_are_parted.<locals>.pings")
    store.dispatch(LoudPing())
    assert len(reports.told) == 1


def test_an_endless_epic_on_a_loop_lets_the_loop_go_on() -> None:
    async def main() -> tuple[int, list[str]]:
        reports = Reports()
        store = Store(count_reducer, 0, epics=[echo], report=reports)
        store.dispatch(Ping())
        await asyncio.sleep(0)
        return store.state, reports.wheres

    assert asyncio.run(main()) == (LONGEST_CHAIN + 1, ["epic echo"])


def test_an_epic_that_emits_without_end_from_its_start_is_stopped() -> None:
    reports = Reports()
    Store(count_reducer, 0, epics=[lambda actions, state: actions.pipe(ops.start_with(Ping()))], report=reports)
    assert [type(error) for error, *_ in reports.told] == [EndlessEpic]


def test_many_answers_to_one_action_are_no_chain() -> None:
    reports = Reports()
    many = 3 * LONGEST_CHAIN
    store = Store(
        count_reducer,
        0,
        epics=[
            lambda actions, state: actions.of_type(Ping).pipe(
                ops.flat_map(lambda _: reactivex.from_iterable(Add(number) for number in range(many)))
            ),
            lambda actions, state: actions.of_type(Add).pipe(ops.map(lambda _: Pong())),
        ],
        report=reports,
    )
    store.dispatch(Ping())
    assert (store.state, reports.told) == (1 + 2 * many, [])


def test_a_long_chain_that_ends_is_none_without_end() -> None:
    reports = Reports()

    def countdown(actions: Any, state: Any) -> Observable[Any]:
        return actions.of_type(Ping).pipe(ops.filter(lambda ping: ping.n > 0), ops.map(lambda ping: Ping(ping.n - 1)))

    store = Store(count_reducer, 0, epics=[countdown], report=reports)
    for _ in range(3):
        store.dispatch(Ping(LONGEST_CHAIN))
    assert (store.state, reports.told) == (3 * (LONGEST_CHAIN + 1), [])


def test_a_refresh_for_each_refresh_meets_the_excess_guard() -> None:
    """B115"""
    time, refresher, session = make(life=300)
    session.store.add_epic(lambda actions, state: actions.of_type(TokensRefreshed).pipe(ops.map(lambda _: Refresh())))
    session.store.dispatch(Refresh())
    time.advance(20)
    assert refresher.posts == session.settings.excess
    assert isinstance(session.auth.error, TooManyRefreshes)
    assert "what dispatches a Refresh" in str(session.auth.error)
    assert session.fresh().run().access == f"access-{refresher.posts}", "they are good, and calls go on"


def test_a_refresh_that_is_asked_for_now_and_then_is_no_excess() -> None:
    time, refresher, session = make(life=300)
    for _ in range(20):
        session.store.dispatch(Refresh())
        time.advance(10)
    assert refresher.posts == 20
    assert session.auth.error is None


def test_a_trampoline_is_refused_with_what_to_give_instead() -> None:
    with pytest.raises(TypeError, match=r"falls? silent; leave scheduler= out .* EventLoopScheduler\(\)"):
        Store(log_reducer, (), scheduler=TrampolineScheduler())


@pytest.mark.parametrize("scheduler", [CurrentThreadScheduler(), CurrentThreadScheduler.singleton()])
def test_the_trampoline_of_the_current_thread_delivers_in_the_thread_that_dispatches(scheduler: Any) -> None:
    """Also what is dispatched by a source that runs on that very trampoline, and after a source that broke it off."""
    store, seen = Store(log_reducer, (), scheduler=scheduler), Seen()
    store.actions.subscribe(seen)
    reactivex.of(Add(1), Add(2)).subscribe(store)

    def broken(_: Any) -> None:
        store.dispatch(Add(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reactivex.of(1).subscribe(broken)
    store.dispatch(Add(4))
    Crew(*[lambda: [store.dispatch(Add(5)) for _ in range(100)]] * 4).join()
    assert seen[:4] == [Add(1), Add(2), Add(3), Add(4)]
    assert len(seen) == 404
    assert threading.get_ident() == seen.threads[0]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_store_and_a_session_are_not_copied_and_say_why(duplicate: Callable[[Any], Any]) -> None:
    store = Store(log_reducer, ())
    with pytest.raises(TypeError, match=r"a store can not be copied or pickled: .*share this one"):
        duplicate(store)
    session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
    with pytest.raises(TypeError, match=r"a session can not be copied: .*share this one"):
        duplicate(session)
    with pytest.raises(TypeError, match="can not be copied"):
        duplicate([session.store][0])


def test_a_store_in_a_state_of_another_is_not_copied_by_accident() -> None:
    with pytest.raises(TypeError, match="a store can not be copied"):
        copy.deepcopy({"store": Store(log_reducer, ())})


def test_nothing_is_held_of_epics_that_have_started() -> None:
    source: Subject[Action] = Subject()
    store = by_argument(lambda actions, state: source, answers)
    source.on_next(Ping(1))
    assert store.state == (Ping(1), Pong(1))
