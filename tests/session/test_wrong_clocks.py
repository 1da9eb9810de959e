"""B112: a wall clock that is wrong for a moment, or an hour fast, does not end a sign-in that the server accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import RefreshRefused, SessionExpired
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair

DAY = 86_400.0


def answer(number: object, refresh_life: float | None = 1800.0) -> dict[str, Any]:
    return {
        "access_token": f"access-{number}",
        "refresh_token": f"refresh-{number}",
        "expires_in": 300,
        "refresh_expires_in": refresh_life,
    }


def signed_in(*, storage: Any = None, **answered: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    """Signed in with a pair that was just received: its access token lives 5 minutes, its refresh token 30."""
    time = VirtualTime()
    refresher = FakeRefresher(time, script=[lambda tokens: {**answer(1), **answered}])
    return time, refresher, Session(refresher, tokens=answer(0), time=time, storage=storage)


def test_a_clock_that_jumps_a_day_ahead_and_back_costs_one_post() -> None:
    time, refresher, session = signed_in()
    time.jump(DAY)
    assert session.fresh().run().access == "access-1"
    time.jump(-DAY)
    time.advance(200)
    assert session.fresh().run().access == "access-1"
    assert refresher.posted == ["refresh-0"]


def test_in_the_file_the_sign_in_goes_on_for_all(tmp_path: Path) -> None:
    time, refresher, session = signed_in(storage=FileStorage(tmp_path / "tokens"))
    sibling = Session(refresher, storage=FileStorage(tmp_path / "tokens"), time=time)
    time.jump(DAY)
    assert session.fresh().run().access == "access-1"
    time.jump(-DAY)
    assert sibling.replace().run().access == "access-1"
    assert session.auth.status == sibling.auth.status == "signed_in"
    assert refresher.posted == ["refresh-0"]


def test_a_sibling_that_looks_while_the_clock_is_wrong_posts_once(tmp_path: Path) -> None:
    time, refresher, _ = signed_in(storage=FileStorage(tmp_path / "tokens"))
    sibling = Session(refresher, storage=FileStorage(tmp_path / "tokens"), time=time)
    time.jump(DAY)
    assert sibling.fresh().run().access == "access-1"
    assert refresher.posted == ["refresh-0"]


@pytest.mark.parametrize("keeps", [False, True], ids=["it rotates", "it keeps the refresh token"])
def test_with_a_brought_pair_an_hour_fast_one_post_decides_per_life(keeps: bool) -> None:
    time = VirtualTime()
    wall = time.now().wall
    brought = Tokens("access-0", "refresh-0", wall + 300, wall + 1800)
    kept = {"access_token": "access-1", "expires_in": 300}
    refresher = FakeRefresher(time, script=[lambda tokens: kept if keeps else answer(1)])
    time.jump(3600)
    session = Session(refresher, tokens=brought, time=time)
    for _ in range(3):
        assert session.fresh().run().access == "access-1"
        time.advance(50)
    assert refresher.posts == 1
    time.advance(200)
    assert session.fresh().run().access == "access-2"
    assert refresher.posts == 2


def test_the_server_ends_it_where_it_means_it() -> None:
    time, refresher, session = signed_in()
    refresher.script = [RefreshRefused(status_code=400)]
    time.jump(DAY)
    with pytest.raises(SessionExpired):
        session.fresh().run()
    with pytest.raises(SessionExpired):
        session.fresh().run()
    assert refresher.posts == 1


def test_a_refresh_token_that_has_expired_by_the_monotonic_clock_is_not_posted() -> None:
    time, refresher, session = signed_in()
    time.advance(1800)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert (caught.value.cause, refresher.posts) == ("refresh token expired", 0)


def test_so_it_is_while_the_wall_clock_is_behind() -> None:
    time, refresher, session = signed_in()
    time.jump(-DAY)
    time.advance(1800)
    with pytest.raises(SessionExpired):
        session.fresh().run()
    assert refresher.posts == 0


def test_the_end_of_a_refresh_token_that_is_kept_stays_where_it_was() -> None:
    time, refresher, session = signed_in(refresh_token=None, refresh_expires_in=None)
    time.jump(DAY)
    session.fresh().run()
    time.jump(-DAY)
    time.advance(1000)
    assert session.fresh().run().access == "access-2"
    assert refresher.posted == ["refresh-0", "refresh-0"]


def test_a_token_without_a_refresh_token_outlives_the_moment() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens={"access_token": "access-0", "expires_in": 300}, time=time)
    time.jump(DAY)
    assert session.fresh().run().access == "access-0"
    time.jump(-DAY)
    time.advance(299)
    assert session.fresh().run().access == "access-0"
    time.advance(1)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert (caught.value.cause, refresher.posts) == ("no refresh token", 0)


def test_a_token_without_a_refresh_token_is_used_to_its_end_but_not_after_a_refusal() -> None:
    time = VirtualTime()
    session = Session(FakeRefresher(time), tokens={"access_token": "access-0", "expires_in": 300}, time=time)
    time.advance(298)
    assert session.fresh().run().access == "access-0"
    assert session.auth.status == "signed_in"
    with pytest.raises(SessionExpired):
        session.replace().run()


def test_a_machine_signs_in_again_where_either_clock_says_that_its_refresh_token_has_expired() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    refresher.unattended = True  # type: ignore[attr-defined]
    session = Session(refresher, tokens=answer(0), time=time)
    time.jump(DAY)
    assert session.fresh().run().access == "access-login-1"
    assert refresher.posts == 0


def test_the_kits_pair_is_received() -> None:
    """Else the tests above would say nothing of the monotonic clock."""
    assert pair(VirtualTime()).received is not None
