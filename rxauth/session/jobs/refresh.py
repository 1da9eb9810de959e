"""One refresh, from its first try to its landing."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import Instant, Pending
from rxauth.concurrency.single import working
from rxauth.errors import RefreshMisconfigured, RefreshTimeout, RefreshUnavailable, RxAuthError, SessionExpired
from rxauth.refreshers.failures import Failure, failure_of
from rxauth.refreshers.protocol import call, rotates, tokens_of
from rxauth.session.actions import (
    RefreshFailed,
    SessionEnded,
    TokensRefreshed,
)
from rxauth.session.jobs.host import UNDER_WAY, Host, next_generation, note_storage, still
from rxauth.session.state import is_premature
from rxauth.tokens.pair import Tokens

log = logging.getLogger("rxauth")


class RefreshRun:
    """Spends the refresh token of `spent` and tells the session, then the flight's waiters, then everybody else.

    `run()` is the whole life of the flight's own thread. `refused`: the API refused the access token. `probe`: the last
    refresh failed, so this one gets a single try.
    """

    def __init__(self, host: Host, flight: Flight[Tokens], spent: Tokens, *, refused: bool, probe: bool) -> None:
        self._host = host
        self._flight = flight
        self._spent = spent
        self._refused = refused
        self._tries = 1 if probe else host.settings.tries
        #: Does a post spend the refresh token? If it does not, a try without an answer is repeated like any other.
        self._rotates = rotates(host.refresher)
        #: Did somebody begin to spend this pair, whose answer is not known?
        self._doubted = False

    def run(self) -> None:
        try:
            self._catch_up()
            self._fly()
        except BaseException as error:  # ours: nobody may wait for ever
            self._crash(error)

    def _crash(self, error: BaseException) -> None:
        if self._flight.landed:
            raise error
        self._fail(failure_of(error))

    def _fly(self) -> None:
        host, runtime = self._host, self._host.runtime
        end = runtime.now().mono + host.settings.deadline
        work = self._work()
        if isinstance(work, Failure):
            self._fail(work)
            return
        for number in itertools.count(1):
            if not self._is_current():
                host.pass_on(self._flight, self._spent.sign_in)
                return
            if host.calls.are_hanging(self._spent.sign_in):
                self._fail(Failure("transient", self._still_hanging()))
                return
            sent = runtime.now()
            try:
                pending = runtime.io(working(work, host, fetching=True), "rxauth-post")
            except RuntimeError as error:  # out of threads
                self._fail(Failure("crashed", no_thread(error)))
                return
            host.calls.add(self._spent.sign_in, pending.done)
            late = not runtime.wait(pending.done, max(0.0, end - sent.mono))
            if late:
                self._time_out()
                self._listen(pending)
            outcome = self._outcome(pending, sent)
            if isinstance(outcome, Tokens):
                self._land(outcome)
                return
            if outcome.kind == "in_doubt" and not self._rotates:
                outcome = replace(outcome, kind="transient", repeat=True)
            if late and outcome.kind != "final":
                return  # whoever asked has been told, and a failure that comes late says nothing new
            pause = host.settings.pause_before(number + 1, outcome.retry_after, runtime.chance())
            last = number >= self._tries or not outcome.repeat or runtime.now().mono + pause >= end
            if last or self._flight.landed:
                self._fail(outcome)
                return
            runtime.sleep(pause)

    def _still_hanging(self) -> RefreshUnavailable:
        refresher = self._host.refresher
        name = getattr(refresher, "__qualname__", type(refresher).__qualname__)
        return RefreshUnavailable(
            f"{UNDER_WAY} calls of the refresher, {name}, have not returned, so it is not called again before one of "
            "them does; give its HTTP client a timeout",
            cause="in_doubt",
        )

    def _work(self) -> Callable[[], Any] | Failure:
        """What to call, or why nothing needs to be called to know that the sign-in is over."""
        refresher, spent, now = self._host.refresher, self._spent, self._host.runtime.now()
        remaining = spent.refresh_remaining(now)
        unattended = getattr(refresher, "unattended", False)
        # The wall clock may be wrong. A session that signs in again by itself loses nothing by that; else the server
        # decides.
        is_over = spent.is_refresh_over(now) or (unattended and remaining is not None and remaining <= 0)
        if spent.refresh is not None and not is_over:
            return lambda: call(refresher, spent)
        if unattended:
            login = getattr(refresher, "login", None)
            return (lambda: call(login)) if login is not None else (lambda: call(refresher, spent))
        cause, what = "refresh token expired", "the refresh token has expired"
        if spent.refresh is None:
            cause, what = "no refresh token", "there is no refresh token"
        return Failure("final", SessionExpired(f"the access token is stale, and {what}", cause=cause))

    def _outcome(self, pending: Pending[Any], sent: Instant) -> Tokens | Failure:
        try:
            return tokens_of(pending.result(), sent, self._host.runtime.now(), keep=self._spent)
        except BaseException as error:
            return failure_of(error)

    def _is_current(self) -> bool:
        return self._host.holds(self._spent)

    def _about(self) -> dict[str, Any]:
        spent, host = self._spent, self._host
        return {
            "session": host.name,
            "sign_in": spent.sign_in,
            "generation": spent.generation,
            "at": host.runtime.now(),
        }

    def _land(self, answer: Tokens) -> None:
        """Persist, reduce and clear the slot, release the waiters, then notify: in this order."""
        tokens = self._new(answer)
        self._publish(tokens, self._host.storage.save(tokens, self._is_current))

    def _new(self, answer: Tokens) -> Tokens:
        """The pair in an answer, with what it keeps of the one that was spent."""
        spent = self._spent
        self._host.runtime.yield_point("new tokens are stored")
        return replace(
            answer,
            refresh=answer.refresh or spent.refresh,
            refresh_expires_at=answer.refresh_expires_at if answer.refresh else spent.refresh_expires_at,
            refresh_received=answer.refresh_received if answer.refresh else spent.refresh_received,
            scope=answer.scope if answer.scope is not None else spent.scope,
            sign_in=spent.sign_in,
            generation=next_generation(),
        )

    def _publish(self, tokens: Tokens, unsaved: Exception | None) -> None:
        """Reduce and clear the slot, release the waiters, then notify; the pair is stored, but for that error."""
        host, spent = self._host, self._spent
        now = host.runtime.now()
        counted = tuple(at for at in host.auth.counted if now.mono - at < host.settings.excess_window)
        if is_premature(spent, now, self._refused) or is_premature(tokens, now, False):
            counted = (*counted, now.mono)
        refreshed = TokensRefreshed(**self._about(), tokens=tokens, counted=counted)
        accepted = host.conclude(refreshed, self._flight)
        if accepted:
            note_storage(host, tokens, unsaved)
            host.runtime.yield_point("waiting calls are released")
            self._flight.land(tokens)
        elif host.is_kept(refreshed):
            self._flight.land(tokens)
        else:
            host.pass_on(self._flight, spent.sign_in)
            host.drop(tokens)
        host.notify()
        if accepted and unsaved is None:  # a login that was overtaken may have put back the pair of before
            note_storage(host, tokens, host.storage.catch_up(tokens, still(host, tokens)))
            host.notify()

    def _fail(self, failure: Failure) -> None:
        host, now = self._host, self._host.runtime.now()
        if failure.kind == "final":
            self._end(failure)
            return
        error = failure.error.again()
        wait: float | None
        if failure.kind == "crashed":
            wait = None
        elif isinstance(error, RefreshMisconfigured):
            wait = host.settings.pause
        else:
            wait = host.settings.cool_down_after(host.auth.failures, failure.retry_after, host.runtime.chance())
        retry_at = None if wait is None else Instant(now.wall + wait, now.mono + wait)
        self._give_up(error, retry_at, in_doubt=failure.kind == "in_doubt")

    def _time_out(self) -> None:
        host, now, what = self._host, self._host.runtime.now(), "the token endpoint did not answer"
        if not self._rotates:
            wait = host.settings.cool_down_after(host.auth.failures, None, host.runtime.chance())
            error = RefreshTimeout(f"{what} in {host.settings.deadline:g} s", cause="no answer")
        else:
            wait = host.settings.listen
            error = RefreshTimeout(
                f"{what} in {host.settings.deadline:g} s; its answer still counts if it comes, and nobody posts for "
                f"another {wait:g} s",
                cause="in_doubt",
            )
        self._give_up(error, Instant(now.wall + wait, now.mono + wait), in_doubt=self._rotates)

    def _listen(self, pending: Pending[Any]) -> None:
        """Wait for an answer that is late: it counts, however late, while this pair is the current one."""
        self._host.runtime.wait(pending.done)

    def _give_up(self, error: RxAuthError, retry_at: Instant | None, *, in_doubt: bool) -> None:
        host = self._host
        if hasattr(error, "retry_at"):
            error.retry_at = retry_at.wall if retry_at else None
        about = self._about()
        wait = f"next try in {retry_at.mono - about['at'].mono:.0f} s" if retry_at else "the next call tries again"
        log.warning("rxauth: session %r: the refresh failed, the sign-in is kept: %s; %s", host.name, error, wait)
        host.conclude(RefreshFailed(**about, error=error, retry_at=retry_at, in_doubt=in_doubt), self._flight)
        if self._is_current():
            self._flight.land(error=error)
        else:
            host.pass_on(self._flight, self._spent.sign_in)
        host.notify()

    def _end(self, failure: Failure) -> None:
        """The server ended the sign-in: say so once, and forget the tokens."""
        host, spent, cause = self._host, self._spent, failure.error
        lost = (host.auth.in_doubt or self._doubted) and not isinstance(cause, SessionExpired)
        expired = SessionExpired(
            f"{cause}; it was spent by an earlier refresh whose answer was lost" if lost else str(cause),
            cause="answer lost" if lost else getattr(cause, "cause", "refused"),
            status_code=getattr(cause, "status_code", None),
        )
        expired.__cause__ = cause
        if lost:
            expired.__context__ = host.auth.error  # of the refresh whose answer was lost
        log.warning("rxauth: session %r: the sign-in is over: %s", host.name, expired)
        ended = SessionEnded(**self._about(), cause=expired)
        if host.conclude(ended, self._flight) or host.is_kept(ended):
            host.storage.clear(spent.sign_in, host.present, cause=expired)
            self._flight.land(error=expired)
        else:
            value, error = host.instead(spent.sign_in)
            self._flight.land(value, expired if error is not None and self._is_current() else error)
        host.notify()

    def _catch_up(self) -> None:
        """Store the pair that could not be stored: before the post, because afterwards its refresh token is spent."""
        storage, spent = self._host.storage, self._spent
        if storage.is_behind(spent):
            note_storage(self._host, spent, storage.save(spent, self._is_current))


def no_thread(error: RuntimeError) -> RefreshUnavailable:
    """The system has no thread for it: nothing was sent."""
    return RefreshUnavailable(f"no thread can be started: {error}", cause="no thread")
