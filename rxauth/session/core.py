"""What a session knows, and what becomes of what its flights bring: under one lock, and never too late."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic

from typing_extensions import TypeVar

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import Runtime
from rxauth.concurrency.single import stays
from rxauth.errors import (
    NotSignedIn,
    ReducerError,
    RefreshUnavailable,
    RxAuthError,
    SessionChanged,
    SessionClosed,
    SessionExpired,
    StoreClosed,
    as_error,
)
from rxauth.refreshers.protocol import Refresher
from rxauth.session.actions import (
    RefreshEvent,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.agreement import Agreement
from rxauth.session.continuity import Continuity
from rxauth.session.jobs.host import Calls, is_about, is_current
from rxauth.session.jobs.login import revoke
from rxauth.session.jobs.persistence import GuardedStorage
from rxauth.session.memory import Memory
from rxauth.session.presence import Attended, Presence
from rxauth.session.settings import Settings
from rxauth.session.state import AuthState, present
from rxauth.session.waiters import Reading
from rxauth.store.store import Store
from rxauth.tokens.account import is_same_account
from rxauth.tokens.pair import Tokens

#: The state of the store; the one that a session makes for itself holds an `AuthState` alone.
S = TypeVar("S", default=AuthState)

log = logging.getLogger("rxauth")

#: What a caller gets at once.
Outcome = tuple[Tokens | None, RxAuthError | None]


class Outcomes(Agreement, Attended, Generic[S]):
    """The base of a session: its store and its two slots, for the refresh and the login that are under way.

    What a flight brings is reduced and its slot cleared in one step. What comes too late, because the pair or the login
    that it was for is over, is dropped, and who waited for it is told what is true now.
    """

    def __init__(
        self,
        refresher: Refresher,
        name: str,
        store: Store[S],
        select: Callable[[S], AuthState],
        storage: GuardedStorage,
        runtime: Runtime,
        settings: Settings,
    ) -> None:
        self.refresher = refresher
        self.name = name
        self.store = store
        self.storage = storage
        self.runtime = runtime
        self.settings = settings
        self._select = select
        self._windows = replace(settings.windows, spread=runtime.chance())
        self._closed = False
        #: A state that was fresh, and until when on both clocks: what a call costs is mostly to find this out.
        self._known_fresh: tuple[AuthState | None, float, float] = (None, 0.0, 0.0)
        self._inherited = ""
        self._continuity = Continuity()
        self._memory = Memory(name)
        #: The sign-in that was ended in another process.
        self._left_elsewhere = ""
        #: When the last refreshes began that were asked for however fresh the tokens were, on the monotonic clock.
        self._forced: list[float] = []
        #: Who has to hear that a sign-in, or the session, is over.
        self.presence = Presence(lambda error, action: store.report(error, f"session {name}", action))
        self.renew()

    def renew(self) -> None:
        """A new lock and no flights; also for the child of a fork, where the parent's threads do not exist."""
        self._lock = threading.Lock()
        self._flight: tuple[Tokens, Flight[Tokens]] | None = None
        self._login: tuple[str, Flight[Tokens]] | None = None
        #: Whether somebody signed in elsewhere is being read; when that was done last, and the error if it failed.
        self._reading: Reading | None = None
        self._looked: tuple[float, RefreshUnavailable | None] = (float("-inf"), None)
        self.calls = Calls()
        #: What has to be done outside of the lock, until it is done: a Ctrl-C may stop who should.
        self._steps: deque[Callable[[], object]] = deque()
        self._unpublished: SessionEvent | None = None
        self._ending = None
        self.presence.renew()
        self.storage.renew()

    @property
    def is_busy(self) -> bool:
        """Is a refresh or a login under way?"""
        return self._flight is not None or self._login is not None

    def conclude(self, action: SessionEvent, flight: Flight[Tokens] | None = None) -> bool:
        """Reduce what a flight brought and clear its slot, in one step. False when it came too late to count."""
        self.runtime.yield_point("an outcome is concluded")
        with self._lock:
            before = self._agree()
            if before is None and not isinstance(action, RefreshEvent):
                before = self.auth  # a login mends what the state says of the sign-in before
            # Whoever overtook or dropped a login, the app's state may have gone back to its middle.
            is_over = isinstance(action, SignedIn) and (self._login is None or self._login[1] is not flight)
            for_refresh, for_login = self._flight, self._login
            if for_refresh is not None and for_refresh[1] is flight:
                self._flight = None
            if for_login is not None and for_login[1] is flight:
                self._login = None
            try:
                if before is None or is_over or not is_current(action, before):
                    # Nobody hears of it: an app would take the end of that sign-in for the end of this. But if it is
                    # only the state that cannot say so now, it is what is so.
                    counts = not self._closed and self._memory.is_about(action)
                    if counts:
                        self._memory.note(action)
                        self._unpublished = action
                    return False
                if isinstance(action, SignedIn):
                    self._follow(before, action.tokens)
                self._commit(action)
                after = self._agree()
                if after is not None:
                    return is_about(action, after)
                if isinstance(action, SignedIn):
                    self._unpublished = action  # as if the reducer had failed on it
                return isinstance(action, SessionEnded)
            except StoreClosed:
                self._closed = True  # no logout: the tokens are good, and stored where they outlive us
                return False
            except BaseException as error:
                # The app's reducer, or `select`, failed. The tokens must not be lost with it: they are given to those
                # who wait for them, and the next caller tries once more.
                if not isinstance(action, StorageChanged):
                    self._unpublished = action
                if not stays(error):
                    raise
                broken = as_error(error, "a reducer, or select,")
        self.store.report(broken, f"session {self.name}", action)
        return False

    def is_kept(self, action: SessionEvent) -> bool:
        """Did the app's reducer fail on it, so that the state will know of it later, if at all?"""
        return self._unpublished is action

    def go_on(self, action: TokensRefreshed, flight: Flight[Tokens]) -> bool:
        """Another process brought a pair that is stale by now, too: the flight goes on and spends that one. False when
        it is not needed any more. The caller notifies at its end."""
        with self._lock:
            auth, slot = self._agree(), self._flight
            if auth is None or slot is None or slot[1] is not flight or not is_current(action, auth):
                return False
            tokens = action.tokens
            self._flight = (tokens, flight)
            if not self._tried(action):
                self._flight, self._unpublished = None, action
                return False
            started = RefreshStarted(
                session=self.name,
                sign_in=tokens.sign_in,
                generation=tokens.generation,
                at=action.at,
                asked_by=auth.asked_by,
            )
            self._tried(started)
            return True

    def _tried(self, action: SessionEvent) -> bool:
        """Reduce it, under the lock. What a reducer raises is one of the steps: to be reported."""
        try:
            self._commit(action)
        except BaseException as error:
            if not stays(error):
                raise
            broken = as_error(error, "a reducer")
            self._steps.append(lambda: self.store.report(broken, f"session {self.name}", action))
            return False
        return True

    def report(self, error: Exception, where: str, action: Any) -> None:
        """Tell the owner of the store of an error that nobody else hears of."""
        self.store.report(error, where, action)

    def notify(self) -> None:
        """Tell the store's subscribers what was concluded, and the waiters of flights that nobody needs any more."""
        self.runtime.yield_point("everybody is told")
        self.abandon_if_gone()
        self.store.notify()

    def gone(self, sign_in: str) -> RxAuthError:
        """Why the outcome of something that `sign_in` began does not count."""
        if self._closed:
            return SessionClosed("the session was closed while this call waited")
        if self._unpublished is not None:
            return ReducerError(
                "a reducer of the store failed on the new tokens; they are kept, mend it and call again"
            )
        if self._disagreement is not None:
            return self._disagreement.again()
        auth = self.auth
        if auth.sign_in in ("", sign_in):
            if auth.tokens is None and isinstance(auth.error, SessionExpired):
                return auth.error.again()
            elsewhere = sign_in == self._left_elsewhere != ""
            return NotSignedIn(f"signed out {'in another process' if elsewhere else 'while this call waited'}")
        return SessionChanged("another user signed in while this call waited, so it was not sent")

    def counts(self, began: str) -> bool:
        """Is `began` the present sign-in, or one of the same account whose place it took? Raises what `select` makes of
        a state without the slice."""
        return self._continuity.counts(began, self._select(self.store.state).sign_in)

    def _follow(self, auth: AuthState, tokens: Tokens, *, same: bool = False) -> None:
        """These tokens' sign-in is about to take the place of that in `auth`: as another user, or as the same one."""
        if auth.tokens is not None and (same or is_same_account(auth.tokens, tokens)):
            self._continuity.follow(auth.sign_in, tokens.sign_in)

    def leave(self, sign_in: str, cause: SessionExpired | None) -> None:
        """That sign-in was ended in another process: by the server, for this cause, or by a logout. A login that is
        under way here goes on."""
        with self._lock:
            auth, at = self._agree() or self.auth, self.runtime.now()
            if auth.sign_in != sign_in:
                return
            self._left_elsewhere = sign_in
            if cause is None and not auth.pending:
                self._commit(SignedOut(session=self.name, sign_in=sign_in, at=at))
            else:
                over = cause or SessionExpired("signed out in another process", cause="signed out elsewhere")
                generation = auth.generation
                self._commit(SessionEnded(session=self.name, sign_in=sign_in, generation=generation, at=at, cause=over))
        if cause is not None:
            log.warning("rxauth: session %r: %s", self.name, cause)
        self.notify()

    def enter(self, tokens: Tokens, *, same: bool = False) -> bool:
        """Somebody signed in in another process: as of now, this one is signed in as he is, unless it is busy with a
        login of its own. `same`: it is known to be the same user, whatever the tokens say. The caller notifies."""
        with self._lock:
            before, now = self._agree(), self.runtime.now()
            if self._closed or before is None or before.pending or before.sign_in == tokens.sign_in:
                return False
            self._follow(before, tokens, same=same)
            self._commit(SigningIn(session=self.name, sign_in=tokens.sign_in, at=now))
            self._commit(SignedIn(session=self.name, sign_in=tokens.sign_in, at=now, tokens=tokens))
        return True

    def take_up(
        self,
        pending: str,
        tokens: Tokens | None,
        flight: Flight[Tokens] | None = None,
        over: SessionExpired | None = None,
    ) -> bool:
        """Begin as these tokens say, or as nobody, in the place of `pending`, for which calls may have waited as for a
        login. `over`: the sign-in with which it would have begun has ended. False when that came too late to count.
        The caller notifies."""
        with self._lock:
            self.note_look(None)
            if flight is not None and self._login is not None and self._login[1] is flight:
                self._login = None
            before = self._agree()
            if self._closed or before is None or before.pending != pending:
                return False
            about: dict[str, Any] = {"session": self.name, "at": self.runtime.now()}
            if tokens is not None:
                self._follow(before, tokens)
                if pending:
                    self._continuity.follow(pending, tokens.sign_in)
                self._commit(SigningIn(**about, sign_in=tokens.sign_in))
                self._commit(SignedIn(**about, sign_in=tokens.sign_in, tokens=tokens))
            elif over is not None:
                failed = pending or secrets.token_hex(8)
                if not pending:
                    self.store.commit(SigningIn(**about, sign_in=failed))
                self.store.commit(SignInFailed(**about, sign_in=failed, error=over))
            elif before.tokens is None:
                self._commit(SignedOut(**about, sign_in=pending))
            else:  # somebody was there before, in a store that outlives its sessions
                self.store.commit(SignInFailed(**about, sign_in=pending, error=NotSignedIn("nothing is stored")))
            return True

    def note_look(self, error: RefreshUnavailable | None) -> None:
        """The storage was looked at just now; with an error, calls are told that while nobody is signed in."""
        self._looked = self.runtime.now().mono, error

    def present(self) -> tuple[str, str]:
        return present(self.auth)

    def drop(self, tokens: Tokens) -> None:
        """Tokens arrived for a sign-in that is over: end it at the server too, where the refresher can."""
        newest = self._memory.newest
        goes_on = tokens.sign_in in (self.auth.sign_in, newest.sign_in if newest is not None else "")
        if not self._closed and self._unpublished is None and not goes_on:
            revoke(self, tokens)

    def abandon_if_gone(self) -> None:
        """End what runs under a sign-in that is over; release those who wait for a flight of its pair, or for a login
        that is over. It may land; that is dropped."""
        lost: list[tuple[str, Flight[Tokens]]] = []
        with self._lock:
            agreed = self._agree()
            auth, current = agreed or self.auth, agreed or self._memory.newest
            if self._flight is not None and (current is None or pair_of(self._flight[0]) != pair_of(current)):
                lost.append((self._flight[0].sign_in, self._flight[1]))
                self._flight = None
            if self._login is not None and self._login[0] not in (auth.pending, auth.sign_in):
                lost.append(self._login)
                self._login = None
        self.presence.look(self.is_present)
        for sign_in, flight in lost:
            self.pass_on(flight, sign_in)
        self._do_steps()

    def pass_on(self, flight: Flight[Tokens], sign_in: str) -> None:
        """Release those who wait for a flight that `sign_in` began and whose outcome does not count any more."""
        flight.land(*self.instead(sign_in))

    def instead(self, sign_in: str) -> Outcome:
        """What the waiters of a flight get whose outcome came too late: the current pair, if the sign-in goes on."""
        with self._lock:
            auth = self._agree()
        if self._closed or self._unpublished is not None or auth is None or auth.tokens is None:
            return None, self.gone(sign_in)
        if self._continuity.counts(sign_in, auth.sign_in):
            return auth.tokens, None
        return None, self.gone(sign_in)

    def inherit(self) -> None:
        """In the child of a fork: who is signed in now is so in the parent as well."""
        self._inherited = self.auth.sign_in

    def _is_foreign(self) -> bool:
        """Is this pair our parent's, too, and have we no way to take turns with him? Were both of us to spend it, the
        server would take that for theft."""
        inherited = bool(self._inherited) and self.auth.sign_in == self._inherited
        return inherited and not self.storage.is_exclusive  # last: who waits asks this, and it takes longest


def pair_of(of: Tokens | AuthState) -> tuple[str, int]:
    return of.sign_in, of.generation
