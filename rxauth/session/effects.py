"""Effects behind the gate: the operator `session.gate`."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler import NewThreadScheduler

from rxauth.concurrency.policy import Policy, Turns, check_policy
from rxauth.concurrency.runtime import running_loop
from rxauth.concurrency.serialized import OneAtATime
from rxauth.concurrency.single import Loop
from rxauth.errors import TooManyWaiting
from rxauth.session.effect import Effect, Gatekeeping
from rxauth.tokens.pair import Tokens

T = TypeVar("T")
R = TypeVar("R")

Project: TypeAlias = Callable[[T, Tokens], Observable[R] | Awaitable[R]]
Failed: TypeAlias = Callable[[T, Exception], R]


def gate(
    session: Gatekeeping, project: Project[T, R], policy: Policy, failed: Failed[T, R] | None, waiting: int
) -> Callable[[Observable[T]], Observable[R]]:
    """The operator of `Session.gate`, where it is described."""
    if not callable(project):
        raise TypeError(
            f"gate() takes a function of (item, tokens), got {type(project).__name__}: "
            "source.pipe(session.gate(lambda item, tokens: ...))"
        )
    check_policy(policy)
    if not isinstance(waiting, int) or waiting < 1:
        raise ValueError(f"waiting must be 1 or more, and whole; got {waiting!r}")

    def operator(source: Observable[T]) -> Observable[R]:
        def subscribe(observer: abc.ObserverBase[R], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            # A piped `.run()` names this scheduler: it blocks its thread, and the loop with it, until all is over.
            blocking = isinstance(scheduler, NewThreadScheduler)
            loop = None if blocking else running_loop()
            gate = _Gate(session, project, failed, policy, waiting, observer, loop, None if blocking else scheduler)
            subscription = source.subscribe(gate.add, gate.out.on_error, gate.finish, scheduler=scheduler)
            return CompositeDisposable(subscription, Disposable(gate.cancel))

        return Observable(subscribe)

    return operator


class _Gate:
    """One subscription of the operator: its items, from their arrival to their end."""

    def __init__(
        self,
        session: Gatekeeping,
        project: Project[Any, Any],
        failed: Failed[Any, Any] | None,
        policy: Policy,
        limit: int,
        observer: abc.ObserverBase[Any],
        loop: Loop | None,
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self.session, self.project, self.failed = session, project, failed
        self.observer, self.loop, self.scheduler = observer, loop, scheduler
        self.out = OneAtATime(observer)
        self._limit, self._in_order = limit, policy == "in_order"
        self._lock = threading.Lock()
        #: The effects that are not over. Whoever takes one out is the one who ends it.
        self._live: dict[Effect, None] = {}
        self._waiting = 0
        self._turns: Turns[Effect] = Turns(policy, Effect.begin, accepted=self._accept)
        session.presence.add(self)

    def add(self, item: Any) -> None:
        effect = Effect(self, item)
        if self._in_order and not self.let_wait(effect):
            effect.end(self.too_many())
        else:
            self._turns.add(effect)

    def finish(self) -> None:
        self._turns.finish(self.out.on_completed)

    def cancel(self) -> None:
        self._turns.cancel()
        with self._lock:
            self._live.clear()

    def end(self) -> list[Any]:
        """The session is closed. Returns the items whose end nobody was told of."""
        with self._lock:
            ended = list(self._live)
            self._live.clear()  # all of them first: none begins, to fail by itself, when the one before is over
            self._waiting = 0
            for effect in ended:
                effect.waits = False
        for effect in ended:
            try:
                effect.end(self.session.ending(effect.began), told=self.failed is not None)
            except Exception as error:
                self.session.report(error, f"the gate of session {self.session.name}", effect.item)
        return [effect.item for effect in ended] if self.failed is None else []

    def let_wait(self, effect: Effect) -> bool:
        """Count it among those that wait, unless it was counted before: one that ran already keeps its place. False
        when there is no room."""
        with self._lock:
            if not effect.is_admitted:
                if self._waiting >= self._limit and (self._in_order or self.session.peek() is None):
                    return False
                effect.is_admitted = effect.waits = True
                self._waiting += 1
            return True

    def let_run(self, effect: Effect) -> bool:
        """It does not wait any more. False when it is over."""
        with self._lock:
            self._waiting -= effect.waits
            effect.waits = False
            return effect in self._live

    def take_out(self, effect: Effect) -> bool:
        """True for the first one who asks: he ends it."""
        with self._lock:
            self._waiting -= effect.waits
            effect.waits = False
            return self._live.pop(effect, self) is None

    def too_many(self) -> TooManyWaiting:
        return TooManyWaiting(
            f"{self._limit} items wait at this gate already, so this one was not run: let fewer come, choose another "
            "policy, or say session.gate(..., waiting=...)"
        )

    def _accept(self, effect: Effect) -> None:
        with self._lock:
            self._live[effect] = None
