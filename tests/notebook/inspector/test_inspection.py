"""What the kernel tells the browser: numbered batches, all again when asked, one step at a time, and no secret."""

from __future__ import annotations

import asyncio
import json
import threading
from itertools import pairwise

import pytest
from browser_kit import Browser, row_labels
from events_kit import Add, Stage, on_a_loop

from rxauth.recording import Recording
from rxauth.testing import faults


@on_a_loop
async def test_a_view_gets_what_was_there_and_then_what_comes(stage: Stage) -> None:
    browser = Browser(stage)
    await stage.session.login(username="ada", password="lovelace")
    browser.hello()
    stage.store.dispatch(Add("a"))
    stage.store.dispatch(Add("b"))
    await asyncio.sleep(0.06)
    assert browser.labels() == ["SigningIn", "SignedIn", "Add", "Add"]
    assert len(browser.of("batch")) == 1, "two actions, one message"
    batches = [message["batch"] for message in browser.messages]
    assert batches == list(range(batches[0], batches[0] + len(batches)))


@on_a_loop
async def test_without_a_view_nothing_is_sent(stage: Stage) -> None:
    browser = Browser(stage)
    stage.store.dispatch(Add("a"))
    await asyncio.sleep(1)
    assert browser.messages == []
    browser.hello()
    assert browser.labels() == ["Add"]


