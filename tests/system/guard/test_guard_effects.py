"""What an effect behind `session.gate` costs, in counts: not more because there are more of them."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex
from guard_kit import per_item, signed_in, steps
from reactivex import Subject

from rxauth.store import Store
from rxauth.store.audience import Audience


class Running:
    """Effects that go on until they are told to end."""

    def __init__(self) -> None:
        self.session = signed_in()
        self.source: Subject[int] = Subject()
        self.source.pipe(self.session.gate(lambda item, tokens: reactivex.never())).subscribe()
        self.begin(1)

    def begin(self, effects: int) -> None:
        for number in range(effects):
            self.source.on_next(number)


def test_an_effect_takes_few_steps_however_many_run() -> None:
    few, many = Running(), Running()
    many.begin(2000)
    assert per_item(many.begin) == per_item(few.begin) <= 46


def test_an_effect_subscribes_to_nothing_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running()
    subscribed: list[Any] = []
    monkeypatch.setattr(Audience, "listen_to_states", lambda *what: subscribed.append(what))
    monkeypatch.setattr(Store, "select", lambda *what: subscribed.append(what))
    running.begin(10)
    assert subscribed == []


def test_a_refresh_costs_the_same_however_many_effects_run() -> None:
    running = Running()
    few = steps(running.session.notify).total()
    running.begin(2000)
    assert steps(running.session.notify).total() == few
