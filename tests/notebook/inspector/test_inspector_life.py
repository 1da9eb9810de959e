"""When an inspector records: from its making to its end, resting when nobody looks; what it can not show, it says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

import pytest
from browser_kit import Browser
from events_kit import Add, Stage, on_a_loop

from rxauth import Store
from rxauth.notebook.inspector import inspect
from rxauth.notebook.inspector import widget as module
from rxauth.recording.recording import FOLLOWED


@on_a_loop
async def test_closing_stops_the_recording_and_says_so(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    browser.inspection.close()
    browser.inspection.close()
    stage.store.dispatch(Add("late"))
    await asyncio.sleep(5)
    assert browser.saved[-1]["over"], "the picture that stays says so, too"
    last = browser.messages[-1]
    assert (last["over"], last["live"], last["total"]) == (True, False, 0)
    assert not stage.store.is_recorded
    told = len(browser.messages)
    await asyncio.sleep(60)
    assert len(browser.messages) == told


@on_a_loop
async def test_a_store_that_closes_is_shown_closed_with_its_last_words(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    stage.store.dispatch(Add("last"))
    stage.store.close()
    await asyncio.sleep(1)
    assert browser.labels() == ["Add"]
    assert browser.messages[-1]["over"]


@on_a_loop
async def test_two_inspectors_of_one_store_do_not_disturb_each_other(stage: Stage) -> None:
    one, two = Browser(stage), Browser(stage)
    one.hello()
    two.hello()
    stage.store.dispatch(Add("a"))
    await asyncio.sleep(0.1)
    one.inspection.close()
    stage.store.dispatch(Add("b"))
    await asyncio.sleep(0.1)
    assert one.labels() == ["Add"]
    assert two.labels() == ["Add", "Add"]


@on_a_loop
async def test_it_rests_when_nobody_looks_and_begins_again_when_somebody_does(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello("one")
    browser.hello("two")
    browser.say(type="bye", view="one")
    await asyncio.sleep(module.REST_AFTER * 2)
    assert stage.store.is_recorded, "somebody looks still"
    browser.say(type="bye", view="two")
    await asyncio.sleep(module.REST_AFTER + 1)
    assert not stage.store.is_recorded
    browser.hello("three")
    stage.store.dispatch(Add("seen"))
    await asyncio.sleep(0.1)
    assert browser.labels() == ["Add"]
    assert browser.messages[-1]["live"]
    assert "nobody looked" in browser.messages[-1]["note"]


class Looked(Mapping[str, str]):
    """A value that notes in which thread somebody looks into it for secrets."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def items(self) -> ItemsView[str, str]:
        self.threads.append(threading.get_ident())
        return {}.items()

    def dispatch(self, stage: Stage, times: int) -> int | None:
        """From a thread of its own, whose number is returned."""
        dispatching = threading.Thread(target=lambda: [stage.store.dispatch(Add(self)) for _ in range(times)])  # type: ignore[arg-type,func-returns-value]
        dispatching.start()
        dispatching.join()
        return dispatching.ident


@on_a_loop
async def test_who_dispatches_only_notes_and_the_loop_looks_for_secrets(stage: Stage) -> None:
    browser, looked = Browser(stage), Looked()
    looked.dispatch(stage, 20)
    assert looked.threads == []
    await asyncio.sleep(0.1)
    assert looked.threads == [threading.get_ident()] * 20
    browser.inspection.close()
    looked.dispatch(stage, 20)
    assert len(looked.threads) == 20


@on_a_loop
async def test_what_is_noted_is_bounded_while_the_loop_is_busy(stage: Stage) -> None:
    browser, looked = Browser(stage), Looked()
    thread = looked.dispatch(stage, 10 * FOLLOWED + 1)
    assert looked.threads == [thread] * (10 * FOLLOWED)
    assert browser.inspection.feed.recording.total == 10 * FOLLOWED + 1


@on_a_loop
async def test_memory_is_bounded(stage: Stage) -> None:
    browser = Browser(stage, limit=50)
    browser.hello()
    for n in range(5000):
        stage.store.dispatch(Add(str(n)))
        if n % 100 == 0:
            await asyncio.sleep(0.06)
    await asyncio.sleep(0.1)
    feed = browser.inspection.feed
    assert len(feed.history.events) == 50
    assert len(feed.recording) == 50 * 4
    assert all(len(message["rows"]) <= 100 for message in browser.of("batch"))


def test_a_session_is_named_and_its_store_recorded() -> None:
    stage = Stage()
    browser = Browser(stage, source=stage.session)
    assert browser.inspection.feed.title == "default"
    assert Browser(stage).inspection.feed.title == "Store of App"


@pytest.mark.parametrize("source", [None, [1], lambda: None])
def test_only_stores_and_sessions_are_inspected(source: Any) -> None:
    with pytest.raises(TypeError, match="expected a Store, a Session or a Recording, got"):
        inspect(source)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        Browser(Stage(), limit=0)


def test_without_anywidget_it_is_the_live_panel_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ImportError("No module named 'anywidget'")

    monkeypatch.setattr(module, "widget_class", missing)
    shown: Any = inspect(Store(lambda state, action: state, 0))
    html = shown._repr_html_()
    assert "pip install &#x27;rxauth[notebook]&#x27;" in html
    assert "Store of int" in html
    assert repr(shown).splitlines()[-1].endswith("pip install 'rxauth[notebook]'")
    shown.close()
