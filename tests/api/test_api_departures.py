"""Calls that somebody waits for, and whose api epic, or store, is gone before they reach it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from api_kit import FRESH, URL, Echo, refresh

from rxauth import AuthState, Session, Store, api_epic, auth_reducer, request
from rxauth.errors import CallCancelled, StoreClosed
from rxauth.testing import VirtualTime


class Bench:
    """A store that tells of its actions only as time goes by."""

    def __init__(self, kind: type[Store[Any]] = Store) -> None:
        self.time, self.sent = VirtualTime(), []  # type: ignore[var-annotated]
        self.store = kind(auth_reducer, AuthState(), scheduler=self.time.scheduler)
        self.session = Session(refresh, store=self.store, tokens=FRESH, time=self.time)
        self.client = httpx.Client(transport=httpx.MockTransport(self.answer), base_url=URL)
        self.time.advance()

    def answer(self, asked: httpx.Request) -> httpx.Response:
        self.sent.append(asked.url.path)
        return httpx.Response(200, json="ok")

    def add(self, **how: Any) -> Any:
        return self.store.add_epic(api_epic(self.client, self.session, **how))


def test_a_call_that_has_not_reached_its_epic_as_that_is_stopped_is_cancelled() -> None:
    it = Bench()
    epic = it.add()
    waiting = request(it.store, Echo("hi"))
    epic.dispose()
    it.add()  # one that comes later is not shown it
    with pytest.raises(CallCancelled, match="Echo was cancelled before its answer came"):
        waiting.run()
    assert it.sent == []
    assert request(it.store, Echo("hi")).run() == "ok", "and the next one goes its way"


@pytest.mark.parametrize("leaves", [0, 1])
def test_it_is_answered_if_another_epic_gets_it(leaves: int) -> None:
    it = Bench()
    epics = [it.add(), it.add()]
    waiting = request(it.store, Echo("hi"))
    epics[leaves].dispose()
    assert waiting.run() == "ok"
    assert it.sent == ["/echo"]


def test_it_is_cancelled_if_the_others_go_as_well() -> None:
    it = Bench()
    epics = [it.add(), it.add(calls=Echo)]
    waiting = request(it.store, Echo("hi"))
    for epic in epics:
        epic.dispose()
    with pytest.raises(CallCancelled):
        waiting.run()


def test_a_call_that_reached_its_epic_in_time_is_not_cancelled_by_another_one_that_goes() -> None:
    it = Bench()
    it.add()
    epic = it.add(policy="in_order")
    waiting = request(it.store, Echo("hi"))
    it.time.run_until(lambda: bool(it.sent))
    epic.dispose()
    assert waiting.run() == "ok"


def test_an_epic_that_is_stopped_as_somebody_begins_to_ask() -> None:
    """By another thread, which does so where this one asks whether it is inside of a notification."""
    stop: list[Callable[[], None]] = []

    class Interrupted(Store[Any]):
        @property
        def is_telling(self) -> bool:
            for each in stop:
                each()
            return super().is_telling

    it = Bench(Interrupted)
    stop.append(it.add().dispose)
    with pytest.raises(CallCancelled):
        request(it.store, Echo("hi")).run()


def test_a_closed_store_says_so_of_a_call() -> None:
    it = Bench()
    it.add()
    it.store.close()
    it.time.advance()
    with pytest.raises(StoreClosed, match="the store is closed, so it takes no Echo; make a new Store"):
        request(it.store, Echo("hi"))
