"""`Store`: the state, the reducer that makes it, and the streams of both."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Generator, Iterable
from threading import get_ident
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar, overload

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import CurrentThreadScheduler, TrampolineScheduler

from rxauth.concurrency.closing import Closing
from rxauth.concurrency.runtime import is_sync, running_loop
from rxauth.concurrency.single import stays
from rxauth.concurrency.timers import EpicScheduler
from rxauth.errors import InvalidAction, ReducerError, StoreClosed, StoreNeverCompletes, as_error
from rxauth.redaction.display import Shown
from rxauth.store.actions import is_function, kind_of, why_no_action
from rxauth.store.audience import Audience
from rxauth.store.epics import Epic, Start, flatten, supervise
from rxauth.store.listeners import ActionListener, Report, SelectListener, StateListener
from rxauth.store.queue import LONGEST_CHAIN, step
from rxauth.store.reads import reads
from rxauth.store.reducers import Reducer
from rxauth.store.streams import ActionStream, StateView, Subscribable
from rxauth.store.tap import ERRORS, ErrorReported, Tap

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

Dispatch: TypeAlias = Callable[[Any], Any]
GetState: TypeAlias = Callable[[], S]

log = logging.getLogger("rxauth")


class Store(Shown, Closing, Subscribable[S], abc.ObserverBase[Any], Generic[S]):
    """An Observable of states and an Observer of actions.

    The law: its states are `actions.pipe(ops.scan(reducer, initial_state), ops.start_with(initial_state))` with
    repeats of the same object removed, whatever thread dispatches. (`scan` itself loses updates across threads.)

    `dispatch` reduces at once, in the caller's thread, under a lock: when it returns, `state` contains the action.
    Telling the subscribers and the epics goes through one queue, so that all of them see all actions and states in the
    order of the reducer; what is dispatched meanwhile comes after. The queue is worked off on `scheduler`; by default
    on the event loop that was running when the store was made, else in the thread that dispatches. Timed operators in
    epics (`ops.debounce(0.1)`) use the same, where they name none: `scheduler`, else that loop, whatever thread they
    begin on; else the virtual time of a session in the store; else threads of reactivex's. That holds for inner
    observables too, but not for what is subscribed without the scheduler: by a `subscribe` of your own, by
    `share_replayed()` or by `auto_connect`; name it there.

    A subscriber gets the current state at once (from another thread than the delivering one: as soon as the queue
    reaches it), then every new one. One that raises is reported and stays subscribed. Who subscribes or unsubscribes
    during a notification changes the next one (redux's snapshot rule).

    `report(error, where, action)` hears of every error that nobody else does; by default it is logged as an error.
    """

    def __init__(
        self,
        reducer: Reducer[S],
        initial_state: S,
        *,
        epics: tuple[Epic[S], ...] | list[Epic[S]] = (),
        report: Report | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__()
        if not is_sync(reducer):
            raise TypeError(
                f"a reducer is a sync function of (state, action), got {type(reducer).__name__}: what takes time is "
                "for an epic"
            )
        if not isinstance(epics, Iterable):
            raise TypeError(f"epics must be a list of epics, got {type(epics).__name__}: epics=[search]")
        if report is not None and not callable(report):
            raise TypeError(f"report must be a function of (error, where, action), got {type(report).__name__}")
        if scheduler is not None and not isinstance(scheduler, abc.SchedulerBase):
            raise TypeError(f"scheduler must be one of reactivex, got {type(scheduler).__name__}")
        scheduler = _checked(scheduler)
        self._reducer = reducer
        self._state = initial_state
        self._reporter = report or log_report
        self._timers = EpicScheduler(running_loop())
        self._scheduler = scheduler or self._timers
        self._number = 0
        self._reducing = 0
        self._known_kinds: set[type[Any]] = set()
        self._taps: tuple[Tap, ...] = ()
        self._epics = CompositeDisposable()
        self._audience = Audience(
            initial_state, lambda: (self._number, self._state), self._epics.dispose, self.report, scheduler
        )
        self._queue = self._audience.queue
        self.actions: ActionStream[Any] = ActionStream(self)
        _stores.add(self)
        self.add_epic(*epics)

    @property
    def state(self) -> S:
        """The newest state. Raises `ReducerError` inside a reducer."""
        if self._reducing and self._reducing == get_ident():
            raise ReducerError("a reducer read store.state; it is given the state as its first argument")
        return self._state

    @overload
    def dispatch(self, action: Callable[[Dispatch, GetState[S]], R], /) -> R: ...
    @overload
    def dispatch(self, action: T, /) -> T: ...
    def dispatch(self, action: Any, /) -> Any:
        """Reduce `action`, tell everybody, and return it; a function is called with (dispatch, get_state) instead.

        Raises what the reducer raised (the state is kept), `StoreClosed`, or `InvalidAction` for what is no action.
        """
        if type(action) not in self._known_kinds:
            if is_function(action):
                return action(self.dispatch, lambda: self.state)
            self._check(action, "dispatch()")
        self.commit(action)
        self.notify()
        return action

    def select(self, selector: Callable[[S], T]) -> Observable[T]:
        """What `selector` makes of the state: now, then whenever it is another (neither the same object nor equal).

        A selector is a pure function: one that only reads fields of the state, such as `lambda app: app.auth.status`,
        is not called while these are the same objects.
        """
        if not is_sync(selector):
            kind = type(selector).__name__
            raise TypeError(f"a selector is a sync function of the state, got {kind}: select(lambda app: app.auth)")
        return _Selection(self, selector)

    def add_epic(self, *epics: Epic[S]) -> abc.DisposableBase:
        """Start epics; disposing of the result stops them. An epic added twice runs twice.

        All of them are subscribed before the first one runs: what an epic emits at its start reaches the others.

        Raises `InvalidEpic` for what is no function or returns no Observable, or what it raises when it is called; then
        none of them was added.
        """
        added, start = CompositeDisposable(), Start(self._emit)
        view = StateView(self, self._audience)
        try:
            for epic in flatten(epics):
                added.add(supervise(epic, self, view, start, self.report, self._scheduler))
        except BaseException:
            added.dispose()
            raise
        self._epics.add(added)
        start.over()
        return Disposable(lambda: self._stop(added))

    def _stop(self, epics: CompositeDisposable) -> None:
        self._epics.remove(epics)
        epics.dispose()

    def close(self) -> None:
        """Complete the epics' actions, deliver their last words, then complete actions and states. Idempotent."""
        self._audience.close()

    def on_next(self, value: Any) -> None:
        """Dispatch what another stream emits; an error is reported instead of raised."""
        try:
            self.dispatch(value)
        except BaseException as error:
            if not stays(error):
                raise
            self.on_error(as_error(error, "a reducer"), value)

    def on_error(self, error: Exception, action: Any = None) -> None:
        """A source failed: reported. The store goes on."""
        self.report(error, "a source subscribed to the store", action)

    def on_completed(self) -> None:
        """A source completed: the store goes on."""

    def run(self, scheduler: abc.SchedulerBase | None = None) -> NoReturn:
        """Raises `StoreNeverCompletes`: wait for a state, `store.pipe(ops.first(lambda state: ...)).run()`."""
        raise StoreNeverCompletes(
            "a store never completes, so run() would wait for ever; read store.state, or wait for the first state that "
            "you are after: store.pipe(ops.first(lambda state: ...)).run()"
        )

    def __await__(self) -> Generator[Any, None, NoReturn]:
        raise StoreNeverCompletes(
            "a store never completes, so `await store` would wait for ever; read store.state, or await the first state "
            "that you are after: await store.pipe(ops.first(lambda state: ...))"
        )

    # What follows is for the library's other rooms.

    def tap(self, tap: Tap) -> tuple[abc.DisposableBase, S]:
        """Have `tap` note each action as it is reduced, in that order; also returns the state before them."""
        with self._queue.lock:
            self._taps = (*self._taps, tap)
            return Disposable(lambda: self._untap(tap)), self._state

    def _untap(self, tap: Tap) -> None:
        with self._queue.lock:
            self._taps = tuple(other for other in self._taps if other is not tap)

    @property
    def reducer(self) -> Reducer[S]:
        """What makes the states; to replay a recording with."""
        return self._reducer

    @property
    def is_closed(self) -> bool:
        """True from the moment that it takes no more actions."""
        return self._audience.closing

    def __repr__(self) -> str:
        closed = ", closed" if self.is_closed else ""
        return f"Store({type(self._state).__name__}, {self._number} actions{closed})"

    @property
    def is_telling(self) -> bool:
        """True inside of a notification: what is dispatched now, on this thread, is told when that is over."""
        return self._queue.is_mine()

    @property
    def is_recorded(self) -> bool:
        """Is there somebody to whom `trace` tells anything?"""
        return bool(self._taps)

    def trace(self, event: Any, stream: str, *, locked: bool = False) -> None:
        """Tell the recorders what is no action. `locked`: the caller holds a lock, so they look into it later."""
        for tap in self._taps:
            tap.keep((tap.clock(), event, stream))
            if not locked:
                tap.take_in()

    def commit(self, action: Any, *, closing: bool = False) -> int:
        """Reduce and queue without telling anybody yet: call `notify()` next, outside of all locks.

        Returns the action's number.
        """
        me = get_ident()
        if self._reducing == me:
            raise ReducerError(
                f"a reducer dispatched {kind_of(action)}; a reducer only returns the next state, use an epic"
            )
        with self._queue.lock:
            audience = self._audience
            if audience.closing and (audience.closed or not closing):
                raise StoreClosed(f"the store is closed, so it takes no {kind_of(action)}; make a new Store")
            self._reducing = me
            try:
                state = self._reducer(self._state, action)
            finally:
                self._reducing = 0
            if state is None:
                raise ReducerError(
                    f"the reducer returned None for {kind_of(action)}; "
                    "return the state, unchanged if the action is none of its business"
                )
            changed = state is not self._state
            self._state = state
            self._number = number = self._number + 1
            self._queue.put((number, me, action, state, changed))
            for tap in self._taps:
                tap.keep((tap.clock(), action, ""))
            return number

    def preview(self, action: Any) -> S:
        """The state that the reducer would make of `action` now; it is not kept, and no subscriber hears of it.

        Raises what the reducer raises, and `ReducerError` inside a reducer.
        """
        me = get_ident()
        if self._reducing == me:
            raise ReducerError("a reducer asked for a preview; it is given the state as its first argument")
        with self._queue.lock:
            self._reducing = me
            try:
                return self._reducer(self._state, action)
            finally:
                self._reducing = 0

    def in_turn(self, call: Callable[[], None]) -> None:
        """Have `call` called when all that was committed before has been told, and where it is told."""

        def called() -> None:
            try:
                call()
            except Exception as error:
                self.report(error, "a subscriber", None)

        with self._queue.lock:
            self._queue.put(step(self._number, called))
        self.notify()

    def keep_time(self, scheduler: abc.SchedulerBase) -> None:
        """A session in virtual time lives here: timed operators of epics are in it, where there is no event loop."""
        self._timers.virtual = self._timers.virtual or scheduler

    def notify(self) -> None:
        """Tell everybody what was committed."""
        for tap in self._taps:
            if len(tap.waiting) >= tap.patience:
                tap.take_in()
        self._queue.drain()

    def report(self, error: Exception, where: str, action: Any) -> None:
        """Tell the owner of the store of an error that nobody else hears of."""
        if self._taps:
            during = "" if action is None else type(action).__name__
            self.trace(ErrorReported(error=error, where=where, during=during), ERRORS)
        try:
            self._reporter(error, where, action)
        except BaseException as failure:
            if not stays(failure):
                raise
            log.exception("rxauth: report() itself failed on an error in %s", where)

    def _emit(self, action: Any, where: str) -> bool:
        """Dispatch for an epic, which can not be told of an error. False when it answers its answers without end."""
        chain, queue = 0, self._queue
        if queue.drainer == get_ident():  # inside of a delivery: it answers the entry under way
            answered, chains = queue.entry[0], queue.chains
            while chains and chains[0][0] < answered:
                chains.popleft()
            chain = chains[0][1] + 1 if chains and chains[0][0] == answered else 1
            if chain > LONGEST_CHAIN:
                return False
        try:
            if type(action) not in self._known_kinds:
                self._check(action, where)
            number = self.commit(action, closing=True)
        except StoreClosed:
            return True  # a stream that has not heard of the end yet
        except BaseException as error:
            if not stays(error):
                raise
            self.report(as_error(error, "a reducer"), where, action)
            return True
        if chain:
            queue.chains.append((number, chain))
        self.notify()
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError("a store can not be copied or pickled: its queue and its subscribers are one; share this one")

    def _check(self, action: Any, where: str) -> None:
        wrong = why_no_action(action)
        if wrong:
            raise InvalidAction(f"{where} was given {wrong}")
        self._known_kinds.add(type(action))

    def _listen(self, observer: tuple[Any, Any]) -> abc.DisposableBase:
        return self._audience.listen_to_states(StateListener(observer))

    def _listen_to_actions(self, kinds: tuple[type[Any], ...], listener: ActionListener) -> Disposable:
        return self._audience.listen_to_actions(kinds, listener)


def _checked(scheduler: abc.SchedulerBase | None) -> abc.SchedulerBase | None:
    """A trampoline runs what it is given in the thread that gives it, as a store without a scheduler does. One for many
    threads drops what one of them adds while another one leaves it."""
    if not isinstance(scheduler, TrampolineScheduler):
        return scheduler
    if isinstance(scheduler, CurrentThreadScheduler):
        return None
    raise TypeError(
        "a TrampolineScheduler drops what one thread schedules while another one leaves it, and the store would fall "
        "silent; leave scheduler= out to deliver in the thread that dispatches, or give an EventLoopScheduler()"
    )


class _Selection(Subscribable[T]):
    def __init__(self, store: Store[S], selector: Callable[[S], T]) -> None:
        super().__init__()
        self._store, self._selector = store, selector
        self._reads = reads(selector)

    def _listen(self, observer: tuple[Any, Any]) -> abc.DisposableBase:
        return self._store._audience.listen_to_states(SelectListener(observer, self._selector, self._reads))


def log_report(error: Exception, where: str, action: Any) -> None:
    """The default `report`: an error in the log `rxauth`, with the class of the action but not its content."""
    during = "" if action is None else f" during {kind_of(action)}"
    log.error("rxauth: %s failed%s: %r", where, during, error, exc_info=error)


_stores: weakref.WeakSet[Store[Any]] = weakref.WeakSet()


def _renew_after_fork() -> None:
    for store in list(_stores):
        store._queue.renew()
        store._reducing = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
