"""What a failed refresh means for those who wait, for those who come later, and for the tokens."""

from __future__ import annotations

import logging

import httpx
import pytest

from rxauth import Session, Tokens
from rxauth.errors import (
    NotSignedIn,
    RefresherError,
    RefreshMisconfigured,
    RefreshRefused,
    RefreshUnavailable,
    SessionExpired,
)
from rxauth.session import RefreshFailed, SessionEnded
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, logged, make, pair, stale


def down(retry_after: float | None = None) -> RefreshUnavailable:
    return RefreshUnavailable("503", status_code=503, retry_after=retry_after)


def test_a_refusal_ends_the_session_once_for_everybody() -> None:
    """B11, B22"""
    time, refresher, session = make()
    refresher.script = [RefreshRefused(status_code=400)]
    ended: list[SessionEnded] = []
    session.store.actions.of_type(SessionEnded).subscribe(ended.append)
    callers = [Caller(session.fresh()) for _ in range(20)]
    time.advance(1)
    assert all(isinstance(caller.error, SessionExpired) and caller.ends == 1 for caller in callers)
    assert len({id(caller.error) for caller in callers}) == 20, "each waiter has an exception of its own to raise"
    assert [event.cause.status_code for event in ended] == [400]  # type: ignore[attr-defined]
    later = Caller(session.fresh())
    time.advance(3600)
    assert isinstance(later.error, SessionExpired)
    assert "refused" in str(later.error)
    assert refresher.posts == 1
    assert session.auth.tokens is None


def test_a_refusal_is_a_kind_of_not_signed_in() -> None:
    _, refresher, session = make()
    refresher.script = [RefreshRefused()]
    with pytest.raises(NotSignedIn):
        session.fresh().run()


def test_no_old_error_comes_back_after_a_new_sign_in() -> None:
    """B13"""
    time, refresher, session = make()
    refresher.script = [RefreshRefused()]
    with pytest.raises(SessionExpired):
        session.fresh().run()
    session.sign_in(stale(time, "again")).run()
    callers = [Caller(session.fresh()) for _ in range(10)]
    time.advance(1)
    assert {caller.access for caller in callers} == {"access-2"}
    assert refresher.posted == ["refresh-0", "refresh-again"]


@pytest.mark.parametrize(
    "failure",
    [down(), httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")],
    ids=["503", "refused", "connect-timeout"],
)
def test_a_passing_failure_is_tried_three_times_and_keeps_the_sign_in(failure: Exception) -> None:
    """B40"""
    time, refresher, session = make()
    refresher.script = [failure] * 3
    callers = [Caller(session.fresh()) for _ in range(20)]
    time.advance(10)
    assert refresher.posted == ["refresh-0"] * 3
    assert all(isinstance(caller.error, RefreshUnavailable) for caller in callers)
    assert session.auth.status == "degraded"
    assert session.auth.tokens is not None
    time.advance(60)
    assert session.fresh().run().access == "access-4"
    assert session.auth.status == "signed_in"


def test_a_second_try_that_succeeds_is_no_failure() -> None:
    time, refresher, session = make()
    refresher.script = [down()]
    failed: list[RefreshFailed] = []
    session.store.actions.of_type(RefreshFailed).subscribe(failed.append)
    caller = Caller(session.fresh())
    time.advance(10)
    assert (caller.access, refresher.posts, failed) == ("access-2", 2, [])


def test_calls_fail_at_once_during_the_cool_down_then_one_probe_of_one_try() -> None:
    time, refresher, session = make()
    refresher.script = [down()] * 100
    first = Caller(session.fresh())
    time.run_until(lambda: first.ends == 1)
    assert isinstance(first.error, RefreshUnavailable)
    assert first.error.retry_at == pytest.approx(time.now().wall + 5)
    at_once = [Caller(session.fresh()) for _ in range(5)]
    assert [caller.ends for caller in at_once] == [1] * 5
    assert refresher.posts == 3
    time.advance(5)
    probe, other = Caller(session.fresh()), Caller(session.fresh())
    time.advance(1)
    assert refresher.posts == 4
    assert isinstance(probe.error, RefreshUnavailable)
    assert isinstance(other.error, RefreshUnavailable)
    assert probe.error.retry_at == pytest.approx(time.now().wall + 10, abs=1)


def test_an_outage_of_ten_minutes_with_a_call_a_second() -> None:
    """B24: about one post per cool-down, and it recovers by itself."""
    time, refresher, session = make()
    refresher.script = [down()] * 1000
    for _ in range(600):
        Caller(session.fresh())
        time.advance(1)
    assert refresher.posts <= 3 + 4 + 600 / 60 + 1
    refresher.script = []
    time.advance(60)
    assert session.fresh().run().access.startswith("access-")


def test_retry_after_of_an_answer_is_honoured() -> None:
    """B23"""
    time, refresher, session = make()
    refresher.script = [down(retry_after=30)]
    caller = Caller(session.fresh())
    time.advance(29.5)
    assert (refresher.posts, caller.ends) == (1, 1), "the deadline would be over before the server wants us again"
    assert isinstance(Caller(session.fresh()).error, RefreshUnavailable)
    time.advance(2)
    assert session.fresh().run().access == "access-2"


def test_retry_after_is_believed_for_an_hour_at_most() -> None:
    time, refresher, session = make()
    refresher.script = [down(retry_after=1e9)]
    Caller(session.fresh())
    time.advance(3590)
    assert refresher.posts == 1
    time.advance(20)
    Caller(session.fresh())
    time.advance(1)
    assert refresher.posts == 2


def test_a_degraded_session_gives_out_its_token_while_it_lives() -> None:
    time, refresher, session = make(life=300)
    refresher.script = [down()] * 3
    time.advance(290)
    assert session.fresh().run().access == "access-0"
    time.advance(5)
    assert (session.auth.status, refresher.posts) == ("degraded", 3)
    time.advance(3)
    refresher.script = [down()]
    assert session.fresh().run().access == "access-0"
    time.advance(2.5)
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()


def test_a_misconfigured_client_is_told_at_once_and_probes_once_a_minute() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshMisconfigured("invalid_client", status_code=401)] * 9
    with pytest.raises(RefreshMisconfigured):
        session.fresh().run()
    for _ in range(59):
        assert isinstance(Caller(session.fresh()).error, RefreshMisconfigured)
        time.advance(1)
    assert refresher.posts == 1
    time.advance(1)
    Caller(session.fresh())
    time.advance(1)
    assert refresher.posts == 2
    assert session.auth.tokens is not None


