"""The notebooks run top to bottom on what they bring along, lose no error, and show what they are about."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from notebook_kit import NOTEBOOKS, compared, read, run, secrets_in, shown, svgs

from tests.system.notebooks.__main__ import as_saved

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")


@each
@quiet
def test_it_runs_top_to_bottom(path: Path) -> None:
    notebook = run(read(path))
    text = shown(notebook)
    assert not secrets_in(text)
    assert _pictures_missing(notebook) == []
    _check_totals(path, notebook)
    FACTS[path.stem](text)


@each
def test_its_outputs_are_committed_and_hold_neither_errors_nor_secrets(path: Path) -> None:
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run from top to bottom"
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    text = shown(notebook)
    assert not secrets_in(text)
    assert re.search(r"127\.0\.0\.1:\d", text) is None, "a port changes with every run"
    assert _pictures_missing(notebook) == []
    _check_totals(path, notebook)
    FACTS[path.stem](text)


def _check_totals(path: Path, notebook: Any) -> None:
    """A picture says no more and no less than the results that its cell has counted."""
    found = compared(notebook)
    assert [told for _, told in found] == [results for results, _ in found]
    assert len(found) == COMPARED[path.stem]


def test_a_notebook_is_saved_without_what_changes_with_every_run() -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_output

    said = "no answer from http://127.0.0.1:41639/api/"
    data = {"text/plain": said, "text/html": f"<b>{said}</b>", "application/vnd.jupyter.widget-view+json": {}}
    outputs = [new_output("stream", text=said), new_output("execute_result", data=data, execution_count=7)]
    saved = as_saved(nbformat.v4.new_notebook(cells=[new_code_cell("1", outputs=outputs, execution_count=7)]))
    assert shown(saved).count("http://127.0.0.1:PORT/api/") == 3
    assert "41639" not in str(saved)
    assert "widget-view" not in str(saved)
    assert saved.cells[0].execution_count == saved.cells[0].outputs[1].execution_count == 1


def test_every_notebook_has_its_facts() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(FACTS) == sorted(COMPARED)


def _pictures_missing(notebook: Any) -> list[str]:
    """The cells that draw and show no picture."""
    drawing = [cell for cell in notebook.cells if re.search(r"^(marbles\(|picture$)", cell.source, re.MULTILINE)]
    assert drawing, "a notebook without a picture"
    return [cell.source for cell in drawing if not svgs("\n".join(_html(cell))) and cell.cell_type == "code"]


def _html(cell: Any) -> list[str]:
    return [str(output.data.get("text/html", "")) for output in cell.get("outputs", []) if "data" in output]


def first_call(text: str) -> None:
    assert "Counter({200: 20})" in text
    assert "Counts(calls=20, answers=20, unauthorized=0, refreshes=1, refused_refreshes=0, logins=0)" in text
    assert "['CancelledError', 200, 200, 200, 200]" in text
    assert "Counts(calls=4, answers=4, unauthorized=0, refreshes=1, refused_refreshes=0, logins=0)" in text
    assert "(Counter({'SessionExpired': 10}), 1)" in text
    assert "\nrxauth: session 'default': the sign-in is over: the token endpoint answered 401 token_not_valid" in text
    assert "next: the user has to sign in again" in text


def fifty_calls(text: str) -> None:
    storm, naive, patient = re.findall(r"Counts\(.*\)", text)
    assert storm == "Counts(calls=50, answers=50, unauthorized=0, refreshes=1, refused_refreshes=0, logins=0)"
    refreshes, refused = map(int, re.findall(r"refreshes=(\d+)", naive))
    assert "answers=50" in naive
    assert refreshes + refused >= 3, "the obvious way refreshes again and again"
    assert refused >= 1
    assert "afterwards: Counter({401: 3})" in text, "and the user is signed out"
    assert re.findall(r"the second attempt: (.*)", text) == [
        "refused, 401",
        "200 {'username': 'ada'}",
    ]
    assert "refreshes=1, refused_refreshes=0" in patient
    assert "50 answered" in text, "the live panel at its end"
    assert re.search(r"^ +0(?: +\d+){6}$", text, re.MULTILINE), "the first call waits"
    assert re.search(r"^ +49(?: +\d+){4}$", text, re.MULTILINE), "the last one does not"


def trouble(text: str) -> None:
    assert "Counter({200: 10}) - 1 refresh\n" in text
    assert "Counter({'SessionExpired': 8}) - 1 refresh tried, 0 calls sent" in text
    assert "['show the login page: refused']" in text
    assert "Counter({'RefreshUnavailable': 40, 200: 20}) - 6 refreshes tried" in text
    assert "Counter({200: 10, 'RefreshUnavailable': 4})" in text
    assert "Counter({'NotSignedIn': 8}) - 0 calls sent" in text
    assert "Counter({200: 10}) - 1 refresh, 13 requests for 10 calls" in text
    assert "[200, 200] - 1 refresh" in text
    assert "Counter({'SessionExpired': 10}) - 1 refresh, 2 requests" in text
    assert text.count("session 'default' is ") == 7, "each story is explained"


def compose(text: str) -> None:
    assert re.search(r"refreshing: True\n\['profile, generation (\d+)', 'assets, generation \1', 'news, ", text)
    assert "Counts(calls=2, answers=2, unauthorized=0, refreshes=2, refused_refreshes=0, logins=0)" in text
    assert re.findall(r"\w+ time: 3 calls, 1 refresh", text) == [
        "first time: 3 calls, 1 refresh",
        "second time: 3 calls, 1 refresh",
    ]
    walk = text[text.index("Typed            t ") : text.index("['RFC 7009")]
    steps = re.findall(r"^(Search|ApiCancelled|ApiSucceeded|TokensRefreshed)\b", walk, re.MULTILINE)
    assert steps == ["Search", "TokensRefreshed", "Search", "ApiCancelled", "ApiSucceeded"]
    assert "['RFC 7519 JSON Web Token (JWT)', 'RFC 9068 JWT Profile for Access Tokens']" in text
    removed = re.findall(r"^-(\w+)\(", text, re.MULTILINE)
    added = re.findall(r"^\+(\w+)\(", text, re.MULTILINE)
    assert (removed, added) == (["RefreshStarted", "TokensRefreshed", "ApiCancelled"], ["ApiSucceeded"])


#: What each notebook is about, as its output says it.
FACTS: dict[str, Callable[[str], None]] = {
    "01-first-call": first_call,
    "02-fifty-calls-one-refresh": fifty_calls,
    "03-when-things-go-wrong": trouble,
    "04-compose": compose,
}
#: How many of its pictures are of calls whose results the notebook counts as well.
COMPARED = {"01-first-call": 1, "02-fifty-calls-one-refresh": 3, "03-when-things-go-wrong": 8, "04-compose": 1}
