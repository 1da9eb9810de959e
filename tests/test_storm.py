"""The storm table: seven scenarios in five ways of calling, counted at the server. `make storm` prints the same."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.scenarios import SCENARIOS, MakeWay, Outcome
from benchmarks.storm import table
from benchmarks.ways import WAYS


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_storm(scenario: Any, way: MakeWay) -> None:
    assert scenario(way).wrong == ""


def test_the_table_says_where_a_client_falls_short() -> None:
    good, bad = Outcome(1, "20 x 200"), Outcome(20, "19 x 401, 1 x 200", "not 1 post")
    lines = table([("somebody", [good, bad])]).splitlines()
    assert lines[0].startswith("| client | access token expired |")
    assert lines[2] == "| somebody | ✓ 1 post, 20 x 200 | ✗ 20 posts, 19 x 401, 1 x 200 |"
