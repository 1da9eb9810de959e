"""Which session lives in which slice of which store: one in each."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from rxauth.errors import MissingSlice
from rxauth.state import AuthState
from rxauth.store import Store


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


def check_slice(store: Store[Any], select: Callable[[Any], AuthState], name: str) -> None:
    """Raise `MissingSlice` unless `select` finds the state of a session of this name, and no other lives in it."""
    fix = "give the state a field `auth: AuthState = AuthState()` and say Session(..., select=lambda state: state.auth)"
    try:
        auth = select(store.state)
    except Exception as error:
        raise MissingSlice(f"select() failed on the store's state ({type(error).__name__}: {error}); {fix}") from None
    if not isinstance(auth, AuthState):
        raise MissingSlice(f"the session's slice of the store is {type(auth).__name__}, not AuthState; {fix}")
    if auth.session != name:
        raise MissingSlice(
            f"the slice belongs to the session {auth.session!r}, and this one is {name!r}; "
            f"start that slice with AuthState(session={name!r})"
        )
    if any(other.name == name and not other.is_closed for other in sessions_in(store)):
        # Each would refresh by itself, with one refresh token: the server would take that for theft.
        raise MissingSlice(
            f"the slice belongs to a session {name!r} that is open; close() that one first, or give this one a slice "
            "and a name of its own"
        )
