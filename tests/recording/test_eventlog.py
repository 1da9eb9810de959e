"""Events that are kept field by field read as if they were kept whole."""

from __future__ import annotations

import pytest

from rxauth.recording.eventlog import Event, EventLog

EVENTS = [Event(number, number / 10, f"action {number}", "spied" if number % 2 else "") for number in range(7, 12)]


def test_it_reads_like_a_list() -> None:
    log = EventLog(EVENTS)
    assert list(log) == EVENTS
    assert list(reversed(log)) == EVENTS[::-1]
    assert [log[index] for index in range(-5, 5)] == EVENTS * 2
    assert (len(log), len(EventLog())) == (5, 0)
    for index in (5, -6):
        with pytest.raises(IndexError):
            log[index]


@pytest.mark.parametrize("count", [-1, 0, 1, 3, 5, 9])
def test_the_last_of_them(count: int) -> None:
    assert EventLog(EVENTS).last(count) == EVENTS[len(EVENTS) - min(max(count, 0), 5) :]


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 5), (1, 3), (4, 9), (7, 9)])
def test_those_in_between(start: int, stop: int) -> None:
    assert EventLog(EVENTS).between(start, stop) == EVENTS[start:stop]


def test_of_more_than_the_limit_the_oldest_leave() -> None:
    log = EventLog(EVENTS, limit=3)
    assert list(log) == EVENTS[2:]
    log.add((12, 1.2, "action 12", ""))
    assert list(log) == [*EVENTS[3:], Event(12, 1.2, "action 12")]


def test_the_oldest_is_taken_out() -> None:
    log = EventLog(EVENTS)
    assert (log.popleft(), list(log)) == (EVENTS[0], EVENTS[1:])
    log.clear()
    assert list(log) == []
    with pytest.raises(IndexError):
        log.popleft()


def test_a_copy_stays_as_it_was() -> None:
    log = EventLog(EVENTS)
    copy = log.copy()
    log.popleft()
    assert list(copy) == EVENTS
