"""The calls of one api epic: from the dispatch of each to its one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rxauth.api.calls import (
    ApiCall,
    ApiCancelled,
    ApiFailed,
    ApiSkipped,
    ApiStarted,
    ApiSucceeded,
    check_not_async,
    describe,
)
from rxauth.api.sender import Entry, Sender
from rxauth.concurrency.flight import Flight
from rxauth.concurrency.policy import Policy, Turns
from rxauth.concurrency.serialized import OneAtATime
from rxauth.errors import ApiRequestError, CallCancelled, CallSkipped
from rxauth.session.session import Session
from rxauth.session.trace import next_caller
from rxauth.store.streams import StateView

R = TypeVar("R")

#: The calls that somebody waits for, by identity: each is a copy of its own.
_awaited: dict[int, Flight[Any]] = {}


class Sending:
    """The calls of one api epic that are not over yet."""

    sender: Sender

    def __init__(
        self, session: Session[Any], state: StateView[Any], out: OneAtATime, policy: Policy, shares_store: bool
    ) -> None:
        self.session = session
        self._state = state
        self._shares_store = shares_store
        self._out = out
        self._say: Callable[[Any], None] = out.on_next
        turns: Turns[Entry] = Turns(policy, self._start, self._drop, self._accept)
        self._turns = None if policy == "merge" else turns  # all at once: nobody has to wait for his turn
        self._entries: dict[int, Entry] = {}

    def take(self, call: ApiCall[Any]) -> None:
        # Who was signed in when the call was dispatched: by now, another thread may have delivered something else.
        auth = self.session.auth_in(self._state.state) if self._shares_store else self.session.auth
        entry = Entry(call, next_caller(), auth.pending or auth.sign_in)
        try:
            send = call.should_send(self._state.state)
            if send is not True:
                check_not_async(send, "should_send")
        except Exception as error:
            self._accept(entry)
            self.fail(entry, _failed_to_ask(call, error))
            return
        if not send:
            self._skip(entry, "bailed out")
        elif self._turns is None:
            self._accept(entry)
            self.sender.start(entry)
        else:
            self._turns.add(entry)

    def strand(self, call: ApiCall[Any]) -> None:
        """Nobody can send this call any more."""
        entry = Entry(call, next_caller(), "")
        self._accept(entry)
        text = (
            f"{describe(call)} was not sent: the event loop on which its api_epic was added has ended; add an api_epic "
            "on the loop that runs now"
        )
        self.fail(entry, ApiRequestError(text))

    def newest(self) -> Any:
        return self._state.newest

    def succeed(self, entry: Entry, payload: Any, response: Any) -> None:
        meta = self._meta(entry, response)
        self._end(entry, ApiSucceeded(entry.call, payload, response, id=entry.id, meta=meta), payload)

    def fail(self, entry: Entry, error: Exception) -> None:
        meta = self._meta(entry, getattr(error, "response", None))
        self._end(entry, ApiFailed(entry.call, error, id=entry.id, meta=meta), error=error)

    def close(self) -> None:
        """The store closes: all calls are cancelled, then the answers complete."""
        self.stop()
        self._out.on_completed()

    def stop(self, say: Callable[[Any], None] | None = None) -> None:
        """Cancel all calls, and tell it by `say`, for those who are not reached any more in the usual way."""
        self._say = say or self._say
        if self._turns is not None:
            self._turns.cancel()
        for entry in list(self._entries.values()):
            self.cancel(entry)

    async def finish(self) -> None:
        """Cancel all calls, and wait until none is being sent any more."""
        tasks = self.sender.tasks
        self.stop()
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, entry: Entry, done: Any) -> Any:
        entry.done = done
        self.sender.start(entry)
        return lambda: self.cancel(entry)

    def _accept(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._say(ApiStarted(entry.call, id=entry.id, meta=self._meta(entry)))

    def _drop(self, entry: Entry) -> None:
        self._skip(entry, "dropped")

    def _skip(self, entry: Entry, why: str) -> None:
        entry.ended = True
        self._say(ApiSkipped(entry.call, why, id=entry.id))
        _answer(entry.call, error=CallSkipped(f"{describe(entry.call)} was not sent: it {_skipped(why)}", why=why))

    def cancel(self, entry: Entry) -> None:
        """End the call, unless it is over."""
        if entry.ended:
            return
        self._end(entry, ApiCancelled(entry.call, id=entry.id), error=_cancelled(entry.call))
        self.sender.stop(entry)

    def _end(self, entry: Entry, outcome: Any, payload: Any = None, error: Exception | None = None) -> None:
        if self._entries.pop(entry.id, None) is None:
            return  # another thread has ended it: only one of them finds it here
        entry.ended = True
        self._say(outcome)
        _answer(entry.call, payload, error)
        entry.done()

    def _meta(self, entry: Entry, response: Any = None) -> Any:
        if type(entry.call).meta is ApiCall.meta:
            return None
        try:
            meta = entry.call.meta(self._state.newest, response)
            check_not_async(meta, "meta")
            return meta
        except Exception as error:
            self.session.report(error, f"{describe(entry.call)}.meta", entry.call)
            return None


def awaited(call: ApiCall[R], dispatch: Callable[[Any], Any], expected: Sequence[dict[int, ApiCall[Any]]]) -> Flight[R]:
    """Dispatch `call`, and return what lands with its outcome. `expected`: of each epic that it is on its way to."""
    flight: Flight[R] = Flight()
    _awaited[id(call)] = flight
    for calls in expected:
        calls[id(call)] = call
    try:
        dispatch(call)
    except BaseException:
        _awaited.pop(id(call), None)
        for calls in expected:
            calls.pop(id(call), None)
        raise
    return flight


def forsake(call: ApiCall[Any]) -> None:
    """Nobody will ever take this call: tell who waits for it."""
    _answer(call, error=_cancelled(call))


def _answer(call: ApiCall[Any], payload: Any = None, error: Exception | None = None) -> None:
    flight = _awaited.pop(id(call), None)
    if flight is not None:
        flight.land(payload, error)


def _cancelled(call: ApiCall[Any]) -> CallCancelled:
    return CallCancelled(f"{describe(call)} was cancelled before its answer came")


def _failed_to_ask(call: ApiCall[Any], error: Exception) -> ApiRequestError:
    failed = ApiRequestError(f"{describe(call)}.should_send failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _skipped(why: str) -> str:
    return "bailed out" if why == "bailed out" else "was dropped, because another one was running"
