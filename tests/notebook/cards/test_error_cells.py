"""In a real kernel: an error that nobody else hears of shows in the cell that began the work, however late it comes."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client import KernelManager

from tests.kernels import sockets

PRELUDE = """
import asyncio, threading
from reactivex import Subject
from rxauth import Session, Store, Tokens
begin = threading.Event()
def refresh(tokens):
    begin.wait(60)
    return {"access": "n" * 30, "refresh": "r" * 30, "expires_in": 100}
def stale():
    begin.clear()
    return Session(refresh, tokens=Tokens("a" * 30, "r" * 30, expires_at=1.0))
"""

#: What begins the work, and what is seen of it much later.
WORK = {
    "a subscriber of a store": (
        "store = Store(lambda s, a: s + 1, 0); store.subscribe(lambda s: {}['late'] if s else None)\n"
        "async def later():\n    await asyncio.to_thread(begin.wait, 20); store.dispatch('x')\n"
        "begin.clear(); task = asyncio.create_task(later()); None"
    ),
    "a callback that waits for a refresh": "session = stale(); session.fresh().subscribe(lambda t: {}['late']); None",
    "a second callback, of a refresh that another cell began": (
        "session = stale(); session.fresh().subscribe(); None",
        "session.fresh().subscribe(lambda t: {}['late']); None",
    ),
    "a subscriber that hears of a refresh": (
        "session = stale(); session.store.actions.subscribe(\n"
        "    lambda action: {}['late'] if type(action).__name__ == 'TokensRefreshed' else None)\n"
        "session.fresh().subscribe(); None"
    ),
    "an effect behind the gate": (
        "session = stale(); source = Subject()\n"
        "async def effect():\n    return {}['late']\n"
        "source.pipe(session.gate(lambda item, tokens: effect())).subscribe(); source.on_next(1)"
    ),
    "a gated function": "session = stale(); session.store.dispatch(session.gated(lambda d, g: {}['late'])) and None",
}


class Kernel:
    def __init__(self, where: dict[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3", **where)
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=240)
        self.printed: dict[str, str] = {}

    def run(self, code: str) -> str:
        """Run a cell to its end; returns its id."""
        cell = str(self._client.execute(code))
        while (cell, "idle") != self._next(60):
            pass
        return cell

    def wait_for(self, text: str) -> str:
        """The cell in which this text shows."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for cell, printed in self.printed.items():
                if text in printed:
                    return cell
            self._next(0.2)
        raise AssertionError(f"{text!r} shows nowhere: {self.printed}")

    def _next(self, timeout: float) -> tuple[str, str]:
        try:
            message: Any = self._client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return "", ""
        cell, content = message["parent_header"].get("msg_id", ""), message["content"]
        if message["msg_type"] == "stream":
            self.printed[cell] = self.printed.get(cell, "") + content["text"]
        return cell, content.get("execution_state", "")

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with sockets() as where:
        kernel = Kernel(where)
        try:
            kernel.run(PRELUDE)
            yield kernel
        finally:
            kernel.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_it_shows_in_the_cell_that_began_it(kernel: Kernel, work: str | tuple[str, ...]) -> None:
    kernel.printed.clear()
    cells = [kernel.run(code) for code in ((work,) if isinstance(work, str) else work)]
    kernel.run("'another cell'")
    kernel.run("begin.set(); await asyncio.sleep(0.05)")
    assert kernel.wait_for("KeyError: 'late'") == cells[-1]
