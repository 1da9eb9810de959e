"""Who may pass, who waits, and for which flight: the session's decisions, and the lock they are made under."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from rxauth.actions import RefreshFailed, RefreshStarted, SessionEvent
from rxauth.callers import AfterLogin, Watched, watched, with_response
from rxauth.errors import (
    ForkedSession,
    NotSignedIn,
    ReducerError,
    RefreshUnavailable,
    RxAuthError,
    SessionChanged,
    SessionClosed,
    StoreClosed,
    TooManyRefreshes,
)
from rxauth.flight import Flight, Leave, Loop, Settle, stay, working
from rxauth.login import revoke
from rxauth.refresh import RefreshRun, is_about, is_current
from rxauth.refreshers.protocol import Refresher
from rxauth.runtime import LINGER, Instant, Runtime
from rxauth.settings import Settings
from rxauth.state import AuthState, decide, is_cooling, is_premature, present, refusal
from rxauth.storage.guarded import GuardedStorage
from rxauth.store import Store
from rxauth.tokens import Tokens

S = TypeVar("S")

log = logging.getLogger("rxauth")

#: What a caller gets at once.
Outcome = tuple[Tokens | None, RxAuthError | None]


class Gatekeeper(Generic[S]):
    """The inner half of a session.

    A caller reads the state inside the lock and there either gets his outcome, or joins the flight of the pair he saw,
    or creates it: so nobody can see a stale pair and post it after somebody else did. The lock is held for a few
    microseconds; reducers, which are pure, run under it, subscribers and refreshers never do.
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
        self._windows = settings.windows
        self._closed = False
        #: A state that was fresh, and until when on both clocks: what a call costs is mostly to find this out.
        self._known_fresh: tuple[AuthState | None, float, float] = (None, 0.0, 0.0)
        self._inherited = ""
        self.renew()

    def renew(self) -> None:
        """A new lock and no flights; also for the child of a fork, where the parent's threads do not exist."""
        self._lock = threading.Lock()
        self._flight: tuple[Tokens, Flight[Tokens]] | None = None
        self._login: tuple[str, Flight[Tokens]] | None = None
        #: What has to be done outside of the lock, until it is done: a Ctrl-C may stop who should.
        self._steps: deque[Callable[[], object]] = deque()
        self._unpublished: SessionEvent | None = None
        self.storage.renew()

    @property
    def auth(self) -> AuthState:
        """The session's state now."""
        return self._select(self.store.state)

    def auth_in(self, state: S) -> AuthState:
        """The session's state in a state of its store."""
        return self._select(state)

    def peek(self) -> Tokens | None:
        """The current tokens if a call may use them right now, without waiting and without a refresh in the background.

        Anything else, errors included, is for `fresh()`.
        """
        auth, now = self._select(self.store.state), self.runtime.now()
        if auth is not self._known_fresh[0] or now.mono >= self._known_fresh[1] or now.wall >= self._known_fresh[2]:
            if self._closed or decide(auth, now, self._windows) != "fresh":
                return None
            span = self._windows.fresh_for(auth, now)
            # One tuple, so that another thread sees all of it or nothing.
            self._known_fresh = auth, now.mono + span, now.wall + span
        return auth.tokens

    def acquire(
        self,
        settle: Settle[Tokens],
        loop: Loop | None,
        *,
        asked_by: str,
        rejected: Tokens | None = None,
        response: Any = None,
        began: str | None = None,
        force: bool = False,
        caller: int = 0,
    ) -> Leave:
        """Call `settle` with tokens or an error, now or later; returns how to leave before that.

        `rejected`: the pair that the API refused, with its `response`. `began`: the sign-in under which the call began,
        if that was earlier. `force`: refresh however fresh the tokens are. `caller`: its number in recordings, if it
        has one already.
        """
        if response is not None:
            settle = with_response(settle, response)
        if rejected is not None:
            began = rejected.sign_in or began
        self.runtime.yield_point("a caller enters")
        with self._lock:
            entered = self._enter(asked_by, rejected, began, force)
            if isinstance(entered, Flight) and self.store.is_recorded:
                settle = watched(settle, self.store, self.name, caller, asked_by)
            if not isinstance(entered, Flight):
                leave = stay
            elif self._login is not None and entered is self._login[1] and began not in (None, self._login[0]):
                # Somebody else is signing in. Should that fail, this call goes on; but it never gets his tokens.
                how: dict[str, Any] = {"asked_by": asked_by, "rejected": rejected, "began": began, "force": force}
                leave = AfterLogin(entered, loop, lambda: self.acquire(settle, loop, **how)).leave
            else:
                leave = entered.join(settle, loop)
        if not isinstance(entered, Flight):
            settle(*entered)
        self._do_steps()
        for slot in (self._flight, self._login):
            if slot is not None and slot[1].start is not None:
                self._start(slot[1])
        return settle.leaving(leave) if isinstance(settle, Watched) else leave

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

    def _start(self, flight: Flight[Tokens]) -> None:
        me = object()
        try:
            with self._lock:
                if flight.start is None or flight.starter is not None:
                    return
                flight.starter, start = me, flight.start
            start()
            flight.start = None
        finally:
            if flight.starter is me:
                flight.starter = None

    def conclude(self, action: SessionEvent, flight: Flight[Tokens] | None = None) -> bool:
        """Reduce what a flight brought and clear its slot, in one step. False when it came too late to count."""
        self.runtime.yield_point("an outcome is concluded")
        with self._lock:
            for_refresh, for_login = self._flight, self._login
            if for_refresh is not None and for_refresh[1] is flight:
                self._flight = None
            if for_login is not None and for_login[1] is flight:
                self._login = None
            if not is_current(action, self.auth):
                return False  # and nobody hears of it: an app would take the end of that sign-in for the end of this
            try:
                self.store.commit(action)
            except StoreClosed:
                self._closed = True  # no logout: the tokens are good, and stored where they outlive us
                return False
            except Exception as error:
                # A reducer of the app failed. The tokens must not be lost with it: the next caller tries once more.
                self._unpublished, broken = action, error
            else:
                return is_about(action, self.auth)
        self.store.report(broken, f"session {self.name}", action)
        return False

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
        if self.auth.sign_in in ("", sign_in):
            return NotSignedIn("signed out while this call waited")
        return SessionChanged("another user signed in while this call waited, so it was not sent")

    def present(self) -> tuple[str, str]:
        return present(self.auth)

    def drop(self, tokens: Tokens) -> None:
        """Tokens arrived for a sign-in that is over: end it at the server too, where the refresher can."""
        if not self._closed and self._unpublished is None and tokens.sign_in != self.auth.sign_in:
            revoke(self, tokens)

    def abandon_if_gone(self) -> None:
        """Release those who wait for a flight of a pair, or for a login, that is over. It may land; that is dropped."""
        lost: list[tuple[str, Flight[Tokens]]] = []
        with self._lock:
            auth = self.auth
            if self._flight is not None and _pair(self._flight[0]) != _pair(auth):
                lost.append((self._flight[0].sign_in, self._flight[1]))
                self._flight = None
            if self._login is not None and self._login[0] not in (auth.pending, auth.sign_in):
                lost.append(self._login)
                self._login = None
        for sign_in, flight in lost:
            flight.land(*self.instead(sign_in))

    def instead(self, sign_in: str) -> Outcome:
        """What the waiters of a flight get whose outcome came too late: the current pair, if the sign-in goes on."""
        auth = self.auth
        if not self._closed and self._unpublished is None and auth.tokens is not None and auth.sign_in == sign_in:
            return auth.tokens, None
        return None, self.gone(sign_in)

    def _enter(
        self,
        asked_by: str,
        rejected: Tokens | None,
        began: str | None,
        force: bool,
    ) -> Outcome | Flight[Tokens]:
        """The outcome, or the flight to join. What has to happen outside the lock is added to the steps."""
        if self._closed:
            return None, SessionClosed("the session is closed; make a new Session")
        if self._unpublished is not None and not self._publish_again():
            return None, self.gone("")
        auth, now = self.auth, self.runtime.now()
        if auth.status == "signing_in":
            if self._login is not None:
                return self._login[1]
            auth = replace(auth, status=auth.resume)  # that login is another process's: we are its fork
        tokens = auth.tokens
        if tokens is None:
            return None, refusal(auth)
        if began is not None and began != auth.sign_in:
            return None, SessionChanged("another user signed in since this call began, so it was not sent in his name")
        refused = rejected is not None and rejected.generation == tokens.generation
        if refused or force:
            decision = "unavailable" if is_cooling(auth, now) else "refresh"
        else:
            decision = decide(auth, now, self._windows)
        if decision in ("refresh", "refresh_ahead") and self._is_foreign():
            remaining = tokens.remaining(now)
            lives = not refused and (remaining is None or remaining > 0)
            return (tokens, None) if lives else (None, _forked())
        match decision:
            case "fresh":
                return tokens, None
            case "unavailable":
                return None, refusal(auth)
            case "refresh_ahead":
                self._fly(auth, tokens, asked_by, refused=False)
                return tokens, None
        excess = self._excess(auth, tokens, now, refused)
        if excess is not None and not self._is_flying(tokens):
            self._commit_failure(auth, excess, now)
            return None, excess
        return self._fly(auth, tokens, asked_by, refused=refused)

    def _fly(self, auth: AuthState, spent: Tokens, asked_by: str, *, refused: bool) -> Flight[Tokens]:
        """The flight that spends this pair; a new one if there is none yet."""
        if self._flight is not None:
            under_way, flight = self._flight
            if self._is_flying(spent):
                return flight
            self._steps.append(lambda: self._release(flight, under_way.sign_in))
        new: Flight[Tokens] = Flight()
        run = RefreshRun(self, new, spent, refused=refused, probe=auth.failures > 0 or auth.in_doubt)
        started = RefreshStarted(
            session=self.name,
            sign_in=spent.sign_in,
            generation=spent.generation,
            at=self.runtime.now(),
            asked_by=asked_by,
            refused=refused,
        )
        new.start = lambda: self._spawn(run.run, new, lambda error: _failed(started, error))
        self._flight = (spent, new)
        self._steps.append(lambda: self._start(new))
        self._steps.append(self.store.notify)
        try:
            self.store.commit(started)
        except Exception as error:
            failed = error  # the refresh itself does not need that reducer
            self._steps.append(lambda: self.store.report(failed, f"session {self.name}", started))
        return new

    def _is_flying(self, spent: Tokens) -> bool:
        return self._flight is not None and _pair(self._flight[0]) == _pair(spent)

    def _release(self, flight: Flight[Tokens], sign_in: str) -> None:
        flight.land(*self.instead(sign_in))

    def _spawn(
        self,
        work: Callable[[], None],
        flight: Flight[Tokens],
        failed: Callable[[RefreshUnavailable], SessionEvent],
    ) -> None:
        """Start a flight's thread; `failed` makes the event that says that there is none."""
        try:
            # At the interpreter's exit the server may have rotated already: the new pair has to reach its storage.
            linger = LINGER if self.storage.is_shared else 0.0
            self.runtime.spawn(working(lambda: self._begin(flight, work), self), "rxauth-flight", linger=linger)
        except RuntimeError as error:  # out of threads
            flight.start = None
            unavailable = RefreshUnavailable(f"no thread can be started: {error}", cause="no thread")
            self.conclude(failed(unavailable), flight)
            flight.land(error=unavailable)
            self.notify()

    def _begin(self, flight: Flight[Tokens], work: Callable[[], None]) -> None:
        """The flight's own thread: the first one, if it was started twice after a Ctrl-C."""
        with self._lock:
            if flight.begun:
                return
            flight.begun = True
        work()

    def _excess(self, auth: AuthState, tokens: Tokens, now: Instant, refused: bool) -> TooManyRefreshes | None:
        """The error, if this would be one refresh too many of those that speak of an API which refuses every token."""
        recent = [at for at in auth.counted if now.mono - at < self.settings.excess_window]
        if len(recent) < self.settings.excess or not is_premature(tokens, now, refused):
            return None
        wait = recent[-self.settings.excess] + self.settings.excess_window - now.mono
        return TooManyRefreshes(
            f"{len(recent)} new tokens in {self.settings.excess_window:g} s were refused or stale at once, so another "
            "refresh would not help; look at the API's audience, scopes and clock",
            cause="refused" if refused else "stale on arrival",
            retry_at=now.wall + wait,
        )

    def _commit_failure(self, auth: AuthState, error: TooManyRefreshes, now: Instant) -> None:
        wait = (error.retry_at or now.wall) - now.wall
        self.store.commit(
            RefreshFailed(
                session=self.name,
                sign_in=auth.sign_in,
                generation=auth.generation,
                at=now,
                error=error.again(),
                retry_at=Instant(now.wall + wait, now.mono + wait),
            )
        )
        self._steps.append(self.store.notify)

    def _publish_again(self) -> bool:
        assert self._unpublished is not None
        try:
            self.store.commit(self._unpublished)
        except Exception as error:
            failed = error
            self._steps.append(lambda: self.store.report(failed, f"session {self.name}", None))
            return False
        self._unpublished = None
        self._steps.append(self.store.notify)
        return True

    def inherit(self) -> None:
        """In the child of a fork: who is signed in now is so in the parent as well."""
        self._inherited = self.auth.sign_in

    def _is_foreign(self) -> bool:
        """Is this pair our parent's, too? Were both to spend it, the server would take that for theft."""
        return bool(self._inherited) and self.auth.sign_in == self._inherited


def _pair(of: Tokens | AuthState) -> tuple[str, int]:
    return of.sign_in, of.generation


def _failed(started: RefreshStarted, error: RefreshUnavailable) -> RefreshFailed:
    return RefreshFailed(
        session=started.session,
        sign_in=started.sign_in,
        generation=started.generation,
        at=started.at,
        error=error.again(),
    )


def _forked() -> ForkedSession:
    return ForkedSession(
        "this process is a fork and shares its parent's sign-in, so a refresh here would make the parent's refresh "
        "token a reused one; sign in here with session.login(...), or make the Session after the fork"
    )
