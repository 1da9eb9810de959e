"""`replace()` of a pair that the caller made, which has no number."""

from __future__ import annotations

from rxauth import Tokens
from tests.kit import Caller, make


def test_the_current_pair_made_by_hand_is_replaced() -> None:
    """B118"""
    _, refresher, session = make(life=300)
    assert session.replace(Tokens("access-0", "refresh-0")).run().access == "access-1"
    assert session.replace(Tokens("access-1")).run().access == "access-2"
    assert refresher.posted == ["refresh-0", "refresh-1"]


def test_an_earlier_pair_made_by_hand_is_answered_with_the_current_one() -> None:
    _, refresher, session = make(life=300)
    session.replace().run()
    assert session.replace(Tokens("access-0", "refresh-0")).run().access == "access-1"
    assert refresher.posts == 1


def test_many_who_made_it_by_hand_share_one_refresh() -> None:
    time, refresher, session = make(life=300)
    callers = [Caller(session.replace(Tokens("access-0", "refresh-0"))) for _ in range(20)]
    time.advance(1)
    assert {caller.access for caller in callers} == {"access-1"}
    assert refresher.posts == 1
