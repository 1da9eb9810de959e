"""The endpoint of one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from refresher_kit import Site, site


@pytest.fixture
def endpoint() -> Iterator[Site]:
    with site() as opened:
        yield opened
