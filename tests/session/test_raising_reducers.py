"""B110: whatever a reducer or a `select` raises, also what is no `Exception`: the new pair reaches the callers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import reactivex
from raising_kit import Panic, Shared, Trap, Trapped, kinds, often, refreshes_go_on
from reactivex.subject import Subject

from rxauth import AuthState, BearerAuth, Session, Store, Tokens, auth_reducer
from rxauth.errors import LoginFailed, RefreshRefused, RefreshUnavailable, SessionExpired
from rxauth.session import (
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SignedIn,
    SignInFailed,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, stale


def trapped(
    trap: Trap, *, signed_in: bool = True, storage: MemoryStorage | None = None
) -> tuple[VirtualTime, FakeRefresher, Session[Any], list[Exception]]:
    """A session in a store whose reducer may raise; and what the store reports."""
    time, reported = VirtualTime(), list[Exception]()

    def reducer(state: AuthState, action: Any) -> AuthState:
        trap(action)
        return auth_reducer(state, action)

    store = Store(reducer, AuthState(), report=lambda error, where, action: reported.append(error))
    refresher = FakeRefresher(time)
    tokens = stale(time) if signed_in else None
    session = Session(
        refresher,
        store=store,
        select=lambda auth: auth,
        tokens=tokens,
        storage=storage,
        time=time,
        origins=["https://api.example.com"],
    )
    return time, refresher, session, reported


def test_requests_and_effects_go_with_the_new_tokens_while_a_reducer_stands_in_their_way() -> None:
    """They asked for other ones again and again, because the state did not hold these."""
    _, _, session, _ = trapped(Trap(LookupError, 10**6, lambda action: isinstance(action, TokensRefreshed)))
    sent: list[Any] = []
    transport = httpx.MockTransport(
        lambda request: sent.append(request.headers["Authorization"]) or httpx.Response(200)
    )
    with httpx.Client(transport=transport, auth=BearerAuth(session), trust_env=False) as client:
        client.get("https://api.example.com/me")
    effects: Subject[int] = Subject()
    gate = session.gate(lambda item, tokens: reactivex.just((item, tokens.access)))
    effects.pipe(gate).subscribe(sent.append)
    effects.on_next(1)
    assert sent == ["Bearer access-1", (1, "access-1")]
    assert session.store.dispatch(session.gated(lambda dispatch, get_state: "ran")).run() == "ran"


@kinds
@often
@pytest.mark.parametrize("storage", [MemoryStorage, Shared])
def test_a_reducer_that_raises_it_on_new_tokens_loses_none(
    storage: type[MemoryStorage], times: int, kind: type[BaseException]
) -> None:
    trap = Trap(kind, times, lambda action: isinstance(action, TokensRefreshed))
    trap.everywhere = times == 1
    time, refresher, session, reported = trapped(trap, storage=storage())
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    assert {caller.access for caller in callers} == {"access-1"}
    assert refresher.posted == ["refresh-0"]
    assert reported
    trap.times = 0
    assert session.fresh().run().access == "access-1"
    assert session.auth.status == "signed_in"
    refreshes_go_on(time, refresher, session)


def test_calls_get_the_new_tokens_while_a_reducer_stands_in_their_way() -> None:
    trap = Trap(Panic, 10**6, lambda action: isinstance(action, TokensRefreshed))
    time, refresher, session, _ = trapped(trap)
    assert session.fresh().run().access == "access-1"
    for _ in range(5):
        assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1
    with pytest.raises(Exception, match="a reducer of the store failed on the new tokens"):
        session.replace(session.fresh().run()).run()
    time.advance(301)
    with pytest.raises(Exception, match="a reducer of the store failed on the new tokens"):
        session.fresh().run()
    assert refresher.posts == 1
    trap.times = 0
    assert session.fresh().run().access == "access-2"


@kinds
@pytest.mark.parametrize("event", [RefreshStarted, RefreshFailed, StorageChanged])
def test_a_reducer_that_raises_it_on_another_event_of_a_refresh_frees_everybody(
    event: type[Any], kind: type[BaseException]
) -> None:
    trap = Trap(kind, 1, lambda action: isinstance(action, event))
    # What a reducer raises to a caller on a thread of his own is an exit for him, and no error of the session's.
    trap.everywhere = kind not in (SystemExit, KeyboardInterrupt)
    storage = Trapped(save=Trap(OSError, 1)) if event is StorageChanged else None
    time, refresher, session, reported = trapped(trap, storage=storage)
    refresher.script = [RefreshUnavailable(repeat=False)] if event is RefreshFailed else []
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    assert [caller.ends for caller in callers] == [1] * 3
    if event is RefreshFailed:
        assert {type(caller.error) for caller in callers} == {RefreshUnavailable}
        time.advance(7)
    assert session.fresh().run().access == f"access-{refresher.posts}"
    assert session.auth.status == "signed_in"
    assert len(reported) == trap.sprung


@kinds
@often
def test_a_reducer_that_raises_it_on_the_end_frees_everybody(times: int, kind: type[BaseException]) -> None:
    trap = Trap(kind, times, lambda action: isinstance(action, SessionEnded))
    trap.everywhere = times == 1
    storage = Trapped()
    time, refresher, session, _ = trapped(trap, storage=storage)
    refresher.script = [RefreshRefused()]
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    assert {type(caller.error) for caller in callers} == {SessionExpired}
    assert storage.load() is None
    trap.times = 0
    assert isinstance(Caller(session.fresh()).error, SessionExpired)
    assert refresher.posts == 1


@kinds
@often
@pytest.mark.parametrize("event", [SignedIn, SignInFailed])
def test_a_reducer_that_raises_it_on_a_login_lets_it_end(
    event: type[Any], times: int, kind: type[BaseException]
) -> None:
    trap = Trap(kind, times, lambda action: isinstance(action, event))
    trap.everywhere = times == 1
    storage = Trapped()
    time, refresher, session, _ = trapped(trap, signed_in=False, storage=storage)
    refresher.login_script = [RefreshRefused()] if event is SignInFailed else []
    login, waiting = Caller(session.login()), Caller(session.fresh())
    time.advance(1)
    assert (login.ends, waiting.ends) == (1, 1)
    trap.times = 0
    if event is SignInFailed:
        assert isinstance(login.error, LoginFailed)
        assert session.login().run().access == "access-login-2"
    else:
        assert login.access == waiting.access == "access-login-1"
    assert session.fresh().run().access.startswith("access-login-")
    assert session.auth.status == "signed_in"
    record = storage.load()
    assert record is not None
    assert record.sign_in == session.auth.sign_in


@kinds
@often
@pytest.mark.parametrize("storage", [MemoryStorage, Shared])
@pytest.mark.parametrize("when", ["before the post", "after the post"])
def test_a_select_that_raises_it_loses_no_pair(
    when: str, storage: type[MemoryStorage], times: int, kind: type[BaseException]
) -> None:
    trap = Trap(kind, 0)
    trap.everywhere = False
    time = VirtualTime()

    def select(auth: AuthState) -> AuthState:
        trap()
        return auth

    def spring() -> None:
        trap.times = times

    def answer(tokens: Tokens) -> Any:
        spring()
        return {"access": "access-1", "refresh": "refresh-1", "expires_in": 300}

    store = Store(auth_reducer, AuthState())
    refresher = FakeRefresher(time)
    session = Session(refresher, store=store, select=select, tokens=stale(time), storage=storage(), time=time)
    refresher.script = [answer]
    callers = [Caller(session.fresh()) for _ in range(3)]
    if when == "before the post":
        spring()
    time.advance(1)
    assert {caller.access for caller in callers} == {"access-1"}
    assert refresher.posted == ["refresh-0"]
    trap.times = 0
    assert session.fresh().run().access == "access-1"
    refreshes_go_on(time, refresher, session)
