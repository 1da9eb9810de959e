"""Accidents in mid-flight: a store that closes, threads that can not be started, effects that are cancelled."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import reactivex
from reactivex import Subject

from rxauth import AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, call
from rxauth.api import request
from rxauth.concurrency.serialized import OneAtATime
from rxauth.errors import ApiNetworkError, CallCancelled, RefreshUnavailable, SessionClosed
from rxauth.session import Refresh, SignedIn
from rxauth.storage import MemoryStorage
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale


def test_a_store_that_closes_during_a_refresh_is_no_logout() -> None:
    """The new pair is stored and good; it must not be revoked at the server."""
    time = VirtualTime()
    refresher, storage = FakeRefresher(time), MemoryStorage()
    store = Store(auth_reducer, AuthState())
    session = Session(
        refresher, store=store, select=lambda state: state, tokens=stale(time), time=time, storage=storage
    )
    caller = Caller(session.fresh())
    time.advance(0.1)
    store.close()
    time.advance(1)
    assert isinstance(caller.error, SessionClosed)
    assert refresher.logouts == []
    record = storage.load()
    assert record is not None
    assert record.tokens.refresh == "refresh-1"


def test_a_session_in_the_place_of_one_whose_refresh_is_on_the_wire_posts_nothing_before_its_answer() -> None:
    """As when a notebook's cell is run again. Both would spend one refresh token."""
    time = VirtualTime()
    refresher, store = FakeRefresher(time, latency=1.0), Store(auth_reducer, AuthState())
    first = Session(refresher, store=store, select=lambda auth: auth, tokens=stale(time), time=time)
    Caller(first.fresh())
    time.advance(0.5)
    first.close()
    second = Session(refresher, store=store, select=lambda auth: auth, time=time)
    early = Caller(second.fresh())
    assert isinstance(early.error, RefreshUnavailable)
    assert early.error.cause == "in_doubt"
    time.advance(0.5)
    assert second.fresh().run().access == "access-1"
    assert (refresher.posted, second.auth.status, second.auth.in_doubt) == (["refresh-0"], "signed_in", False)


def test_a_session_in_the_place_of_one_whose_refresh_never_ends_tries_once_after_that() -> None:
    time = VirtualTime()
    refresher, store = FakeRefresher(time, latency=1e6), Store(auth_reducer, AuthState())
    first = Session(refresher, store=store, select=lambda auth: auth, tokens=stale(time), time=time)
    Caller(first.fresh())
    time.advance(0.5)
    first.close()
    second = Session(refresher, store=store, select=lambda auth: auth, time=time)
    refresher.latency = 0.2
    time.advance(89)
    assert isinstance(Caller(second.fresh()).error, RefreshUnavailable)
    time.advance(1)
    assert second.fresh().run().access == "access-2"
    assert refresher.posts == 2


def test_what_hears_of_the_first_sign_in_may_command_the_session() -> None:
    time = VirtualTime()
    refresher, store = FakeRefresher(time), Store(auth_reducer, AuthState())
    store.actions.of_type(SignedIn).subscribe(lambda _: store.dispatch(Refresh()))
    session = Session(refresher, store=store, select=lambda auth: auth, tokens=pair(time), time=time)
    time.advance(1)
    assert session.fresh().run().access == "access-1"


class NoThreads(VirtualTime):
    """Starts no flight while `broken`, or nothing of another name."""

    broken = False
    without = "rxauth-flight"

    def spawn(self, work: Any, name: str, *, linger: float = 0.0) -> None:
        if self.broken and name == self.without:
            raise RuntimeError("can't start new thread")
        super().spawn(work, name, linger=linger)


def test_a_login_without_a_thread_leaves_the_refresh_on_the_wire_alone() -> None:
    time = NoThreads()
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens=stale(time), time=time)
    first = Caller(session.fresh())
    time.advance(0.1)
    time.broken = True
    login = Caller(session.login(username="bob"))
    second = Caller(session.fresh())
    time.advance(1)
    assert isinstance(login.error, RefreshUnavailable)
    assert first.access == second.access == "access-1"
    assert refresher.posted == ["refresh-0"]
    assert session.auth.status == "signed_in"
    assert {session.fresh().run().access for _ in range(3)} == {"access-1"}
    assert refresher.posts == 1


def test_a_refresh_without_a_thread_fails_and_the_next_call_tries_again() -> None:
    time = NoThreads()
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens=stale(time), time=time)
    time.broken = True
    with pytest.raises(RefreshUnavailable, match="no thread can be started"):
        session.fresh().run()
    time.broken = False
    assert session.fresh().run().access == "access-1"


def test_calls_without_a_thread_fail_and_the_next_one_is_sent() -> None:
    time = NoThreads()
    time.without = "rxauth-call"
    session = Session(FakeRefresher(time), tokens=pair(time), time=time)
    client = httpx.Client(transport=httpx.MockTransport(lambda asked: httpx.Response(200, json=asked.url.path)))
    session.store.add_epic(api_epic(client, session))
    time.broken = True
    for _ in range(3):
        with pytest.raises(ApiNetworkError, match="can't start new thread"):
            request(session.store, call(Request.get("https://api.example.com/a"), auth="none")).run()
    time.broken = False
    assert request(session.store, call(Request.get("https://api.example.com/b"), auth="none")).run() == "/b"


