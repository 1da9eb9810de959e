"""The inspector's list and its line of time, on an empty page: folds that open, steps that stay, an axis to read."""

from __future__ import annotations

from typing import Any

import pytest
from host_kit import shoot, violations
from side_kit import KINDS, WORDS, Side

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

BURST = [3] + [0] * 31 + [1, 2] * 4 + [3]
STEP = {"type": "step", "at": 0.1, "kind": KINDS[0], "words": WORDS, "note": "", "calls": [], "state": [], "action": []}


def burst(page: Any) -> Side:
    side = Side(page)
    side.tell("snapshot", BURST)
    return side


def settle(page: Any) -> None:
    page.clock.run_for(100)


def chosen(side: Side) -> str:
    return str(side.root.locator("[role=option][aria-selected=true]").inner_text()).replace("\n", " ")


# -- folds ------------------------------------------------------------------------------------------------------------


def test_a_click_opens_a_fold_and_another_closes_it(page: Any) -> None:
    side = burst(page)
    assert side.lines() == [
        "RefreshFailed 10 ms",
        "Add × 31 320 ms",
        "RequestSent · RequestEnded × 4 400 ms",
        "RefreshFailed 410 ms",
    ]
    side.root.get_by_role("option", name="RequestSent · RequestEnded × 4").click()
    settle(page)
    assert side.lines()[-9:] == [
        *(
            f"{kind} {at} ms"
            for at, kind in zip(range(330, 410, 10), ["RequestSent GET /api/me/", "RequestEnded 200"] * 4, strict=True)
        ),
        "RefreshFailed 410 ms",
    ]
    assert side.pill == "looking back: step 40 of 41", "its last step, as of the fold"
    assert chosen(side) == "RequestEnded 200 400 ms"
    assert side.root.get_by_role("option", name="RequestSent · RequestEnded × 4, open").is_visible()
    assert violations(page, ".rxi") == []
    side.root.get_by_role("option", name="RequestSent · RequestEnded × 4").click()
    settle(page)
    assert len(side.lines()) == 4
    assert chosen(side).startswith("RequestSent · RequestEnded"), "the step stays chosen, in its fold"


def test_enter_opens_and_closes_and_the_arrows_step_through_what_is_open(page: Any) -> None:
    side = burst(page)
    side.root.get_by_role("listbox").focus()
    for key in ("Home", "ArrowDown", "Enter"):
        page.keyboard.press(key)
        settle(page)
    assert side.root.locator(".row.pinned").inner_text().startswith("Add")
    assert side.root.get_by_role("listbox").get_attribute("aria-activedescendant")
    assert (side.pill, chosen(side)) == ("looking back: step 32 of 41", "Add 320 ms")
    for key, step in (("ArrowUp", 31), ("ArrowDown", 32), ("ArrowDown", 40), ("ArrowUp", 32), ("Home", 1)):
        page.keyboard.press(key)
        settle(page)
        assert side.pill == f"looking back: step {step} of 41"
    page.keyboard.press("ArrowDown")
    settle(page)
    assert side.pill == "looking back: step 2 of 41", "the first step of the open fold"
    page.keyboard.press("ArrowUp")
    settle(page)
    assert side.pill == "looking back: step 1 of 41"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    settle(page)
    assert len(side.lines()) == 4, "closed by a step of it"
    assert side.root.get_by_role("option", name="Add × 31, folded").get_attribute("aria-selected") == "true"


def test_a_first_line_that_is_an_open_fold_can_be_walked_through(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0] * 5 + [3])
    side.root.get_by_role("option", name="Add × 5").click()
    settle(page)
    for key, step in (("Home", 1), ("ArrowUp", 1), ("ArrowDown", 2)):
        page.keyboard.press(key)
        settle(page)
        assert side.pill == f"looking back: step {step} of 6"


def test_a_fold_stays_open_while_it_grows_and_while_its_oldest_steps_are_dropped(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0] * 5, limit=8)
    side.root.get_by_role("option", name="Add × 5").click()
    side.tell("batch", [0] * 2)
    settle(page)
    assert len(side.lines()) == 1 + 7
    side.tell("batch", [0] * 4)
    settle(page)
    assert len(side.lines()) == 1 + 8
    assert side.lines()[0] == "Add × 8 110 ms"