@on_a_loop
async def test_at_most_twenty_messages_in_a_second_and_every_event_in_them(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    for n in range(1000):
        stage.store.dispatch(Add(str(n)))
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    assert len(browser.messages) <= 22
    assert len(browser.labels()) == 1000
    firsts = [(message["first"], len(message["rows"]) // 2) for message in browser.of("batch") if message["rows"]]
    assert all(first + count == after for (first, count), (after, _) in pairwise(firsts))


@on_a_loop
async def test_who_missed_a_batch_asks_again_and_gets_all(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    stage.store.dispatch(Add("a"))
    await asyncio.sleep(0.06)
    browser.hello()
    assert row_labels(browser.of("snapshot")[-1]) == ["Add"]
    assert browser.of("snapshot")[-1]["first"] == 1
    assert browser.of("snapshot")[-1]["batch"] == browser.messages[-2]["batch"] + 1


@on_a_loop
async def test_the_browser_is_told_at_least_once_in_a_second_that_the_kernel_is_there(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    await asyncio.sleep(10)
    assert 9 <= len(browser.of("batch")) <= 11


@on_a_loop
async def test_the_countdown_moves_by_the_sessions_clock(stage: Stage) -> None:
    await stage.session.login(username="ada", password="lovelace")
    browser = Browser(stage)
    browser.hello()
    await asyncio.sleep(10)
    (token,) = browser.messages[-1]["words"]["tokens"]
    assert token["status"] == "fresh"
    assert token["detail"].startswith("expires in 4 min 50 s")
    assert token["left"] == pytest.approx(290 / 300, abs=0.01)


@on_a_loop
async def test_a_step_says_what_it_changed_and_what_stood_on_the_cards(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    await stage.session.login(username="ada", password="lovelace")
    stage.store.dispatch(Add("a"))
    await asyncio.sleep(301)
    await stage.session.fresh()
    await asyncio.sleep(0.1)
    labels = browser.labels()
    refreshing = browser.step(labels.index("RefreshStarted") + 1)
    assert refreshing["words"]["tokens"][0]["status"] == "refreshing"
    assert [2 - 1, "~", "status", "'refreshing'", "'signed_in'"] in refreshing["diff"]
    waiting = browser.step(labels.index("CallWaits") + 1)
    assert waiting["words"]["waiting"] == 1
    assert waiting["diff"] == []
    assert waiting["note"].startswith("No action")
    assert [0, "~", "waiting", "1", "0"] in waiting["calls"]
    added = browser.step(labels.index("Add") + 1)
    assert [1, "+", "[0]", "'a'", ""] in added["diff"]
    assert added["action"] == [[0, "", "item", "'a'", ""]]
    assert browser.step(999)["gone"]


@on_a_loop
async def test_the_last_error_is_on_a_card(stage: Stage) -> None:
    browser = Browser(stage)
    await stage.session.login(username="ada", password="lovelace")
    stage.server.always(faults.unavailable())
    await asyncio.sleep(301)
    with pytest.raises(Exception, match="503"):
        await stage.session.fresh()
    browser.hello()
    words = browser.messages[-1]["words"]
    assert "RefreshUnavailable" in words["error"]
    assert words["tokens"][0]["tone"] == "bad"
    assert "next try in" in words["tokens"][0]["detail"]


@on_a_loop
async def test_selecting_sends_nothing_and_revives_no_token(stage: Stage) -> None:
    browser = Browser(stage)
    await stage.session.login(username="ada", password="lovelace")
    await asyncio.sleep(301)
    await stage.session.fresh()
    before = (stage.server.posts, stage.store.state, len(stage.server.requests))
    for number in range(1, browser.inspection.feed.recording.total + 1):
        browser.step(number)
    await asyncio.sleep(1)
    assert (stage.server.posts, stage.store.state, len(stage.server.requests)) == before


@on_a_loop
async def test_no_secret_reaches_the_browser_or_the_notebooks_file(stage: Stage) -> None:
    browser = Browser(stage)
    browser.hello()
    await stage.session.login(username="ada", password="lovelace")
    tokens = stage.session.auth.tokens
    assert tokens is not None
    stage.store.dispatch(Add(f"a token in a text: Bearer {tokens.access}"))
    await asyncio.sleep(3)
    for number in range(1, 4):
        browser.step(number)
    browser.say(type="export")
    await asyncio.sleep(0.1)
    everything = json.dumps([browser.messages, browser.saved])
    for secret in (tokens.access, tokens.refresh or "?", "lovelace"):
        assert secret not in everything
    assert tokens.access[:20] not in everything


@on_a_loop
async def test_the_picture_that_is_saved_is_small(stage: Stage) -> None:
    browser = Browser(stage)
    for n in range(5000):
        stage.store.dispatch(Add("long " * 100 + str(n)))
    await asyncio.sleep(5)
    assert browser.saved
    assert len(json.dumps(browser.saved[-1])) < 5000
    assert browser.saved[-1]["live"] is False, "whoever reads it reads the past"
    assert browser.saved[-1]["last"] == [[[["Add", "", "actions", "dot", "plain"]], "1000+"]]


@on_a_loop
async def test_the_export_is_the_recording_as_lines(stage: Stage) -> None:
    browser = Browser(stage)
    for n in range(1200):
        stage.store.dispatch(Add(str(n)))
    browser.say(type="export")
    await asyncio.sleep(0.1)
    parts = browser.of("export")
    assert len(parts) == 3
    assert [part["last"] for part in parts] == [False, False, True]
    loaded = Recording.from_lines("".join(part["text"] for part in parts).splitlines())
    assert loaded.actions == [Add(str(n)) for n in range(1200)]


@on_a_loop
async def test_a_message_that_makes_no_sense_is_shown_in_the_widget(stage: Stage) -> None:
    browser = Browser(stage)
    browser.say(type="nonsense")
    browser.inspection.received("text")
    assert "does not know" in browser.of("trouble")[-1]["trouble"]
    browser.hello()
    assert "does not know" in browser.messages[-1]["trouble"], "a view that comes later is told, too"


@on_a_loop
async def test_a_message_from_another_thread_is_answered_on_the_loop(stage: Stage) -> None:
    browser = Browser(stage)
    here, threads = threading.get_ident(), []
    browser.inspection._send = lambda message: threads.append(threading.get_ident())
    subshell = threading.Thread(target=browser.hello, name="subshell-1")
    subshell.start()
    subshell.join()
    await asyncio.sleep(0.01)
    assert set(threads) == {here}
