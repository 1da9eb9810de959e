"""The inspector and the live panel in JupyterLab: a real kernel, a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from host_kit import PATIENCE, Lab, shoot, violations, write_notebook
from view_kit import APP, BURST, INSPECT, ROOT, View

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def notebook(lab_folder: Path) -> str:
    write_notebook(lab_folder / "inspector.ipynb", APP, INSPECT, BURST)
    return "inspector.ipynb"


@pytest.fixture
def view(lab: Lab, notebook: str) -> View:
    lab.open(notebook)
    lab.run_all()
    view = View(lab.page)
    view.expect_text("20 answered")
    view.expect("root.dataset.step === root.dataset.last")
    return view


def test_a_user_looks_around_with_mouse_and_keyboard(lab: Lab, view: View, notebook: str) -> None:
    page, root = lab.page, view.root
    root.scroll_into_view_if_needed()
    assert view.pill == "● live"
    assert root.get_by_text("billing-api").first.is_visible()
    assert root.get_by_text(re.compile(r"expires in 4 min \d+ s · generation \d+ · value redacted")).is_visible()
    shoot(root, "lab-light-live")
    assert violations(page, ROOT) == []

    # A burst is one line; a click selects its last step, and the cards say how it was then.
    page.keyboard.press("Control+Home")
    listbox = root.get_by_role("listbox")
    listbox.focus()
    page.keyboard.press("Home")
    view.expect_step(1, "SigningIn")
    root.get_by_role("option", name="Add × 31").click()
    view.expect_step(33, "Add")
    assert view.pill.startswith("looking back: step 33 of ")
    view.expect_text("[4]: 30")
    assert root.get_by_text("0 answered").is_visible()
    assert violations(page, ROOT) == []
    shoot(root, "lab-light-step")

    # The keyboard steps through the list, and the notebook does not take the keys for its own.
    cells = page.locator(".jp-CodeCell").count()
    page.keyboard.press("ArrowDown")
    view.expect_step(34, "RefreshStarted")
    view.expect_text("'signed_in' → 'refreshing'")
    for key in ("x", "d", "d", "a", "b"):
        page.keyboard.press(key)
    assert page.locator(".jp-CodeCell").count() == cells
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    view.expect_step(36, "TokensRefreshed")
    view.expect_text("'refreshing' → 'signed_in'")
    shoot(root, "lab-light-refreshed")
    page.keyboard.press("End")
    view.expect("Number(root.dataset.step) === Number(root.dataset.last)")
    assert view.pill.startswith("looking back")
    page.keyboard.press("Home")
    view.expect_step(1)

    # The slider goes step by step, by keys and by the mouse.
    slider = root.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    view.expect_step(4, "Add")
    assert slider.get_attribute("aria-valuetext").startswith("step 4 of ")
    slider.click(position={"x": slider.bounding_box()["width"] - 1, "y": 12})
    view.expect("Number(root.dataset.step) > Number(root.dataset.last) - 5")

    # The filter, reached by its key; Escape empties it, and again goes back to live.
    page.keyboard.press("/")
    page.keyboard.type("refresh")
    found = "[...root.querySelectorAll('[role=option]')].map((row) => /refresh/i.test(row.title))"
    view.expect(f"{found}.length === 2 && {found}.every(Boolean)")
    page.keyboard.press("Escape")
    view.expect("root.querySelectorAll('[role=option]').length > 3")
    page.keyboard.press("Escape")
    view.expect("root.querySelector('[role=status]').innerText === '● live'")

    # The tabs, play, and live again.
    root.get_by_role("tab", name="Diff").focus()
    page.keyboard.press("ArrowRight")
    assert root.get_by_role("tab", name="State").get_attribute("aria-selected") == "true"
    view.expect_text("refresh_expires_at")
    page.keyboard.press("ArrowRight")
    listbox.focus()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    view.expect("Number(root.dataset.step) > 1")
    page.keyboard.press(" ")
    root.get_by_role("button", name="Play", exact=True).wait_for()
    root.get_by_role("button", name="Jump to live").click()
    view.expect("root.querySelector('[role=status]').innerText === '● live'")

    # What is selected can be read, and set, in the notebook.
    root.get_by_role("button", name="First step").click()
    view.expect_step(1)
    lab.run_python("assert inspector.step == 1 and inspector.selected['label'] == 'SigningIn', inspector.step")
    lab.run_python("inspector.step = 5")
    view.expect_step(5)
    page.keyboard.press("Escape")


def test_pause_clear_export_the_dark_theme_and_the_end_of_store_and_kernel(lab: Lab, view: View) -> None:
    page, root = lab.page, view.root
    lab.theme("JupyterLab Dark")
    view.expect("root.dataset.theme === 'dark'")
    root.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    root.get_by_role("option", name="Add × 31").click()
    view.expect_step(33)
    shoot(root, "lab-dark-step")
    assert violations(page, ROOT) == []
    root.get_by_role("button", name="Jump to live").click()
    shoot(root, "lab-dark-live")

    root.get_by_role("button", name="Pause").click()
    last = int(root.get_attribute("data-last"))
    lab.run_python("for n in range(7): store.dispatch(Add(n))")
    view.expect("root.querySelector('[role=status]').innerText === 'paused: 7 new'")
    assert int(root.get_attribute("data-last")) == last, "nothing is drawn"
    root.get_by_role("button", name="Resume").click()
    view.expect("Number(root.dataset.last) === argument", last + 7)

    root.get_by_role("button", name="Clear").click()
    view.expect_text(f"This view was cleared up to step {last + 7}; the recording keeps all.")
    lab.run_python("store.dispatch(Add(99))")
    view.expect("root.querySelectorAll('[role=option]').length === 1")

    with page.expect_download() as download:
        root.get_by_role("button", name="Export").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert json.loads(lines[0])["rxauth"] == 1
    assert len(lines) == last + 7 + 1 + 1
    assert download.value.suggested_filename == "billing-api.jsonl"
    assert "lovelace" not in "".join(lines)

    lab.run_python("store.close()")
    view.expect("root.querySelector('[role=status]').innerText === 'closed'")
    lab.theme("JupyterLab Light")
    view.expect("root.dataset.theme === 'light'")

    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")
    view.expect("root.querySelector('[role=status]').innerText.startsWith('not live')")
    assert root.get_by_text("20 answered").is_visible()


def test_a_cell_that_runs_again_and_then_ten_thousand_actions_in_a_storm(lab: Lab, view: View) -> None:
    root = view.root
    lab.run_python("first = inspector; taps = len(store._taps)")
    lab.page.evaluate(
        """async () => {
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            await window.jupyterapp.commands.execute("notebook:run-cell");
        }"""
    )
    lab.until_python("inspector is not first")
    lab.run_python("assert len(store._taps) == taps, 'the inspector of the run before records still'")
    view.expect("root.dataset.last === '0'")
    assert lab.page.locator(ROOT).count() == 1

    before = int(root.get_attribute("data-last"))
    lab.run_python(
        "def storm():\n"
        "    import time\n"
        "    for n in range(10_000):\n"
        "        store.dispatch(Add(n))\n"
        "        if n % 100 == 0: time.sleep(0.01)\n"
        "other = inspect(store)\n"
        "thread = threading.Thread(target=storm); thread.start()"
    )
    view.expect("Number(root.dataset.last) === argument", before + 10_000)
    view.expect("Number(root.dataset.received) >= argument", before + 10_000)
    assert root.get_by_role("option").count() < 60, "only the lines in sight are in the page"
    root.get_by_role("slider").focus()
    lab.page.keyboard.press("ArrowLeft")
    view.expect_step(before + 9_999)
    view.expect_text("9998")
    lab.run_python("assert other.recording.total == 10_000, other.recording.total; other.close()")


def test_what_is_reopened_without_running_reads_well(lab: Lab, lab_folder: Path) -> None:
    import nbformat
    from nbconvert import HTMLExporter

    write_notebook(lab_folder / "saved.ipynb", APP, "panel = live(store)\npanel", INSPECT, BURST, "panel.close()")
    lab.open("saved.ipynb")
    lab.run_all()
    view = View(lab.page)
    view.expect_text("20 answered")
    panel = ".jp-OutputArea-output table"
    lab.page.wait_for_function(
        "(selector) => document.querySelector(selector)?.parentElement.innerText.includes('closed, as of')",
        arg=panel,
        timeout=PATIENCE,
    )
    box = lab.page.locator(panel).locator("xpath=..")
    said = box.inner_text()
    assert re.search(r"✓ fresh expires in 4 min \d+ s · generation \d+ · value redacted", said)
    assert "20 answered · 0 in flight · 0 failed · 1 refresh" in said
    shoot(box, "lab-light-panel")
    assert violations(lab.page, ".jp-OutputArea-output:has(table)") == []
    lab.until_python("inspector.snapshot['words']['answered'] == 20")
    path = lab_folder / "saved.ipynb"
    # A message of the widget that arrives during a save makes the notebook dirty again.
    lab.page.wait_for_function(
        """() => {
            const context = window.jupyterapp.shell.currentWidget.context
            if (context.model.dirty) context.save()
            return !context.model.dirty
        }""",
        polling=1000,
        timeout=PATIENCE,
    )
    saved = nbformat.read(path, as_version=4)
    kept = json.dumps([cell.outputs for cell in saved.cells] + [saved.metadata])
    assert "20 answered" in kept
    for secret in ("lovelace", "eyJ"):
        assert secret not in kept

    # Exported: without the widget's state, its picture stands for it.
    exported = nbformat.from_dict(saved)
    exported.metadata = {key: value for key, value in saved.metadata.items() if key != "widgets"}
    page, _ = HTMLExporter().from_notebook_node(exported)
    assert page.count("value redacted") == 1
    assert page.count("signed out") == 1, "as it was when the cell ran"
    assert "<script" not in "".join(re.findall(r"<table.*?</table>", page, re.DOTALL))

    # Opened again under another name: no kernel that knows it, and not trusted.
    saved.metadata.pop("signature", None)
    nbformat.write(saved, lab_folder / "reopened.ipynb")
    lab.page.goto(f"{lab.url}/tree/reopened.ipynb?reset", timeout=PATIENCE)
    lab.page.wait_for_selector(panel, timeout=PATIENCE)
    assert lab.page.locator(panel).locator("xpath=..").inner_text() == said
    view.expect("root.querySelector('[role=status]').innerText.startsWith('not live: as of')")
    view.expect_text("20 answered")
    assert view.root.get_by_role("option").count() >= 5
    shoot(lab.page, "lab-reopened-untrusted")
    view.root.scroll_into_view_if_needed()
    shoot(view.root, "lab-reopened-inspector")
    assert violations(lab.page, ".jp-OutputArea-output:has(table)") == []
    lab.theme("JupyterLab Dark")
    lab.page.locator(panel).scroll_into_view_if_needed()
    shoot(lab.page, "lab-reopened-untrusted-dark")
    assert violations(lab.page, ".jp-OutputArea-output:has(table)") == []
    lab.theme("JupyterLab Light")
