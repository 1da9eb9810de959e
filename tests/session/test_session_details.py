"""Each detail of a session's ways in and out that nothing else would notice."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from rxauth import AuthState, Session, Store, Tokens, auth_reducer, combine_reducers
from rxauth.concurrency import Runtime
from rxauth.concurrency.runtime import LINGER
from rxauth.errors import (
    InvalidTokens,
    LoginFailed,
    MissingSlice,
    NotSignedIn,
    SessionChanged,
    SessionClosed,
    WouldDeadlock,
)
from rxauth.recording import record
from rxauth.session import Refresh, SignInFailed
from rxauth.session.registry import sessions_in
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import logged


class Spawned(VirtualTime):
    """Virtual time that says what was started, and for how long the exit waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[str, float]] = []

    def spawn(self, work: Any, name: str, *, linger: float = 0.0) -> None:
        self.started.append((name, linger))
        super().spawn(work, name, linger=linger)


class Shelf:
    """A storage that outlives the process."""

    def __init__(self) -> None:
        self._inner = MemoryStorage()
        self.load, self.save, self.clear = self._inner.load, self._inner.save, self._inner.clear


def refresh(tokens: Tokens) -> Tokens:
    return Tokens("new", "r")


def signed_in(time: Runtime, **how: Any) -> Session[Any]:
    return Session(refresh, tokens=Tokens("old", "r"), time=time, **how)


@pytest.mark.parametrize(("storage", "linger"), [(None, 0.0), (Shelf(), LINGER)], ids=["memory", "shared"])
def test_the_exit_waits_for_a_logout_only_where_tokens_outlive_the_process(storage: Any, linger: float) -> None:
    time = Spawned()
    session = signed_in(time, storage=storage)
    time.started.clear()
    session.logout().run()
    assert time.started[0] == ("rxauth-logout", linger)


def test_a_logout_says_when() -> None:
    time = VirtualTime()
    session = signed_in(time)
    time.advance(5)
    session.logout()
    assert session.auth.changed == time.now()


def test_replace_calls_back_on_the_loop_of_who_subscribed() -> None:
    session = Session(refresh, tokens=Tokens("old", "r"))
    threads: list[int] = []

    async def main() -> int:
        told = asyncio.Event()
        session.replace().subscribe(lambda tokens: (threads.append(threading.get_ident()), told.set()))
        await asyncio.wait_for(told.wait(), 60)
        return threading.get_ident()

    on_loop = asyncio.run(main())
    assert threads == [on_loop]


@pytest.mark.parametrize("way", ["login", "logout"])
def test_waiting_for_a_login_or_a_logout_in_the_refresher_is_refused(way: str) -> None:
    errors: list[Exception] = []

    def wait(tokens: Tokens) -> Tokens:
        try:
            (session.logout() if way == "logout" else session.sign_in(Tokens("x", "r"))).run()
        except Exception as error:
            errors.append(error)
        return Tokens("new", "r")

    time = VirtualTime()
    session = Session(wait, tokens=Tokens("old", "r", expires_at=1.0), time=time)
    session.fresh().subscribe(on_error=lambda error: None)
    time.advance(5)
    assert [type(error) for error in errors] == [WouldDeadlock]


def test_an_error_that_is_there_at_once_is_told_also_in_the_refresher() -> None:
    """Who waits there gets what needs no waiting, as it is."""
    told: list[Exception] = []

    def ask(tokens: Tokens) -> Tokens:
        session.logout()
        try:
            session.fresh().run()
        except Exception as error:
            told.append(error)
        session.fresh().subscribe(on_error=told.append)
        return tokens

    time = VirtualTime()
    session = Session(ask, tokens=Tokens("old", "r", expires_at=1.0), time=time)
    session.fresh().subscribe(on_error=lambda error: None)
    time.advance(5)
    assert [type(error) for error in told] == [NotSignedIn] * 2


def test_a_login_for_which_there_is_no_thread_fails_and_says_so() -> None:
    class NoThreads(VirtualTime):
        def spawn(self, work: Any, name: str, *, linger: float = 0.0) -> None:
            raise RuntimeError("can't start new thread")

    session = Session(refresh, time=NoThreads(), name="billing")
    with record(session) as recording, pytest.raises(Exception, match="no thread can be started"):
        session.sign_in(Tokens("x", "r")).run()
    [failed] = recording.of_type(SignInFailed)
    assert (failed.session, failed.at) == ("billing", session.runtime.now())
    assert "no thread can be started" in str(failed.error)
    assert session.auth.status == "signed_out"


def test_each_sign_in_has_an_id_of_its_own_that_nobody_guesses() -> None:
    ids = set()
    for _ in range(3):
        session = signed_in(VirtualTime())
        session.sign_in(Tokens("x", "r")).run()
        ids.add(session.auth.sign_in)
    assert len(ids) == 3
    assert {len(bytes.fromhex(one)) for one in ids} == {8}


def test_a_session_that_is_closed_says_what_to_do() -> None:
    time = VirtualTime()
    session = Session(lambda tokens: time.sleep(5), tokens=Tokens("old", "r", expires_at=1.0), time=time)
    errors: list[Exception] = []
    session.fresh().subscribe(on_error=errors.append)
    assert not session.is_closed
    session.close()
    assert session.is_closed
    assert [str(error) for error in errors] == ["the session was closed while this call waited"]
    for way in (lambda: session.sign_in(Tokens("x", "r")), session.logout):
        with pytest.raises(SessionClosed) as caught:
            way()
        assert str(caught.value) == "the session is closed; make a new Session"


