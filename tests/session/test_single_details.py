"""Each detail of a `Single` and of the marks of working threads: what nothing else would notice."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
import trio
from reactivex import operators as ops

from rxauth.concurrency import Flight, Single
from rxauth.concurrency.single import is_fetching, is_working, working
from rxauth.errors import WouldDeadlock


def test_a_piped_run_on_the_thread_of_a_loop_ends() -> None:
    """It blocks the loop, so what it waits for must not be told there."""
    flight: Flight[int] = Flight()
    got: list[int] = []

    async def block() -> None:
        threading.Timer(0.05, flight.land, [6]).start()
        got.append(Single(flight.join).pipe(ops.map(lambda value: value * 7)).run())

    thread = threading.Thread(target=lambda: asyncio.run(block()), daemon=True)
    thread.start()
    thread.join(60)
    assert got == [42]


def test_a_piped_run_elsewhere_waits_also_while_this_thread_works_for_somebody_else() -> None:
    flight: Flight[int] = Flight()
    threading.Timer(0.05, flight.land, [6]).start()
    assert Single(flight.join, owner="ours").pipe(ops.map(lambda value: value * 7)).run() == 42
    landed: Flight[int] = Flight()
    landed.land(1)
    assert working(lambda: Single(landed.join, owner="ours").pipe(ops.map(str)).run(), "ours")() == "1"
    other: Flight[int] = Flight()
    threading.Timer(0.05, other.land, [6]).start()
    assert working(lambda: Single(other.join, owner="ours").pipe(ops.map(str)).run(), "another")() == "6"


def test_a_subscription_on_the_working_thread_is_no_dead_lock() -> None:
    flight: Flight[int] = Flight()
    got: list[Any] = []
    working(lambda: Single(flight.join, owner="ours").subscribe(got.append, got.append), "ours")()
    assert got == []
    flight.land(3)
    assert got == [3]


def test_a_wait_that_would_not_end_says_what_to_do_instead() -> None:
    flight: Flight[int] = Flight()
    single = Single(flight.join, owner="ours")
    for wait in (single.run, single.pipe(ops.map(str)).run):
        with pytest.raises(WouldDeadlock) as caught:
            working(wait, "ours")()
        assert str(caught.value) == (
            "waiting for a fresh token on the thread that fetches it would wait for ever; in a refresh callable use a "
            "client of its own, in a callback subscribe instead of blocking, or hand the work to another thread"
        )


def test_what_is_told_after_trio_has_ended_is_told_to_nobody() -> None:
    kept: list[Any] = []

    def join(settle: Any, loop: Any) -> Any:
        kept.append(settle)
        return lambda: None

    async def leave_early() -> None:
        with trio.move_on_after(0):
            await Single(join)

    trio.run(leave_early)
    kept[0](1, None)
    assert len(kept) == 1


def test_work_for_somebody_is_no_fetching_for_him_unless_it_says_so() -> None:
    def marks() -> tuple[bool, bool, bool]:
        return is_working("ours"), is_fetching("ours"), is_fetching("another")

    assert marks() == (False, False, False)
    assert working(marks, "ours")() == (True, False, False)
    assert working(marks, "ours", fetching=True)() == (True, True, False)
    assert marks() == (False, False, False), "over with the work"


cell: ContextVar[str] = ContextVar("cell", default="nowhere")


class Where(logging.Handler):
    """In which context each record was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.cells.append(cell.get())


def test_a_late_callback_runs_and_fails_in_the_context_that_subscribed() -> None:
    flight: Flight[int] = Flight()
    seen: list[str] = []

    def note(value: int) -> None:
        seen.append(cell.get())
        raise LookupError("late")

    def subscribe(name: str) -> None:
        cell.set(name)
        Single(flight.join).subscribe(note)

    for name in ("first", "second"):
        copy_context().run(subscribe, name)
    where = Where()
    logging.getLogger("rxauth").addHandler(where)
    try:
        flight.land(1)
    finally:
        logging.getLogger("rxauth").removeHandler(where)
    assert seen == where.cells == ["first", "second"]


def test_a_callback_that_fails_at_once_raises_where_it_subscribed() -> None:
    flight: Flight[int] = Flight()
    flight.land(1)
    with pytest.raises(ZeroDivisionError):
        Single(flight.join).subscribe(lambda value: value // 0)
