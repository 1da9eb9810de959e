"""Which session lives in which slice of which store: one in each."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from rxauth.concurrency.runtime import Instant
from rxauth.errors import MissingSlice
from rxauth.session.actions import SigningIn
from rxauth.session.state import AuthState
from rxauth.store.store import Store


class Resident(Protocol):
    """What the registry needs of a session."""

    name: str
    store: Store[Any]

    @property
    def is_closed(self) -> bool: ...


_sessions: weakref.WeakSet[Any] = weakref.WeakSet()


def move_in(session: Resident) -> None:
    """The session lives in its slice from now on, until it is closed."""
    _sessions.add(session)


def all_sessions() -> list[Any]:
    """The sessions of this process, closed ones included."""
    return list(_sessions)


def sessions_in(store: Store[Any]) -> list[Any]:
    """The sessions that live in this store, by name."""
    return sorted((session for session in all_sessions() if session.store is store), key=lambda session: session.name)


#: The sign-in of the event that asks whether a reducer handles a session's events. It is never dispatched.
PROBE = "probe"


def check_slice(store: Store[Any] | None, select: Callable[[Any], AuthState], name: str, at: Instant) -> None:
    """Raise `MissingSlice` unless `select` finds the state of a session of this name, no other one lives in it, and the
    store's reducer handles its events."""
    if store is None:
        raise MissingSlice(
            "select= finds the session's slice in a store of yours; say Session(..., store=store) as well"
        )
    if not isinstance(store, Store):
        raise TypeError(f"store must be a Store, got {type(store).__name__}: Store(reducer, initial_state)")
    found = slice_in(lambda: store.state, select, name)
    if any(other.name == name and not other.is_closed for other in sessions_in(store)):
        # Each would refresh by itself, with one refresh token: the server would take that for theft.
        raise MissingSlice(
            f"the slice belongs to a session {name!r} that is open; close() that one first, or give this one a slice "
            "and a name of its own"
        )
    # An event without a secret or a payload, which every state of a slice answers with another one. It is the first
    # that a login sends, and what a reducer makes of it is thrown away.
    probe = SigningIn(session=name, sign_in=PROBE, at=at)
    after = slice_in(lambda: _reduced(store, probe), select, name)
    if after.pending != PROBE:
        unchanged = "does not change it" if after == found else "changes it in another way than auth_reducer does"
        raise MissingSlice(
            f"the session's slice is there, but the store's reducer {unchanged} when the session signs in; "
            f"{_REDUCE_IT}, and let select= return that field"
        )
    if select(store.state).pending == PROBE:
        raise MissingSlice(
            "the store's reducer changes the state in place, so nobody is ever told of a change; return a new state, "
            "for example with dataclasses.replace"
        )


def slice_in(state: Callable[[], Any], select: Callable[[Any], AuthState], name: str) -> AuthState:
    """The state of the session of this name. Raises `MissingSlice` where `select` does not find it."""
    try:
        auth = select(state())
    except MissingSlice:
        raise
    except Exception as error:
        raise MissingSlice(
            f"select() failed on the store's state ({type(error).__name__}: {error}); {_HAVE_IT}"
        ) from error
    if not isinstance(auth, AuthState):
        if isinstance(auth, Coroutine):
            auth.close()
        raise MissingSlice(f"the session's slice of the store is {type(auth).__name__}, not AuthState; {_HAVE_IT}")
    if auth.session != name:
        raise MissingSlice(
            f"the slice belongs to the session {auth.session!r}, and this one is {name!r}; "
            f"start that slice with AuthState(session={name!r})"
        )
    return auth


def _reduced(store: Store[Any], probe: SigningIn) -> Any:
    try:
        state = store.preview(probe)
    except Exception as error:
        raise MissingSlice(
            f"the store's reducer failed on the event that a session signs in ({type(error).__name__}: {error}); "
            f"{_REDUCE_IT}"
        ) from error
    if state is None:
        raise MissingSlice(f"the store's reducer returned None for the event that a session signs in; {_REDUCE_IT}")
    return state


_HAVE_IT = (
    "give the state a field `auth: AuthState = AuthState()` and say Session(..., select=lambda state: state.auth)"
)
_REDUCE_IT = (
    "have auth_reducer reduce that field: combine_reducers(App, auth=auth_reducer), or in a reducer of your own "
    "auth=auth_reducer(state.auth, action) for every action"
)