def test_a_login_that_was_overtaken_says_by_what() -> None:
    time = VirtualTime()
    session = Session(refresh, time=time)
    errors: list[Exception] = []
    session.sign_in(Tokens("x", "r")).subscribe(on_error=errors.append)
    session.sign_in(Tokens("y", "r")).run()
    assert [(type(error), str(error)) for error in errors] == [
        (SessionChanged, "another login began, so this one does not count")
    ]


def test_a_session_is_not_pickled_and_says_why() -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(signed_in(VirtualTime()))
    assert str(caught.value) == (
        "a session can not be pickled: its flights and locks belong to this process; make one there"
    )


def test_a_refresh_by_an_action_says_who_asked_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    time = VirtualTime()
    session = signed_in(time)
    with caplog.at_level(logging.WARNING):
        session.store.dispatch(Refresh())
        time.advance(1)
    assert session.auth.asked_by == "the Refresh action"
    assert session.auth.tokens is not None
    assert session.auth.tokens.access == "new"
    assert logged(caplog) == []


def test_the_sessions_of_a_store_are_found_by_name() -> None:
    @dataclass(frozen=True)
    class App:
        a: AuthState = AuthState(session="b")
        b: AuthState = AuthState(session="a")

    store: Store[App] = Store(combine_reducers(App, a=auth_reducer, b=auth_reducer), App())
    second = Session(refresh, store=store, select=lambda app: app.a, name="b")
    first = Session(refresh, store=store, select=lambda app: app.b, name="a")
    elsewhere = Session(refresh)
    assert sessions_in(store) == [first, second]
    assert sessions_in(elsewhere.store) == [elsewhere]


def test_a_login_that_fails_leaves_its_reason() -> None:
    class Refuses:
        def __call__(self, tokens: Tokens) -> Tokens:
            return tokens

        def login(self, **credentials: Any) -> Tokens:
            raise LookupError("no such user")

    session = Session(Refuses(), time=VirtualTime())
    with pytest.raises(LoginFailed):
        session.login(user="ada").run()
    assert isinstance(session.auth.error, LoginFailed)


def test_tokens_without_a_life_live_from_now_to_their_expiry() -> None:
    """Half of a life decides what an early refusal means, so it has to be known."""
    time = VirtualTime()
    now = time.now().wall
    lives = {}
    for left in (40.0, -5.0):
        session = Session(refresh, tokens=Tokens("a", "r", expires_at=now + left), time=time)
        assert session.auth.tokens is not None
        lives[left] = session.auth.tokens.life
    assert lives == {40.0: 40.0, -5.0: 0.0}
    session = Session(refresh, tokens=Tokens("a", "r", expires_at=now + 40, life=300), time=time)
    assert session.auth.tokens is not None
    assert session.auth.tokens.life == 300, "what the pair says itself"


def test_what_are_no_tokens_is_refused_by_its_type() -> None:
    with pytest.raises(InvalidTokens, match="or the server's JSON object, got int"):
        Session(refresh, tokens=7)  # type: ignore[arg-type]


def test_stored_tokens_go_on_under_their_sign_in_with_a_number_of_this_process() -> None:
    time, shelf = VirtualTime(), Shelf()
    with signed_in(time, storage=shelf) as first:
        sign_in, number = first.auth.sign_in, first.auth.generation
    with record(Session(refresh, storage=shelf, time=time).store) as nothing:
        assert len(nothing) == 0
    second = Session(refresh, storage=shelf, time=time)
    assert second.auth.sign_in == sign_in
    assert second.auth.generation > number
    assert second.auth.tokens is not None
    assert (second.auth.tokens.sign_in, second.auth.tokens.generation) == (sign_in, second.auth.generation)
    assert second.auth.changed == time.now()


def test_a_pair_that_is_given_has_an_id_and_a_number_of_its_own() -> None:
    first, second = signed_in(VirtualTime()), signed_in(VirtualTime())
    assert first.auth.sign_in != second.auth.sign_in
    assert len(bytes.fromhex(first.auth.sign_in)) == 8
    assert 0 < first.auth.generation < second.auth.generation


def test_a_storage_that_can_not_be_loaded_is_reported_with_its_error() -> None:
    class Broken(MemoryStorage):
        def load(self) -> None:
            raise OSError("no such device")

    told: list[tuple[Any, str]] = []
    store: Store[AuthState] = Store(
        auth_reducer, AuthState(), report=lambda error, where, action: told.append((error, where))
    )
    Session(refresh, storage=Broken(), store=store, time=VirtualTime())
    [(error, where)] = told
    assert (type(error), str(error), where) == (OSError, "no such device", "session default, loading its tokens")


def test_a_store_without_a_slice_is_refused_with_the_line_to_write() -> None:
    with pytest.raises(MissingSlice) as caught:
        Session(refresh, store=Store(lambda state, action: state, 7))
    fix = "give the state a field `auth: AuthState = AuthState()` and say Session(..., select=lambda state: state.auth)"
    assert fix in str(caught.value)


def test_a_login_says_since_when_it_is_under_way() -> None:
    time = VirtualTime()
    session = Session(refresh, time=time)
    time.advance(3)
    began = time.now()
    session.sign_in(Tokens("x", "r")).subscribe()
    assert (session.auth.status, session.auth.changed) == ("signing_in", began)