def test_a_callable_that_raises_frees_everybody_and_a_call_after_the_cool_down_refreshes() -> None:
    """B12"""
    time, refresher, session = make()
    refresher.script = [KeyError("no such field")]
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    for caller in callers:
        assert isinstance(caller.error, RefresherError)
        assert isinstance(caller.error.__cause__, KeyError)
        assert caller.error.retry_at == pytest.approx(time.now().wall - 0.8 + 5)
    assert refresher.posts == 1
    time.advance(5)
    assert session.fresh().run().access == "access-2"


def test_an_expired_refresh_token_is_not_posted() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    tokens = {"access_token": "a", "refresh_token": "r", "expires_in": 60, "refresh_expires_in": 90}
    session = Session(refresher, tokens=tokens, time=time)
    time.advance(90)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert (caught.value.cause, refresher.posts) == ("refresh token expired", 0)


def test_without_a_refresh_token_the_session_expires_without_a_post() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    session = Session(refresher, tokens=Tokens("a", None, expires_at=1.0), time=time)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert (caught.value.cause, refresher.posts) == ("no refresh token", 0)


def test_a_refresher_with_a_login_of_its_own_repeats_it_instead() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    refresher.unattended = True  # type: ignore[attr-defined]
    session = Session(refresher, tokens=Tokens("a", None, expires_at=1.0), time=time)
    assert session.fresh().run().access == "access-login-1"
    assert (refresher.posts, refresher.logins) == (0, [{}])


def test_a_response_without_a_refresh_token_keeps_the_one_we_had() -> None:
    """B32"""
    time, refresher, session = make()
    refresher.script = [lambda tokens: {"access_token": "n", "expires_in": 300}]
    session.fresh().run()
    time.advance(301)
    session.fresh().run()
    assert refresher.posted == ["refresh-0", "refresh-0"]


def test_each_failed_refresh_logs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    time, refresher, session = make()
    refresher.script = [down()] * 3
    with caplog.at_level(logging.DEBUG, "rxauth"):
        for _ in range(5):
            Caller(session.fresh())
        time.advance(10)
    warnings = [record for record in logged(caplog) if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "the refresh failed" in warnings[0].getMessage()


def test_replace_carries_the_refusal_in_its_errors() -> None:
    _, refresher, session = make(life=300)
    refresher.script = [RefreshRefused()]
    refusal = object()
    with pytest.raises(SessionExpired) as caught:
        session.replace(session.auth.tokens, response=refusal).run()
    assert caught.value.response is refusal


def test_a_refresh_while_the_pair_is_replaced_by_sign_in_is_dropped() -> None:
    """B53"""
    time, refresher, session = make()
    refresher.latency = 1.0
    Caller(session.fresh())
    time.advance(0.5)
    session.sign_in(pair(time, 300, name="new")).run()
    time.advance(2)
    assert session.fresh().run().access == "access-new"
