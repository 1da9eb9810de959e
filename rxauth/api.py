"""API calls as actions: `api_epic` sends the `ApiCall`s of a store, `request` dispatches one and awaits its answer."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxauth.calls import (
    AdHocCall,
    ApiCall,
    ApiCancelled,
    ApiEvent,
    ApiFailed,
    ApiSkipped,
    ApiStarted,
    ApiSucceeded,
    Request,
    call,
    describe,
)
from rxauth.epics import Epic
from rxauth.errors import ApiRequestError, CallCancelled, CallSkipped, InvalidCall, NoApiEpic
from rxauth.flight import Flight
from rxauth.policies import OneAtATime, Policy, Turns, check_policy
from rxauth.runtime import running_loop
from rxauth.senders import AsyncSender, Entry, Sender, ThreadSender
from rxauth.session import Session
from rxauth.single import Single
from rxauth.streams import ActionSource, ActionStream, StateView
from rxauth.trace import next_caller

__all__ = [
    "AdHocCall",
    "ApiCall",
    "ApiCancelled",
    "ApiEvent",
    "ApiFailed",
    "ApiSkipped",
    "ApiStarted",
    "ApiSucceeded",
    "Request",
    "api_epic",
    "call",
    "request",
]

R = TypeVar("R")
S = TypeVar("S")

#: The calls that `request` waits for, by identity: each is a copy of its own.
_awaited: dict[int, Flight[Any]] = {}
#: Which kinds of calls the epics of a store answer, and for which session: not held here, because it holds its store.
_served: weakref.WeakKeyDictionary[ActionSource, list[tuple[tuple[type[Any], ...], weakref.ref[Session[Any]]]]] = (
    weakref.WeakKeyDictionary()
)


def api_epic(
    client: Any,
    session: Session[Any],
    *,
    policy: Policy = "merge",
    max_in_flight: int = 100,
    calls: type[ApiCall[Any]] | tuple[type[ApiCall[Any]], ...] = ApiCall,
) -> Epic[Any]:
    """An epic that sends each dispatched `ApiCall` with an httpx or httpx2 client, and answers with actions.

    Each dispatch gets `ApiStarted`, then exactly one of `ApiSucceeded`, `ApiFailed` and `ApiCancelled`; one that bails
    out, or that the policy drops, gets `ApiSkipped` alone. Calls wait for fresh tokens and are released in the order
    of dispatch; at most `max_in_flight` are on the wire, the others queue. Anonymous calls pass by those that wait.

    An async client's calls run on the event loop on which the epic is added, a blocking one's on up to 16 threads.
    The client's `base_url` is an origin that may be sent the token. `policy` is `merge`, `latest` (a new call cancels
    the one before), `first` (calls are dropped while one runs) or `in_order`. `calls`: the classes this epic answers,
    to give each its own policy; two epics for one class send each of its calls twice. Raises TypeError for an async
    client where no loop runs, and for what is no client or call; ValueError for another policy.
    """
    if not hasattr(client, "send") or not hasattr(client, "build_request"):
        raise TypeError(f"api_epic() needs an httpx or httpx2 client, got {type(client).__name__}")
    if max_in_flight < 1:
        raise ValueError(f"max_in_flight must be 1 or more, got {max_in_flight}")
    check_policy(policy)
    kinds = calls if isinstance(calls, tuple) else (calls,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, ApiCall) for kind in kinds):
        raise TypeError(f"calls must be a class of ApiCall, or a tuple of them; got {calls!r}")

    def epic(actions: ActionStream[Any], state: StateView[Any]) -> Observable[Any]:
        loop = running_loop()
        is_async = inspect.iscoroutinefunction(client.send)
        if is_async and loop is None:
            raise TypeError(
                "api_epic() with an async client must be added while its event loop runs, in an async function"
            )

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            sending = _Sending(session, state, OneAtATime(observer), policy, actions._source is session.store)
            if is_async:
                assert loop is not None
                sending.sender = AsyncSender(client, sending, max_in_flight, loop)
            else:
                sending.sender = ThreadSender(client, sending, max_in_flight)
            served = _served.setdefault(actions._source, [])
            entry = (kinds, weakref.ref(session))
            served.append(entry)
            subscription = actions.of_type(*kinds).subscribe(sending.take, on_completed=sending.close)

            def stop() -> None:
                served.remove(entry)
                sending.stop(actions.emit)  # nobody listens to this epic any more, but what it began has to end

            return CompositeDisposable(subscription, Disposable(stop))

        return Observable(subscribe)

    epic.__qualname__ = epic.__name__ = "api_epic"
    return epic


class _Sending:
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
        error = CallCancelled(f"{describe(entry.call)} was cancelled before its answer came")
        self._end(entry, ApiCancelled(entry.call, id=entry.id), error=error)
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
            return entry.call.meta(self._state.newest, response)
        except Exception as error:
            self.session.report(error, f"{describe(entry.call)}.meta", entry.call)
            return None


class Dispatcher(Protocol):
    """A store, for `request`."""

    def dispatch(self, action: Any, /) -> Any: ...


def request(store: Dispatcher, call: ApiCall[R]) -> Single[R]:
    """Dispatch `call` now; `await` the result, or `.run()` it, for its payload.

    Raises what `ApiFailed` would carry, `CallCancelled`, `CallSkipped`, and `NoApiEpic` when no epic of this store
    answers such calls. Leaving early does not cancel the call.
    """
    if not isinstance(call, ApiCall):
        raise InvalidCall(f"request() takes an ApiCall, got {type(call).__name__}")
    served = _served.get(cast(ActionSource, store), [])
    session = next((session() for kinds, session in served if isinstance(call, kinds)), None)
    if session is None:
        raise NoApiEpic(
            f"nobody answers {describe(call)} in this store: store.add_epic(api_epic(client, session)) first"
        )
    mine = copy.copy(call)  # the same object may be dispatched by others at the same time
    flight: Flight[R] = Flight()
    _awaited[id(mine)] = flight
    try:
        store.dispatch(mine)
    except BaseException:
        _awaited.pop(id(mine), None)
        raise
    return Single(flight.join, session.runtime, session)


def _answer(call: ApiCall[Any], payload: Any = None, error: Exception | None = None) -> None:
    flight = _awaited.pop(id(call), None)
    if flight is not None:
        flight.land(payload, error)


def _failed_to_ask(call: ApiCall[Any], error: Exception) -> ApiRequestError:
    failed = ApiRequestError(f"{describe(call)}.should_send failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _skipped(why: str) -> str:
    return "bailed out" if why == "bailed out" else "was dropped, because another one was running"
