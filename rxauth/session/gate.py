"""Who may pass, who waits, and for which flight: the session's decisions, and the lock they are made under."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import LINGER, Instant
from rxauth.concurrency.single import Leave, Loop, Settle, stay, working
from rxauth.errors import (
    ForkedSession,
    RefreshUnavailable,
    SessionChanged,
    SessionClosed,
    TooManyRefreshes,
)
from rxauth.session.actions import RefreshFailed, RefreshStarted, SessionEvent, SignedIn, TokensRefreshed
from rxauth.session.core import Outcome, Outcomes, S, pair_of
from rxauth.session.jobs.adopt import look
from rxauth.session.jobs.host import is_current
from rxauth.session.jobs.refresh import RefreshRun, no_thread
from rxauth.session.jobs.restore import unreadable
from rxauth.session.jobs.shared_refresh import SharedRefreshRun
from rxauth.session.state import AuthState, decide, is_cooling, is_premature, refusal
from rxauth.session.trace import refused
from rxauth.session.waiters import AfterLogin, AfterReading, Reading, Watched, watched, with_response
from rxauth.tokens.pair import Tokens

log = logging.getLogger("rxauth")

#: While nobody is signed in, the storage is read at most once in so many seconds for who did so elsewhere.
LOOK_AGAIN = 1.0


class Gatekeeper(Outcomes[S]):
    """The inner half of a session.

    A caller reads the state inside the lock and there either gets his outcome, or joins the flight of the pair he saw,
    or creates it: so nobody can see a stale pair and post it after somebody else did. The lock is held for a few
    microseconds; reducers, which are pure, run under it, subscribers and refreshers never do.
    """

    def peek(self) -> Tokens | None:
        """The current tokens if a call may use them right now, without waiting and without a refresh in the background.

        Anything else, errors included, is for `fresh()`.
        """
        try:
            auth, now = self._select(self.store.state), self.runtime.now()
        except Exception:  # there is no slice, as fresh() says
            return None
        if auth is not self._known_fresh[0] or now.mono >= self._known_fresh[1] or now.wall >= self._known_fresh[2]:
            is_so = isinstance(auth, AuthState) and self._memory.holds(auth)
            if self._closed or not is_so or decide(auth, now, self._windows) != "fresh":
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
        looked: bool = False,
    ) -> Leave:
        """Call `settle` with tokens or an error, now or later; returns how to leave before that.

        `rejected`: the pair that the API refused, with its `response`. `began`: the sign-in under which the call began,
        if that was earlier. `force`: refresh however fresh the tokens are. `caller`: its number in recordings, if it
        has one already. `looked`: this call has waited for the storage to be read.
        """
        if response is not None:
            settle = with_response(settle, response)
        if rejected is not None:
            began = rejected.sign_in or began
        self.runtime.yield_point("a caller enters")
        with self._lock:
            entered = self._enter(asked_by, rejected, began, force, looked)
            how: dict[str, Any] = {"asked_by": asked_by, "rejected": rejected, "began": began, "force": force}
            if isinstance(entered, Flight) and self.store.is_recorded:
                settle = watched(settle, self.store, self.name, caller, asked_by)
            if not isinstance(entered, Flight):
                leave = stay
            elif isinstance(entered, Reading):
                again = partial(self.acquire, settle, loop, **how, looked=True)
                leave = AfterReading(entered, loop, again, settle).leave
            elif self._login is not None and entered is self._login[1] and began not in (None, self._login[0]):
                # Somebody else is signing in. Should that fail, this call goes on; but it never gets his tokens.
                leave = AfterLogin(entered, loop, partial(self.acquire, settle, loop, **how)).leave
            else:
                leave = entered.join(settle, loop)
        if not isinstance(entered, Flight):
            if entered[1] is not None and self.store.is_recorded and not isinstance(settle, Watched):
                refused(self.store, self.name, caller, asked_by, entered[1])
            settle(*entered)
        self._do_steps()
        for slot in (self._flight, self._login):
            if slot is not None:
                slot[1].take_off()
        if self._reading is not None:
            self._reading.take_off()
        return settle.leaving(leave) if isinstance(settle, Watched) else leave

    def pass_on(self, flight: Flight[Tokens], sign_in: str) -> None:
        """The sign-in that goes on in the place of this one may have a stale pair: then they wait for its refresh."""
        present = self.auth.sign_in
        if sign_in != present and self._continuity.counts(sign_in, present):
            self.acquire(flight.land, None, asked_by="calls of the same account's earlier sign-in", began=sign_in)
        else:
            super().pass_on(flight, sign_in)

    def _enter(
        self,
        asked_by: str,
        rejected: Tokens | None,
        began: str | None,
        force: bool,
        looked: bool,
    ) -> Outcome | Flight[Tokens]:
        """The outcome, or the flight to join. What has to happen outside the lock is added to the steps."""
        if self._closed:
            return None, SessionClosed("the session is closed; make a new Session")
        if self._unpublished is not None and not self._publish_again():
            kept = self._unpublished_pair(rejected, began)
            return kept, None if kept is not None else self.gone("")
        auth, now = self._agree(), self.runtime.now()
        if auth is None:
            return None, self.gone("")
        if auth.status == "signing_in":
            if self._login is not None:
                return self._login[1]
            auth = replace(auth, status=auth.resume)  # that login is another process's: we are its fork
        tokens = auth.tokens
        if tokens is None:
            asks = self.storage.is_exclusive and began is None and not looked
            return self._look_elsewhere(auth, now) if asks else (None, refusal(auth))
        if began is not None and not self.counts(began):
            return None, SessionChanged("another user signed in since this call began, so it was not sent in his name")
        refused = rejected is not None and _is_refused(tokens, rejected)
        if refused or force:
            decision = "unavailable" if is_cooling(auth, now) else "refresh"
        else:
            decision = decide(auth, now, self._windows)
            if decision in ("refresh", "refresh_ahead") and not auth.refused and self._is_last(tokens, now):
                return tokens, None
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
        counted = tuple(self._forced) if force else auth.counted
        excess = self._excess(counted, tokens, now, refused or force)
        if excess is not None and not self._is_flying(tokens):
            self._commit_failure(auth, excess, now)
            return None, excess
        if force and not self._is_flying(tokens):
            self._forced = [*counted[-self.settings.excess :], now.mono]
        return self._fly(auth, tokens, asked_by, refused=refused)

    def _is_last(self, tokens: Tokens, now: Instant) -> bool:
        """Does this token still serve, and is there nothing to replace it with? Then it is used to its end."""
        lost = tokens.refresh is None or tokens.is_refresh_over(now)
        return lost and not tokens.is_over(now) and not getattr(self.refresher, "unattended", False)

    def _look_elsewhere(self, auth: AuthState, now: Instant) -> Outcome | Reading:
        """Nobody is signed in here. Has somebody signed in elsewhere, or could the storage not be read before?"""
        if self._reading is None:
            at, error = self._looked
            if now.mono - at < LOOK_AGAIN:
                return None, error.again() if error is not None else refusal(auth)
            self._reading = reading = Reading()
            reading.start = partial(self._read, reading)
            self._steps.append(reading.take_off)
        return self._reading

    def _read(self, reading: Reading) -> None:
        def read() -> None:
            error: RefreshUnavailable | None = None
            try:
                look(self)
            except BaseException as failed:
                error = unreadable(failed)
            with self._lock:
                self._reading = None
                self.note_look(error)
            reading.land(error=error)

        try:
            self.runtime.spawn(working(read, self), "rxauth-reading")
        except RuntimeError:  # out of threads
            self._reading = None
            reading.land(error=RefreshUnavailable("no thread can be started", cause="no thread"))

    def _fly(self, auth: AuthState, spent: Tokens, asked_by: str, *, refused: bool) -> Flight[Tokens]:
        """The flight that spends this pair; a new one if there is none yet."""
        if self._flight is not None:
            under_way, flight = self._flight
            if self._is_flying(spent):
                return flight
            self._steps.append(lambda: self._release(flight, under_way.sign_in))
        new: Flight[Tokens] = Flight()
        kind = SharedRefreshRun if self.storage.is_exclusive else RefreshRun
        run = kind(self, new, spent, refused=refused, probe=auth.failures > 0 or auth.in_doubt)
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
        self._steps.append(new.take_off)
        self._steps.append(self.store.notify)
        self._tried(started)  # the refresh itself does not need that reducer
        return new

    def _is_flying(self, spent: Tokens) -> bool:
        return self._flight is not None and pair_of(self._flight[0]) == pair_of(spent)

    def _release(self, flight: Flight[Tokens], sign_in: str) -> None:
        flight.land(*self.instead(sign_in))

    def _spawn(
        self,
        work: Callable[[], None],
        flight: Flight[Tokens],
        failed: Callable[[RefreshUnavailable], SessionEvent],
    ) -> None:
        """Start a flight's thread; `failed` makes the event that says that there is none."""

        def begin() -> None:
            if not flight.begin():
                return
            try:
                work()
            except BaseException as error:  # of ours: everybody else's is met where it comes up
                log.exception("rxauth: session %r: a fault of the library", self.name)
                end(RefreshUnavailable(f"{type(error).__name__} in the library itself", cause="crashed"))

        def end(unavailable: RefreshUnavailable) -> None:
            flight.start = None
            try:
                self.conclude(failed(unavailable), flight)
            finally:
                flight.land(error=unavailable)
            self.notify()

        try:
            # At the interpreter's exit the server may have rotated already: the new pair has to reach its storage.
            linger = LINGER if self.storage.is_shared else 0.0
            self.runtime.spawn(working(begin, self), "rxauth-flight", linger=linger)
        except RuntimeError as error:  # out of threads
            end(no_thread(error))

    def _excess(self, counted: tuple[float, ...], tokens: Tokens, now: Instant, asked: bool) -> TooManyRefreshes | None:
        """The error, if this would be one refresh too many of those that speak of an API which refuses every token, or
        of an app that forces one after the other. `asked`: for one of these it is, and not for its age."""
        recent = [at for at in counted if now.mono - at < self.settings.excess_window]
        if len(recent) < self.settings.excess or not is_premature(tokens, now, asked):
            return None
        wait = recent[-self.settings.excess] + self.settings.excess_window - now.mono
        return TooManyRefreshes(
            f"{len(recent)} new tokens in {self.settings.excess_window:g} s were refused, stale or replaced at once, "
            "so another refresh would not help; look at the API's audience, scopes and clock, and at what dispatches a "
            "Refresh",
            cause="refused" if asked else "stale on arrival",
            retry_at=now.wall + wait,
        )

    def _commit_failure(self, auth: AuthState, error: TooManyRefreshes, now: Instant) -> None:
        wait = (error.retry_at or now.wall) - now.wall
        self._tried(
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
        """Reduce what a reducer of the app failed on, if it still counts."""
        action, before = self._unpublished, self.auth
        assert action is not None
        if is_current(action, before):
            if not self._tried(action):
                return False
            if isinstance(action, SignedIn):
                self._follow(before, action.tokens)
            self._steps.append(self.store.notify)
        self._unpublished = None
        return True

    def _unpublished_pair(self, rejected: Tokens | None, began: str | None) -> Tokens | None:
        """The pair that only the app's reducer stands in the way of, for a call that it has not failed yet."""
        action = self._unpublished
        if not isinstance(action, TokensRefreshed | SignedIn) or began not in (None, action.sign_in):
            return None
        tokens, remaining = action.tokens, action.tokens.remaining(self.runtime.now())
        is_refused = rejected is not None and _is_refused(tokens, rejected)
        return None if is_refused or (remaining is not None and remaining <= 0) else tokens


def _is_refused(tokens: Tokens, rejected: Tokens) -> bool:
    """Is it this pair that the API refused? One that a caller made by hand has no number, so its text is compared."""
    return rejected.generation == tokens.generation if rejected.generation else rejected.access == tokens.access


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
