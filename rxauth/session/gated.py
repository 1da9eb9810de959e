"""Function actions behind the gate: `session.gated`."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import running_loop
from rxauth.concurrency.single import Leave, Loop, Settle, Single, stay
from rxauth.errors import CallCancelled
from rxauth.session.effect import Gatekeeping, as_coroutine, on_loop, signed_in_as
from rxauth.tokens.pair import Tokens


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
        self._heard = self._dropped = self._over = False
        self._error: Exception | None = None
        self._leave: Leave = stay

    def begin(self) -> None:
        auth = self._session.auth
        if auth.tokens is None and auth.status != "signing_in":
            self._run(None, None)
        else:
            self._enter(signed_in_as(self._session))

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
        if tokens is not None and not self._session.is_current(tokens):
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
            task = self._loop.create_task(as_coroutine(result))
            task.add_done_callback(self._settled)
            if tokens is not None:
                self._leave = self._session.presence.under(tokens.sign_in, partial(self._end, task, tokens.sign_in))
                if not self._session.is_present(tokens.sign_in):  # it ended while the function began
                    self._end(task, tokens.sign_in)

    def _end(self, task: asyncio.Task[Any], sign_in: str) -> None:
        """The sign-in that it began under is over. A function that ended it itself goes on."""
        if self._over or (running_loop() is self._loop and asyncio.current_task() is task):
            return
        self._over = True
        self._leave()
        self._fail(self._session.ending(sign_in))
        on_loop(self._loop, task.cancel)

    def _settled(self, task: asyncio.Task[Any]) -> None:
        self._leave()
        if self._over:
            return
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
