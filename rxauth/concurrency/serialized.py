"""An observer that many threads may call."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import abc


class OneAtATime:
    """An observer that many threads may call: one value after the other reaches the real one, without a lock held."""

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._busy = False

    def on_next(self, value: Any) -> None:
        self.tell(self._observer.on_next, value)

    def on_error(self, error: Exception) -> None:
        self.tell(self._observer.on_error, error)

    def on_completed(self) -> None:
        self.tell(self._observer.on_completed)

    def tell(self, call: Callable[..., None], *values: Any) -> None:
        """Call it in its turn."""
        with self._lock:
            if self._busy:
                self._queue.append((call, values))
                return
            self._busy = True
        raised: BaseException | None = None
        while True:
            try:
                call(*values)
            except BaseException as error:
                raised = raised or error  # what others queued meanwhile has nobody else to tell it
            with self._lock:
                if not self._queue:
                    self._busy = False  # under the lock: who comes later must not think that we are still here
                    break
                call, values = self._queue.popleft()
        if raised is not None:
            raise raised
