"""Who listens to a store: who is told of which action and state, from which one on, and of the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Generic, TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from rxauth.concurrency.single import stays
from rxauth.errors import as_error
from rxauth.store.listeners import ActionListener, Listener, Report
from rxauth.store.queue import DrainQueue, Entry, step
from rxauth.store.reads import StateRoutes

S = TypeVar("S")


class Audience(Generic[S]):
    """The listeners of a store, and the queue through which they are told.

    `newest` says the number of the last action and the state after it; it is asked under the queue's lock. `ended` is
    called when the last one of all entries was told, before the listeners are completed.
    """

    def __init__(
        self,
        initial: S,
        newest: Callable[[], tuple[int, S]],
        ended: Callable[[], None],
        report: Report,
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self._newest, self._ended, self._report = newest, ended, report
        self._actions, self._states = Routes(), StateRoutes()
        self.queue = DrainQueue(self._recipients, report, scheduler)
        #: The state as of the entry under way.
        self.shown = initial
        #: No actions any more but the epics' last words; and then none at all.
        self.closing = self.closed = False

    def listen_to_states(self, listener: Listener) -> abc.DisposableBase:
        """Show the listener the state as of entry n: at once if possible. The queue brings it everything after n."""
        queue, now, mine = self.queue, False, self.queue.is_mine()
        key = 0
        try:
            with queue.lock:
                number, state = self._newest()
                closed = self.closed
                if not closed:
                    key = self._states.add(listener)
                    listener.since = number
                    # Claimed, because another thread could otherwise show it entry n + 1 before it has seen n.
                    now = mine or queue.claim()
                    if not now:
                        queue.put(step(number, lambda: self._show(listener, state)))
            if closed:
                listener.on_completed()
                return Disposable()
            if now:
                self._show(listener, state)
        finally:
            if not mine and queue.is_mine():
                queue.release()
        if not now:
            queue.drain()
        return Disposable(lambda: self._leave(lambda: self._states.remove(key)))

    def listen_to_actions(self, kinds: tuple[type[Any], ...], listener: ActionListener) -> Disposable:
        """The queue brings it every action of these classes from now on."""
        queue = self.queue
        with queue.lock:
            if not self.closing:
                # Who subscribes while being shown entry n is at n: n + 1 may be queued already, but is news to him.
                listener.since = queue.current if queue.is_mine() else self._newest()[0]
                remove = self._actions.add(kinds, listener)
                return Disposable(lambda: self._leave(remove))
        listener.on_completed()
        return Disposable()

    def close(self) -> None:
        """Complete the epics' actions, deliver their last words, then complete all. Idempotent."""
        with self.queue.lock:
            if self.closing:
                return
            self.closing = True
            self.queue.put(step(self._newest()[0], self._complete_epics))
        self.queue.drain()

    def _recipients(self, entry: Entry) -> Iterator[Listener]:
        """Who gets this entry: a snapshot. States go first, so that an epic's answer to an action comes after it."""
        _, _, action, state, changed = entry
        before, self.shown = self.shown, state
        actions = self._actions.of(type(action))
        if not changed:
            return iter(actions)
        states = self._states.of(before, state)
        return chain(states, actions) if actions else iter(states)

    def _show(self, listener: Listener, state: S) -> None:
        try:
            listener.deliver(None, state)
        except BaseException as error:
            if not stays(error):
                raise
            self._report(as_error(error, listener.where), listener.where, None)

    def _leave(self, remove: Callable[[], None]) -> None:
        with self.queue.lock:
            remove()

    def _complete_epics(self) -> None:
        with self.queue.lock:
            listeners = self._actions.take(of_epics=True)
        self._complete(listeners)
        with self.queue.lock:
            self.queue.put(step(self._newest()[0], self._complete_all))

    def _complete_all(self) -> None:
        with self.queue.lock:
            self.closed = True
            listeners = [*self._actions.take(of_epics=False), *self._states.take()]
        self._ended()
        self._complete(listeners)

    def _complete(self, listeners: list[Any]) -> None:
        for listener in listeners:
            try:
                listener.on_completed()
            except BaseException as error:
                if not stays(error):
                    raise
                self._report(as_error(error, listener.where), listener.where, None)


class Routes:
    """Which listeners an action visits: those of its class and of its bases, in the order they subscribed.

    The answer is remembered per class of action and forgotten when a listener that it concerns comes or goes, so that
    the cost of a dispatch does not grow with listeners of other classes. Not safe by itself: the store locks it.
    """

    def __init__(self) -> None:
        self._by_kind: dict[type[Any], dict[int, ActionListener]] = {}
        self._remembered: dict[type[Any], tuple[ActionListener, ...]] = {}
        self._number = 0

    def add(self, kinds: tuple[type[Any], ...], listener: ActionListener) -> Callable[[], None]:
        self._number += 1
        number = self._number
        for kind in kinds:
            self._by_kind.setdefault(kind, {})[number] = listener
        self._forget(kinds)

        def remove() -> None:
            for kind in kinds:
                members = self._by_kind.get(kind, {})
                members.pop(number, None)
                if not members:
                    self._by_kind.pop(kind, None)
            self._forget(kinds)

        return remove

    def of(self, kind: type[Any]) -> tuple[ActionListener, ...]:
        found = self._remembered.get(kind)
        if found is None:
            members: dict[int, ActionListener] = {}
            for asked, listeners in self._by_kind.items():
                if issubclass(kind, asked):
                    members |= listeners
            found = self._remembered[kind] = tuple(members[number] for number in sorted(members))
        return found

    def take(self, *, of_epics: bool) -> list[ActionListener]:
        """Remove the epics' listeners, or all, and return them in the order they subscribed."""
        taken: dict[int, ActionListener] = {}
        for members in self._by_kind.values():
            for number in [number for number, one in members.items() if one.is_epics or not of_epics]:
                taken[number] = members.pop(number)
        self._remembered.clear()
        return [taken[number] for number in sorted(taken)]

    def _forget(self, kinds: tuple[type[Any], ...]) -> None:
        for kind in [kind for kind in self._remembered if issubclass(kind, kinds)]:
            del self._remembered[kind]
