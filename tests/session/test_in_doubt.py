"""A try that may have spent the refresh token without our having its answer."""

from __future__ import annotations

import httpx
import pytest

from rxauth.errors import (
    RefreshRefused,
    RefreshTimeout,
    RefreshUnavailable,
    SessionExpired,
)
from tests.kit import Caller, make


def test_an_answer_that_is_no_token_leaves_the_state_and_is_no_parser_error() -> None:
    """B42"""
    _, refresher, session = make()
    refresher.script = [lambda tokens: []]
    with pytest.raises(RefreshUnavailable, match="nothing usable"):
        session.fresh().run()
    assert session.auth.tokens is not None
    assert refresher.posts == 1


def test_an_endpoint_that_never_answers() -> None:
    """B17: the waiters are told at the deadline; nobody posts while the answer may come; then one probe."""
    time, refresher, session = make()
    refresher.latency = 1e6
    caller = Caller(session.fresh())
    time.advance(29.9)
    assert caller.ends == 0
    time.advance(0.2)
    assert isinstance(caller.error, RefreshTimeout)
    assert session.auth.in_doubt
    for _ in range(59):
        assert isinstance(Caller(session.fresh()).error, RefreshUnavailable)
        time.advance(1)
    assert refresher.posts == 1
    refresher.latency = 0.1
    time.advance(2)
    assert session.fresh().run().access == "access-2"
    assert refresher.posted == ["refresh-0", "refresh-0"]


def test_a_late_answer_still_counts() -> None:
    time, refresher, session = make()
    refresher.latency = 45
    caller = Caller(session.fresh())
    time.advance(46)
    assert isinstance(caller.error, RefreshTimeout)
    assert session.fresh().run().access == "access-1"
    assert session.auth.status == "signed_in"
    assert refresher.posts == 1


def test_a_lost_answer_whose_probe_is_refused_ends_the_session_as_lost() -> None:
    time, refresher, session = make()
    refresher.script = [httpx.ReadError("reset"), RefreshRefused(status_code=400)]
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    assert refresher.posts == 1, "an unanswered try is not repeated: the server may have rotated"
    time.advance(61)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert caught.value.cause == "answer lost"


def test_a_failure_that_comes_after_the_deadline_does_not_put_off_the_probe() -> None:
    time, refresher, session = make()
    refresher.latency, refresher.script = 80, [httpx.ReadTimeout("nothing came")]
    caller = Caller(session.fresh())
    time.advance(85)
    assert isinstance(caller.error, RefreshTimeout)
    assert isinstance(session.auth.error, RefreshTimeout), "the first word is the one that stays"
    refresher.latency = 0.1
    time.advance(6)
    assert session.fresh().run().access == "access-2"
