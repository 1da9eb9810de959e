"""One login, from the refresher's answer to the signed-in state; and the way out, at the server."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.single import working
from rxauth.errors import LoginFailed, RefresherError, RefreshMisconfigured, RxAuthError
from rxauth.refreshers.failures import failure_of, httpx_kinds, judge_login, remedy
from rxauth.refreshers.protocol import NotCalled, call, tokens_of
from rxauth.refreshers.reasons import address, reason
from rxauth.session.actions import SignedIn, SignInFailed
from rxauth.session.jobs.host import Host, next_generation, note_storage, still
from rxauth.session.settings import LONGEST_PAUSE
from rxauth.tokens.pair import Tokens

log = logging.getLogger("rxauth")


def revoke(host: Host, tokens: Tokens) -> None:
    """Tell the server that these tokens are not needed any more, where the refresher can. Never fails; blocks."""
    try:
        logout = getattr(host.refresher, "logout", None)
        if logout is None:
            return
        pending = host.runtime.io(working(lambda: call(logout, tokens), host, fetching=True), "rxauth-revoke")
        if not host.runtime.wait(pending.done, host.settings.deadline):
            log.warning("rxauth: session %r: the server did not confirm the logout in time", host.name)
            return
        pending.result()
    except BaseException as error:  # a cancelled task of the refresher's own too: nobody else is on this thread
        log.warning("rxauth: session %r: the server did not confirm the logout: %s", host.name, _unconfirmed(error))


def _unconfirmed(error: BaseException) -> str:
    if isinstance(error, RxAuthError):
        return str(error)
    kinds = httpx_kinds(error)
    if "HTTPStatusError" in kinds:
        return f"it answered {error.response.status_code} at{address(error)}"  # type: ignore[attr-defined]
    return f"{reason(error, kinds)}, at{address(error)}" if kinds else type(error).__name__


def sign_out(host: Host, gone: Collection[str], tokens: Tokens | None, flight: Flight[None]) -> None:
    """Remove what is stored of these sign-ins, revoke the tokens at the server, and say that it is done.

    What could not be removed is tried again until it is: others would go on with it, and so would the next start.
    """
    try:
        left = [sign_in for sign_in in gone if host.storage.clear(sign_in, host.present) is not None]
        if tokens is not None:
            revoke(host, tokens)
    finally:
        flight.land()
    _keep_removing(host, left, host.present)


def _keep_removing(host: Host, left: list[str], keep: Callable[[], Collection[str]] | None) -> None:
    """Try again to remove what is stored of these sign-ins, until it is done."""
    for number in itertools.count(2):
        if not left:
            return
        pause = host.settings.pause_before(number, None, host.runtime.chance())
        host.runtime.sleep(min(pause, LONGEST_PAUSE))
        left = [sign_in for sign_in in left if host.storage.clear(sign_in, keep, again=True) is not None]


class LoginRun:
    """Gets the first pair of the sign-in `sign_in` by calling `fetch`, or is `given` it.

    `run()` is the whole life of its thread.
    """

    def __init__(
        self,
        host: Host,
        flight: Flight[Tokens],
        sign_in: str,
        fetch: Callable[[], Any] | None,
        given: Tokens | None = None,
    ) -> None:
        self._host = host
        self._flight = flight
        self._sign_in = sign_in
        self._fetch = fetch
        self._given = given

    def run(self) -> None:
        try:
            tokens = self._given or self._fetched()
        except BaseException as error:
            self._fail(error)
        else:
            self._land(replace(tokens, sign_in=self._sign_in, generation=next_generation()))

    def _fetched(self) -> Tokens:
        assert self._fetch is not None
        runtime, deadline = self._host.runtime, self._host.settings.deadline
        sent = runtime.now()
        pending = runtime.io(working(self._fetch, self._host, fetching=True), "rxauth-login")
        if not runtime.wait(pending.done, deadline):
            raise TimeoutError(f"the login had no answer in {deadline:g} s")
        return tokens_of(pending.result(), sent, runtime.now())

    def _land(self, tokens: Tokens) -> None:
        host = self._host
        # A login that was overtaken stores nothing: it would replace what the other one has stored.
        unsaved = host.storage.save(tokens, lambda: host.auth.pending == self._sign_in)
        signed_in = SignedIn(session=host.name, sign_in=self._sign_in, at=host.runtime.now(), tokens=tokens)
        accepted = host.conclude(signed_in, self._flight)
        left: list[str] = []
        if accepted:
            note_storage(host, tokens, unsaved)
            self._flight.land(tokens)
            host.notify()
            if unsaved is None:  # a pair of who was signed in may have come in between
                note_storage(host, tokens, host.storage.catch_up(tokens, still(host, tokens)))
        elif host.is_kept(signed_in):
            self._flight.land(tokens)
        else:
            self._flight.land(error=host.gone(self._sign_in))
            if host.storage.clear(self._sign_in) is not None:
                left = [self._sign_in]
            self._restore()
            host.drop(tokens)
        host.notify()
        _keep_removing(host, left, None)

    def _restore(self) -> None:
        """Store the pair of who is still signed in: this login may have stored its own in that place."""
        host = self._host
        current = host.auth.tokens
        if current is not None and host.storage.is_behind(current):
            note_storage(host, current, host.storage.catch_up(current, still(host, current)))

    def _fail(self, error: BaseException) -> None:
        host = self._host
        failure = failure_of(error, judge_login)
        known = isinstance(error, TimeoutError) or not isinstance(failure.error, RefresherError)
        if isinstance(error, NotCalled):
            text = f"the refresher's login does not take these credentials: {error}"
        elif known:
            text = str(error) if isinstance(error, TimeoutError) else str(failure.error)
        else:
            text = f"{type(error).__name__} in the refresher's login{remedy(error)}"
        passes = known and failure.kind in ("transient", "in_doubt")
        passes = passes and not isinstance(failure.error, RefreshMisconfigured)
        failed = LoginFailed(
            f"the login failed: {text}",
            transient=passes or isinstance(error, TimeoutError),
            status_code=getattr(failure.error, "status_code", None),
        )
        failed.__cause__ = failure.error.__cause__ or failure.error
        log.warning("rxauth: session %r: %s", host.name, failed)
        host.conclude(
            SignInFailed(session=host.name, sign_in=self._sign_in, at=host.runtime.now(), error=failed), self._flight
        )
        self._flight.land(error=failed)
        host.notify()
