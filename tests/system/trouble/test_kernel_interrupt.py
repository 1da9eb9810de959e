"""A notebook cell that waits for a refresh is interrupted: the next cell gets the tokens of that very refresh."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from tests.kernels import sockets
from tests.system.trouble.trouble_kit import PATIENCE, ROOT, Stage, stage, until

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning"
)

#: The first cell of a notebook.
BEGIN = """
import httpx
from rxauth import BearerAuth, Request, Session, Tokens, api_epic, call, request, simplejwt

session = Session(simplejwt({token_url!r}), tokens=Tokens({access!r}, {refresh!r}), origins=[{api_url!r}])
client = httpx.Client(auth=BearerAuth(session), base_url={api_url!r})
on_the_loop = httpx.AsyncClient(auth=BearerAuth(session), base_url={api_url!r})
session.store.add_epic(api_epic(httpx.AsyncClient(base_url={api_url!r}), session))
"""


class Kernel:
    """A Jupyter kernel in a process of its own, which is stopped with us."""

    def __init__(self, folder: Path, where: dict[str, str]) -> None:
        folders = {name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
        self._manager = KernelManager(kernel_name="python3", **where)
        self._manager.start_kernel(
            cwd=str(ROOT), env={**os.environ, **folders}, extra_arguments=["--HistoryManager.enabled=False"]
        )
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def begin(self, cell: str) -> str:
        """Run a cell without waiting for its end; how it is called."""
        return str(self._client.execute(cell, store_history=False))

    def end(self, cell: str) -> tuple[str, str]:
        """Wait for the end of a cell: "ok" or the name of its error, and what it printed."""
        shown = ""
        patience = time.monotonic() + PATIENCE
        while True:
            try:
                message: dict[str, Any] = self._client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                assert time.monotonic() < patience, f"the cell did not end; it printed {shown!r}"
                self._client.kernel_info()  # a cell that awaits hears of an interrupt when its loop wakes up
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["msg_type"] == "stream":
                shown += message["content"]["text"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == cell:
                return reply["content"].get("ename", reply["content"]["status"]), shown

    def run(self, cell: str) -> tuple[str, str]:
        return self.end(self.begin(cell))

    def interrupt(self) -> None:
        """The stop button."""
        self._manager.interrupt_kernel()

    def stop(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with sockets() as where:
        running = Kernel(tmp_path_factory.mktemp("kernel"), where)
        try:
            yield running
        finally:
            running.stop()


def notebook(kernel: Kernel, it: Stage) -> None:
    given = it.server.issue(expired=True)
    urls = {"token_url": it.sluice.url, "api_url": it.server.url}
    assert kernel.run(BEGIN.format(**urls, access=given.access, refresh=given.refresh)) == ("ok", "")


@pytest.mark.parametrize(
    "waits",
    [
        'client.get("/api/me/")',
        "session.fresh().run()",
        "await session.fresh()",
        'await on_the_loop.get("/api/me/")',
        'await request(session.store, call(Request.get("/api/me/")))',
    ],
)
def test_an_interrupted_cell_leaves_the_refresh_to_the_next_one(kernel: Kernel, waits: str) -> None:
    with stage() as it:
        notebook(kernel, it)
        cell = kernel.begin(waits)
        until(it.sluice.holding.is_set, "the refresh to be answered")
        kernel.interrupt()
        error, _ = kernel.end(cell)
        assert error in ("KeyboardInterrupt", "CancelledError")
        assert kernel.run("print(session.auth.status)") == ("ok", "refreshing\n")
        it.sluice.open()
        assert kernel.run(f"_ = {waits}; print(client.get('/api/me/').status_code)") == ("ok", "200\n")
        assert kernel.run("print((await session.fresh()).generation == session.auth.generation)") == ("ok", "True\n")
        assert it.asked == (1, 0)
