"""The inspector in marimo, run as an app: in a shadow DOM, with its kernel in a thread."""

from __future__ import annotations

from typing import Any

import pytest
from host_kit import PATIENCE, marimo, shoot, violations
from view_kit import View

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

NOTEBOOK = """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    from dataclasses import dataclass

    import marimo as mo

    from rxauth import AuthState, Session, Store, auth_reducer, combine_reducers, simplejwt
    from rxauth.notebook.inspector import inspect
    from rxauth.testing import TokenServer

    @dataclass(frozen=True)
    class Add:
        item: int

    @dataclass(frozen=True)
    class App:
        auth: AuthState = AuthState(session="billing-api")
        items: tuple = ()

    def items(state, action):
        return (*state, action.item)[-5:] if isinstance(action, Add) else state

    store = Store(combine_reducers(App, auth=auth_reducer, items=items), App())
    server = TokenServer(token_latency=0.1)
    refresher = simplejwt("https://api.example.com", transport=server.transport)
    session = Session(refresher, name="billing-api", store=store, select=lambda app: app.auth)
    return Add, inspect, mo, session, store


@app.cell
def _(inspect, mo, store):
    widget = mo.ui.anywidget(inspect(store))
    widget
    return (widget,)


@app.cell
def _(mo):
    more = mo.ui.button(label="More", value=0, on_click=lambda value: value + 1)
    more
    return (more,)


@app.cell
async def _(Add, more, session, store):
    if more.value == 0:
        await session.login(username="ada", password="lovelace")
    for number in range(31):
        store.dispatch(Add(number))
    return


@app.cell
def _():
    runs = []
    return (runs,)


@app.cell
def _(mo, runs, widget):
    runs.append(1)
    mo.md(f"selected: {widget.value['step']} {widget.value['selected'].get('label')}; run {len(runs)}")
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def url(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("marimo") / "app.py"
    path.write_text(NOTEBOOK)
    with marimo(path) as url:
        yield url


def test_the_same_widget_in_marimo_with_a_reactive_step(page: Any, url: str) -> None:
    page.goto(url, timeout=PATIENCE)
    view = View(page)
    view.expect("root.dataset.last === '33' && root.dataset.step === '33'")
    view.expect_text("● live")
    page.get_by_text("selected: None None; run 1").wait_for(timeout=PATIENCE)
    assert violations(page, "marimo-anywidget") == []
    shoot(page, "marimo-light-live")

    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    view.expect_step(1, "SigningIn")
    page.get_by_text("selected: 1 SigningIn").wait_for(timeout=PATIENCE)
    page.get_by_role("option", name="Add × 31").click()
    view.expect_step(33, "Add")
    page.get_by_text("selected: 33 Add").wait_for(timeout=PATIENCE)
    view.expect_text("[4]: 30")
    page.keyboard.press("Escape")
    page.get_by_text("selected: None None; run").wait_for(timeout=PATIENCE)

    page.get_by_role("button", name="More").click()
    view.expect("root.dataset.last === '64'")
    said = page.get_by_text("selected: None None; run").inner_text()
    page.wait_for_timeout(2500)  # longer than between two savings of the picture, which must not run the cell
    assert page.get_by_text("selected: None None; run").inner_text() == said


def test_the_theme_of_marimo_is_followed(page: Any, url: str) -> None:
    page.goto(url, timeout=PATIENCE)
    view = View(page)
    view.expect("root.dataset.theme === 'light' && root.dataset.last === '33'")
    page.evaluate("() => { document.body.classList.remove('light'); document.body.classList.add('dark'); }")
    view.expect("root.dataset.theme === 'dark'")
    view.expect("root.dataset.step === '33'")
    shoot(page.locator(".rxi"), "marimo-dark-live")