def test_calls_for_which_there_is_one_thread_too_few_are_sent_by_the_others() -> None:
    time = NoThreads()
    time.without = "rxauth-call"
    session = Session(FakeRefresher(time), time=time)

    def answer(asked: httpx.Request) -> httpx.Response:
        time.sleep(1)
        return httpx.Response(200, json=asked.url.path)

    session.store.add_epic(api_epic(httpx.Client(transport=httpx.MockTransport(answer)), session))
    asked = [call(Request.get(f"https://api.example.com/{number}"), auth="none") for number in range(3)]
    waiting = [request(session.store, asked[0])]
    time.advance(0.1)
    time.broken = True
    waiting += [request(session.store, one) for one in asked[1:]]
    assert [one.run() for one in waiting] == ["/0", "/1", "/2"]


def test_a_logout_without_a_thread_is_told_to_everybody() -> None:
    time = NoThreads()
    time.without = "rxauth-logout"
    session = Session(FakeRefresher(time), tokens=pair(time), time=time)
    shown: list[str] = []
    session.store.select(lambda auth: auth.status).subscribe(shown.append)
    time.broken = True
    with pytest.raises(RuntimeError, match="can't start new thread"):
        session.logout()
    assert shown == ["signed_in", "signed_out"]


def test_a_late_refusal_of_adas_token_is_not_announced_to_bob() -> None:
    """B51: an app shows its login page on `SessionEnded`."""
    from rxauth.errors import RefreshRefused
    from rxauth.session import RefreshEvent

    time, refresher, session = make()
    refresher.latency, refresher.script = 1.0, [RefreshRefused()]
    Caller(session.fresh())
    time.advance(0.5)
    session.sign_in(pair(time, 300, name="bob")).run()
    events: list[Any] = []
    session.store.actions.of_type(RefreshEvent).subscribe(events.append)
    time.advance(5)
    assert events == []


def test_values_that_two_threads_emit_are_all_delivered() -> None:
    """The second thread comes while the first is about to leave."""
    delivered: list[int] = []
    about_to_leave, may_leave = threading.Event(), threading.Event()

    class Lock:
        """Stops the first thread between seeing an empty queue and leaving."""

        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.entered = 0

        def __enter__(self) -> None:
            self._lock.acquire()
            self.entered += 1

        def __exit__(self, *_: object) -> None:
            self._lock.release()
            if self.entered == 2:
                about_to_leave.set()
                assert may_leave.wait(60)

    subject: Subject[int] = Subject()
    subject.subscribe(delivered.append)
    one = OneAtATime(subject)
    one._lock = Lock()  # type: ignore[assignment]
    first = threading.Thread(target=one.on_next, args=(1,))
    first.start()
    assert about_to_leave.wait(60)
    one.on_next(2)
    may_leave.set()
    first.join(60)
    assert delivered == [1, 2]


def test_a_cancelled_effect_is_its_items_failure() -> None:
    async def main() -> list[Any]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

        async def effect(item: int, tokens: Tokens) -> int:
            if item == 1:
                raise asyncio.CancelledError
            return item

        seen: list[Any] = []
        done = asyncio.Event()
        reactivex.of(1, 2).pipe(session.gate(effect, failed=lambda item, error: type(error))).subscribe(  # type: ignore[arg-type, return-value]
            seen.append, on_completed=done.set
        )
        await asyncio.wait_for(done.wait(), 60)
        return seen

    assert sorted(asyncio.run(main()), key=str) == [2, CallCancelled]


def test_latest_never_emits_the_value_of_an_item_that_was_replaced() -> None:
    async def main() -> list[str]:
        session = Session(lambda tokens: tokens, tokens=Tokens("a", "r"))
        source: Subject[str] = Subject()
        seen: list[str] = []

        async def effect(item: str, tokens: Tokens) -> str:
            return item

        source.pipe(session.gate(effect, policy="latest")).subscribe(seen.append)
        source.on_next("one")
        await asyncio.sleep(0)  # the task of "one" is over, its callback is still to come
        source.on_next("two")
        for _ in range(5):
            await asyncio.sleep(0)
        return seen

    assert asyncio.run(main()) == ["two"]


def test_a_logout_without_a_thread_to_revoke_with_ends(caplog: pytest.LogCaptureFixture) -> None:
    time = NoThreads()
    time.without, storage = "rxauth-revoke", MemoryStorage()
    session = Session(FakeRefresher(time), tokens=pair(time), storage=storage, time=time)
    time.broken = True
    logout = Caller(session.logout())
    time.advance(1)
    assert (logout.ends, logout.error, storage.load()) == (1, None, None)
    assert "did not confirm the logout: RuntimeError" in caplog.text


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
def test_a_post_without_a_thread_leaves_nothing_in_doubt(shared: bool, tmp_path: Path) -> None:
    time = NoThreads()
    time.without = "rxauth-post"
    refresher, storage = FakeRefresher(time), FileStorage(tmp_path / "tokens") if shared else None
    session = Session(refresher, tokens=stale(time), storage=storage, time=time)
    time.broken = True
    with pytest.raises(RefreshUnavailable, match="no thread can be started"):
        session.fresh().run()
    assert (session.auth.status, session.auth.in_doubt) == ("signed_in", False)
    record = session.storage.load()
    assert record is not None
    assert record.spending is None
    time.broken = False
    assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1
