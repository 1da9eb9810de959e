"""`Session`: one sign-in, its gate, and the ways in and out of it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Never, NoReturn, TypeVar, Unpack, cast

from reactivex import Observable

from rxauth.concurrency.closing import Closing
from rxauth.concurrency.flight import Flight
from rxauth.concurrency.policy import Policy
from rxauth.concurrency.runtime import LINGER, Runtime, running_loop
from rxauth.concurrency.single import Single, working
from rxauth.errors import InvalidTokens, MissingSlice, RxAuthError, SessionChanged, SessionClosed, StoreClosed, as_error
from rxauth.redaction.display import Shown
from rxauth.redaction.tracebacks import concealed
from rxauth.refreshers.protocol import Refresher, call, keywords_of
from rxauth.session.actions import Login, Logout, Refresh, SignedOut, SignInFailed, SigningIn
from rxauth.session.core import S
from rxauth.session.effects import Failed, Project, gate
from rxauth.session.ensure import Ensuring
from rxauth.session.explain import explain
from rxauth.session.gate import Gatekeeper
from rxauth.session.gated import gated
from rxauth.session.jobs.adopt import look
from rxauth.session.jobs.host import let_it_end
from rxauth.session.jobs.login import LoginRun, sign_out
from rxauth.session.jobs.persistence import GuardedStorage
from rxauth.session.jobs.restore import Resumption, resume
from rxauth.session.presence import until_closed
from rxauth.session.registry import all_sessions, check_slice, move_in
from rxauth.session.settings import Settings, SettingsOptions, check_lease
from rxauth.session.state import AuthState, auth_reducer, is_refreshing, present
from rxauth.session.waiters import Reading
from rxauth.storage import MemoryStorage, TokenStorage
from rxauth.storage.protocol import check_storage
from rxauth.store.store import Store
from rxauth.tokens.origins import Origins
from rxauth.tokens.pair import Tokens

T = TypeVar("T")
R = TypeVar("R")


class Session(Shown, Closing, Gatekeeper[S]):
    """A sign-in that keeps itself fresh, for any number of callers on any threads and event loops.

    `refresh` fetches new tokens: `simplejwt(...)`, `oauth2(...)` or a function of the current `Tokens`, sync or async,
    that returns `Tokens` or the token endpoint's JSON. It is called on a thread of the session's own, once for all
    who wait.

    `Session(refresh)` makes a store of its own; `Session(refresh, store=store, select=lambda app: app.auth)` lives in
    yours, in the `AuthState` that `select` finds, and raises `MissingSlice` when there is none or the store's reducer
    does not handle the session's events. The session keeps no truth of its own: it dispatches events and reads that
    state. But it posts no pair again that it has spent: after an undo of the state it publishes the newest one, and a
    reset of the state is a logout. See docs/actions.md.

    `tokens` is a pair that you already have, for example from a configuration or a device login. It begins a new
    sign-in, in the place of whatever is stored, unless the `storage` knows the pair: then what became of it is resumed,
    so that the same pair can be given at every start. If its sign-in is over, by a logout or by the server, the pair is
    not used again: calls get `SessionExpired` until somebody signs in. See docs/storage.md.

    `origins` are the places, as `"https://host"`, that may be sent the access token, beside the refresher's. `storage`
    keeps the tokens between runs; it is read here, but on a running event loop in the background, and calls wait for it
    as for a login. `time` is the clock and the threads; in a test `time=VirtualTime()`. `name` tells the
    sessions of one store apart; the slice of one that is not "default" begins as `AuthState(session=name)`. The numbers
    (`leeway`, `deadline`, ...), in seconds, are those of `rxauth.session.Settings`.

    Raises `OriginNotAllowed` for a token endpoint or an origin that is plain http on another machine, `InvalidTokens`,
    `MissingSlice`, `StorageInUse` for a `MemoryStorage` of a session that is open, and TypeError or ValueError for
    another wrong argument.
    """

    @concealed
    def __init__(
        self,
        refresh: Refresher,
        *,
        tokens: Tokens | Mapping[str, Any] | None = None,
        origins: Collection[str] = (),
        storage: TokenStorage | None = None,
        time: Runtime | None = None,
        name: str = "default",
        store: Store[S] | None = None,
        select: Callable[[S], AuthState] | None = None,
        **settings: Unpack[SettingsOptions],
    ) -> None:
        if not callable(refresh):
            raise TypeError(f"refresh must be simplejwt(...), oauth2(...) or a function, got {type(refresh).__name__}")
        if sys.platform in ("emscripten", "wasi"):
            raise RxAuthError("a session refreshes on a thread of its own, and this platform has none")
        if storage is not None:
            check_storage(storage)
        numbers = Settings.of(**settings)
        check_lease(storage, numbers)
        clock = Runtime() if time is None else time
        if not isinstance(clock, Runtime):
            raise TypeError(f"time must be a clock such as VirtualTime(), got {type(clock).__name__}")
        self.origins = Origins(getattr(refresh, "origins", ()), origins)
        if store is not None or select is not None:
            check_slice(store, select or _whole, name, clock.now())
        self._owns_store = store is None
        #: How often `logout` was called.
        self.logouts = 0
        super().__init__(
            refresh,
            name,
            store or cast("Store[S]", Store(auth_reducer, AuthState(session=name))),
            select or cast("Callable[[S], AuthState]", _whole),
            GuardedStorage(storage or MemoryStorage(), clock, numbers.save_timeout, getattr(refresh, "endpoint", "")),
            clock,
            numbers,
        )
        if clock.scheduler is not None:
            self.store.keep_time(clock.scheduler)
        # First what may raise: what listens to the store stays there for as long as the store lives.
        given = None if tokens is None else self._checked(tokens)
        self.storage.claim(self)
        move_in(self)
        self._subscriptions = [
            self.store.actions.of_type(Login, Logout, Refresh).subscribe(self._obey),
            # An app may end the sign-in without us, by resetting its state.
            self.store.select(self._present_in).subscribe(
                lambda _: self.abandon_if_gone(), on_completed=self.end_presence
            ),
        ]
        if given is None and is_refreshing(self.auth):
            let_it_end(self)
        self._start_with(given)
        self._unwatch = self.storage.watch(self._look)

    # -- the gate --------------------------------------------------------------------------------------------------

    def fresh(self) -> Single[Tokens]:
        """An Observable of exactly one `Tokens`, or an error: subscribe it, `await` it, or `.run()` it.

        Fresh tokens come at once. Stale ones wait for the one refresh of all callers. Errors: `NotSignedIn`,
        `SessionExpired` after the server ended the sign-in, `SessionChanged` when another user signed in meanwhile,
        `RefreshUnavailable` (with `retry_at`), `RefreshTimeout`, `RefreshMisconfigured`, `RefresherError`,
        `SessionClosed`; `LoginFailed` when the login failed that it waited for, `ForkedSession` in the child of a fork,
        `WouldDeadlock` for a blocking wait on the refresh's own thread. Leaving early does not stop the refresh.

        To begin now and wait later: `asyncio.ensure_future(session.fresh())`.
        """
        return Single(lambda settle, loop: self.acquire(settle, loop, asked_by="fresh()"), self.runtime, self)

    def replace(self, rejected: Tokens | None = None, *, response: Any = None) -> Single[Tokens]:
        """The server refused `rejected` (None: the current tokens): emits the tokens to try instead.

        When `rejected` are not the current tokens any more (by generation; by text for `Tokens(access)` made by hand,
        which have none), these are the current ones, without a refresh. Errors: those of `fresh()`, with the refusal as
        `.response`; `SessionChanged` when the current tokens are another user's.
        """
        if rejected is not None and not isinstance(rejected, Tokens):
            raise TypeError(f"replace() takes the Tokens that were refused, got {type(rejected).__name__}")
        return Single(
            lambda settle, loop: self.acquire(
                settle, loop, asked_by="replace()", rejected=rejected or self.auth.tokens, response=response
            ),
            self.runtime,
            self,
        )

    def gate(
        self,
        project: Project[T, R],
        *,
        policy: Policy = "merge",
        failed: Failed[T, R] | None = None,
        waiting: int = 1000,
    ) -> Callable[[Observable[T]], Observable[R]]:
        """An operator: for each item wait for fresh tokens, then run `project(item, tokens)`.

        `project` returns an Observable, whose values are passed on, or an awaitable, which runs on the event loop on
        which the result is subscribed. An item that fails ends alone: `failed(item, error)` maps it to a value, else
        the error is reported to the store.

        An effect goes on through refreshes, and ends with the sign-in that it began under: when that is over, it is
        cancelled, none of its values is passed any more, and its item fails with `NotSignedIn` (signed out),
        `SessionExpired` (the server ended it), `SessionChanged` (another user signed in) or `SessionClosed`. A session
        that is closed reports once for all its items.

        `raise TokenRejected` in `project` means that the server refused the tokens: they are replaced and the item runs
        once more, once per generation. A pair that is refused as well, although it came in the place of another one and
        the item has emitted nothing with it, is the item's failure.

        `policy`: `merge` runs all items at once, `latest` cancels the one before, `first` drops items while one runs,
        `in_order` runs one after the other. `waiting` is how many items may wait, for their turn or for tokens; another
        one fails with `TooManyWaiting`. Items that ran already, and wait for tokens once more, are not counted. Raises
        ValueError for another policy or fewer than 1, TypeError for what is no function.
        """
        return gate(self, project, policy, failed, waiting)

    def gated(self, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Single[Any]]:
        """A function action that waits for fresh tokens: `await store.dispatch(session.gated(load))`.

        When it is dispatched, a refresh starts if the token is stale, and `function(dispatch, get_state)` runs after
        it. Without a token nothing is held. The result of the dispatch is that of `function`, to `await`, `.run()` or
        subscribe; an async `function` runs on the event loop it was dispatched on. An error of a result that nobody
        holds is reported to the store.

        An async `function` ends, as an effect does, with the sign-in that it began under: it is cancelled, and its
        result is the error. One that signs out by itself, with `session.logout()` or an action, goes on.
        """
        return gated(self, function)

    # -- in and out ------------------------------------------------------------------------------------------------

    @concealed
    def login(self, *given: Never, **credentials: Any) -> Single[Tokens]:
        """Sign in with the refresher's login. It begins now; calls that arrive meanwhile wait for it.

        Emits the tokens, or `LoginFailed`; whoever was signed in before then still is. The credentials are keywords:
        `session.login(username=..., password=...)`. Raises TypeError for others and for a refresher without a login.
        """
        login = self._refreshers_login()
        if given:
            raise TypeError(f"the credentials are keywords: session.login({keywords_of(login)})")
        return self._log_in(login, credentials)

    @concealed
    def ensure(self, *given: Never, **credentials: Any) -> Single[Tokens]:
        """Signed in already, also by what is stored, or else `login(**credentials)`. It begins now.

        Emits what `fresh()` does where somebody is signed in, after a refresh if one is needed and when the storage has
        been read; and what `login` does where nobody is, or the server ended the sign-in. Calls that come together make
        one login, with the credentials of the first of them. Errors: those of both, and `NotSignedIn` after a logout
        that came meanwhile. Without a refresh at the moment (`RefreshUnavailable`) the sign-in is kept: no login.
        """
        if given:
            raise TypeError(f"the credentials are keywords: session.ensure({keywords_of(self._refreshers_login())})")
        ensuring = Ensuring(self, lambda: self._log_in(self._refreshers_login(), credentials, unless_somebody=True))
        ensuring.ask()
        return Single(ensuring.flight.join, self.runtime, self)

    @concealed
    def sign_in(self, tokens: Tokens | Mapping[str, Any]) -> Single[Tokens]:
        """Sign in with tokens that you have, in the place of whoever was signed in. Raises `InvalidTokens`."""
        given = self._checked(tokens)
        return self._sign_in(lambda flight, sign_in: LoginRun(self, flight, sign_in, None, given).run)

    def logout(self) -> Single[None]:
        """Sign out: at once here, then in the storage and, where the refresher can, at the server.

        Waiting calls get `NotSignedIn`, and a refresh in flight revives nobody. Emits None when all is done; a server
        that can not be reached is logged.

        An app shows its login page and drops the user's data on the action `SignInEnded`, which comes once for a logout
        and once for a session that the server ended: `store.actions.of_type(SignInEnded)`, or in a reducer.
        """
        with self._lock:
            if self._closed:
                raise SessionClosed("the session is closed; make a new Session")
            auth = self._agree() or self.auth
            tokens = self._memory.newest or auth.tokens
            self.logouts += 1
            gone = [sign_in for sign_in in (auth.sign_in, auth.pending) if sign_in]
            if self._login is not None:  # a reducer may lose what follows, and then the login must not count
                (pending, waiting), self._login = self._login, None
                self._steps.append(lambda: self._release(waiting, pending))
            if gone:
                signed_out = SignedOut(session=self.name, sign_in=gone[0], at=self.runtime.now())
                try:
                    self._commit(signed_out)
                except StoreClosed:
                    raise
                except Exception as error:  # a reducer of the app's failed, which is no reason to keep the tokens
                    failed = error
                    self._steps.append(lambda: self.store.report(failed, f"session {self.name}", signed_out))
        flight: Flight[None] = Flight()
        finish = working(partial(sign_out, self, gone, tokens, flight), flight)
        if gone:
            try:
                self.runtime.spawn(finish, "rxauth-logout", linger=LINGER if self.storage.is_shared else 0.0)
            finally:  # out of threads or not: here nobody is signed in any more, and all are told
                self.notify()
        else:
            self._do_steps()
            flight = self._ending or flight  # the app has reset its state: that is a logout under way
            if flight is not self._ending:
                flight.land()
        return Single(flight.join, self.runtime, self)

    def explain(self) -> str:
        """Why is the session in this state: when, what for, who asked, and what to do next."""
        if self._closed:
            return f"session {self.name!r} is closed: it refreshes nothing any more; make a new Session"
        auth, unread = self.auth, self._looked[1]
        if auth.status == "signed_out" and auth.error is None:
            auth = replace(auth, error=unread)
        return explain(auth, self.name, self.runtime.now())

    def close(self) -> None:
        """Release waiting calls with `SessionClosed`; a refresh on the wire is still stored. Idempotent."""
        with self._lock:
            self._closed = True
            self._known_fresh = (None, 0.0, 0.0)
            flights = [entry[1] for entry in (self._flight, self._login) if entry is not None]
            flights += [self._reading] if self._reading is not None else []
            self._flight = self._login = self._reading = None
        with ExitStack() as steps:  # each of them is done, whatever those before it raise
            if self._owns_store:
                steps.callback(self.store.close)
            steps.callback(self.storage.release, self)
            for flight in reversed(flights):
                error = SessionClosed("the session was closed while this call waited")
                steps.callback(flight.land, error=error)
            steps.callback(self.end_presence)
            for subscription in reversed(self._subscriptions):
                steps.callback(subscription.dispose)
            unwatch, self._unwatch = self._unwatch, _nothing  # which holds the watch, and that this session
            steps.callback(unwatch)

    @property
    def states(self) -> Observable[AuthState]:
        """This session's `AuthState`: now, then whenever it is another. It completes when the session or its store is
        closed, and never fails. Called back where the store delivers."""
        return until_closed(self.store.select(self._select), self.store, self.presence, lambda: self._closed)

    @property
    def is_closed(self) -> bool:
        """True from `close()` on."""
        return self._closed

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session can not be pickled: its flights and locks belong to this process; make one there")

    def __copy__(self) -> NoReturn:
        raise TypeError("a session can not be copied: both would spend one refresh token; share this one")

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__copy__()

    def __repr__(self) -> str:
        auth = self.auth
        return f"Session({self.name!r}, {auth.status}, generation={auth.generation})"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _refreshers_login(self) -> Callable[..., Any]:
        login: Callable[..., Any] | None = getattr(self.refresher, "login", None)
        if login is None:
            raise TypeError(
                f"{self.refresher!r} has no login; fetch the tokens yourself and call session.sign_in(tokens)"
            )
        return login

    @concealed
    def _log_in(
        self, login: Callable[..., Any], credentials: Mapping[str, Any], *, unless_somebody: bool = False
    ) -> Single[Tokens]:
        fetch = partial(call, login, **credentials)
        return self._sign_in(
            lambda flight, sign_in: LoginRun(self, flight, sign_in, fetch).run, unless_somebody=unless_somebody
        )

    def _sign_in(
        self,
        how: Callable[[Flight[Tokens], str], Callable[[], None]],
        kind: type[Flight[Tokens]] = Flight,
        *,
        unless_somebody: bool = False,
    ) -> Single[Tokens]:
        """Begin a login, for which all calls wait; `how` gets its flight and its id and returns the work. With
        `unless_somebody` there is none where somebody is signed in, or about to be: that is waited for."""
        flight = kind()
        sign_in = secrets.token_hex(8)
        flight.start = lambda: self._spawn(
            how(flight, sign_in),
            flight,
            lambda error: SignInFailed(session=self.name, sign_in=sign_in, at=self.runtime.now(), error=error.again()),
        )
        with self._lock:
            if self._closed:
                raise SessionClosed("the session is closed; make a new Session")
            auth = self._agree()
            if auth is None and isinstance(self._disagreement, MissingSlice):
                raise self._disagreement.again()
            if unless_somebody and (self._login is not None or (auth or self.auth).tokens is not None):
                return self.fresh()
            # Reduced first: in a closed store there is no login, and nobody must wait for it.
            self.store.commit(SigningIn(session=self.name, sign_in=sign_in, at=self.runtime.now()))
            before, self._login = self._login, (sign_in, flight)
            if before is not None:
                overtaken, changed = before[1], SessionChanged("another login began, so this one does not count")
                self._steps.append(partial(overtaken.land, error=changed))
            self._steps.append(flight.take_off)
            self._steps.append(self.store.notify)
        self._do_steps()
        return Single(flight.join, self.runtime, self)

    def _start_with(self, given: Tokens | None) -> None:
        """Begin signed in, with the tokens given, or with what became of them, or else with those in the storage."""
        blocks = not self.storage.is_shared or running_loop() is None
        if blocks:
            resume(self, given)
        else:
            self._sign_in(lambda flight, pending: Resumption(self, flight, pending, given).run, Reading)

    def _present_in(self, state: S) -> tuple[str, str, int]:
        try:
            auth = self._select(state)
            return *present(auth), auth.generation
        except Exception:  # the app has dropped the slice: nobody is signed in
            return "", "", -1

    def _look(self) -> None:
        """The storage says that another process has changed the record."""
        where = f"session {self.name}, looking at what another process stored"
        try:
            working(partial(look, self), look)()
        except BaseException as error:  # on a thread of the storage's, whom it does not concern
            self.store.report(as_error(error, where), where, None)

    def _checked(self, tokens: Tokens | Mapping[str, Any]) -> Tokens:
        """The pair that a user brought, its life estimated where it does not say."""
        now = self.runtime.now()
        if isinstance(tokens, Mapping):
            return Tokens.from_response(tokens, fields=getattr(self.refresher, "fields", None), received=now)
        if not isinstance(tokens, Tokens):
            raise InvalidTokens(
                f"expected Tokens(access, refresh) or the server's JSON object, got {type(tokens).__name__}"
            )
        if tokens.life is None and tokens.expires_at is not None:
            return replace(tokens, life=max(0.0, tokens.expires_at - now.wall))
        return tokens

    def _obey(self, command: Login | Logout | Refresh) -> None:
        if command.session != self.name:
            return
        match command:
            case Login(credentials=credentials):
                self.login(**credentials)
            case Logout():
                self.logout()
            case Refresh():
                self.acquire(_ignore, None, asked_by="the Refresh action", force=True)


def _whole(state: Any) -> Any:
    return state


def _nothing() -> None:
    pass


def _ignore(tokens: Tokens | None, error: Exception | None) -> None:
    pass


def _renew_after_fork() -> None:
    for session in all_sessions():
        session.renew()
        session.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
