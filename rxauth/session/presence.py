"""Who has to hear that a sign-in is over, or that the session is: effects, function actions, followers of its state."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxauth.concurrency.single import Leave, stays
from rxauth.errors import NotSignedIn, RxAuthError, SessionChanged, SessionClosed, SessionExpired, as_error
from rxauth.session.state import AuthState
from rxauth.store.store import Store

T = TypeVar("T")


class Guest(Protocol):
    """What has to end when the session closes."""

    def end(self) -> list[Any]:
        """End, and return what nobody was told of."""


class Presence:
    """What runs under each sign-in, and what lasts as long as the session.

    `report(error, action)` is told of an error that one of them raises at its end. Safe from any thread; it calls
    nothing under its lock.
    """

    def __init__(self, report: Callable[[Exception, Any], None]) -> None:
        self._report = report
        #: Not held here: a gate whose source is forgotten has nothing to do any more.
        self._guests: weakref.WeakSet[Guest] = weakref.WeakSet()
        self._running: dict[str, dict[int, Callable[[], None]]] = {}
        self._number = 0
        self.renew()

    def renew(self) -> None:
        """A new lock; also for the child of a fork, whose copy may be in mid-use."""
        self._lock = threading.Lock()

    def add(self, guest: Guest) -> None:
        with self._lock:
            self._guests.add(guest)

    def discard(self, guest: Guest) -> None:
        with self._lock:
            self._guests.discard(guest)

    def under(self, sign_in: str, over: Callable[[], None]) -> Leave:
        """Have `over` called when that sign-in is over; the result is called when it need not be any more."""
        with self._lock:
            self._number += 1
            number = self._number
            self._running.setdefault(sign_in, {})[number] = over
        return lambda: self._leave(sign_in, number)

    def look(self, is_present: Callable[[str], bool]) -> None:
        """End what runs under a sign-in that is over. It costs as much as there are sign-ins, not as much as runs."""
        if not self._running:
            return
        with self._lock:
            signed_in = list(self._running)
        ended: list[Callable[[], None]] = []
        for sign_in in signed_in:
            if not is_present(sign_in):
                with self._lock:
                    ended.extend(self._running.pop(sign_in, {}).values())
        self._end(ended)

    def end(self) -> list[Any]:
        """The session closes. Returns what nobody was told of."""
        with self._lock:
            guests = list(self._guests)
            self._guests.clear()
        unheard: list[Any] = []
        self._end([lambda guest=guest: unheard.extend(guest.end()) for guest in guests])  # type: ignore[misc]
        self.look(lambda _: False)
        return unheard

    def _end(self, ended: list[Callable[[], None]]) -> None:
        for number, over in enumerate(ended, 1):
            try:
                over()
            except BaseException as error:
                if stays(error):
                    self._report(as_error(error, "the end of an effect"), None)
                    continue
                self._end(ended[number:])  # Ctrl-C in one of them is no reason to leave the others running
                raise

    def _leave(self, sign_in: str, number: int) -> None:
        with self._lock:
            group = self._running.get(sign_in, {})
            group.pop(number, None)
            if not group:
                self._running.pop(sign_in, None)


class Attended:
    """The part of a session that knows what runs under a sign-in, and ends it."""

    name: str
    store: Store[Any]
    presence: Presence
    _closed: bool

    @property
    def auth(self) -> AuthState:
        raise NotImplementedError

    def report(self, error: Exception, where: str, action: Any) -> None:
        raise NotImplementedError

    def ending(self, sign_in: str) -> RxAuthError:
        """What is said to an effect that ran under `sign_in`, which is over."""
        if self._closed or self.store.is_closed:
            return SessionClosed("the session was closed before this effect had ended")
        auth = self.auth
        present, error = auth.sign_in, auth.error
        if present not in ("", sign_in):
            return SessionChanged("another user signed in while this effect ran, so it was cancelled")
        if isinstance(error, SessionExpired):
            return error.again()
        return NotSignedIn("signed out while this effect ran, so it was cancelled")

    def end_presence(self) -> None:
        """The session or its store is closed: what runs is over, too. One report speaks of all that nobody hears of."""
        unheard = self.presence.end()
        if unheard:
            many = f"{len(unheard)} items were" if len(unheard) > 1 else "an item was"
            error = SessionClosed(f"the session was closed while {many} behind its gate")
            self.report(error, f"the gate of session {self.name}", unheard[0] if len(unheard) == 1 else None)


class _Following:
    """A subscription that completes with the session, after all that was reduced before."""

    def __init__(self, store: Store[Any], observer: abc.ObserverBase[Any]) -> None:
        self._store, self._observer = store, observer

    def complete(self) -> None:
        self._observer.on_completed()

    def end(self) -> list[Any]:
        self._store.in_turn(self.complete)
        return []


def until_closed(
    source: Observable[T], store: Store[Any], presence: Presence, is_closed: Callable[[], bool]
) -> Observable[T]:
    """`source`, a stream of the store, which completes when the session is closed, too."""

    def subscribe(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        following = _Following(store, observer)
        presence.add(following)
        if is_closed():
            presence.discard(following)
            observer.on_completed()
            return Disposable()
        # The source holds `following` by its method, and with it its place among the guests.
        subscription = source.subscribe(observer.on_next, observer.on_error, following.complete, scheduler=scheduler)
        return CompositeDisposable(subscription, Disposable(lambda: presence.discard(following)))

    return Observable(subscribe)
