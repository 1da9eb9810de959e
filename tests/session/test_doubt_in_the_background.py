"""A background refresh whose answer was lost does not cut a living session short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from rxauth import Session
from rxauth.errors import RefreshRefused, SessionExpired
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair

LOST = httpx.ReadError("reset")


def lost_in_the_background(**options: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    """A pair that lives 400 s more, whose refresh in the background, 300 s before its end, has no answer."""
    time, refresher, session = make(life=1000, refresh_ahead=400.0, **options)
    refresher.script = [LOST, RefreshRefused(status_code=400)]
    time.advance(700)
    assert session.fresh().run().access == "access-0"
    time.advance(1)
    assert (refresher.posts, session.auth.in_doubt) == (1, True)
    return time, refresher, session


def test_calls_use_the_pair_until_it_really_ends() -> None:
    time, refresher, session = lost_in_the_background()
    for _ in range(29):
        assert session.fresh().run().access == "access-0"
        time.advance(10)
    time.advance(8.5)
    assert session.fresh().run().access == "access-0"
    assert (refresher.posts, session.auth.status) == (1, "degraded")


def test_then_one_probe_decides() -> None:
    time, refresher, session = lost_in_the_background()
    time.advance(300)
    callers = [Caller(session.fresh()) for _ in range(5)]
    time.advance(1)
    assert {type(caller.error) for caller in callers} == {SessionExpired}
    assert {caller.error.cause for caller in callers} == {"answer lost"}  # type: ignore[union-attr]
    assert refresher.posts == 2


def test_a_probe_that_is_answered_goes_on() -> None:
    time, refresher, session = lost_in_the_background()
    refresher.script = []
    time.advance(300)
    assert session.fresh().run().access == "access-2"
    assert (refresher.posted, session.auth.in_doubt) == (["refresh-0", "refresh-0"], False)


def test_an_answer_that_comes_late_still_counts() -> None:
    time, refresher, session = make(life=1000, refresh_ahead=400.0)
    refresher.latency = 200
    time.advance(700)
    session.fresh().run()
    time.advance(150)
    assert (session.auth.in_doubt, session.fresh().run().access) == (True, "access-0")
    time.advance(60)
    assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1


def test_a_refused_access_token_has_ended() -> None:
    time, refresher, session = lost_in_the_background()
    time.advance(100)
    with pytest.raises(SessionExpired) as caught:
        session.replace().run()
    assert (caught.value.cause, refresher.posts) == ("answer lost", 2)


def test_what_is_doubted_says_explain_too() -> None:
    _, _, session = lost_in_the_background()
    assert "calls use the access token until it expires" in session.explain()


def test_a_sibling_that_finds_the_doubt_in_the_journal_waits_as_well(tmp_path: Path) -> None:
    time, refresher, _ = lost_in_the_background(storage=FileStorage(tmp_path / "tokens"))
    sibling = Session(refresher, storage=FileStorage(tmp_path / "tokens"), time=time, refresh_ahead=400.0)
    for _ in range(10):
        assert sibling.fresh().run().access == "access-0"
        time.advance(20)
    assert refresher.posts == 1
    time.advance(110)
    with pytest.raises(SessionExpired):
        sibling.fresh().run()
    assert refresher.posts == 2


def test_a_sibling_that_was_there_before_the_doubt_waits_as_well(tmp_path: Path) -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time, script=[LOST])
    first = Session(
        refresher, tokens=pair(time, 1000), storage=FileStorage(tmp_path / "tokens"), time=time, refresh_ahead=400.0
    )
    sibling = Session(refresher, storage=FileStorage(tmp_path / "tokens"), time=time, refresh_ahead=400.0)
    time.advance(700)
    first.fresh().run()
    time.advance(1)
    for _ in range(10):
        assert sibling.fresh().run().access == "access-0"
        time.advance(20)
    assert (refresher.posts, sibling.auth.in_doubt) == (1, True)
