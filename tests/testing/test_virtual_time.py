"""`VirtualTime`: the clock moves when a test says so, and background work runs in a fixed order."""

from __future__ import annotations

import pytest

from rxauth.testing import VirtualTime
from rxauth.testing.time import EPOCH


def test_time_stands_still_until_it_is_advanced() -> None:
    time = VirtualTime()
    before = time.now()
    assert time.now() == before
    time.advance(10)
    assert (time.now().mono - before.mono, time.now().wall - before.wall) == (10, 10)


def test_a_jump_moves_the_wall_clock_alone() -> None:
    time = VirtualTime()
    before = time.now()
    time.jump(-3600)
    assert (time.now().mono - before.mono, time.now().wall - before.wall) == (0, -3600)


def test_background_work_sleeps_in_virtual_time_and_wakes_in_order() -> None:
    time = VirtualTime()
    began = time.now().mono
    log: list[tuple[str, float]] = []

    def work(name: str, seconds: float) -> None:
        time.sleep(seconds)
        log.append((name, time.now().mono - began))

    for name, seconds in (("late", 3.0), ("early", 1.0), ("at once", 0.0)):
        time.spawn(lambda name=name, seconds=seconds: work(name, seconds), name)  # type: ignore[misc]
    assert log == []
    time.advance(2)
    assert log == [("at once", 0.0), ("early", 1.0)]
    time.advance(2)
    assert log[-1] == ("late", 3.0)


def test_a_wait_ends_by_its_latch_or_by_its_timeout() -> None:
    time = VirtualTime()
    latch = time.latch()
    assert not time.wait(latch, timeout=5)
    time.spawn(lambda: (time.sleep(2), latch.set())[1], "setter")
    began = time.now().mono
    assert time.wait(latch, timeout=100)
    assert time.now().mono - began == 2


def test_run_until_says_when_nothing_will_make_it_true() -> None:
    time = VirtualTime()
    with pytest.raises(AssertionError, match="nothing made the condition true in 60 s of virtual time"):
        time.run_until(lambda: False, timeout=60)


def test_a_wait_for_ever_is_an_error_and_no_hang() -> None:
    time = VirtualTime()
    with pytest.raises(AssertionError, match="nothing in the future that would end it"):
        time.wait(time.latch())


def test_what_background_work_raises_reaches_the_test() -> None:
    time = VirtualTime()

    def broken() -> None:
        raise LookupError("mine")

    time.spawn(broken, "broken")
    with pytest.raises(LookupError, match="mine"):
        time.advance(0)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_that_can_not_go_by_is_refused(seconds: float) -> None:
    time = VirtualTime()
    with pytest.raises(ValueError, match="advance"):
        time.advance(seconds)
    time.advance(1)
    assert time.now().wall == EPOCH + 1
