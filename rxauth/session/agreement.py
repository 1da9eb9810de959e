"""The part of a session that holds the app's state to what the session knows."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import LINGER, Runtime
from rxauth.concurrency.single import stays, working
from rxauth.errors import MissingSlice, ReducerError, RxAuthError, StoreClosed, as_error
from rxauth.session.actions import SessionEnded, SessionEvent, SignedIn, SignedOut
from rxauth.session.continuity import Continuity
from rxauth.session.jobs.host import Host
from rxauth.session.jobs.login import sign_out
from rxauth.session.jobs.persistence import GuardedStorage
from rxauth.session.memory import Memory
from rxauth.session.registry import slice_in
from rxauth.session.state import AuthState
from rxauth.store.store import Store
from rxauth.tokens.pair import Tokens


class Agreement:
    """The session dispatches, and reads its state; but a state that goes back to a pair that is spent is amended.

    The newest pair is published again. Where a reducer does not take it, calls get an error that names the fix, and
    nothing is posted. A state that has nobody in it, which the session did not say, ends the sign-in: in the storage
    and, where the refresher can, at the server, as a logout does.
    """

    name: str
    store: Store[Any]
    storage: GuardedStorage
    runtime: Runtime
    _select: Callable[[Any], AuthState]
    _lock: threading.Lock
    _closed: bool
    _known_fresh: tuple[AuthState | None, float, float]
    _unpublished: SessionEvent | None
    _login: tuple[str, Flight[Tokens]] | None
    _steps: deque[Callable[[], object]]
    _memory: Memory
    _continuity: Continuity
    #: Why the state does not say what the session knows, and the sign-out that the app began by a reset.
    _disagreement: RxAuthError | None = None
    _ending: Flight[None] | None = None

    @property
    def auth(self) -> AuthState:
        """The session's state now; the last one that there was, while the app's state has no slice for it."""
        return self.auth_in(self.store.state)

    def auth_in(self, state: Any) -> AuthState:
        """The session's state in a state of its store; the last one that there was, where that has no slice for it."""
        try:
            auth = self._select(state)
        except BaseException as error:
            if not stays(error):
                raise
            return self._memory.last
        return auth if isinstance(auth, AuthState) else self._memory.last

    def holds(self, tokens: Tokens) -> bool:
        """Is this pair the current one? A state that went back to an earlier one does not count."""
        with self._lock:
            auth = self._agree()
            newest = self._memory.newest if auth is None or self._unpublished is not None else auth
            return newest is not None and (newest.sign_in, newest.generation) == (tokens.sign_in, tokens.generation)

    def is_current(self, tokens: Tokens) -> bool:
        """Are these what a call gets now? Also while a reducer, or the lack of a slice, keeps them out of the state."""
        return not self._closed and self.holds(tokens)

    def is_present(self, sign_in: str) -> bool:
        """Does that sign-in go on? Not when somebody signed out, or in, or the app dropped the session's slice, or the
        session is closed. What runs under it asks this before each value."""
        if self._closed:
            return False
        try:
            auth: AuthState | None = self._select(self.store.state)
        except Exception:
            auth = None
        if auth is not None and auth is self._memory.agreed:
            return self._continuity.counts(sign_in, auth.sign_in)
        with self._lock:
            is_there = self._agree() is not None
            newest = self._memory.newest
            present = newest.sign_in if newest is not None else ""
        self._do_steps()
        return is_there and self._continuity.counts(sign_in, present)

    def _commit(self, event: SessionEvent) -> None:
        self._memory.note(event)
        if isinstance(event, SignedIn | SignedOut | SessionEnded) and event is not self._unpublished:
            self._unpublished = None  # which was of a sign-in that this one ends
        self._known_fresh = (None, 0.0, 0.0)  # the state may stay as it is, or go back to the one of before
        self.store.commit(event)

    def _agree(self) -> AuthState | None:
        """The app's state, once it says what is so; None if it cannot, of which `_disagreement` says why.

        The caller holds the lock, and does the steps without it.
        """
        memory = self._memory
        try:
            auth = self._select(self.store.state)
        except BaseException as error:  # of which more is said below
            if not stays(error):
                raise
        else:
            if auth is memory.agreed and auth is not None:
                self._disagreement = None
                return auth
        if self._closed or self._unpublished is not None:  # there may be another session; that comes first
            return self.auth
        self._disagreement = None
        try:
            for _ in range(3):
                auth = slice_in(lambda: self.store.state, self._select, self.name)
                memory.last = auth
                login = self._login[0] if self._login is not None else ""
                events, over = memory.amend(auth, self.runtime.now(), login)
                if over is not None:
                    self._known_fresh = (None, 0.0, 0.0)
                    self._end(over)
                if not events:
                    memory.agreed = auth
                    return auth
                for event in events:
                    self._commit(event)
                self._steps.append(self.store.notify)
            auth = memory.last = slice_in(lambda: self.store.state, self._select, self.name)
            if memory.holds(auth):  # without the failure of the last refresh, which its reducer does not take
                return memory.with_trouble(auth)
            kinds = " and ".join(type(event).__name__ for event in events)
            self._disagreement = ReducerError(
                f"the app's state went back to tokens that are spent, and its reducer does not take {kinds}, with the "
                "newest ones; have auth_reducer reduce the slice for every action"
            )
        except MissingSlice as missing:
            self._disagreement = missing
        except StoreClosed:
            self._closed = True  # and what its last state holds may be spent
            return None
        except BaseException as error:
            if not stays(error):
                raise
            failed = as_error(error, "a reducer, or select,")
            self._disagreement = ReducerError(
                f"a reducer of the store failed on the newest tokens ({type(error).__name__}); they are kept, mend it "
                "and call again"
            )
            self._steps.append(lambda: self.store.report(failed, f"session {self.name}", None))
        return None

    def _end(self, tokens: Tokens) -> None:
        """The app has ended this pair's sign-in by resetting its state."""
        self._ending = flight = Flight[None]()
        finish = working(partial(sign_out, cast("Host", self), [tokens.sign_in], tokens, flight), flight)

        def begin() -> None:
            if flight.begin():
                finish()

        def start() -> None:
            try:
                self.runtime.spawn(begin, "rxauth-logout", linger=LINGER if self.storage.is_shared else 0.0)
            except RuntimeError:  # out of threads
                flight.land()

        flight.start = start
        self._steps.append(flight.take_off)

    def _do_steps(self) -> None:
        """Each may be done twice, by two threads, but none is left out: it stays in the queue until it was done."""
        while self._steps:
            try:
                step = self._steps[0]
            except IndexError:
                return
            self.runtime.yield_point("a flight takes off")
            step()
            with contextlib.suppress(ValueError):
                self._steps.remove(step)
