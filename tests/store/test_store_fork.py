"""After a fork the child's store works, whatever the parent's threads were doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from store_kit import Add, Crew, Noop, Seen, await_event, log_reducer

from rxauth import Store

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def succeeds_in_a_child(check: Callable[[], bool]) -> bool:
    """Run `check` in a forked child, which dies by SIGALRM if it hangs."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(5)
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_child_of_a_fork_has_the_state_and_can_dispatch() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    store.subscribe(seen)
    store.dispatch(Add(1))

    def check() -> bool:
        store.dispatch(Add(2))
        return store.state == (1, 2) and seen == [(), (1,), (1, 2)]

    assert succeeds_in_a_child(check)
    assert store.state == (1,)
    assert seen == [(), (1,)]


def test_the_child_can_dispatch_though_a_thread_of_the_parent_was_reducing() -> None:
    """The copy of the lock is held by a thread that does not exist in the child."""
    reducing, go_on = threading.Event(), threading.Event()

    def slow(state: Any, action: Any) -> Any:
        if isinstance(action, Noop):
            reducing.set()
            await_event(go_on)
        return log_reducer(state, action)

    store = Store(slow, ())
    crew = Crew(lambda: store.dispatch(Noop()))
    await_event(reducing)

    def check() -> bool:
        store.dispatch(Add(1))
        return store.state == (1,)

    try:
        assert succeeds_in_a_child(check)
    finally:
        go_on.set()
        crew.join()


def test_the_child_delivers_though_a_thread_of_the_parent_was_delivering() -> None:
    store, seen = Store(log_reducer, ()), Seen()
    delivering, go_on = threading.Event(), threading.Event()

    def slow(action: Any) -> None:
        if isinstance(action, Noop):
            delivering.set()
            await_event(go_on)

    store.actions.subscribe(slow)
    crew = Crew(lambda: store.dispatch(Noop()))
    await_event(delivering)
    store.subscribe(seen)

    def check() -> bool:
        late = Seen()
        store.dispatch(Add(1))
        store.subscribe(late)
        return late == [(1,)] and seen == [(1,)]

    try:
        assert succeeds_in_a_child(check)
    finally:
        go_on.set()
        crew.join()
    assert seen == [()]
