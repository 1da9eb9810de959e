"""API calls as actions: `api_epic` sends the `ApiCall`s of a store, `request` dispatches one and awaits its answer."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxauth.api.async_sender import AsyncSender
from rxauth.api.calls import (
    ApiCall,
    describe,
)
from rxauth.api.in_flight import Sending, awaited, forsake
from rxauth.api.loop_end import LoopEnd
from rxauth.api.thread_sender import ThreadSender
from rxauth.concurrency.policy import Policy, check_policy
from rxauth.concurrency.runtime import running_loop
from rxauth.concurrency.serialized import OneAtATime
from rxauth.concurrency.single import Loop, Single
from rxauth.errors import InvalidCall, NoApiEpic, StoreClosed
from rxauth.http.auth_for import auth_for
from rxauth.session.session import Session
from rxauth.store.epics import Epic
from rxauth.store.streams import ActionSource, ActionStream, StateView

R = TypeVar("R")
S = TypeVar("S")

#: The api epics of each store.
_served: weakref.WeakKeyDictionary[ActionSource, list[_Serving]] = weakref.WeakKeyDictionary()


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
    Calls with a token are sent through the client's own `BearerAuth`, with all its options, or through a default one;
    the client's `base_url` is an origin that may be sent the token. `policy` is `merge`, `latest` (a new call cancels
    the one before), `first` (calls are dropped while one runs) or `in_order`. `calls`: the classes this epic answers,
    to give each its own policy; two epics for one class send each of its calls twice. Raises TypeError for an async
    client where no loop runs, and for what is no client or call; ValueError for another policy, and for a client whose
    `BearerAuth` is of another session.
    """
    if not hasattr(client, "send") or not hasattr(client, "build_request"):
        raise TypeError(f"api_epic() needs an httpx or httpx2 client, got {type(client).__name__}")
    if not isinstance(max_in_flight, int) or max_in_flight < 1:
        raise ValueError(f"max_in_flight must be 1 or more, and whole; got {max_in_flight!r}")
    check_policy(policy)
    if not isinstance(session, Session):
        raise TypeError(f"api_epic() needs a Session, got {type(session).__name__}: api_epic(client, session)")
    kinds = calls if isinstance(calls, tuple) else (calls,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, ApiCall) for kind in kinds):
        raise TypeError(f"calls must be a class of ApiCall, or a tuple of them; got {calls!r}")

    auth = auth_for(client, session)

    def epic(actions: ActionStream[Any], state: StateView[Any]) -> Observable[Any]:
        loop = running_loop()
        is_async = inspect.iscoroutinefunction(client.send)
        if is_async and loop is None:
            raise TypeError(
                "api_epic() with an async client must be added while its event loop runs (of asyncio), in an async "
                "function"
            )

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            sending = Sending(session, state, OneAtATime(observer), policy, actions._source is session.store)
            if is_async:
                assert loop is not None
                sending.sender = AsyncSender(client, auth, sending, max_in_flight, loop)
            else:
                sending.sender = ThreadSender(client, auth, sending, max_in_flight)
            served = _served.setdefault(actions._source, [])
            serving = _Serving(kinds, weakref.ref(session), loop if is_async else None)

            def take(call: ApiCall[Any]) -> None:
                if serving.expected:
                    for one in served:
                        one.expected.pop(id(call), None)
                if not serving.is_stranded:
                    sending.take(call)
                    return
                if not any(isinstance(call, other.kinds) for other in served if other is not serving):
                    sending.strand(call)
                leave()

            if is_async:
                _end_with_its_loop(serving, sending)
            subscription = SingleAssignmentDisposable()
            subscription.disposable = actions.of_type(*kinds).subscribe(take, on_completed=sending.close)
            served.append(serving)

            def leave() -> None:
                subscription.dispose()
                with suppress(ValueError):
                    served.remove(serving)
                serving.leave(served)

            def stop() -> None:
                leave()
                sending.stop(actions.emit)  # nobody listens to this epic any more, but what it began has to end

            return Disposable(stop)

        return Observable(subscribe)

    epic.__qualname__ = epic.__name__ = "api_epic"
    return epic


