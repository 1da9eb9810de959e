"""An Observable of one value: to subscribe, to await and to block on; and who must not block on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxauth.concurrency.runtime import Runtime, running_loop
from rxauth.concurrency.timers import EpicScheduler
from rxauth.errors import WouldDeadlock

T = TypeVar("T")

#: Called once, with a value and None or with None and an error.
Settle: TypeAlias = Callable[[T | None, Exception | None], None]
Leave: TypeAlias = Callable[[], None]
Loop: TypeAlias = asyncio.AbstractEventLoop
Join: TypeAlias = Callable[[Settle[T], Loop | None], Leave]

log = logging.getLogger("rxauth")

_NOT_AWAITED = "not awaited: `await` it or `.run()` it"

_WAITS_FOR_ITSELF = (
    "waiting for a fresh token on the thread that fetches it would wait for ever; in a refresh callable use a client "
    "of its own, in a callback subscribe instead of blocking, or hand the work to another thread"
)


class _Working(threading.local):
    """What this thread works on for others, as (owner, fetching)."""

    owners: tuple[tuple[object, bool], ...] = ()


_working = _Working()


class Single(Observable[T]):
    """An Observable of exactly one value, or an error: subscribe it, `await` it, or `.run()` it.

    Who subscribes, or awaits, on a running event loop is called back on that loop, also behind `.pipe(...)`; anybody
    else in the thread that has the outcome. `.run()` blocks, which is allowed on the thread of a running loop too, but
    raises `WouldDeadlock` on the thread that does the work, unless the outcome is there at once. On trio it can be
    awaited as well.

    The value's attributes and items are not those of the Single: code that takes it for its value (a forgotten `await`)
    gets an AttributeError or a TypeError that says so. Like any object it is true.

    `stuck` says why blocking this thread would keep the work from being done, if it is not the owner's flight that
    would wait for itself; "" when it would not.

    `limit`: how many seconds an `await` or a `run` waits, and what makes the error that it raises then.
    """

    def __init__(
        self,
        join: Join[T],
        runtime: Runtime | None = None,
        owner: object = None,
        stuck: Callable[[], str] = lambda: "",
        *,
        limit: tuple[float, Callable[[], Exception]] | None = None,
    ) -> None:
        super().__init__()
        self._join = join
        self._runtime = runtime or Runtime()
        self._owner = owner
        self._stuck = stuck
        self._seconds: float | None = limit[0] if limit else None
        self._late = limit[1] if limit else _never

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # One that is neither an asyncio scheduler nor an epic's comes from a piped `.run()`, which blocks this thread,
        # and its loop with it, until it is called back: that has to come from another thread.
        blocking = scheduler is not None and not isinstance(scheduler, AsyncIOScheduler | EpicScheduler)
        # What the observer prints, errors too, shows in the notebook's cell that subscribed.
        context, late = copy_context(), False

        def settle(value: T | None, error: Exception | None) -> None:
            if error is not None:
                observer.on_error(error)
            else:
                observer.on_next(cast(T, value))
                observer.on_completed()

        def told(value: T | None, error: Exception | None) -> None:
            context.run(tell, settle, value, error) if late else settle(value, error)

        why = self._why_not_block() if blocking else ""
        leave = self._join(_at_once(told) if why else told, None if blocking else running_loop())
        late = True
        if why:
            leave()
            observer.on_error(WouldDeadlock(why))  # which nobody hears if the outcome was there at once
        return Disposable(leave)

    def settle(self, settle: Settle[T]) -> Leave:
        """Have `settle` called in the thread that has the outcome, whatever loop runs here: that may be blocked."""
        return self._join(settle, None)

    def _why_not_block(self) -> str:
        return _WAITS_FOR_ITSELF if is_working(self._owner) else self._stuck()

    def __await__(self) -> Generator[Any, None, T]:
        loop = running_loop()
        if loop is None:
            return (yield from _on_trio(self).__await__())
        future: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast(T, value))

        leave, timer = self._join(settle, loop), None
        try:
            if not future.done():
                if is_working(self._owner):
                    raise WouldDeadlock(_WAITS_FOR_ITSELF)
                if self._seconds is not None:
                    timer = loop.call_later(self._seconds, lambda: settle(None, self._late()))
            return (yield from future)
        finally:
            if timer is not None:
                timer.cancel()
            leave()

    def run(self, scheduler: abc.SchedulerBase | None = None) -> T:
        """Block until the outcome is there; return the value or raise the error."""
        done = self._runtime.latch()
        outcome: list[tuple[T | None, Exception | None]] = []

        def settle(value: T | None, error: Exception | None) -> None:
            outcome.append((value, error))
            done.set()

        why = self._why_not_block()
        leave = self._join(_at_once(settle) if why else settle, None)
        try:
            if not outcome:
                if why:
                    raise WouldDeadlock(why)
                self._runtime.wait(done, self._seconds)
        finally:
            leave()
        value, error = outcome[0] if outcome else (None, self._late())
        if error is not None:
            raise error
        return cast(T, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {_NOT_AWAITED}>"

    if not TYPE_CHECKING:  # where type checkers see it, every attribute exists

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}; it is {_NOT_AWAITED}", name=name, obj=self
            )

    def __getitem__(self, key: Any) -> NoReturn:
        # Iteration ends here as well. With an `__iter__` it would be an Iterable, and operators of reactivex that take
        # an Observable or an Iterable would iterate over it.
        raise TypeError(f"a Single has no items and cannot be iterated over; it is {_NOT_AWAITED}")


async def _on_trio(single: Single[T]) -> T:
    """An await where no asyncio loop runs: httpx works on trio, too."""
    import trio

    token, told, outcome = trio.lowlevel.current_trio_token(), trio.Event(), []

    def settle(value: T | None, error: Exception | None) -> None:
        outcome.append((value, error))
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(told.set)

    leave = single._join(settle, None)
    try:
        with trio.move_on_after(math.inf if single._seconds is None else single._seconds):
            await told.wait()
    finally:
        leave()
    value, error = outcome[0] if outcome else (None, single._late())
    if error is not None:
        raise error
    return cast(T, value)


def tell(settle: Settle[T], value: T | None, error: Exception | None) -> None:
    """Call it, and log what it raises. One callback fails: nobody else may suffer from it."""
    try:
        settle(value, error)
    except BaseException as failure:
        if not stays(failure):
            raise
        log.exception("rxauth: a callback that waited for a result failed")


def working(work: Callable[[], T], owner: object, *, fetching: bool = False) -> Callable[[], T]:
    """`work`, marked as what the waiters of `owner` wait for: a blocking wait in it raises, where it would not end.

    `fetching` marks the call of a refresher, whose own requests must not ask for the token that they are to bring.
    """

    def marked() -> T:
        before = _working.owners
        _working.owners = (*before, (owner, fetching))
        try:
            return work()
        finally:
            _working.owners = before

    return marked


def stays(error: BaseException) -> bool:
    """Is this for where it came up to report, and not a way out of the thread?

    A Ctrl-C, or an exit, leaves a thread of the user's. A thread that works for others has no caller whom it could
    reach, and those who wait for it would wait for ever.
    """
    return bool(_working.owners) or not isinstance(error, KeyboardInterrupt | SystemExit)


def is_background() -> bool:
    """True on a thread that works for others."""
    return bool(_working.owners)


def is_working(owner: object) -> bool:
    """True on a thread that the waiters of `owner` wait for."""
    return any(other is owner for other, _ in _working.owners)


def is_fetching(owner: object) -> bool:
    """True inside a call of the refresher of `owner`."""
    return bool(_working.owners) and (owner, True) in _working.owners


def _at_once(settle: Settle[T]) -> Settle[T]:
    """`settle`, for what is there at once: not for what another thread brings so soon that nobody would notice.

    Else who waits on the thread that does the work is told of it on a slow day only.
    """
    here = threading.get_ident()
    return lambda value, error: settle(value, error) if threading.get_ident() == here else None


def _never() -> Exception:
    raise AssertionError("a wait without a limit has ended without an outcome")


def stay() -> None:
    """How to leave what is over already."""
