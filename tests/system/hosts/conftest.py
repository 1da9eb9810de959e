"""Chromium for these tests. Without it they are skipped; in continuous integration (CI is set) they fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_kit import FLAGS, NAMES, PACKAGES, Lab, jupyterlab

from tests.programs import missing, needed

SIZE = {"width": 1320, "height": 1000}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("needs the package playwright: pip install -e '.[dev]'")
    path = needed(*NAMES, packages=PACKAGES)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport=SIZE, accept_downloads=True)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab_url(browser: Any, lab_folder: Path) -> Iterator[str]:
    with jupyterlab(lab_folder) as url:
        yield url


@pytest.fixture
def lab(page: Any, lab_url: str) -> Lab:
    return Lab(page, lab_url)
