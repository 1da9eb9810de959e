"""The storm table: seven scenarios in five ways of calling, counted at the server. `make storm` prints the same."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.scenarios import SCENARIOS, MakeWay, Outcome
from benchmarks.storm import table
from benchmarks.ways import WAYS
from rxauth.testing import TokenServer


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_storm(scenario: Any, way: MakeWay) -> None:
    assert scenario(way).wrong == ""


@pytest.mark.parametrize("make", WAYS, ids=lambda way: way.__name__)
def test_nothing_is_held_during_a_call(make: MakeWay) -> None:
    """Not even on a machine that is slow to start them: no call is answered before all five are on the wire."""
    with TokenServer() as server:
        server.hold("/api/me/", until=lambda: len(server.api_calls) == 5, at_most=20.0)
        way = make(server, server.issue())
        try:
            assert way.calls(["/api/me/"] * 5) == [200] * 5
        finally:
            way.close()
        arrived = [seen.at for seen in server.api_calls]
        assert max(arrived) - min(arrived) < 20.0, "one waited for the other's answer"
        assert server.posts == 0


def test_the_table_says_where_a_client_falls_short() -> None:
    good, bad = Outcome(1, "20 x 200"), Outcome(20, "19 x 401, 1 x 200", "not 1 post")
    lines = table([("somebody", [good, bad])]).splitlines()
    assert lines[0].startswith("| client | access token expired |")
    assert lines[2] == "| somebody | ✓ 1 post, 20 x 200 | ✗ 20 posts, 19 x 401, 1 x 200 |"
