"""Login, logout and one user after the other: everything carries where it began."""

from __future__ import annotations

from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import (
    InvalidTokens,
    LoginFailed,
    NotSignedIn,
    RefreshRefused,
    RefreshUnavailable,
    SessionChanged,
    SessionExpired,
)
from rxauth.session import Login, Logout, SessionEnded, SignedIn, SignedOut, SignInFailed, SigningIn, TokensRefreshed
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair, stale


def signed_out(**options: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    return time, refresher, Session(refresher, time=time, **options)


def test_signed_out_is_an_error_at_once() -> None:
    _, refresher, session = signed_out()
    with pytest.raises(NotSignedIn, match=r"session\.login"):
        session.fresh().run()
    assert refresher.posts == 0


def test_first_calls_wait_for_the_login_and_share_its_one_grant() -> None:
    """B04"""
    time, refresher, session = signed_out()
    session.login(username="ada", password="lovelace")
    callers = [Caller(session.fresh()) for _ in range(48)]
    time.advance(1)
    assert refresher.logins == [{"username": "ada", "password": "lovelace"}]
    assert {caller.access for caller in callers} == {"access-login-1"}
    assert refresher.posts == 0


def test_login_begins_when_called_even_if_nobody_waits() -> None:
    time, _, session = signed_out()
    session.login()
    assert session.auth.status == "signing_in"
    time.advance(1)
    assert session.auth.status == "signed_in"


def test_a_failed_login_fails_those_who_waited_and_signs_nobody_in() -> None:
    time, refresher, session = signed_out()
    refresher.login_script = [RefreshRefused("wrong password", status_code=401)]
    login, caller = Caller(session.login(username="ada")), Caller(session.fresh())
    time.advance(1)
    assert isinstance(login.error, LoginFailed)
    assert isinstance(caller.error, LoginFailed)
    assert login.error.status_code == 401
    assert session.auth.status == "signed_out"
    with pytest.raises(NotSignedIn):
        session.fresh().run()


def test_a_failed_login_leaves_who_was_signed_in() -> None:
    time, refresher, session = make(life=300)
    refresher.login_script = [RefreshUnavailable("503")]
    login = Caller(session.login(username="bob"))
    time.advance(1)
    assert isinstance(login.error, LoginFailed)
    assert login.error.transient
    assert session.fresh().run().access == "access-0"


def test_a_login_that_never_ends_is_given_up_at_the_deadline() -> None:
    time, refresher, session = signed_out(deadline=10.0)
    refresher.latency = 1e6
    login = Caller(session.login())
    time.advance(10.1)
    assert isinstance(login.error, LoginFailed)
    assert session.auth.status == "signed_out"


def test_a_second_login_takes_over() -> None:
    time, refresher, session = signed_out()
    first, second = Caller(session.login(username="ada")), Caller(session.login(username="bob"))
    time.advance(1)
    assert isinstance(first.error, SessionChanged)
    assert second.access is not None
    assert session.fresh().run() == second.value
    assert len(refresher.logouts) == 1, "the pair that nobody wants is ended at the server"


def test_sign_in_takes_tokens_that_somebody_has() -> None:
    time, _, session = signed_out()
    assert session.sign_in({"access_token": "a", "refresh_token": "r", "expires_in": 60}).run().access == "a"
    assert session.sign_in(Tokens("b", "r")).run().access == "b"
    assert session.auth.status == "signed_in"
    assert time.now().mono == 1000.0


def test_logout_in_mid_refresh_revives_nobody() -> None:
    """B50"""
    storage = MemoryStorage()
    time, refresher, session = make(storage=storage)
    refresher.latency = 0.3
    callers = [Caller(session.fresh()) for _ in range(5)]
    time.advance(0.1)
    session.logout()
    assert all(isinstance(caller.error, NotSignedIn) for caller in callers)
    time.advance(0.9)
    assert storage.load() is None
    assert session.auth.status == "signed_out"
    assert session.auth.tokens is None
    assert all(caller.ends == 1 for caller in callers)
    assert "refresh-1" in [tokens.refresh for tokens in refresher.logouts]


def test_logout_tells_the_server_and_signing_out_twice_is_harmless() -> None:
    time, refresher, session = make(life=300)
    events: list[object] = []
    session.store.actions.subscribe(events.append)
    assert session.logout().run() is None
    session.logout().run()
    assert [tokens.refresh for tokens in refresher.logouts] == ["refresh-0"]
    assert [type(event) for event in events] == [SignedOut]
    assert time.now().mono < 1001


@pytest.mark.parametrize("outcome", [300.0, RefreshRefused()], ids=["succeeds", "refused"])
@pytest.mark.parametrize("then", ["signed out", "bob"])
def test_a_refresh_that_lands_too_late_touches_nobody(outcome: Any, then: str) -> None:
    """B51"""
    time, refresher, session = make()
    refresher.latency, refresher.script = 1.0, [outcome]
    Caller(session.fresh())
    time.advance(0.5)
    if then == "bob":
        session.sign_in(pair(time, 300, name="bob")).run()
    else:
        session.logout().run()
    before = session.auth
    events: list[object] = []
    session.store.actions.of_type(TokensRefreshed, SessionEnded).subscribe(events.append)
    states: list[Any] = []
    session.store.subscribe(states.append)
    time.advance(5)
    assert session.auth == before
    assert states == [before]
    assert events == []
    assert session.auth.tokens is None or session.auth.tokens.access == "access-bob"


def test_a_waiting_call_never_gets_another_users_tokens() -> None:
    """B52"""
    time, refresher, session = make()
    refresher.latency = 1.0
    waiting = Caller(session.fresh())
    time.advance(0.5)
    session.sign_in(pair(time, 300, name="bob")).run()
    time.advance(5)
    assert isinstance(waiting.error, SessionChanged)


def test_a_refusal_of_adas_token_after_bob_signed_in_refreshes_nothing() -> None:
    time, refresher, session = make(life=300)
    adas = session.auth.tokens
    session.sign_in(pair(time, 300, name="bob")).run()
    with pytest.raises(SessionChanged):
        session.replace(adas).run()
    assert refresher.posts == 0
    assert session.fresh().run().access == "access-bob"


@pytest.mark.parametrize("login", [300.0, RefreshUnavailable("503")], ids=["succeeds", "fails"])
def test_a_refusal_of_adas_token_while_bob_signs_in_is_never_answered_with_bobs(login: Any) -> None:
    """Found by the simulation: every call that came during a login was given its tokens."""
    time, refresher, session = make(life=300)
    refresher.login_script = [login]
    adas = session.auth.tokens
    session.login(username="bob").subscribe(lambda _: None, lambda _: None)
    refused, left = Caller(session.replace(adas)), Caller(session.replace(adas))
    left.subscription.dispose()
    time.advance(2)
    if isinstance(login, float):
        assert isinstance(refused.error, SessionChanged)
    else:
        assert refused.access == "access-1", "bob did not come, so ada's call goes on"
    assert (refused.ends, left.ends) == (1, 0)


def test_equal_tokens_of_two_pairs_are_told_apart_by_generation() -> None:
    """Two tokens issued in the same second may be byte-identical."""
    time, refresher, session = make(life=300)
    refresher.script = [lambda tokens: {"access_token": "access-0", "refresh_token": "r", "expires_in": 300}]
    old = session.auth.tokens
    session.replace(old).run()
    session.replace(old).run()
    assert refresher.posts == 1
    assert time.now()


def test_actions_do_the_same_as_the_methods() -> None:
    time, refresher, session = signed_out()
    seen: list[type] = []
    session.store.actions.subscribe(lambda action: seen.append(type(action)))
    session.store.dispatch(Login({"username": "ada"}))
    time.advance(1)
    assert (session.auth.status, refresher.logins) == ("signed_in", [{"username": "ada"}])
    session.store.dispatch(Logout())
    time.advance(1)
    assert session.auth.status == "signed_out"
    assert seen == [Login, SigningIn, SignedIn, Logout, SignedOut]


def test_a_failed_login_is_an_event_and_the_last_error() -> None:
    time, refresher, session = signed_out()
    refresher.login_script = [RefreshRefused("no")]
    failed: list[SignInFailed] = []
    session.store.actions.of_type(SignInFailed).subscribe(failed.append)
    session.store.dispatch(Login({"username": "ada"}))
    time.advance(1)
    assert len(failed) == 1
    assert session.auth.error is failed[0].error


def test_two_sessions_share_a_store() -> None:
    from dataclasses import dataclass

    from rxauth import AuthState, Store, auth_reducer, combine_reducers

    @dataclass(frozen=True)
    class App:
        auth: AuthState = AuthState()
        billing: AuthState = AuthState(session="billing")

    time = VirtualTime()
    store = Store(combine_reducers(App, auth=auth_reducer, billing=auth_reducer), App())
    one, two = FakeRefresher(time), FakeRefresher(time)
    first = Session(one, store=store, select=lambda app: app.auth, tokens=stale(time), time=time)
    second = Session(
        two, store=store, select=lambda app: app.billing, name="billing", tokens=stale(time, "b"), time=time
    )
    second.fresh().run()
    assert (one.posts, two.posts) == (0, 1)
    assert store.state.auth.tokens != store.state.billing.tokens
    store.dispatch(Logout(session="billing"))
    time.advance(1)
    assert (first.auth.status, second.auth.status) == ("signed_in", "signed_out")
    assert first.fresh().run().access == "access-1"


def test_an_app_that_resets_its_state_ends_the_sign_in() -> None:
    from dataclasses import dataclass

    from rxauth import AuthState, Store, auth_reducer

    @dataclass(frozen=True)
    class Reset:
        pass

    time = VirtualTime()
    store: Store[AuthState] = Store(
        lambda state, action: AuthState() if isinstance(action, Reset) else auth_reducer(state, action), AuthState()
    )
    refresher = FakeRefresher(time)
    session = Session(refresher, store=store, select=lambda state: state, tokens=stale(time), time=time)
    caller = Caller(session.fresh())
    time.advance(0.1)
    store.dispatch(Reset())
    assert isinstance(caller.error, NotSignedIn)
    time.advance(5)
    assert store.state == AuthState()


def test_sign_in_refuses_what_is_no_pair_and_loses_nothing() -> None:
    _, _, session = make(life=300)
    for wrong in ("token", None, {"token": "x"}, {"access": ""}):
        with pytest.raises(InvalidTokens):
            session.sign_in(wrong)  # type: ignore[arg-type]
    assert session.fresh().run().access == "access-0"


def test_a_session_that_ended_may_be_signed_in_again() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshRefused()]
    with pytest.raises(SessionExpired):
        session.fresh().run()
    session.login().run()
    assert session.fresh().run().access == "access-login-1"
    assert session.auth.error is None
    assert time.now()