def test_the_head_of_a_long_fold_is_in_sight_and_closes_it(page: Any) -> None:
    side = burst(page)
    side.root.get_by_role("option", name="Add × 31").click()
    settle(page)
    head = page.locator(".row.pinned")
    assert head.inner_text().startswith("Add")
    assert head.get_attribute("role") is None, "in the list it is there once"
    shoot(side.root, "open-fold")
    head.click()
    settle(page)
    assert len(side.lines()) == 4


def test_a_filter_leaves_out_of_an_open_fold_what_does_not_match(page: Any) -> None:
    side = burst(page)
    side.root.get_by_role("textbox").fill("request")
    settle(page)
    side.root.get_by_role("option", name="RequestSent · RequestEnded × 4").click()
    settle(page)
    assert len(side.lines()) == 1 + 8
    side.root.get_by_role("textbox").fill("requestsent")
    settle(page)
    assert side.lines()[0].startswith("RequestSent GET /api/me/ × 4")
    assert side.root.get_by_text("4 of 41").is_visible(), "a step in an open fold counts once"


# -- what was dropped, and where one looks ----------------------------------------------------------------------------


def test_steps_that_were_dropped_are_said(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 1] * 4, limit=10)
    assert "older step" not in side.root.inner_text()
    side.tell("batch", [2, 3, 2])
    settle(page)
    assert side.root.get_by_text("1 older step dropped: the last 10 are kept").is_visible()
    side.tell("batch", [3, 2])
    settle(page)
    assert side.root.get_by_text("3 older steps dropped: the last 10 are kept").is_visible()
    assert violations(page, ".rxi") == []


def test_looking_back_stays_at_its_step_also_when_that_is_dropped(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 1, 2, 3, 0, 1], limit=8)
    side.root.get_by_role("option", name="RequestSent").first.click()
    side.raw({**STEP, "number": 2, "diff": [[0, "~", "looked", "1", "0"]]})
    for _ in range(5):
        side.tell("batch", [2, 3, 1])
        settle(page)
        assert side.pill.startswith("looking back: step 2 of ")
        assert "looked: 0 → 1" in side.root.get_by_role("tabpanel").inner_text()
    assert side.pill == "looking back: step 2 of 21, dropped since"
    assert side.root.get_by_role("slider").get_attribute("aria-valuetext") == "step 2, which was dropped since"
    assert page.evaluate("() => model.values.step") == 2
    side.root.get_by_role("button", name="One step forward").click()
    settle(page)
    assert side.pill == "looking back: step 14 of 21", "from there on to the oldest that is kept"


def test_the_list_stays_where_it_was_left_when_old_lines_are_dropped(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [n % 4 if n % 7 else 3 for n in range(300)], limit=300)
    top = "() => { const list = document.querySelector('[role=listbox]').getBoundingClientRect();"
    top += "const row = document.elementFromPoint(list.x + 60, list.y + 5).closest('.row'); return row.innerText; }"
    page.evaluate(
        "() => new Promise((done) => { const list = document.querySelector('[role=listbox]');"
        "list.addEventListener('scroll', done, { once: true }); list.scrollTop = 1500; })"
    )
    settle(page)
    seen = page.evaluate(top)
    for _ in range(3):
        side.tell("batch", [0, 1, 3, 2, 1])
        settle(page)
        assert page.evaluate(top) == seen


def test_another_recording_begins_at_live(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 1, 2, 3] * 5)
    side.root.get_by_role("button", name="First step").click()
    for _ in range(9):
        side.root.get_by_role("button", name="One step forward").click()
    settle(page)
    assert side.pill == "looking back: step 10 of 20"
    side.tell("snapshot", [0, 1], first=1, note="not recorded until 12:00:00: nobody looked")
    settle(page)
    assert side.pill == "● live"


# -- paused -----------------------------------------------------------------------------------------------------------


