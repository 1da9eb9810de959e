"""At most one refresh at a time, whoever asks and whenever."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import SessionClosed
from rxauth.session import RefreshStarted, TokensRefreshed
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale


def test_twenty_callers_share_one_refresh() -> None:
    time, refresher, session = make()
    callers = [Caller(session.fresh()) for _ in range(20)]
    time.advance(1)
    assert refresher.posted == ["refresh-0"]
    assert [caller.access for caller in callers] == ["access-1"] * 20


def test_calls_that_start_while_a_refresh_runs_join_it() -> None:
    """B01"""
    time, refresher, session = make()
    refresher.latency = 0.5
    callers = []
    for _ in range(12):
        callers.append(Caller(session.fresh()))
        time.advance(0.05)
    time.advance(1)
    assert refresher.posts == 1
    assert {caller.access for caller in callers} == {"access-1"}


def test_a_reader_that_enters_after_the_refresh_does_not_post_the_old_token() -> None:
    """B05: B reads the state, A refreshes, B enters."""
    time, refresher, session = make()
    seen = session.auth.tokens
    session.fresh().run()
    assert session.replace(seen).run().access == "access-1"
    assert session.fresh().run().access == "access-1"
    assert refresher.posted == ["refresh-0"]
    assert time.now().mono


def test_staggered_refusals_of_one_pair_refresh_once() -> None:
    """B06"""
    time, refresher, session = make(life=300)
    old = session.auth.tokens
    callers = []
    for _ in range(6):
        callers.append(Caller(session.replace(old)))
        time.advance(0.15)
    time.advance(1)
    assert refresher.posts == 1
    assert {caller.access for caller in callers} == {"access-1"}


def test_waiters_are_released_in_the_order_in_which_they_came() -> None:
    time, _, session = make()
    order: list[int] = []
    for number in range(100):
        session.fresh().subscribe(lambda _, number=number: order.append(number))  # type: ignore[misc]
    time.advance(1)
    assert order == list(range(100))


def test_leaving_early_changes_nothing_for_the_others_or_for_the_tokens() -> None:
    """B33, B70: the refresh on the wire belongs to nobody who waits."""
    time, refresher, session = make()
    first, second = Caller(session.fresh()), Caller(session.fresh())
    time.advance(0.1)
    first.subscription.dispose()
    time.advance(1)
    assert (first.ends, second.access, refresher.posts) == (0, "access-1", 1)
    assert session.auth.tokens is not None
    assert session.auth.tokens.refresh == "refresh-1"


def test_when_everybody_leaves_the_result_is_kept() -> None:
    time, refresher, session = make()
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(0.1)
    for caller in callers:
        caller.subscription.dispose()
    time.advance(1)
    assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1


def test_the_flight_remembers_nothing() -> None:
    """Two expiries are two refreshes, each with the newest refresh token."""
    time, refresher, session = make()
    session.fresh().run()
    time.advance(301)
    session.fresh().run()
    assert refresher.posted == ["refresh-0", "refresh-1"]


def test_a_hundred_calls_with_a_fresh_token_post_nothing() -> None:
    """B27"""
    _, refresher, session = make(life=300)
    assert {session.fresh().run().access for _ in range(100)} == {"access-0"}
    assert refresher.posts == 0


def test_a_refresher_that_completes_at_once_does_not_deadlock() -> None:
    """B14"""
    time = VirtualTime()
    session = Session(lambda tokens: Tokens("new", "r2", time.now().wall + 60), tokens=stale(time), time=time)
    assert session.fresh().run().access == "new"


def test_events_say_what_happened_in_order_and_once() -> None:
    time, _, session = make()
    seen: list[object] = []
    session.store.actions.subscribe(seen.append)
    states: list[str] = []
    session.store.select(lambda auth: auth.status).subscribe(states.append)
    callers = [Caller(session.fresh()) for _ in range(5)]
    time.advance(1)
    assert [type(action) for action in seen] == [RefreshStarted, TokensRefreshed]
    assert states == ["signed_in", "refreshing", "signed_in"]
    assert all(caller.ends == 1 for caller in callers)


def test_the_generation_of_each_pair_is_new() -> None:
    time, _, session = make()
    numbers = {session.auth.generation}
    for _ in range(3):
        numbers.add(session.fresh().run().generation)
        time.advance(301)
    assert len(numbers) == 4


def test_twenty_real_threads_on_a_barrier_refresh_once() -> None:
    """B03"""
    posts: list[str | None] = []
    may_answer = threading.Event()

    def refresh(tokens: Tokens) -> Tokens:
        posts.append(tokens.refresh)
        assert may_answer.wait(60)
        return Tokens("new", "r2")

    session = Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0))
    barrier = threading.Barrier(21)
    got: list[str] = []

    def call() -> None:
        barrier.wait(60)
        got.append(session.fresh().run().access)

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    barrier.wait(60)
    may_answer.set()
    for thread in threads:
        thread.join(60)
    assert (posts, got) == (["r1"], ["new"] * 20)


def test_close_releases_the_waiters_and_still_keeps_the_result() -> None:
    time, refresher, session = make()
    caller = Caller(session.fresh())
    time.advance(0.1)
    session.close()
    time.advance(1)
    assert isinstance(caller.error, SessionClosed)
    assert refresher.posts == 1
    with pytest.raises(SessionClosed):
        session.fresh().run()
    session.close()


def test_refresh_ahead_answers_at_once_and_refreshes_once_in_the_background() -> None:
    """B28"""
    time, refresher, session = make(life=300)
    refresher.latency = 2.0
    time.advance(250)
    began = time.now().mono
    callers = [Caller(session.fresh()) for _ in range(10)]
    assert [caller.access for caller in callers] == ["access-0"] * 10
    assert time.now().mono == began
    time.advance(3)
    assert refresher.posts == 1
    assert session.fresh().run().access == "access-1"


def test_sessions_refresh_ahead_at_moments_of_their_own() -> None:
    chances = [0.0, 1.0]

    class Chance(VirtualTime):
        def chance(self) -> float:
            return chances.pop(0)

    time = Chance()
    early, late = FakeRefresher(time), FakeRefresher(time)
    sessions = [Session(refresher, tokens=pair(time, 300), time=time) for refresher in (early, late)]
    began, posts = time.now().mono, []
    for moment in (226, 227, 253, 254):  # 60 s before the expiry, and 13.75 s more or less
        time.advance(moment - (time.now().mono - began))
        for session in sessions:
            Caller(session.fresh())
        time.advance()
        posts.append((early.posts, late.posts))
    assert posts == [(0, 0), (1, 0), (1, 0), (1, 1)]


def test_what_is_remembered_of_a_fresh_state_ends_with_its_window_and_with_a_jump_of_the_clock() -> None:
    time, refresher, session = make(life=300)
    assert session.peek() is not None
    time.advance(239.9)
    assert session.peek() is not None
    time.advance(0.2)
    assert session.peek() is None, "it is in the window for a refresh in the background"
    session.fresh().run()
    time.advance(1)
    assert session.peek() is not None
    time.jump(250)
    assert session.peek() is None, "the machine slept"
    session.close()
    assert session.peek() is None
    assert refresher.posts == 1


def test_no_refresh_while_nobody_calls() -> None:
    time, refresher, _ = make(life=300)
    time.advance(86_400)
    assert refresher.posts == 0


@pytest.mark.parametrize("days", [30, 400])
def test_a_long_life_needs_no_refresh(days: int) -> None:
    """B26"""
    time, refresher, session = make(life=days * 86_400)
    for _ in range(days - 1):
        time.advance(86_400)
        assert session.fresh().run().access == "access-0"
    assert refresher.posts == 0


def test_a_leeway_longer_than_the_life_does_not_loop() -> None:
    """B25: at most one refresh per half life."""
    time, refresher, session = make(life=30, leeway=60.0)
    refresher.life = 30
    for _ in range(300):
        Caller(session.fresh())
        time.advance(1)
    assert 10 <= refresher.posts <= 20


def test_a_clock_one_hour_fast_changes_nothing() -> None:
    """B60: life is counted from receipt."""
    time = VirtualTime()
    time.jump(3600)
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens=pair(time, 300), time=time)
    for _ in range(600):
        Caller(session.fresh())
        time.advance(1)
    assert refresher.posts <= 3


def test_a_jump_of_the_clock_refreshes_early_rather_than_late() -> None:
    """The machine slept: the monotonic clock stood still, the token aged."""
    time, refresher, session = make(life=300)
    time.jump(3600)
    session.fresh().run()
    assert refresher.posts == 1


def test_an_opaque_token_is_used_until_it_is_refused() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens=Tokens("opaque", "r"), time=time)
    time.advance(86_400)
    assert session.fresh().run().access == "opaque"
    assert session.replace().run().access == "access-1"
    assert refresher.posted == ["r"]


def test_refresh_as_an_action_refreshes_a_fresh_token() -> None:
    from rxauth.session import Refresh

    time, refresher, session = make(life=300)
    session.store.dispatch(Refresh())
    time.advance(1)
    assert refresher.posts == 1
    session.store.dispatch(Refresh(session="another"))
    time.advance(1)
    assert refresher.posts == 1


@pytest.mark.parametrize(("named", "scope"), [(None, "read"), ("write", "write")])
@pytest.mark.parametrize("as_tokens", [True, False], ids=["a pair", "an answer"])
def test_a_refresh_that_names_no_scope_keeps_it(named: str | None, scope: str, as_tokens: bool) -> None:
    """RFC 6749 section 6."""
    answer: Any = Tokens("new", "r2", scope=named) if as_tokens else {"access": "new", "scope": named}
    with Session(lambda _: answer, tokens=Tokens("old", "r1", scope="read"), time=VirtualTime()) as session:
        assert session.replace().run().scope == scope