@dataclass(eq=False, slots=True)
class _Serving:
    """An api epic at work: which calls it answers, for whom, and on which loop (None: on threads)."""

    kinds: tuple[type[ApiCall[Any]], ...]
    #: Not held here, because it holds its store.
    session: weakref.ref[Session[Any]]
    loop: Loop | None
    #: The calls that somebody waits for and that are on their way here, by identity.
    expected: dict[int, ApiCall[Any]] = field(default_factory=dict)
    is_stopped: bool = False
    loop_ended: bool = False

    @property
    def is_stranded(self) -> bool:
        """Its loop has ended, as after an `asyncio.run`, or is about to: it can send nothing any more."""
        return self.loop_ended or (self.loop is not None and self.loop.is_closed())

    def leave(self, others: list[_Serving]) -> None:
        """End what is on its way here and to nobody else: it is never shown to an epic that comes later."""
        self.is_stopped = True
        for number in list(self.expected):
            call = self.expected.pop(number, None)
            if call is not None and not any(number in other.expected for other in others):
                forsake(call)

    def stuck(self, is_queued: Callable[[], bool]) -> str:
        """Why nobody may block this thread until a call is answered; "" where he may."""
        if self.loop is not None and self.loop is running_loop():
            return "run() blocks the event loop on which the call is sent: await it, or subscribe"
        if is_queued():
            return (
                "run() inside of a notification blocks the store, which sends the call when that is over: subscribe to "
                "it, or return it from an epic"
            )
        return ""


def _end_with_its_loop(serving: _Serving, sending: Sending) -> None:
    """What is asked for while the loop ends is not cancelled with its other tasks, and would wait for ever."""
    kept = weakref.ref(sending)

    async def over() -> None:
        serving.loop_ended = True
        at_work = kept()
        if at_work is not None:
            await at_work.finish()

    weakref.finalize(sending, LoopEnd(over).forget).atexit = False


class Dispatcher(Protocol):
    """A store, for `request`."""

    def dispatch(self, action: Any, /) -> Any: ...


def request(store: Dispatcher, call: ApiCall[R]) -> Single[R]:
    """Dispatch `call` now; `await` the result, or `.run()` it, for its payload.

    Raises what `ApiFailed` would carry, `CallCancelled`, `CallSkipped`, `StoreClosed`, and `NoApiEpic` when no epic of
    this store answers such calls; `.run()` raises `WouldDeadlock` where it would block what has to send the call: the
    loop of an async client, or the notification inside of which it was dispatched. Leaving early does not cancel the
    call.
    """
    if not isinstance(call, ApiCall):
        raise InvalidCall(f"request() takes an ApiCall, got {type(call).__name__}")
    source = cast(ActionSource, store)
    served = [one for one in _served.get(source, []) if isinstance(call, one.kinds)]
    serving = next((one for one in served if not one.is_stranded), served[0] if served else None)
    session = serving.session() if serving is not None else None
    if serving is None or session is None:
        if getattr(store, "is_closed", False):
            raise StoreClosed(f"the store is closed, so it takes no {describe(call)}; make a new Store")
        raise NoApiEpic(
            f"nobody answers {describe(call)} in this store: store.add_epic(api_epic(client, session)) first"
        )
    mine = copy.copy(call)  # the same object may be dispatched by others at the same time
    is_inside = source.is_telling
    flight = awaited(mine, store.dispatch, [one.expected for one in served])
    for one in served:
        if one.is_stopped:  # it was stopped as we began, and may have looked before we said what to expect
            one.leave(served)
    stuck = partial(serving.stuck, lambda: is_inside and source.is_telling)
    return Single(flight.join, session.runtime, session, stuck)
