"""Whatever fails: no tool that prints errors, with the locals of their frames, shows a secret of the library's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.security.failing_cells import CELLS
from tests.system.security.security_kit import Desk, chain, everything_shown, run_cell


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    opened = Desk()
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_thread_dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    yield
    assert died == []


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_that_fails_shows_no_secret(name: str, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    cell = CELLS[name]
    with caplog.at_level(logging.DEBUG):
        error = run_cell(cell.code, desk)
        text = everything_shown(error)
    assert type(error).__name__ == cell.raises
    assert desk.secrets.in_text(text) == []
    assert desk.secrets.in_text(caplog.text) == []


def test_an_error_that_holds_the_refusal_does_not_print_its_request(desk: Desk) -> None:
    error: Any = run_cell(CELLS["refused after a 401"].code, desk)
    assert error.response.request.headers["authorization"].startswith("Bearer eyJ"), "there to be looked at"
    assert desk.secrets.in_text(repr(vars(error)) + repr(error.response.request) + repr(error.response.headers)) == []
    assert desk.secrets.in_text(repr(error.response.request.headers) + repr(error.response.request.extensions)) == []


def test_the_cause_of_an_error_of_httpx_has_a_request_that_is_not_printed(desk: Desk) -> None:
    error = run_cell(CELLS["nobody listens"].code, desk)
    [cause] = [link for link in chain(error) if type(link).__name__ == "ConnectError" and hasattr(link, "_request")]
    request: Any = cause.request  # type: ignore[attr-defined]
    assert desk.secrets.in_text(request.content.decode()) != [], "there to be looked at"
    assert desk.secrets.in_text(repr(request) + repr(vars(cause))) == []


@pytest.mark.parametrize(
    "held",
    ["desk.session().auth.tokens.access", "{'refresh': desk.session().auth.tokens.refresh}", "desk.credentials()"],
)
def test_what_looks_for_secrets_finds_them_where_they_are(held: str, desk: Desk) -> None:
    """The other tests of this file would be green without eyes."""
    error = run_cell(f"from tests.system.security.leaky import hold\nhold({held})", desk)
    assert desk.secrets.in_text(everything_shown(error)) != []
