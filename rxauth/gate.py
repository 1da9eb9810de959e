"""Effects behind the gate: the operator `session.gate` and the function actions of `session.gated`."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.scheduler import NewThreadScheduler

from rxauth.errors import CallCancelled, TokenRejected
from rxauth.flight import Flight
from rxauth.policies import OneAtATime, Policy, Turns, check_policy
from rxauth.runtime import Runtime, running_loop
from rxauth.single import Leave, Loop, Settle, Single
from rxauth.state import AuthState
from rxauth.tokens import Tokens

T = TypeVar("T")
R = TypeVar("R")

Project: TypeAlias = Callable[[T, Tokens], Observable[R] | Awaitable[R]]
Failed: TypeAlias = Callable[[T, Exception], R]


class Gatekeeping(Protocol):
    """What this room needs of a session."""

    name: str
    runtime: Runtime

    @property
    def auth(self) -> AuthState: ...

    def report(self, error: Exception, where: str, action: Any) -> None: ...

    def acquire(
        self,
        settle: Settle[Tokens],
        loop: Loop | None,
        *,
        asked_by: str,
        rejected: Tokens | None = None,
        response: Any = None,
        began: str | None = None,
    ) -> Leave: ...


def gate(
    session: Gatekeeping, project: Project[T, R], policy: Policy, failed: Failed[T, R] | None
) -> Callable[[Observable[T]], Observable[R]]:
    """The operator of `Session.gate`, where it is described."""
    if not callable(project):
        raise TypeError(
            f"gate() takes a function of (item, tokens), got {type(project).__name__}: "
            "source.pipe(session.gate(lambda item, tokens: ...))"
        )
    check_policy(policy)

    def operator(source: Observable[T]) -> Observable[R]:
        def subscribe(observer: abc.ObserverBase[R], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            # A piped `.run()` names this scheduler: it blocks its thread, and the loop with it, until all is over.
            loop = None if isinstance(scheduler, NewThreadScheduler) else running_loop()
            out = OneAtATime(observer)

            def start(entry: tuple[T, str], done: Callable[[], None]) -> Callable[[], None]:
                return _Effect(session, project, failed, entry, out, loop, done).begin()

            turns: Turns[tuple[T, str]] = Turns(policy, start)
            subscription = source.subscribe(
                lambda item: turns.add((item, _signed_in_as(session))),
                out.on_error,
                lambda: turns.finish(out.on_completed),
                scheduler=scheduler,
            )
            return CompositeDisposable(subscription, Disposable(turns.cancel))

        return Observable(subscribe)

    return operator


class _Effect:
    """One item on its way through the gate."""

    def __init__(
        self,
        session: Gatekeeping,
        project: Project[Any, Any],
        failed: Failed[Any, Any] | None,
        entry: tuple[Any, str],
        out: OneAtATime,
        loop: Loop | None,
        done: Callable[[], None],
    ) -> None:
        self._session, self._project, self._failed = session, project, failed
        self._item, self._began = entry
        self._out, self._loop, self._done = out, loop, done
        self._tokens: Tokens | None = None
        self._retried = False
        self._cancelled = False
        self._work = SerialDisposable()

    def begin(self) -> Callable[[], None]:
        if self._loop is not None and running_loop() is not self._loop:
            self._loop.call_soon_threadsafe(self._enter)
        else:
            self._enter()
        return self._cancel

    def _cancel(self) -> None:
        self._cancelled = True
        self._work.dispose()

    def _enter(self, rejected: Tokens | None = None, response: Any = None) -> None:
        if self._cancelled:
            return
        waiting = SerialDisposable()  # in place first, because the tokens may be there at once
        self._work.disposable = waiting
        leave = self._session.acquire(
            self._run,
            self._loop,
            asked_by=f"the gate for {type(self._item).__name__}",
            rejected=rejected,
            response=response,
            began=self._began or None,
        )
        waiting.disposable = Disposable(leave)

    def _run(self, tokens: Tokens | None, error: Exception | None) -> None:
        if self._cancelled:
            return
        if error is not None:
            self._fail(error)
            return
        assert tokens is not None
        if tokens.generation != self._session.auth.generation:
            self._enter()  # our loop was busy, and meanwhile they were replaced, or somebody signed out
            return
        self._tokens = tokens
        try:
            result = self._project(self._item, tokens)
        except Exception as raised:
            self._fail(raised)
            return
        if isinstance(result, abc.ObservableBase):
            inner = SerialDisposable()
            self._work.disposable = inner
            inner.disposable = result.subscribe(self._out.on_next, self._fail, self._finish)
        elif inspect.isawaitable(result):
            self._wait_for(result)
        else:
            self._fail(
                TypeError(
                    f"the function given to session.gate returned {type(result).__name__}; "
                    "return an Observable or an awaitable, for example make it async"
                )
            )

    def _wait_for(self, result: Awaitable[Any]) -> None:
        if self._loop is None:
            if inspect.iscoroutine(result):
                result.close()
            self._fail(
                TypeError(
                    "the function given to session.gate is async, but no event loop was running where the gate was "
                    "subscribed, or run() blocks it; subscribe it inside one, or return an Observable"
                )
            )
            return
        task = self._loop.create_task(_as_coroutine(result))
        task.add_done_callback(self._settled)
        self._work.disposable = Disposable(lambda: self._stop(task))

    def _stop(self, task: asyncio.Task[Any]) -> None:
        """Cancel the effect's task on its own loop: who cancels may be a thread that dispatches."""
        assert self._loop is not None
        if running_loop() is self._loop:
            task.cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(task.cancel)

    def _settled(self, task: asyncio.Task[Any]) -> None:
        if self._cancelled:
            return
        error = CallCancelled("the effect was cancelled") if task.cancelled() else task.exception()
        if error is None:
            self._out.on_next(task.result())
            self._finish()
        elif isinstance(error, Exception):
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._cancelled:
            return
        if isinstance(error, TokenRejected) and not self._retried and self._tokens is not None:
            self._retried = True
            self._enter(self._tokens, error.response)
            return
        if self._failed is None:
            self._session.report(error, f"the gate of session {self._session.name}", self._item)
        else:
            try:
                self._out.on_next(self._failed(self._item, error))
            except Exception as raised:
                self._session.report(raised, "the `failed` of a gate", self._item)
        self._finish()

    def _finish(self) -> None:
        self._done()


