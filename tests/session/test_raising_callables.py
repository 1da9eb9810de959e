"""B110: whatever a callable raises, also what is no `Exception`: nobody hangs, a login ends, and no thread dies.

Virtual time raises what leaves a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from raising_kit import Trap, Trapped, kinds

from rxauth import AuthState, Session, Store, Tokens, auth_reducer
from rxauth.concurrency import Runtime
from rxauth.errors import LoginFailed, RefresherError, RefreshRefused, SessionExpired
from rxauth.session import Sessions, TokensRefreshed
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, stale


@kinds
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_refresher_that_raises_it_is_in_doubt(kind: type[BaseException], is_async: bool) -> None:
    time = VirtualTime()
    posted: list[str | None] = []

    def refresh(tokens: Tokens) -> Any:
        posted.append(tokens.refresh)
        if len(posted) == 1:
            raise kind("sprung")
        return {"access": "new", "refresh": "next", "expires_in": 300}

    async def refresh_async(tokens: Tokens) -> Any:
        await asyncio.sleep(0.1)
        return refresh(tokens)

    session = Session(refresh_async if is_async else refresh, tokens=stale(time), time=time)
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    for caller in [*callers, Caller(session.fresh())]:
        assert isinstance(caller.error, RefresherError)
        assert isinstance(caller.error.__cause__, kind)
    assert posted == ["refresh-0"]
    time.advance(7)
    assert session.fresh().run().access == "new"


@kinds
def test_an_async_refresher_whose_inner_task_raises_it_is_in_doubt(kind: type[BaseException]) -> None:
    time = VirtualTime()

    async def refresh(tokens: Tokens) -> Any:
        async def inner() -> None:
            raise kind("sprung")

        await asyncio.create_task(inner())

    session = Session(refresh, tokens=stale(time), time=time)
    caller = Caller(session.fresh())
    time.advance(1)
    assert isinstance(caller.error, RefresherError)


@kinds
def test_a_login_that_raises_it_ends(kind: type[BaseException]) -> None:
    time, refresher, session = make(life=300)
    refresher.login_script = [kind("sprung")]  # type: ignore[list-item]
    login, waiting = Caller(session.login()), Caller(session.fresh())
    time.advance(1)
    assert isinstance(login.error, LoginFailed)
    assert isinstance(waiting.error, LoginFailed)
    assert session.fresh().run().access == "access-0", "who was signed in before still is"
    assert session.login().run().access == "access-login-2"


@kinds
def test_a_make_that_raises_it_leaves_its_place_and_its_key(kind: type[BaseException]) -> None:
    trap = Trap(kind, 3)

    def made(key: int) -> Session[Any]:
        trap()
        return Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

    sessions: Sessions[int] = Sessions(made, limit=1)
    for _ in range(3):
        with pytest.raises(kind):
            sessions[1]
    assert sessions[1].fresh().run().access == "a"


@kinds
def test_a_report_that_raises_it_is_logged(kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    time = VirtualTime()
    trap = Trap(LookupError, 1, lambda action: isinstance(action, TokensRefreshed))

    def reducer(state: AuthState, action: Any) -> AuthState:
        trap(action)
        return auth_reducer(state, action)

    def report(error: Exception, where: str, action: Any) -> None:
        raise kind("sprung")

    store = Store(reducer, AuthState(), report=report)
    session = Session(FakeRefresher(time), store=store, select=lambda auth: auth, tokens=stale(time), time=time)
    caller = Caller(session.fresh())
    with caplog.at_level(logging.ERROR, "rxauth"):
        time.advance(1)
    assert caller.access == "access-1"
    assert "report() itself failed" in caplog.text


@kinds
def test_what_a_caller_and_a_subscriber_raise_keeps_nothing_from_the_others(kind: type[BaseException]) -> None:
    time, refresher, session = make()
    reported: list[Exception] = []
    session.store._reporter = lambda error, where, action: reported.append(error)
    trap = Trap(kind, 10**6)
    trap.everywhere = False
    seen: list[str] = []
    session.store.select(lambda auth: auth.status).subscribe(trap)
    session.store.select(lambda auth: auth.status).subscribe(seen.append)
    session.fresh().subscribe(trap)
    caller = Caller(session.fresh())
    time.advance(1)
    assert caller.access == "access-1"
    assert (seen[-1], refresher.posts, len(reported)) == ("signed_in", 1, 1)


@kinds
def test_what_a_gates_failed_raises_ends_its_item_only(kind: type[BaseException]) -> None:
    time, refresher, session = make()
    refresher.script = [RefreshRefused()]
    trap = Trap(kind, 1)

    def failed(item: int, error: Exception) -> int:
        trap()
        return -item

    seen: list[int] = []
    gated = session.gate(lambda item, tokens: reactivex.just(item), failed=failed)
    reactivex.of(1, 2, 3).pipe(gated).subscribe(seen.append, lambda error: None)
    time.advance(1)
    assert session.auth.status == "signed_out"
    assert isinstance(Caller(session.fresh()).error, SessionExpired)


@kinds
@pytest.mark.parametrize(
    "place", ["refresher", "async refresher", "save", "load", "clear", "reducer", "login", "logout"]
)
def test_no_thread_dies_of_it(place: str, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    threads: list[threading.Thread] = []

    class Watched(Runtime):
        def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
            thread = threading.Thread(target=work, name=name, daemon=True)
            threads.append(thread)
            thread.start()

    trap = Trap(kind, 1)
    trap.everywhere = False

    class Refresher:
        def __call__(self, tokens: Tokens) -> Any:
            if place == "async refresher":
                return self._later()
            self._spring("refresher")
            return {"access": "new", "refresh": "next", "expires_in": 300}

        async def _later(self) -> Any:
            await asyncio.sleep(0)
            trap()

        def login(self) -> Any:
            self._spring("login")
            return {"access": "in", "refresh": "first", "expires_in": 0}

        def logout(self, tokens: Tokens) -> None:
            self._spring("logout")

        def _spring(self, name: str) -> None:
            if place == name:
                trap()

    def reducer(state: AuthState, action: Any) -> AuthState:
        if place == "reducer":
            trap()
        return auth_reducer(state, action)

    store = Store(reducer, AuthState(), report=lambda *_: None)
    storage = Trapped(**{place: trap} if place in ("save", "load", "clear") else {})
    session = Session(Refresher(), store=store, select=lambda auth: auth, storage=storage, time=Watched())
    for begin in (session.login, session.fresh, session.logout):
        done = threading.Event()
        begin().subscribe(lambda _: None, lambda error, done=done: done.set(), done.set)  # type: ignore[misc]
        assert done.wait(60)
    while threads:
        threads.pop().join(60)
    assert (died, trap.sprung) == ([], 1)


def test_a_ctrl_c_on_the_users_own_thread_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is no error of the session's but what the user wants."""
    _, _, session = make(life=300)
    session.store.select(lambda auth: auth.status).subscribe(Trap(KeyboardInterrupt, 1, lambda it: it == "signed_out"))
    with pytest.raises(KeyboardInterrupt):
        session.logout()
    assert session.auth.status == "signed_out"
