"""Several accounts: a session for each user or tenant, made when it is needed and closed when it is not."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rxauth.concurrency.closing import Closing
from rxauth.concurrency.runtime import Runtime
from rxauth.errors import SessionClosed, TooManySessions, WouldDeadlock
from rxauth.session.session import Session

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Making:
    """A session that is being made, for so many who ask, in the thread `maker` (0: none yet)."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    askers: int = 0
    maker: int = 0


class Sessions(Closing, Generic[K]):
    """A family of sessions by key: `sessions[user_id]` is the session of that user, the same one for all who ask.

    `make(key)` makes a session that does not exist yet, with a storage of its own for that key, where it finds the
    tokens of before: `Sessions(lambda user: Session(refresher, storage=FileStorage(folder / name_for(user))))`, with
    `rxauth.storage.name_for`, which makes a name of a key that comes from outside. It is called in the thread that
    asks, once for each key, however many ask at the same time; what it raises is raised to them.

    A session that nobody asked for in the last `idle` seconds is closed at the next request for any; of more than
    `limit` the one that was asked for longest ago is. Those are spared that refresh or log in, and those whose tokens
    would be lost, because their storage is the memory. So ask anew for each piece of work, and do not keep a session.

    Safe from any thread. Each session has its own tokens, its own flight and its own lock: no call of one user can be
    sent with the tokens of another.
    """

    def __init__(
        self,
        make: Callable[[K], Session[Any]],
        *,
        limit: int = 1000,
        idle: float = 3600.0,
        time: Runtime | None = None,
    ) -> None:
        if not callable(make):
            raise TypeError(f"make must be a function of the key that returns a Session, got {type(make).__name__}")
        if not isinstance(limit, int) or not isinstance(idle, int | float) or not (limit >= 1 and idle >= 0):
            raise ValueError(f"limit must be 1 or more and idle 0 or more, got {limit!r} and {idle!r}")
        self._make = make
        self._limit, self._idle = limit, idle
        self._runtime = time or Runtime()
        self._lock = threading.Lock()
        self._made: OrderedDict[K, tuple[Session[Any], float]] = OrderedDict()
        self._making: dict[K, _Making] = {}
        #: How many are being made.
        self._reserved = 0
        self._closed = False

    def __getitem__(self, key: K) -> Session[Any]:
        """The session of this key. Raises `TooManySessions` when there is no room and none can be closed,
        `SessionClosed` after `close()`, `WouldDeadlock` in a `make` that asks for its own key, and what `make` raises.
        """
        with self._lock:
            found = self._used(key)
            if found is not None:
                return found
            making = self._making.setdefault(key, _Making())
            if making.maker == threading.get_ident():
                raise WouldDeadlock(f"make({key!r}) asks for the session that it is to make")
            making.askers += 1
        try:
            with making.lock:
                with self._lock:
                    found = self._used(key)
                    making.maker = threading.get_ident()
                try:
                    return found if found is not None else self._add(key)
                finally:
                    making.maker = 0
        finally:
            with self._lock:
                making.askers -= 1
                if not making.askers:
                    del self._making[key]

    def __contains__(self, key: object) -> bool:
        """Is there a session of this key now? Asking does not make one."""
        return key in self._made

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[K]:
        """The keys of the sessions that are there now, the one asked for longest ago first."""
        with self._lock:
            return iter(list(self._made))

    def discard(self, key: K) -> None:
        """Close the session of this key, if there is one. Its stored tokens stay: that is no logout."""
        with self._lock:
            session, _ = self._made.pop(key, (None, 0.0))
        if session is not None:
            session.close()

    def close(self) -> None:
        """Close all of them. Idempotent."""
        with self._lock:
            self._closed = True
            sessions = [session for session, _ in self._made.values()]
            self._made.clear()
        _close(sessions)

    def __repr__(self) -> str:
        return f"Sessions({len(self)} of at most {self._limit})"

    def _used(self, key: K) -> Session[Any] | None:
        """The session, marked as used now; the caller holds the lock."""
        if self._closed:
            raise SessionClosed("these sessions are closed; make new Sessions")
        session, _ = self._made.get(key, (None, 0.0))
        if session is None:
            return None
        if session.is_closed:  # by somebody who has used it in a `with`
            del self._made[key]
            return None
        self._made[key] = session, self._runtime.now().mono
        self._made.move_to_end(key)
        return session

    def _add(self, key: K) -> Session[Any]:
        spare = self._make_room()
        try:
            _close(spare)
            session = self._make(key)
            if not isinstance(session, Session):
                raise TypeError(f"make({key!r}) returned {type(session).__name__}; return a Session")
        except BaseException:
            with self._lock:
                self._reserved -= 1
            raise
        with self._lock:
            self._reserved -= 1
            closed = self._closed
            if not closed:
                self._made[key] = session, self._runtime.now().mono
        if closed:
            session.close()
            raise SessionClosed("these sessions were closed meanwhile; make new Sessions")
        return session

    def _make_room(self) -> list[Session[Any]]:
        """Reserve a place for one. Returns those to close: idle for too long, and one more where there is no room."""
        with self._lock:
            now = self._runtime.now().mono
            old = [key for key, (_, used) in self._made.items() if now - used >= self._idle and self._is_spare(key)]
            if len(self._made) - len(old) + self._reserved >= self._limit:
                spare = next((key for key in self._made if key not in old and self._is_spare(key)), None)
                if spare is None:
                    count = len(self._made) + self._reserved
                    raise TooManySessions(
                        f"there are {count} sessions, and none can be closed without losing its tokens: give them a "
                        "storage that outlives them, discard() those you are done with, or raise limit="
                    )
                old.append(spare)
            closing = [self._made.pop(key)[0] for key in old]
            self._reserved += 1
        return closing

    def _is_spare(self, key: K) -> bool:
        session, _ = self._made[key]
        return session.is_closed or (not session.is_busy and (session.storage.is_shared or session.auth.tokens is None))


def _close(sessions: list[Session[Any]]) -> None:
    """Close all of them, whatever the storage of one raises."""
    with ExitStack() as closing:
        for session in reversed(sessions):
            closing.callback(session.close)