def test_what_is_paused_stands_still(page: Any) -> None:
    side = Side(page)
    side.tell("snapshot", [0, 1, 2])
    side.root.get_by_role("button", name="Pause").click()
    more = {**WORDS, "answered": 99, "waiting": 7}
    side.tell("batch", [1, 2], words=more)
    settle(page)
    assert side.pill == "paused: 2 new"
    assert side.root.get_by_text("50 answered").is_visible()
    assert len(side.lines()) == 3
    side.root.get_by_role("button", name="First step").click()
    settle(page)
    assert side.pill == "looking back: step 1 of 3"
    side.tell("snapshot", [0, 1, 2, 1, 2, 3], first=1, words=more)
    settle(page)
    assert len(side.lines()) == 3, "also when a message was lost, and everything comes again"
    assert side.pill == "looking back: step 1 of 3"
    side.root.get_by_role("button", name="Resume").click()
    side.tell("snapshot", [0, 1, 2, 1, 2, 3], first=1, words=more)
    side.root.get_by_role("button", name="Jump to live").click()
    settle(page)
    assert side.root.get_by_text("99 answered").is_visible()
    assert side.pill == "● live"


# -- the tabs and the line of time ------------------------------------------------------------------------------------


def test_each_tab_has_a_heading_of_its_own(page: Any) -> None:
    side = burst(page)
    heading = side.root.locator(".detail .head .name")
    for tab, said in (
        ("State", "The state after this step"),
        ("Action", "What was recorded"),
        ("Diff", "What this step changed"),
    ):
        side.root.get_by_role("tab", name=tab).click()
        assert heading.inner_text() == said


def test_the_line_of_time_has_an_axis_and_a_legend(page: Any) -> None:
    side = burst(page)
    side.tell("batch", [1], first=1000)
    settle(page)
    label = side.root.locator("canvas").get_attribute("aria-label")
    assert label.startswith("1 steps on a line of time, from 10.00 s to 10.00 s, in the lanes")
    side.tell("snapshot", [*BURST, *[2] * 200], first=1)
    settle(page)
    label = side.root.locator("canvas").get_attribute("aria-label")
    assert label.startswith("241 steps on a line of time, from 10 ms to 2.41 s, in the lanes")
    legend = side.root.get_by_role("list", name="Legend")
    assert legend.get_by_role("listitem").all_inner_texts() == ["request sent", "answered", "failed", "action or value"]
    side.raw(
        {
            "type": "batch", "batch": side.number + 1, "first": 242, "kinds": KINDS, "rows": [0, 90_000],
            "title": "billing-api", "subtitle": "", "live": True, "over": False, "total": 242, "missed": 0, "note": "",
            "trouble": "", "words": WORDS,
        }
    )  # fmt: skip
    assert "a silence, shortened" in legend.inner_text()
    assert violations(page, ".rxi") == []


def test_the_mouse_on_the_line_of_time_is_told_which_step_is_there(page: Any) -> None:
    side = burst(page)
    box = side.root.get_by_role("slider").bounding_box()
    canvas = side.root.locator("canvas").bounding_box()
    tip = side.root.locator(".tip")
    assert tip.is_hidden()
    page.mouse.move(box["x"] + 1, canvas["y"] + 30)
    assert tip.inner_text() == "RefreshFailed · step 1 at 10 ms"
    page.mouse.move(box["x"] + box["width"] - 1, canvas["y"] + 5)
    assert tip.inner_text() == "RefreshFailed · step 41 at 410 ms"
    bounds = tip.bounding_box()
    frame = side.root.bounding_box()
    assert bounds["x"] + bounds["width"] <= frame["x"] + frame["width"], "in the page as a whole"
    # In the lane of the requests, near one of those.
    shoot(side.root, "time-hover")
    page.mouse.move(box["x"] + box["width"] * 31.9 / 40, canvas["y"] + 4 + 17 * 2.5)
    assert tip.inner_text() == "RequestSent GET /api/me/ · step 33 at 330 ms"
    page.mouse.move(box["x"], canvas["y"] - 200)
    assert tip.is_hidden()
    assert tip.get_attribute("aria-hidden") == "true"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_passes_axe_with_all_of_it(page: Any, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    side = Side(page)
    side.tell("snapshot", [n % 4 if n % 9 else 0 for n in range(60)] + [0] * 31 + [1, 2] * 6, limit=90)
    side.root.get_by_role("option", name="RequestSent · RequestEnded × 6").click()
    side.raw({**STEP, "number": 103, "diff": [[0, "~", "answered", "50", "49"]]})
    box = side.root.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 30)
    settle(page)
    assert violations(page, ".rxi") == []
    shoot(side.root, f"all-{theme}")
