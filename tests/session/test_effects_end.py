"""An effect behind `session.gate` ends with its sign-in: it is cancelled, told once, and passes nothing after it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any

import pytest
import reactivex
from reactivex import Subject
from reactivex import operators as ops

from rxauth import AuthState, Session, Store, Tokens, auth_reducer
from rxauth.errors import (
    NotSignedIn,
    RefreshRefused,
    RxAuthError,
    SessionChanged,
    SessionClosed,
    SessionExpired,
    TokenRejected,
    TooManyWaiting,
)
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, make, pair

PATIENCE = 60.0


class Streams:
    """Endless effects: one Subject for each run of an item, with how often it was cancelled."""

    def __init__(self) -> None:
        self.runs: list[Subject[Any]] = []
        self.tokens: list[Tokens] = []
        self.cancelled = 0

    def __call__(self, item: Any, tokens: Tokens) -> Any:
        self.tokens.append(tokens)
        subject: Subject[Any] = Subject()
        self.runs.append(subject)

        def count() -> None:
            self.cancelled += 1

        return subject.pipe(ops.finally_action(count))


class Watched:
    """Items behind a gate, with what came out of it."""

    def __init__(self, session: Session[Any], effect: Any = None, **options: Any) -> None:
        self.streams = Streams()
        self.source: Subject[Any] = Subject()
        self.seen: list[Any] = []
        self.ended = 0
        gate = session.gate(effect or self.streams, **{"failed": lambda item, error: (item, type(error)), **options})
        self.subscription = self.source.pipe(gate).subscribe(self.seen.append, on_completed=self._end)

    def _end(self) -> None:
        self.ended += 1


def ends() -> list[tuple[str, Any, type[RxAuthError]]]:
    """How a sign-in may end, and what the effect is told."""

    def refused(time: VirtualTime, refresher: FakeRefresher, session: Session[Any]) -> None:
        refresher.script = [RefreshRefused()]
        with pytest.raises(SessionExpired):
            session.replace().run()

    def switched(time: VirtualTime, refresher: FakeRefresher, session: Session[Any]) -> None:
        session.sign_in(pair(time, name="bob")).run()

    return [
        ("logout", lambda time, refresher, session: session.logout(), NotSignedIn),
        ("switch", switched, SessionChanged),
        ("refused", refused, SessionExpired),
        ("close", lambda time, refresher, session: session.close(), SessionClosed),
        ("store", lambda time, refresher, session: session.store.close(), SessionClosed),
    ]


@pytest.mark.parametrize(("how", "end", "error"), ends(), ids=[how for how, *_ in ends()])
def test_an_effect_is_cancelled_and_fails_once_when_its_sign_in_ends(how: str, end: Any, error: Any) -> None:
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    watched.streams.runs[0].on_next("before")
    end(time, refresher, session)
    watched.streams.runs[0].on_next("after")
    time.advance(1)
    assert watched.seen == ["before", ("item", error)]
    assert watched.streams.cancelled == 1
    watched.source.on_completed()
    assert watched.ended == 1


@pytest.mark.parametrize(("how", "end", "error"), ends(), ids=[how for how, *_ in ends()])
def test_without_failed_the_end_of_an_effect_is_reported_once(how: str, end: Any, error: Any) -> None:
    time, refresher, session = make(life=300)
    reports: list[Any] = []
    session.store._reporter = lambda *what: reports.append(what)
    watched = Watched(session, failed=None)
    watched.source.on_next("item")
    end(time, refresher, session)
    watched.streams.runs[0].on_next("after")
    time.advance(1)
    assert watched.seen == []
    [(told, where, item)] = reports
    assert (type(told), where, item) == (error, "the gate of session default", "item")


def test_an_effect_goes_on_through_refreshes() -> None:
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    for _ in range(3):
        time.advance(400)
        session.fresh().run()
        watched.streams.runs[0].on_next(session.auth.generation)
    assert refresher.posts == 3
    assert len(set(watched.seen)) == 3
    assert watched.streams.cancelled == 0


def test_an_effect_goes_on_while_somebody_else_only_tries_to_sign_in() -> None:
    time, refresher, session = make(life=300)
    refresher.login_script = [RefreshRefused()]
    watched = Watched(session)
    watched.source.on_next("item")
    session.login(username="bob").subscribe(on_error=lambda _: None)
    watched.streams.runs[0].on_next("while bob types")
    time.advance(1)
    watched.streams.runs[0].on_next("after he failed")
    assert watched.seen == ["while bob types", "after he failed"]


def test_an_effect_that_signs_out_itself_passes_nothing_any_more() -> None:
    _, _, session = make(life=300)

    def effect(item: int, tokens: Tokens) -> Any:
        return reactivex.of(1, 2, 3).pipe(ops.do_action(lambda value: session.logout() if value == 2 else None))

    watched = Watched(session, effect)
    watched.source.on_next("item")
    assert watched.seen == [1, ("item", NotSignedIn)]


def test_only_the_effects_of_the_sign_in_that_is_over_end() -> None:
    time, _, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("ada's")
    session.sign_in(pair(time, name="bob")).run()
    watched.source.on_next("bob's")
    time.advance(1)
    watched.streams.runs[1].on_next("to bob")
    assert watched.seen == [("ada's", SessionChanged), "to bob"]
    assert [tokens.access for tokens in watched.streams.tokens] == ["access-0", "access-bob"]


@dataclass(frozen=True)
class App:
    auth: AuthState | None = AuthState()


@dataclass(frozen=True)
class Reset:
    auth: AuthState | None = None


def app_reducer(state: App, action: Any) -> App:
    if isinstance(action, Reset):
        return App(action.auth)
    auth = state.auth and auth_reducer(state.auth, action)
    return state if auth is state.auth else replace(state, auth=auth)


def app_session(**options: Any) -> tuple[VirtualTime, Session[Any], list[Any]]:
    reports: list[Any] = []
    time = VirtualTime()
    store = Store(app_reducer, App(), report=lambda *what: reports.append(what))
    session = Session(
        FakeRefresher(time), store=store, select=lambda app: app.auth, tokens=pair(time), time=time, **options
    )
    return time, session, reports


@pytest.mark.parametrize("wiped", [AuthState(), None], ids=["to its seed", "away"])
def test_the_app_wipes_its_slice_and_the_effects_end(wiped: AuthState | None) -> None:
    _, session, _ = app_session()
    watched = Watched(session)
    watched.source.on_next("item")
    session.store.dispatch(Reset(wiped))
    watched.streams.runs[0].on_next("after")
    assert watched.seen == [("item", NotSignedIn)]
    assert watched.streams.cancelled == 1


def test_no_value_passes_after_a_reset_by_another_thread_that_the_loop_has_not_heard_of() -> None:
    """What is told on the loop is told late; the state is what counts."""

    async def main() -> list[Any]:
        _, session, _ = app_session()
        watched = Watched(session)
        watched.source.on_next("item")
        other = threading.Thread(target=session.store.dispatch, args=(Reset(AuthState()),))
        other.start()
        other.join(PATIENCE)
        watched.streams.runs[0].on_next("after")
        assert watched.seen == [("item", NotSignedIn)]
        await asyncio.sleep(0)
        return watched.seen

    assert asyncio.run(main()) == [("item", NotSignedIn)]


@pytest.mark.parametrize("error", [None, LookupError("mine")], ids=["completes", "fails"])
def test_an_effect_that_is_over_before_its_value_was_passed_on_is_told_of_its_end(error: Exception | None) -> None:
    """Another thread passes a value on, which takes it some time; then somebody signs out."""
    _, _, session = make(life=300)
    streams, source, seen = Streams(), Subject[str](), list[Any]()
    busy, go_on = threading.Event(), threading.Event()

    def see(value: Any) -> None:
        seen.append(value)
        busy.set()
        assert go_on.wait(PATIENCE)

    source.pipe(session.gate(streams, failed=lambda item, error: (item, type(error)))).subscribe(see)
    source.on_next("slow")
    source.on_next("item")
    slow, item = streams.runs
    other = threading.Thread(target=slow.on_next, args=("takes its time",))
    other.start()
    assert busy.wait(PATIENCE)
    item.on_next("late")
    if error is None:
        item.on_completed()
    else:
        item.on_error(error)
    session.logout()
    go_on.set()
    other.join(PATIENCE)
    assert sorted(seen, key=str) == [("item", NotSignedIn), ("slow", NotSignedIn), "takes its time"]


# -- on an event loop ------------------------------------------------------------------------------------------------


def test_an_async_effect_is_cancelled_on_its_own_loop_and_told_there() -> None:
    told: list[Any] = []
    tasks: list[Any] = []

    async def main() -> None:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        async def effect(item: str, tokens: Tokens) -> str:
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                tasks.append(asyncio.get_running_loop() is loop)
                raise
            return "a value"

        def failed(item: str, error: Exception) -> Any:
            told.append((type(error), asyncio.get_running_loop() is loop))
            done.set()

        source: Subject[str] = Subject()
        source.pipe(session.gate(effect, failed=failed)).subscribe()
        source.on_next("item")
        await asyncio.sleep(0)
        await asyncio.to_thread(session.logout)
        await asyncio.wait_for(done.wait(), PATIENCE)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert tasks == [True]
    assert told == [(NotSignedIn, True)]


def test_an_async_effect_that_ends_as_the_sign_in_does_passes_nothing() -> None:
    """Its task is over, the callback that tells so is still to come."""

    async def main() -> list[Any]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

        async def effect(item: str, tokens: Tokens) -> str:
            return "late"

        watched = Watched(session, effect)
        watched.source.on_next("item")
        await asyncio.sleep(0)
        session.logout()
        for _ in range(5):
            await asyncio.sleep(0)
        return watched.seen

    assert asyncio.run(main()) == [("item", NotSignedIn)]


def test_an_effect_that_catches_its_cancellation_passes_nothing() -> None:
    async def main() -> list[Any]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

        async def effect(item: str, tokens: Tokens) -> str:
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                return "stubborn"
            return "a value"

        watched = Watched(session, effect)
        watched.source.on_next("item")
        await asyncio.sleep(0)
        session.logout()
        for _ in range(5):
            await asyncio.sleep(0)
        return watched.seen

    assert asyncio.run(main()) == [("item", NotSignedIn)]


def test_the_effect_of_a_loop_that_is_closed_is_told_of_the_end_where_it_happens() -> None:
    session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
    watched: list[Watched] = []

    async def main() -> None:
        watched.append(Watched(session))
        watched[0].source.on_next("item")

    asyncio.run(main())
    session.logout()
    assert watched[0].seen == [("item", NotSignedIn)]
    watched[0].source.on_next("too late")
    assert [item for item, _ in watched[0].seen] == ["item", "too late"]


@pytest.mark.parametrize("policy", ["merge", "in_order"])
def test_the_gate_completes_after_all_items_were_told_on_their_loop_that_the_session_closed(policy: Any) -> None:
    """It is closed on another thread, and the source completes there before the loop has told them."""

    async def main() -> list[Any]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
        watched = Watched(session, policy=policy)
        for number in range(3):
            watched.source.on_next(number)

        def end() -> None:
            session.close()
            watched.source.on_completed()

        other = threading.Thread(target=end)
        other.start()
        other.join(PATIENCE)
        for _ in range(10):
            await asyncio.sleep(0)
        assert watched.ended == 1
        return watched.seen

    assert asyncio.run(main()) == [(number, SessionClosed) for number in range(3)]


# -- tokens that are refused -----------------------------------------------------------------------------------------


def test_tokens_that_served_and_are_refused_later_are_replaced_again() -> None:
    """Rejected in two generations: two posts, and the item goes on."""
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    for number in range(2):
        watched.streams.runs[number].on_next(f"served {number}")
        watched.streams.runs[number].on_error(TokenRejected())
        time.advance(1)
    watched.streams.runs[2].on_next("served 2")
    assert watched.seen == ["served 0", "served 1", "served 2"]
    assert [tokens.access for tokens in watched.streams.tokens] == ["access-0", "access-1", "access-2"]
    assert refresher.posts == 2


def test_a_silent_effect_may_have_its_tokens_replaced_in_each_generation() -> None:
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    for number in range(3):
        time.advance(200)
        watched.streams.runs[number].on_error(TokenRejected())
        time.advance(1)
    assert (watched.seen, refresher.posts, len(watched.streams.runs)) == ([], 3, 4)


def test_tokens_that_are_refused_as_soon_as_they_came_are_the_items_failure() -> None:
    """Twice in one: it fails, and there was one post."""
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    watched.streams.runs[0].on_next("served")
    for number in range(2):
        watched.streams.runs[number].on_error(TokenRejected())
        time.advance(1)
    assert (watched.seen, refresher.posts) == (["served", ("item", TokenRejected)], 1)


def test_a_late_refusal_of_tokens_that_others_replaced_costs_no_post() -> None:
    time, refresher, session = make(life=300)
    watched = Watched(session)
    watched.source.on_next("item")
    for number in range(3):
        session.replace().run()
        watched.streams.runs[number].on_error(TokenRejected())
        time.advance(1)
    assert (watched.seen, refresher.posts, len(watched.streams.runs)) == ([], 3, 4)


def test_an_effect_whose_tokens_are_refused_for_ever_ends_with_too_many_refreshes() -> None:
    time, refresher, session = make(life=300)

    def effect(item: str, tokens: Tokens) -> Any:
        return reactivex.concat(reactivex.of("served"), reactivex.throw(TokenRejected()))

    watched = Watched(session, effect)
    watched.source.on_next("item")
    time.advance(10)
    assert watched.seen[-1][1].__name__ == "TooManyRefreshes"
    assert refresher.posts == session.settings.excess


# -- how many wait ---------------------------------------------------------------------------------------------------


def test_more_than_may_wait_in_order_fail_at_once() -> None:
    _, _, session = make(life=300)
    watched = Watched(session, policy="in_order")
    watched.source.on_next("runs")
    for number in range(1001):
        watched.source.on_next(number)
    assert watched.seen == [(1000, TooManyWaiting)]
    watched.streams.runs[0].on_completed()
    watched.source.on_next("there is room again")
    watched.source.on_next("and none")
    assert watched.seen == [(1000, TooManyWaiting), ("and none", TooManyWaiting)]


def test_more_than_may_wait_for_tokens_fail_at_once() -> None:
    time, refresher, session = make()
    watched = Watched(session)
    for number in range(1001):
        watched.source.on_next(number)
    assert watched.seen == [(1000, TooManyWaiting)]
    time.advance(1)
    assert (len(watched.streams.runs), refresher.posts) == (1000, 1)
    for number in range(1001):
        watched.source.on_next(number)
    assert len(watched.streams.runs) == 2001, "who need not wait is not counted"


def test_effects_that_ran_and_wait_for_new_tokens_are_not_too_many() -> None:
    """A revoked token stops all streams at once; none of them may be lost."""
    time, refresher, session = make(life=300)
    watched = Watched(session, waiting=2)
    for number in range(5):
        watched.source.on_next(number)
    for run in watched.streams.runs[:5]:
        run.on_error(TokenRejected())
    time.advance(1)
    assert (watched.seen, len(watched.streams.runs), refresher.posts) == ([], 10, 1)


def test_items_that_a_thread_hands_to_the_loop_do_not_wait() -> None:
    """They are many for a moment, because the loop is busy, and not because there are no tokens."""

    async def main() -> list[Any]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
        watched = Watched(session, lambda item, tokens: reactivex.of(item), waiting=1)
        other = threading.Thread(target=lambda: [watched.source.on_next(number) for number in range(100)])
        other.start()
        other.join(PATIENCE)
        await asyncio.sleep(0)
        return watched.seen

    assert asyncio.run(main()) == list(range(100))


@pytest.mark.parametrize("waiting", [0, -1, 1.5, None, "many"])
def test_how_many_may_wait_is_a_whole_number(waiting: Any) -> None:
    _, _, session = make(life=300)
    with pytest.raises(ValueError, match="waiting must be 1 or more, and whole"):
        session.gate(lambda item, tokens: reactivex.of(item), waiting=waiting)


@pytest.mark.parametrize("policy", ["merge", "in_order"])
@pytest.mark.parametrize("life", [None, 300], ids=["for tokens", "with tokens"])
def test_a_session_that_closes_reports_once_for_all_that_wait(policy: Any, life: float | None) -> None:
    time, _, session = make(life=life)
    reports: list[Any] = []
    session.store._reporter = lambda *what: reports.append(what)
    watched = Watched(session, policy=policy, failed=None)
    for number in range(1000):
        watched.source.on_next(number)
    session.close()
    time.advance(1)
    [(error, where, item)] = reports
    assert isinstance(error, SessionClosed)
    assert "1000 items were behind its gate" in str(error)
    assert (where, item) == ("the gate of session default", None)
    watched.source.on_completed()
    assert watched.ended == 1


def test_a_session_that_closes_reports_once_for_all_its_gates() -> None:
    _, _, session = make()
    reports: list[Any] = []
    session.store._reporter = lambda *what: reports.append(what)
    gates = [Watched(session, failed=None) for _ in range(3)]
    for watched in gates:
        watched.source.on_next("item")
    session.close()
    assert ["3 items were" in str(error) for error, *_ in reports] == [True]


@pytest.mark.parametrize("policy", ["merge", "in_order"])
def test_each_item_is_told_once_that_its_session_closed(policy: Any) -> None:
    time, _, session = make()
    watched = Watched(session, policy=policy)
    for number in range(1000):
        watched.source.on_next(number)
    session.close()
    time.advance(1)
    assert watched.seen == [(number, SessionClosed) for number in range(1000)]


def test_waiting_items_are_told_once_that_their_user_signed_out() -> None:
    time, _, session = make(life=300)
    watched = Watched(session, policy="in_order")
    for number in range(1000):
        watched.source.on_next(number)
    session.logout()
    time.advance(1)
    assert watched.seen == [(number, NotSignedIn) for number in range(1000)]
    assert len(watched.streams.runs) == 1


def test_one_who_fails_at_the_end_does_not_keep_the_others_from_it() -> None:
    _, _, session = make(life=300)
    reports: list[Any] = []
    session.store._reporter = lambda error, where, action: reports.append(str(error))

    def failed(item: int, error: Exception) -> Any:
        if item == 1:
            raise LookupError("mine")
        return item

    watched = Watched(session, failed=failed)
    for number in range(3):
        watched.source.on_next(number)
    session.logout()
    assert (watched.seen, reports) == ([0, 2], ["mine"])


def test_a_gate_whose_source_is_forgotten_is_not_kept() -> None:
    _, _, session = make(life=300)
    watched = Watched(session, lambda item, tokens: reactivex.of(item))
    watched.source.on_next(1)
    kept = weakref.ref(watched)
    del watched
    gc.collect()
    assert kept() is None


# -- function actions ------------------------------------------------------------------------------------------------


def test_an_async_function_action_ends_with_its_sign_in() -> None:
    async def main() -> str:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
        cancelled: list[str] = []

        async def load(dispatch: Any, get_state: Any) -> None:
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                cancelled.append("cancelled")
                raise

        loading = asyncio.ensure_future(_awaited(session.store.dispatch(session.gated(load))))
        await asyncio.sleep(0)
        session.logout()
        with pytest.raises(NotSignedIn, match="signed out while this effect ran"):
            await loading
        return cancelled[0]

    assert asyncio.run(main()) == "cancelled"


def test_a_function_action_that_signs_out_goes_on() -> None:
    async def main() -> str:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

        async def leave(dispatch: Any, get_state: Any) -> str:
            session.logout()
            await asyncio.sleep(0)
            return "said goodbye"

        return str(await session.store.dispatch(session.gated(leave)))

    assert asyncio.run(main()) == "said goodbye"


async def _awaited(single: Any) -> Any:
    return await single


# -- session.states --------------------------------------------------------------------------------------------------


def test_the_states_of_a_session_are_its_own_and_distinct() -> None:
    time, session, _ = app_session()
    seen: list[str] = []
    ended: list[bool] = []
    session.states.pipe(ops.map(lambda auth: auth.status)).subscribe(
        seen.append, on_completed=lambda: ended.append(True)
    )
    session.store.dispatch("something else")
    assert seen == ["signed_in"]
    session.replace().run()
    session.logout()
    time.advance(1)
    assert seen == ["signed_in", "refreshing", "signed_in", "signed_out"]
    session.close()
    assert ended == [True]
    session.store.dispatch(Reset(AuthState(error=LookupError())))
    assert (len(seen), ended) == (4, [True])


def test_the_states_complete_when_the_store_closes_and_at_once_after_the_end() -> None:
    _, session, _ = app_session()
    seen: list[Any] = []
    session.states.subscribe(seen.append, on_completed=lambda: seen.append("end"))
    session.store.close()
    session.close()
    assert [getattr(one, "status", one) for one in seen] == ["signed_in", "end"]
    session.states.subscribe(seen.append, on_completed=lambda: seen.append("end at once"))
    assert seen[2:] == ["end at once"]


def test_whoever_follows_the_states_is_kept_until_the_end_without_holding_on_to_it() -> None:
    _, session, _ = app_session()
    ended: list[bool] = []
    session.states.subscribe(on_completed=lambda: ended.append(True))
    gc.collect()
    session.close()
    assert ended == [True]


def test_who_has_left_the_states_is_not_told_of_the_end() -> None:
    _, session, _ = app_session()
    ended: list[bool] = []
    session.states.subscribe(on_completed=lambda: ended.append(True)).dispose()
    session.close()
    assert ended == []


def test_the_end_of_the_states_comes_where_the_store_delivers() -> None:
    async def main() -> bool:
        _, session, _ = app_session()
        here, told = threading.get_ident(), asyncio.Event()
        threads: list[int] = []

        def end() -> None:
            threads.append(threading.get_ident())
            told.set()

        session.states.subscribe(on_completed=end)
        await asyncio.to_thread(session.close)
        await asyncio.wait_for(told.wait(), PATIENCE)
        return threads == [here]

    assert asyncio.run(main())
