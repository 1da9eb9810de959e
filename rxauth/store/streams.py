"""What a store hands out: its stream of actions, routed by class, and an epic's view of the state."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar, overload

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxauth.store.actions import check_kinds
from rxauth.store.listeners import ActionListener, LastSeen

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Subscribable(Observable[A]):
    """An Observable that lists its subscribers itself.

    It passes by the wrapper that `Observable.subscribe` puts around an observer, for two reasons: a subscriber that is
    disposed of during a notification still gets that one, as in redux, and a dispatch costs less than half.
    """

    def subscribe(
        self,
        on_next: abc.ObserverBase[A] | abc.OnNext[A] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or up to three callbacks (`on_error` is never called: these streams do not fail)."""
        if hasattr(on_next, "on_next"):
            observer: Any = on_next
            return self._listen((observer.on_next, observer.on_completed))
        return self._listen((on_next, on_completed))

    def _listen(self, observer: tuple[Any, Any]) -> abc.DisposableBase:
        raise NotImplementedError


class ActionSource(Protocol):
    """What an `ActionStream` needs of its store."""

    def _listen_to_actions(self, kinds: tuple[type[Any], ...], listener: ActionListener) -> Disposable: ...

    def _emit(self, action: Any, where: str) -> bool: ...

    @property
    def is_telling(self) -> bool: ...


class ActionStream(Subscribable[A]):
    """The actions of a store, hot: a subscriber sees those dispatched after it subscribed.

    It never fails, and completes when the store closes. Called back where the store delivers.
    """

    def __init__(
        self,
        source: ActionSource,
        kinds: tuple[type[Any], ...] = (object,),
        where: str = "a subscriber of the actions",
        seen: LastSeen | None = None,
    ) -> None:
        super().__init__()
        self._source, self._kinds, self._where, self._seen = source, kinds, where, seen

    @overload
    def of_type(self, kind: type[B], /) -> ActionStream[B]: ...
    @overload
    def of_type(self, kind: type[B], kind2: type[C], /) -> ActionStream[B | C]: ...
    @overload
    def of_type(self, kind: type[B], kind2: type[C], kind3: type[D], /) -> ActionStream[B | C | D]: ...
    @overload
    def of_type(self, *kinds: type[Any]) -> ActionStream[Any]: ...
    def of_type(self, *kinds: type[Any]) -> ActionStream[Any]:
        """The actions that are instances of one of these classes; a subclass matches its base."""
        check_kinds(kinds)
        if self._kinds != (object,):
            raise TypeError("of_type() narrows the whole stream once; name all classes in one call: of_type(A, B)")
        return ActionStream(self._source, kinds, self._where, self._seen)

    def emit(self, action: Any) -> None:
        """Dispatch the last words of an epic that was disposed of, whose output nobody listens to any more."""
        self._source._emit(action, self._where)

    def _listen(self, observer: tuple[Any, Any]) -> abc.DisposableBase:
        return self._source._listen_to_actions(self._kinds, ActionListener(observer, self._where, self._seen))


class StateSource(Protocol[S_co]):
    """What a `StateView` needs of its store."""

    @property
    def state(self) -> S_co: ...


class ShownState(Protocol[S_co]):
    """And of the store's audience."""

    @property
    def shown(self) -> S_co: ...


class StateView(Generic[S]):
    """The state as an epic should see it: right after the action that it is being shown.

    `store.state` may be further on already, because others dispatch meanwhile.
    """

    __slots__ = ("_audience", "_source")

    def __init__(self, source: StateSource[S], audience: ShownState[S]) -> None:
        self._source, self._audience = source, audience

    @property
    def state(self) -> S:
        return self._audience.shown

    @property
    def newest(self) -> S:
        """`store.state`, for work that an epic does later, after a wait."""
        return self._source.state
