"""The guard under which the notebooks run bites: an error that no cell shows fails the test."""

from __future__ import annotations

import pytest
from notebook_kit import of_cells, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

IN_A_CALLBACK = """
import asyncio
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

def fail(scheduler, state):
    raise ValueError("nobody sees this")

scheduler = AsyncIOThreadSafeScheduler(asyncio.get_running_loop())
scheduler.schedule_relative(0.01, fail)
await asyncio.sleep(0.05)
"""
IN_A_TASK = """
import asyncio

async def fail():
    raise ValueError("nobody sees this")

asyncio.create_task(fail())
await asyncio.sleep(0.01)
"""
IN_A_THREAD = """
import threading

def fail():
    raise ValueError("nobody sees this")

thread = threading.Thread(target=fail)
thread.start()
thread.join()
"""
IN_AN_EPIC = """
from reactivex import operators as ops
from rxauth import AuthState, Store, auth_reducer
from rxauth.session import Login

def fail(action):
    raise ValueError("nobody sees this")

store = Store(auth_reducer, AuthState())
added = store.add_epic(lambda actions, state: actions.pipe(ops.map(fail)))
store.dispatch(Login())
"""


@pytest.mark.parametrize(
    ("source", "where"),
    [(IN_A_CALLBACK, "loop"), (IN_A_TASK, "loop"), (IN_A_THREAD, "thread"), (IN_AN_EPIC, "log")],
    ids=["callback", "task", "thread", "epic"],
)
def test_it_catches_what_no_cell_shows(source: str, where: str) -> None:
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match=rf"lost: {where}: .*") as caught:
        run(of_cells(source, "'the next cell runs as if nothing had happened'"))
    assert "AssertionError" in str(caught.value)


def test_it_lets_a_sound_notebook_pass() -> None:
    run(of_cells("import asyncio\nawait asyncio.sleep(0)", "1 + 1"))
