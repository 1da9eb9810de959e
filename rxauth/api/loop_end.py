"""Hearing of the end of an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress


class LoopEnd:
    """Has the loop that runs here await `over()` in `loop.shutdown_asyncgens()`. That is where `asyncio.run` is when it
    has cancelled its tasks and does not wait for the threads of its executor yet.

    There is no other hook: async generators that have begun are closed then (PEP 525). A loop that is closed without
    it tells nobody.
    """

    def __init__(self, over: Callable[[], Awaitable[None]]) -> None:
        self._over: Callable[[], Awaitable[None]] | None = over
        self._generator = self._wait()
        with suppress(StopIteration):
            self._generator.__anext__().send(None)

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._over is not None:
                await self._over()

    def forget(self) -> None:
        """`over` is not called any more. From any thread."""
        self._over = None
        with suppress(StopIteration, RuntimeError):  # it has ended, or is about to on its loop
            self._generator.aclose().send(None)
