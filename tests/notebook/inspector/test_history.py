"""Time travel: what the state and the calls were like at each step, by the reducer alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from events_kit import REDUCER, Add, App, Stage, events, released, waits

from rxauth.notebook.follow.history import CHECKPOINT, History, Lost
from rxauth.notebook.follow.tally import Tally
from rxauth.recording import record
from rxauth.recording.record import Event


def history(actions: list[Any], *, limit: int = 10_000, batch: int = 10_000) -> History:
    told = History(REDUCER, App(), limit)
    numbered = events(*actions)
    for start in range(0, len(numbered), batch):
        told.add(numbered[start : start + batch])
    return told


def items_at(told: History, number: int) -> Any:
    step = told.step(number)
    assert step is not None
    return step.after.state.items


def test_each_step_is_what_the_reducer_makes_of_all_before() -> None:
    actions = [Add(str(n)) for n in range(CHECKPOINT * 3)]
    told = history(actions)
    numbers = list(range(1, len(actions) + 1))
    random.Random(1).shuffle(numbers)
    for number in numbers[:60]:
        step = told.step(number)
        assert step is not None
        assert step.event.action == Add(str(number - 1))
        assert len(step.before.state.items) == number - 1
        assert len(step.after.state.items) == number


def test_what_is_no_action_changes_no_state_but_the_tally() -> None:
    told = history([Add("a"), waits(7), released(7)])
    step = told.step(2)
    assert step is not None
    assert step.before.state is step.after.state
    assert (len(step.before.tally.waiting), len(step.after.tally.waiting)) == (0, 1)


def test_the_reducer_is_given_actions_alone_as_in_the_store() -> None:
    seen: list[Any] = []
    told = History(lambda state, action: seen.append(action) or state, 0, 100)
    told.add(events(Add("a"), waits(7), released(7)))
    told.step(3)
    assert seen == [Add("a")]


def test_a_recorded_session_is_replayed_to_the_state_it_is_in_and_sends_nothing() -> None:
    stage = Stage()
    with record(stage.store, time=stage.time) as recording:
        stage.login()
        stage.time.advance(301)
        stage.session.fresh().run()
    told = History(REDUCER, recording.initial, 100)
    told.add(recording.events)
    posts = stage.server.posts
    step = told.step(told.last)
    assert step is not None
    auth = step.after.state.auth
    assert (auth.status, auth.generation) == ("signed_in", stage.session.auth.generation)
    assert auth.tokens.access.startswith("#"), "a fingerprint, which no server takes"
    assert stage.server.posts == posts


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_what_leaves_at_the_old_end_is_folded_into_where_it_begins(batch: int) -> None:
    told = history([Add(str(n)) for n in range(1000)], limit=100, batch=batch)
    assert (told.first, told.last) == (901, 1000)
    assert len(told.events) == 100
    assert len(items_at(told, 901)) == 901
    assert len(items_at(told, 1000)) == 1000
    assert told.step(900) is None
    assert told.step(1001) is None


def test_steps_asked_for_while_it_goes_on_stay_right_and_memory_bounded() -> None:
    told = History(REDUCER, App(), 300)
    numbered = events(*(Add(str(n)) for n in range(5000)))
    for start in range(0, 5000, 50):
        told.add(numbered[start : start + 50])
        assert len(items_at(told, told.last)) == told.last
        assert len(items_at(told, told.first)) == told.first
    assert len(told._checkpoints) <= 300 // CHECKPOINT + 1


def test_a_step_costs_little_however_long_the_history() -> None:
    reduced = 0

    def count(state: int, action: Any) -> int:
        nonlocal reduced
        reduced += 1
        return state + 1

    told = History(count, 0, 5000)
    told.add(events(*(Add("x") for _ in range(5000))))
    told.step(5000)
    reduced = 0
    for number in range(4000, 4100):
        told.step(number)
    assert reduced / 100 <= CHECKPOINT + 2


def test_events_that_were_dropped_make_the_state_unknown_and_say_so() -> None:
    told = history([Add("a"), Add("b")])
    told.add([Event(10, 1.0, Add("c")), Event(11, 1.1, waits(1), "session")])
    assert told.missed == 7
    assert told.first == 10
    step = told.step(10)
    assert step is not None
    assert isinstance(step.after.state, Lost)
    assert "7 events before step 10 were dropped" in step.after.state.why
    assert step.event.action == Add("c")
    assert len(told.now.waiting) == 1, "counting goes on"


def test_a_reducer_that_raises_on_what_is_redacted_is_told_and_not_raised() -> None:
    def picky(state: int, action: Any) -> int:
        if action == Add("bad"):
            raise KeyError("secret")
        return state + 1

    told = History(picky, 0, 100)
    told.add(events(Add("a"), Add("bad"), Add("c")))
    steps = [told.step(number) for number in (1, 2, 3)]
    assert next(step.after.state for step in steps if step) == 1
    lost = [step.after.state for step in steps if step][1:]
    assert all(
        isinstance(state, Lost) and "the reducer raised KeyError when step 2 (Add)" in state.why for state in lost
    )


def test_the_tally_of_now_is_that_of_the_last_step() -> None:
    told = history([waits(1), waits(2), released(1)], limit=2)
    step = told.step(3)
    assert step is not None
    assert step.after.tally == told.now
    assert told.now == _tally([waits(1), waits(2), released(1)])


def _tally(actions: list[Any]) -> Tally:
    tally = Tally.of(App())
    for event in events(*actions):
        tally.add(event)
    return tally
