"""A pytest plugin for `make mutate`: tests that neither wait nor start threads come first, so a mutant dies soon."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not (item.path.stem.endswith("_details") or item.path.stem == "test_state"))
