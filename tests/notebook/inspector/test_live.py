"""The live panel: what it says, how often it is written, and when it stops."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import threading
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from events_kit import REDUCER, Add, App, Stage, on_a_loop

from rxauth import AuthState, Session, Store, auth_reducer, combine_reducers
from rxauth.notebook import cells, live
from rxauth.notebook.follow.feed import Feed
from rxauth.notebook.live import Live
from rxauth.recording import record
from rxauth.testing import faults


@dataclass(frozen=True)
class Two:
    auth: AuthState = AuthState()
    billing: AuthState = AuthState(session="billing")


class Page:
    """A cell with a panel: how often it was written, when, in which thread, and what it says."""

    def __init__(self, panel: Live) -> None:
        self.panel = panel
        self.updates: list[dict[str, str]] = []
        self.threads: set[int] = set()
        panel._handles.append(self)

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        assert raw
        self.updates.append(bundle)
        self.threads.add(threading.get_ident())

    @property
    def text(self) -> str:
        return self.updates[-1]["text/plain"]


@on_a_loop
async def test_it_says_where_the_session_stands(stage: Stage) -> None:
    page = Page(live(stage.store))
    await stage.session.login(username="ada", password="lovelace")
    await asyncio.sleep(1)
    assert "token: fresh, expires in 4 min 59 s · generation" in page.text
    assert "calls: 0 answered · 0 in flight · 0 failed · 0 refreshes" in page.text
    assert "last actions: SigningIn, SignedIn" in page.text
    await asyncio.sleep(301)
    assert "token: expired: the next call refreshes it" in page.text
    stage.server.always(faults.unavailable())
    with pytest.raises(Exception, match="503"):
        await stage.session.fresh()
    await asyncio.sleep(0.2)
    assert "degraded: the last refresh failed" in page.text
    assert re.search(r"last error: .*00:05:0\d RefreshUnavailable: ", page.text)
    assert "waiting: 0 calls · peak 1 · longest" in page.text


@on_a_loop
async def test_it_is_written_at_most_ten_times_in_a_second(stage: Stage) -> None:
    page = Page(live(stage.store))
    for n in range(950):
        stage.store.dispatch(Add(str(n)))
        await asyncio.sleep(0.001)
    assert 8 <= len(page.updates) <= 10
    await asyncio.sleep(0.1)
    assert "last actions: Add × 950" in page.text
    for n in range(100):
        stage.store.dispatch(Add(str(n)))
    await asyncio.sleep(0.1)
    assert "last actions: Add × 1000+" in page.text, "nothing is said that is not known"


@on_a_loop
async def test_it_is_not_written_when_nothing_happens(stage: Stage) -> None:
    page = Page(live(stage.store))
    await asyncio.sleep(1)
    before = len(page.updates)
    await asyncio.sleep(60)
    assert len(page.updates) == before


@on_a_loop
async def test_the_countdown_is_written_once_in_a_second(stage: Stage) -> None:
    page = Page(live(stage.store))
    await stage.session.login(username="ada", password="lovelace")
    await asyncio.sleep(1)
    before = len(page.updates)
    await asyncio.sleep(20)
    assert 19 <= len(page.updates) - before <= 21


@on_a_loop
async def test_it_is_written_on_the_loop_whoever_dispatches(stage: Stage) -> None:
    page = Page(live(stage.store))
    dispatching = threading.Thread(target=stage.store.dispatch, args=(Add("a"),))
    dispatching.start()
    dispatching.join()
    await asyncio.sleep(0.2)
    assert "Add" in page.text
    assert page.threads == {threading.get_ident()}


@on_a_loop
async def test_it_stops_on_close_and_the_last_picture_says_so(stage: Stage) -> None:
    page = Page(live(stage.store))
    stage.store.dispatch(Add("a"))
    page.panel.close()
    page.panel.close()
    assert ": closed, as of" in page.text.splitlines()[0]
    before = len(page.updates)
    stage.store.dispatch(Add("b"))
    await asyncio.sleep(5)
    assert len(page.updates) == before
    assert not stage.store.is_recorded


@on_a_loop
async def test_it_stops_when_the_store_closes(stage: Stage) -> None:
    page = Page(live(stage.store))
    stage.store.dispatch(Add("last"))
    stage.store.close()
    await asyncio.sleep(0.3)
    assert ": closed, as of" in page.text.splitlines()[0]
    assert "Add" in page.text
    before = len(page.updates)
    await asyncio.sleep(60)
    assert len(page.updates) == before


@on_a_loop
async def test_a_failure_of_the_panel_itself_is_said_in_it(stage: Stage) -> None:
    page = Page(live(stage.store))
    page.panel._feed.history.add = _fails  # type: ignore[method-assign]
    await asyncio.sleep(0.2)
    assert "the panel itself failed: ValueError: broken" in page.text


def _fails(events: object) -> None:
    raise ValueError("broken")


def test_a_recording_is_shown_as_of_its_end() -> None:
    stage = Stage()
    with record(stage.store, time=stage.time) as recording:
        stage.login()
    text = repr(live(recording))
    assert text.startswith("recording: not followed, as of")
    assert "token: fresh, expires in 5 min" in text


def test_two_sessions_of_one_store_are_both_named() -> None:
    stage = Stage()
    reducer = combine_reducers(Two, auth=auth_reducer, billing=auth_reducer)
    store: Store[Any] = Store(reducer, Two())
    Session(lambda tokens: tokens, store=store, select=lambda s: s.auth, time=stage.time)
    Session(lambda tokens: tokens, store=store, select=lambda s: s.billing, name="billing", time=stage.time)
    text = repr(live(store))
    assert "billing: signed out" in text
    assert "default: signed out" in text


def test_the_html_needs_no_script_no_svg_and_no_style_sheet() -> None:
    stage = Stage().login()
    stage.store.dispatch(Add("x"))
    panel = live(stage.store)
    used = _Tags()
    used.feed(panel._repr_html_())
    assert used.tags <= {"div", "span", "table", "tbody", "tr", "th", "td", "br"}
    assert used.attributes <= {"style", "scope"}
    assert used.closed


def test_what_comes_from_outside_is_escaped() -> None:
    class Evil:
        pass

    Evil.__name__ = "<script>alert(1)</script>"
    store: Store[Any] = Store(REDUCER, App())
    panel = live(store)
    store.dispatch(Evil())
    panel._feed.look()
    assert "<script" not in panel._repr_html_()
    assert "&lt;script" in panel._repr_html_()
    named = live(Session(lambda tokens: tokens, name="<b>bold</b>"))
    assert "<b>" not in named._repr_html_()


def test_no_secret_is_in_the_panel() -> None:
    stage = Stage()
    panel = live(stage.store)
    stage.login()
    panel._feed.look()
    tokens = stage.session.auth.tokens
    assert tokens is not None
    for text in (panel._repr_html_(), repr(panel)):
        assert tokens.access not in text
        assert "lovelace" not in text


def test_without_ipython_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(ImportError, match="pip install ipython"):
        live(Stage().store)


def test_in_a_terminal_it_is_text_and_not_followed() -> None:
    stage = Stage()
    panel = live(stage.store)
    assert repr(panel).startswith("Store of App: not followed, as of ")


@pytest.mark.parametrize("source", [None, 3, []])
def test_other_things_are_refused(source: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a Store, a Session or a Recording, got .*record\(\) it with"):
        live(source)


class _Shell:
    def __init__(self) -> None:
        self.cell, self.run = "cell-1", "run-1"

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": self.run}}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> _Shell:
    import IPython

    shell = _Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(cells, "_shown", {})
    return shell


def test_a_cell_that_runs_again_ends_what_it_showed_before(shell: _Shell) -> None:
    stage = Stage()
    other = Store(REDUCER, App())
    both = [live(stage.store), live(other)]
    assert stage.store.is_recorded, "two panels in one run of a cell are two panels"
    assert other.is_recorded
    shell.cell = "cell-2"
    elsewhere = live(other)
    shell.cell, shell.run = "cell-1", "run-2"
    again = live(stage.store)
    assert [panel._feed.is_over for panel in both] == [True, True]
    assert [panel._feed.is_over for panel in (elsewhere, again)] == [False, False]


def test_what_a_cell_showed_is_not_kept_alive_for_that(shell: _Shell) -> None:
    panel = live(Stage().store)
    ((_, ends),) = cells._shown.values()
    del panel
    gc.collect()
    for end in ends:
        end()


def test_a_feed_takes_no_events_twice() -> None:
    store: Store[App] = Store(REDUCER, App())
    told: list[int] = []
    feed = Feed(store, limit=10, period=1, tell=lambda news: told.extend(e.number for e in news), failed=pytest.fail)
    for n in range(3):
        store.dispatch(Add(str(n)))
        feed.look()
        feed.look()
    assert told == [1, 2, 3]
    feed.close()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @property
    def closed(self) -> bool:
        return not self._open
