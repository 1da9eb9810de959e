"""A session that moves into a store asks first whether the store's reducer handles its events.

Else the first thing that a user notices is a login that posts a password and signs nobody in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from rxauth import AuthState, Session, Store, Tokens, auth_reducer, combine_reducers
from rxauth.errors import MissingSlice
from rxauth.session import SessionAction, SignedOut
from rxauth.testing import VirtualTime, record
from tests.kit import FakeRefresher


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    billing: AuthState = AuthState(session="billing")
    spare: AuthState = AuthState()
    notes: tuple[str, ...] = ()


@dataclass
class Mutable:
    auth: AuthState = AuthState()


@dataclass(frozen=True)
class History:
    present: App = App()
    past: tuple[App, ...] = ()


def notes(state: tuple[str, ...], action: Any) -> tuple[str, ...]:
    return (*state, action) if isinstance(action, str) else state


def fails(state: App, action: Any) -> App:
    raise ZeroDivisionError("no such account")


def in_place(state: Mutable, action: Any) -> Mutable:
    state.auth = auth_reducer(state.auth, action)
    return state


def another_class(state: App, action: Any) -> Any:
    return {"auth": auth_reducer(state.auth, action)}


WRONG: dict[str, tuple[Callable[[Any, Any], Any], Any, Callable[[Any], Any], str]] = {
    "a forgotten auth=auth_reducer": (combine_reducers(App, notes=notes), App(), lambda app: app.auth, "change it"),
    "a constant reducer": (lambda state, action: App(), App(), lambda app: app.auth, "does not change it"),
    "an identity reducer": (lambda state, action: state, App(), lambda app: app.auth, "does not change it"),
    "a slice that another field reduces": (
        combine_reducers(App, auth=auth_reducer),
        App(),
        lambda app: app.spare,
        "does not change it",
    ),
    "a select that returns a constant": (
        combine_reducers(App, auth=auth_reducer),
        App(),
        lambda app: AuthState(),
        "does not change it",
    ),
    "auth_reducer for the whole app": (
        auth_reducer,
        App(),
        lambda app: app.auth,
        r"the store's reducer failed .*AttributeError: 'App' object has no attribute 'session'",
    ),
    "a reducer that fails": (fails, App(), lambda app: app.auth, "ZeroDivisionError: no such account"),
    "a reducer that returns None": (lambda state, action: None, App(), lambda app: app.auth, "returned None"),
    "a reducer that returns another state": (another_class, App(), lambda app: app.auth, r"select\(\) failed"),
    "a reducer that forgets the slice": (
        lambda state, action: replace(state, auth=None),
        App(),
        lambda app: app.auth,
        "NoneType, not AuthState",
    ),
    "a reducer that puts another session's slice there": (
        lambda state, action: replace(state, auth=state.billing),
        App(),
        lambda app: app.auth,
        "belongs to the session 'billing'",
    ),
    "a reducer of its own making": (
        lambda state, action: replace(state, auth=replace(state.auth, status="signing_in")),
        App(),
        lambda app: app.auth,
        "in another way than auth_reducer does",
    ),
    "a reducer that changes the state in place": (in_place, Mutable(), lambda app: app.auth, "in place"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_reducer_that_does_not_handle_the_sessions_events_is_refused(wrong: str) -> None:
    reducer, state, select, says = WRONG[wrong]
    time = VirtualTime()
    server = FakeRefresher(time)
    store: Store[Any] = Store(reducer, state)
    for tokens in (None, Tokens("a", "r")):
        with pytest.raises(MissingSlice, match=says) as caught:
            Session(server, store=store, select=select, tokens=tokens, time=time)
    assert (
        "auth_reducer" in str(caught.value)
        or "dataclasses.replace" in str(caught.value)
        or "AuthState" in str(caught.value)
    )
    assert (server.logins, server.posted) == ([], [])


async def async_select(app: App) -> AuthState:
    return app.auth


def test_an_async_select_is_refused() -> None:
    with pytest.raises(MissingSlice, match="is coroutine, not AuthState"):
        Session(
            FakeRefresher(VirtualTime()),
            store=Store(combine_reducers(App, auth=auth_reducer), App()),
            select=async_select,
        )  # type: ignore[arg-type]


def app_reducer(state: App, action: Any) -> App:
    return replace(state, auth=auth_reducer(state.auth, action))


def resets(state: App, action: Any) -> App:
    return App() if isinstance(action, SignedOut) else app_reducer(state, action)


def undoes(state: History, action: Any) -> History:
    if action == "undo":
        return History(state.past[-1], state.past[:-1])
    present = app_reducer(state.present, action)
    return History(present, (*state.past, state.present))


def copies(state: App, action: Any) -> App:
    return copy.deepcopy(app_reducer(state, action))


def only_mine(state: App, action: Any) -> App:
    mine = isinstance(action, SessionAction) and action.session == "default"
    return app_reducer(state, action) if mine else state


def a_dict(state: dict[str, Any], action: Any) -> dict[str, Any]:
    return {**state, "user": {"auth": auth_reducer(state["user"]["auth"], action)}}


RIGHT: dict[str, tuple[Callable[[Any, Any], Any], Any, Callable[[Any], AuthState]]] = {
    "the whole state": (auth_reducer, AuthState(), lambda state: state),
    "combine_reducers": (combine_reducers(App, auth=auth_reducer, notes=notes), App(), lambda app: app.auth),
    "one that resets the app at logout": (resets, App(), lambda app: app.auth),
    "one that keeps an undo history": (undoes, History(), lambda history: history.present.auth),
    "one that copies everything": (copies, App(), lambda app: app.auth),
    "one that lets pass what is for this session": (only_mine, App(), lambda app: app.auth),
    "a slice in nested dicts": (a_dict, {"user": {"auth": AuthState()}}, lambda state: state["user"]["auth"]),
    "a select that copies": (auth_reducer, AuthState(), copy.deepcopy),
}


@pytest.mark.parametrize("right", RIGHT)
def test_a_reducer_that_wraps_auth_reducer_passes(right: str) -> None:
    reducer, state, select = RIGHT[right]
    time = VirtualTime()
    store: Store[Any] = Store(reducer, state)
    with Session(FakeRefresher(time), store=store, select=select, time=time) as session:
        assert session.login(username="ada").run() == session.fresh().run()
        session.logout().run()
        assert session.auth.status == "signed_out"


@pytest.mark.parametrize("status", ["signed_in", "refreshing", "degraded", "signing_in"])
def test_a_slice_in_any_state_passes(status: Any) -> None:
    time = VirtualTime()
    kept = AuthState(status=status, tokens=Tokens("a", "r"), sign_in="s", pending="p" if status == "signing_in" else "")
    store = Store(auth_reducer, kept)
    Session(FakeRefresher(time), store=store, time=time).close()


def test_what_the_reducer_is_asked_is_neither_kept_nor_told() -> None:
    time = VirtualTime()
    store = Store(combine_reducers(App, auth=auth_reducer), App())
    before, actions, states = store.state, [], []
    store.actions.subscribe(actions.append)
    store.subscribe(states.append)
    with record(store) as recording:
        session = Session(FakeRefresher(time), store=store, select=lambda app: app.auth, time=time)
    assert store.state is before
    assert (actions, states, recording.actions) == ([], [before], [])
    assert session.auth.pending == ""


def test_a_second_session_of_one_store_needs_its_own_slice_reduced() -> None:
    time = VirtualTime()
    store = Store(combine_reducers(App, auth=auth_reducer), App())
    Session(FakeRefresher(time), store=store, select=lambda app: app.auth, time=time)
    with pytest.raises(MissingSlice, match="does not change it"):
        Session(FakeRefresher(time), store=store, select=lambda app: app.billing, name="billing", time=time)


def test_a_select_without_a_store_is_refused() -> None:
    with pytest.raises(MissingSlice, match=r"say Session\(..., store=store\) as well"):
        Session(FakeRefresher(VirtualTime()), select=lambda app: app.auth)


@pytest.mark.parametrize("store", [App(), {}, Store])
def test_what_is_not_a_store_is_refused(store: Any) -> None:
    with pytest.raises(TypeError, match="store must be a Store, got"):
        Session(FakeRefresher(VirtualTime()), store=store)