def gated(session: Gatekeeping, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Single[Any]]:
    """The function action of `Session.gated`, where it is described."""

    def action(dispatch: Any, get_state: Any) -> Single[Any]:
        running = _Gated(session, function, dispatch, get_state)
        running.begin()
        return running.result()

    return action


class _Gated:
    """One dispatch of a gated function. An error that nobody can hear any more is reported to the store."""

    def __init__(
        self, session: Gatekeeping, function: Callable[[Any, Any], Any], dispatch: Any, get_state: Any
    ) -> None:
        self._session, self._function = session, function
        self._dispatch, self._get_state = dispatch, get_state
        self._flight: Flight[Any] = Flight()
        self._loop = running_loop()
        self._heard = self._dropped = False
        self._error: Exception | None = None

    def begin(self) -> None:
        auth = self._session.auth
        if auth.tokens is None and auth.status != "signing_in":
            self._run(None, None)
        else:
            self._enter(_signed_in_as(self._session))

    def _enter(self, began: str) -> None:
        self._session.acquire(self._run, self._loop, asked_by="a gated function", began=began or None)

    def result(self) -> Single[Any]:
        # Not made where the function is called: the frames of its error's traceback would hold the result for ever.
        result: Single[Any] = Single(self._join, self._session.runtime, self._session, self._stuck)
        weakref.finalize(result, self._drop).atexit = False
        return result

    def _join(self, settle: Settle[Any], loop: Loop | None) -> Leave:
        self._heard = True
        return self._flight.join(settle, loop)

    def _stuck(self) -> str:
        if self._loop is None or self._loop is not running_loop():
            return ""
        return "run() blocks the event loop on which the function action runs: await it, or subscribe"

    def _drop(self) -> None:
        """Nobody holds the result any more."""
        self._dropped = True
        self._report_unheard()

    def _run(self, tokens: Tokens | None, error: Exception | None) -> None:
        if error is not None:
            self._fail(error)
            return
        if tokens is not None and tokens.generation != self._session.auth.generation:
            self._enter(tokens.sign_in)  # our loop was busy, and by now the state may be somebody else's
            return
        try:
            result = self._function(self._dispatch, self._get_state)
        except Exception as raised:
            self._fail(raised)
            return
        if not inspect.isawaitable(result):
            self._flight.land(result)
        elif self._loop is None:
            if inspect.iscoroutine(result):
                result.close()
            self._fail(TypeError("an async function action was dispatched where no event loop is running"))
        else:
            self._loop.create_task(_as_coroutine(result)).add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._fail(CallCancelled("the function action was cancelled"))
        elif (error := task.exception()) is not None:
            self._fail(cast(Exception, error))
        else:
            self._flight.land(task.result())

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._flight.land(error=error)
        self._report_unheard()

    def _report_unheard(self) -> None:
        error = self._error
        if error is not None and self._dropped and not self._heard:
            self._heard = True
            self._session.report(error, "a gated function", self._function)


def _as_coroutine(result: Awaitable[R]) -> Coroutine[Any, Any, R]:
    """A coroutine itself, not one around it, which a task that is cancelled at once would never await."""
    return result if inspect.iscoroutine(result) else _awaited(result)


async def _awaited(result: Awaitable[R]) -> R:
    return await result


def _signed_in_as(session: Gatekeeping) -> str:
    auth = session.auth
    return auth.pending or auth.sign_in
