"""One item behind the gate, from its arrival to its end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable

from rxauth.concurrency.runtime import Runtime, running_loop
from rxauth.concurrency.serialized import OneAtATime
from rxauth.concurrency.single import Leave, Loop, Settle, stay
from rxauth.errors import CallCancelled, RxAuthError, TokenRejected, TooManyWaiting
from rxauth.session.presence import Presence
from rxauth.session.state import AuthState, is_premature
from rxauth.tokens.pair import Tokens

R = TypeVar("R")


class Gatekeeping(Protocol):
    """What this room needs of a session."""

    name: str
    runtime: Runtime
    presence: Presence

    @property
    def auth(self) -> AuthState: ...

    def peek(self) -> Tokens | None: ...

    def is_present(self, sign_in: str) -> bool: ...

    def is_current(self, tokens: Tokens) -> bool: ...

    def ending(self, sign_in: str) -> RxAuthError: ...

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


class Door(Protocol):
    """What an effect needs of its gate."""

    session: Gatekeeping
    project: Callable[[Any, Tokens], Any]
    failed: Callable[[Any, Exception], Any] | None
    observer: abc.ObserverBase[Any]
    out: OneAtATime
    loop: Loop | None
    #: For timed operators in effects that name none.
    scheduler: abc.SchedulerBase | None

    def let_wait(self, effect: Effect) -> bool: ...

    def let_run(self, effect: Effect) -> bool: ...

    def take_out(self, effect: Effect) -> bool: ...

    def too_many(self) -> TooManyWaiting: ...


class Effect:
    """One item on its way through the gate."""

    def __init__(self, gate: Door, item: Any) -> None:
        self._gate, self._session = gate, gate.session
        self.item = item
        self.began = signed_in_as(gate.session)
        self.is_admitted = self.waits = False
        self._done: Callable[[], None] = stay
        self._tokens: Tokens | None = None
        #: The generation of the pair that came in the place of a refused one, and whether it has served since.
        self._replacement = 0
        self._replaces = self._served = False
        self._stopped = self._over = False
        self._leave: Leave = stay
        self._work = SerialDisposable()

    def begin(self, done: Callable[[], None]) -> Callable[[], None]:
        self._done = done
        if not on_loop(self._gate.loop, self._enter):
            self._fail(CallCancelled("the event loop on which the gate was subscribed is closed"))
        return self._cancel

    def end(self, error: Exception, *, told: bool = True) -> None:
        """It was taken out: whatever it does is stopped, and the error is told on its loop, unless that is closed."""
        self._stop()
        if not told:
            self._be_over()
        elif not on_loop(self._gate.loop, self._tell, error):
            self._tell(error)

    def _cancel(self) -> None:
        if self._gate.take_out(self):
            self._stop()
        else:
            self._work.dispose()

    def _stop(self) -> None:
        self._stopped = True
        self._leave()
        self._work.dispose()

    def _enter(self, rejected: Tokens | None = None, response: Any = None) -> None:
        if not self._gate.let_wait(self):
            self._fail(self._gate.too_many())
            return
        waiting = SerialDisposable()  # in place first, because the tokens may be there at once
        self._work.disposable = waiting
        try:
            leave = self._session.acquire(
                self._run,
                self._gate.loop,
                asked_by=f"the gate for {type(self.item).__name__}",
                rejected=rejected,
                response=response,
                began=self.began or None,
            )
        except Exception as error:
            self._fail(error)
        else:
            waiting.disposable = Disposable(leave)

    def _run(self, tokens: Tokens | None, error: Exception | None) -> None:
        if not self._gate.let_run(self):
            if self._over:  # it ended before its turn came
                self._done()
            return
        if error is not None:
            self._fail(error)
            return
        assert tokens is not None
        self._leave = self._session.presence.under(tokens.sign_in, partial(self._sign_in_over, tokens.sign_in))
        if not self._session.is_current(tokens):
            self._leave()
            self._enter()  # our loop was busy, and meanwhile they were replaced, or somebody signed out
            return
        self._tokens = tokens
        if self._replaces:
            self._replacement, self._replaces = tokens.generation, False
        self._served = False
        try:
            result = self._gate.project(self.item, tokens)
        except Exception as raised:
            self._fail(raised)
            return
        if isinstance(result, abc.ObservableBase):
            inner = SerialDisposable()
            self._work.disposable = Disposable(partial(_stop_on, self._gate.loop, inner.dispose))
            inner.disposable = result.subscribe(
                partial(self._next, tokens.sign_in), self._fail, self._finish, scheduler=self._gate.scheduler
            )
        elif inspect.isawaitable(result):
            self._wait_for(result, tokens.sign_in)
        else:
            self._fail(
                TypeError(
                    f"the function given to session.gate returned {type(result).__name__}; "
                    "return an Observable or an awaitable, for example make it async"
                )
            )

    def _wait_for(self, result: Awaitable[Any], sign_in: str) -> None:
        loop = self._gate.loop
        if loop is None:
            if inspect.iscoroutine(result):
                result.close()
            self._fail(
                TypeError(
                    "the function given to session.gate is async, but no event loop was running where the gate was "
                    "subscribed, or run() blocks it; subscribe it inside one, or return an Observable"
                )
            )
            return
        task = loop.create_task(as_coroutine(result))
        task.add_done_callback(partial(self._settled, sign_in))
        self._work.disposable = Disposable(partial(_stop_on, loop, task.cancel))

    def _settled(self, sign_in: str, task: asyncio.Task[Any]) -> None:
        if self._stopped:
            return
        error = CallCancelled("the effect was cancelled") if task.cancelled() else task.exception()
        if error is None and not self._session.is_present(sign_in):
            self._sign_in_over(sign_in)
        elif error is None:
            self._next(sign_in, task.result())
            self._finish()
        elif isinstance(error, Exception):
            self._fail(error)

    def _next(self, sign_in: str, value: Any) -> None:
        self._served = True
        self._gate.out.tell(self._pass, sign_in, value)

    def _pass(self, sign_in: str, value: Any) -> None:
        """Looked at when the value is passed on, and not when it came: nothing passes after a sign-out."""
        if self._stopped:
            return
        if self._session.is_present(sign_in):
            self._gate.observer.on_next(value)
        else:
            self._sign_in_over(sign_in)

    def _sign_in_over(self, sign_in: str) -> None:
        if self._gate.take_out(self):
            self.end(self._session.ending(sign_in))

    def _fail(self, error: Exception) -> None:
        self._gate.out.tell(self._fail_in_turn, error)

    def _fail_in_turn(self, error: Exception) -> None:
        """When the values before it have been passed on."""
        if isinstance(error, TokenRejected) and self._tokens is not None and self._may_replace(self._tokens):
            self._replaces = True
            self._leave()
            self._enter(self._tokens, error.response)
        elif self._gate.take_out(self):
            self._stop()
            self._tell(error)

    def _may_replace(self, rejected: Tokens) -> bool:
        """Once per generation: a pair that came in the place of a refused one has to have served before it is replaced
        as well, by a value or for half of its life."""
        if rejected.generation != self._replacement or self._served or not self._session.is_current(rejected):
            return True
        return not is_premature(rejected, self._session.runtime.now(), refused=True)

    def _tell(self, error: Exception) -> None:
        try:
            if self._gate.failed is None:
                self._session.report(error, f"the gate of session {self._session.name}", self.item)
            else:
                self._gate.out.on_next(self._gate.failed(self.item, error))
        except Exception as raised:
            self._session.report(raised, "the `failed` of a gate", self.item)
        finally:
            self._be_over()

    def _be_over(self) -> None:
        self._over = True  # for a turn that comes only now
        self._done()

    def _finish(self) -> None:
        self._gate.out.tell(self._finish_in_turn)

    def _finish_in_turn(self) -> None:
        if self._gate.take_out(self):
            self._leave()
            self._done()


def on_loop(loop: Loop | None, call: Callable[..., Any], *args: Any) -> bool:
    """Call it here, where this is the place for it, else on the loop. False when that is closed."""
    if loop is None or loop is running_loop():
        call(*args)
        return True
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True


def _stop_on(loop: Loop | None, stop: Callable[[], object]) -> None:
    on_loop(loop, stop)  # what ran on a loop that is closed has ended with it


def as_coroutine(result: Awaitable[R]) -> Coroutine[Any, Any, R]:
    """A coroutine itself, not one around it, which a task that is cancelled at once would never await."""
    return result if inspect.iscoroutine(result) else _awaited(result)


async def _awaited(result: Awaitable[R]) -> R:
    return await result


def signed_in_as(session: Gatekeeping) -> str:
    auth = session.auth
    return auth.pending or auth.sign_in
