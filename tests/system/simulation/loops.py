"""An event loop that is one more task of the scheduler: it goes on when chance says so, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tests.system.simulation.clock import Interleaving


class Loop(asyncio.BaseEventLoop):
    """Its selector waits for no socket: it gives way to the other tasks until a callback or a timer of the loop is due.

    `strange` is told of whoever calls what belongs to the loop's own thread from another one.
    """

    def __init__(self, time: Interleaving, name: str, strange: Callable[[str], None]) -> None:
        super().__init__()
        self.name = name
        self._selector = self
        self._virtual = time
        self._strange = strange
        self._woken = time.latch()
        self._jobs: dict[asyncio.Task[Any], None] = {}
        self.set_exception_handler(self._note)
        time.spawn(self._main, name)

    def time(self) -> float:
        return self._virtual.now().mono

    def start(self, job: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin a job here; called on the loop."""
        task = self.create_task(job)
        self._jobs[task] = None
        task.add_done_callback(self._jobs.pop)
        return task

    @property
    def is_idle(self) -> bool:
        return not self._jobs

    def cancel_all(self) -> None:
        """Cancel every job; called on the loop."""
        for task in list(self._jobs):
            task.cancel()

    def quit(self) -> None:
        """Stop, from any thread."""
        self.call_soon_threadsafe(self.stop)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self._thread_id not in (None, threading.get_ident()):
            self._strange(f"{self.name} was called on a thread that is not its own")
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        self._virtual.yield_point("a loop is called")
        return super().call_soon_threadsafe(callback, *args, context=context)

    def select(self, timeout: float | None) -> list[Any]:
        """What BaseEventLoop asks of a selector."""
        if timeout is not None and timeout <= 0:
            self._virtual.yield_point("a loop goes round")
        else:
            self._woken = self._virtual.latch()
            self._virtual.wait(self._woken, timeout)
        return []

    def _write_to_self(self) -> None:
        self._woken.set()

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """The garbage collector must not choose when somebody else goes on."""
        if not self.is_closed():
            self._ready.append(asyncio.Handle(self._finish, (agen,), self))

    def _finish(self, agen: Any) -> None:
        self.create_task(agen.aclose())

    def _main(self) -> None:
        try:
            self.run_forever()
        finally:
            self.close()

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._strange(f"{self.name}: {context.get('exception') or context['message']!r}")
