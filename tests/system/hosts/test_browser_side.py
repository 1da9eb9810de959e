"""The browser's side alone, on an empty page: what it does when messages are lost, late, strange or many."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from host_kit import PATIENCE, shoot, violations
from side_kit import KINDS, WORDS, Side

from rxauth.notebook.follow.kinds import Kind, bursts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_a_gap_in_the_numbers_is_asked_for_once_and_filled(page: Any) -> None:
    side = Side(page)
    assert len(side.sent("hello")) == 1
    side.tell("snapshot", [0, 0])
    side.tell("batch", [1])
    assert side.root.get_attribute("data-last") == "3"
    side.tell("batch", [1], batch=5, first=10)
    assert len(side.sent("hello")) == 2, "something was lost"
    side.tell("batch", [1])
    assert len(side.sent("hello")) == 2, "and is asked for once"
    page.clock.run_for(3000)
    side.tell("batch", [1])
    assert len(side.sent("hello")) == 3, "unless nobody answers"
    side.tell("snapshot", [0] * 12, first=1)
    side.tell("batch", [2])
    assert len(side.sent("hello")) == 3
    assert side.root.get_attribute("data-last") == "13"


def test_silence_of_the_kernel_is_not_called_live(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0])
    assert side.pill == "● live"
    page.clock.run_for(4000)
    side.tell("batch")
    assert side.pill == "● live", "a word without news is enough"
    page.clock.run_for(7000)
    assert side.pill == "not live: the kernel is busy or gone"
    questions = len(side.sent("select"))
    side.root.get_by_role("option").click()
    page.clock.run_for(100)
    assert len(side.sent("select")) == questions, "nobody would answer"
    side.tell("batch", [1])
    assert side.pill == "looking back: step 1 of 2"


def test_without_a_kernel_the_saved_picture_is_shown_and_nothing_can_be_pressed(page: Any) -> None:
    saved = {"title": "billing-api", "subtitle": "rxauth store", "words": WORDS, "as_of": "12:34:56"}
    side = Side(page, snapshot={**saved, "last": [[[KINDS[0]], "31"], [KINDS[1:3], "15"], [[KINDS[3]], ""]]})
    page.clock.run_for(100)
    assert side.pill == "not live: as of 12:34:56"
    assert side.lines() == ["Add × 31", "RequestSent · RequestEnded × 15", "RefreshFailed"]
    assert side.root.get_by_text("50 answered").is_visible()
    for button in side.root.get_by_role("button").all():
        assert button.is_disabled()
    assert violations(page, ".rxi") == []
    shoot(side.root, "saved-picture")


def test_a_comm_that_raises_is_no_disaster(page: Any) -> None:
    errors: list[Any] = []
    page.on("pageerror", lambda error: errors.append(error))
    side = Side(page)
    side.tell("snapshot", [0])
    page.evaluate("() => { model.dead = true; }")
    side.root.get_by_role("button", name="Export").click()
    page.clock.run_for(100)
    assert side.pill.startswith("not live")
    page.evaluate("() => window.end()")
    assert page.locator(".rxi").count() == 0
    assert errors == []


def test_trouble_is_told_as_an_alert(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0])
    side.raw({"type": "trouble", "trouble": "The inspector itself failed: ValueError: <b>bad</b>"})
    assert side.root.get_by_role("alert").inner_text().endswith("ValueError: <b>bad</b>")
    assert violations(page, ".rxi") == []


def test_only_the_last_rows_are_kept_and_only_those_in_sight_drawn(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 3] * 2500)
    side.tell("batch", [1, 2, 3] * 1000)
    side.tell("batch", [0, 1, 2, 2, 1, 3, 0, 0, 3] * 50)
    assert page.evaluate("() => Number(document.querySelector('[role=slider]').ariaValueMin)") == 3451
    assert 0 < len(side.lines()) < 60


def test_who_scrolls_back_while_it_is_live_is_left_there(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [n % 4 if n % 7 else 3 for n in range(300)])
    bottom = page.evaluate("() => document.querySelector('[role=listbox]').scrollTop")
    assert bottom > 500
    page.evaluate(
        "() => new Promise((done) => { const list = document.querySelector('[role=listbox]');"
        "list.addEventListener('scroll', done, { once: true }); list.scrollTop = 100; })"
    )
    side.tell("batch", [0, 1, 3])
    assert page.evaluate("() => document.querySelector('[role=listbox]').scrollTop") == 100
    side.root.get_by_role("button", name="Jump to live").click()
    page.clock.run_for(100)
    assert page.evaluate("() => document.querySelector('[role=listbox]').scrollTop") > bottom


def test_a_click_counts_though_the_line_is_drawn_anew_under_it(page: Any) -> None:
    """A store that is busy has its list drawn twenty times in a second."""
    side = Side(page)
    side.tell("snapshot", [0, 1, 0, 2])
    side.raw({"type": "step", "number": 4, "gone": True})
    row = page.get_by_role("option").nth(1).bounding_box()
    page.mouse.move(row["x"] + 20, row["y"] + row["height"] / 2)
    page.mouse.down()
    side.tell("batch", [1])
    page.mouse.up()
    page.clock.run_for(200)
    assert side.sent("select")[-1]["number"] == 2


def test_a_filter_that_shortens_a_long_list_shows_what_it_found_at_once(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [n % 3 if n % 7 else 2 for n in range(300)] + [3])
    page.evaluate(
        "() => { window.seen = []; document.addEventListener('rxauth-drawn', () =>"
        "window.seen.push(document.querySelectorAll('[role=option]').length)); }"
    )
    page.keyboard.press("Tab")
    side.root.get_by_role("textbox").fill("refreshfailed")
    page.clock.run_for(100)
    assert side.lines() == ["RefreshFailed 3.01 s"]
    assert 0 not in page.evaluate("() => window.seen")


def test_the_details_of_another_step_are_never_shown(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 1, 2])
    step = {"type": "step", "at": 0.1, "kind": KINDS[0], "words": WORDS, "note": "", "calls": [], "state": []}
    side.raw({**step, "number": 3, "action": [], "diff": []})
    side.root.get_by_role("option", name="RequestSent").click()
    page.clock.run_for(100)
    assert side.sent("select")[-1]["number"] == 2
    side.raw({**step, "number": 1, "action": [], "diff": [[0, "~", "wrong", "1", "0"]]})
    assert "wrong" not in side.root.inner_text()
    side.raw({**step, "number": 2, "action": [], "diff": [[0, "~", "right", "1", "0"]]})
    assert "right: 0 → 1" in side.root.get_by_role("tabpanel").inner_text()
    assert page.evaluate("() => [model.values.step, model.values.selected.label, model.saved]") == [2, "Add", 1]
    side.raw({"type": "step", "number": 2, "gone": True})
    assert "not kept any more" in side.root.get_by_role("tabpanel").inner_text()


def test_it_fits_a_narrow_page_and_the_browsers_own_theme(page: Any) -> None:
    page.set_viewport_size({"width": 400, "height": 1400})
    page.emulate_media(color_scheme="dark")
    side = Side(page)
    side.tell("snapshot", [0, 1, 2, 3])
    assert side.root.get_attribute("data-theme") == "dark"
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 400
    assert violations(page, ".rxi") == []
    shoot(side.root, "narrow-dark")
    page.emulate_media(color_scheme="light")
    page.locator(".rxi[data-theme=light]").wait_for(timeout=PATIENCE)


def test_bursts_fold_as_they_do_in_python(page: Any) -> None:
    Side(page)
    chance = random.Random(7)
    for _ in range(40):
        pattern = [chance.randrange(4) for _ in range(chance.randrange(1, 5))]
        places = pattern * chance.randrange(1, 6) + [chance.randrange(4) for _ in range(chance.randrange(12))]
        message = {"first": 1, "kinds": KINDS, "rows": [value for place in places for value in (place, 0)]}
        ours = [[len(burst.kinds), burst.often] for burst in bursts([Kind(*KINDS[place]) for place in places])]
        theirs = page.evaluate(
            "(message) => { const rows = new Rows(); rows.add(message);"
            "return rows.folded(1, '').map((line) => [line.kinds.length, line.count]); }",
            message,
        )
        assert theirs == ours, json.dumps(places)


def test_a_screen_reader_hears_what_is_seen(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0] * 31 + [1, 2, 3])
    side.root.get_by_role("listbox", name="Actions and calls").focus()
    page.keyboard.press("Home")
    page.clock.run_for(100)
    active = side.root.get_by_role("listbox").get_attribute("aria-activedescendant")
    option = page.locator(f"#{active}")
    assert option.get_attribute("aria-selected") == "true"
    assert (option.get_attribute("aria-posinset"), option.get_attribute("aria-setsize")) == ("1", "4")
    slider = side.root.get_by_role("slider", name="Step")
    assert slider.get_attribute("aria-valuetext") == "step 31 of 34, Add at 310 ms"
    assert (slider.get_attribute("aria-valuemin"), slider.get_attribute("aria-valuemax")) == ("1", "34")
    assert side.root.get_by_role("tab", name="Diff").get_attribute("aria-controls") == side.root.get_by_role(
        "tabpanel", name="Diff"
    ).get_attribute("id")
    page.keyboard.press("Tab")
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is seen"
    side.root.get_by_role("listbox").wait_for(timeout=PATIENCE)
