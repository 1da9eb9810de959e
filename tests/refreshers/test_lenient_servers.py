"""Servers that are kinder, or less careful, than others: late tokens, reuse without punishment, identical tokens."""

from __future__ import annotations

import threading

import pytest
from refresher_kit import REFRESH, Site

from rxauth import Session, Tokens, simplejwt
from rxauth.testing import TokenServer
from tests.kit import Caller, make


@pytest.mark.parametrize(("late", "waits"), [(-1, False), (0, False), (4, False), (5, True), (6, True)])
def test_a_negative_leeway_uses_a_token_that_expired_some_seconds_ago(late: float, waits: bool) -> None:
    time, refresher, session = make(life=300, leeway=-5, refresh_ahead=0)
    time.advance(300 + late)
    caller = Caller(session.fresh())
    assert (caller.access is None) is waits
    time.advance(1)
    assert caller.access == ("access-1" if waits else "access-0")
    assert refresher.posts == (0 if late < 0 else 1)  # in the background, when the call did not wait


def test_without_it_a_token_is_not_used_after_its_end() -> None:
    time, _, session = make(life=300)
    time.advance(301)
    assert Caller(session.fresh()).access is None


@pytest.mark.parametrize("reuse", ["allow", "reject", "revoke_family"])
def test_eight_callers_spend_one_refresh_token_whatever_the_server_thinks_of_reuse(reuse: str) -> None:
    with TokenServer(reuse=reuse, token_latency=0.05) as server:  # type: ignore[arg-type]
        given = server.issue(expired=True)
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh))
        got: list[Tokens] = []
        barrier = threading.Barrier(8)

        def ask() -> None:
            barrier.wait(60)
            got.append(session.fresh().run())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len({tokens.refresh for tokens in got}) == 1
        assert (len(got), server.posts, server.reuses) == (8, 1, 0)
        assert session.replace(got[0]).run().refresh != got[0].refresh  # and that one pair works afterwards


def test_a_new_pair_that_is_byte_for_byte_the_old_one_is_a_new_pair(endpoint: Site) -> None:
    for _ in range(2):
        endpoint.say({"access": "same", "refresh": REFRESH, "expires_in": 60})
    session = Session(simplejwt(endpoint.url), tokens=Tokens("stale", REFRESH, expires_at=1.0))
    first = session.fresh().run()
    second = session.replace(first).run()
    assert (first.access, first.refresh) == (second.access, second.refresh)
    assert first.generation != second.generation
    assert session.replace(first).run().generation == second.generation
    assert len(endpoint.asked) == 2
