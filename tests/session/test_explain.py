"""`session.explain()` and the selectors: what a session says about itself."""

from __future__ import annotations

import httpx
import pytest

from rxauth.concurrency import Instant
from rxauth.errors import LoginFailed, RefreshMisconfigured, RefreshRefused, RefreshUnavailable
from rxauth.session import (
    AuthState,
    access_expires_at,
    access_token,
    is_access_expired,
    is_refresh_expired,
    is_refreshing,
    is_signed_in,
    last_error,
    refresh_expires_at,
    refresh_token,
)
from tests.kit import Caller, make


def test_selectors_follow_a_refresh() -> None:
    time, _, session = make()
    assert (access_token(session.auth), refresh_token(session.auth)) == ("access-0", "refresh-0")
    assert is_access_expired(session.auth, time.now())
    assert not is_refresh_expired(session.auth, time.now())
    assert is_signed_in(session.auth)
    assert not is_refreshing(session.auth)
    Caller(session.fresh())
    assert is_refreshing(session.auth)
    assert is_signed_in(session.auth)
    time.advance(1)
    assert not is_refreshing(session.auth)
    assert not is_access_expired(session.auth, time.now())
    assert access_expires_at(session.auth) == time.now().wall - 0.8 + 300
    assert refresh_expires_at(session.auth) is None
    assert last_error(session.auth) is None


def test_selectors_of_nobody() -> None:
    nobody, now = AuthState(), Instant(0, 0)
    assert access_token(nobody) is refresh_token(nobody) is access_expires_at(nobody) is last_error(nobody) is None
    assert is_access_expired(nobody, now)
    assert is_refresh_expired(nobody, now)
    assert not is_signed_in(nobody)
    assert not is_refreshing(nobody)


def test_explain_a_healthy_session() -> None:
    time, _, session = make(life=300)
    time.advance(100)
    text = session.explain()
    assert "session 'default' is signed in since" in text
    assert "expires in 200 s" in text
    assert "next: nothing to do" in text


def test_explain_a_refresh_under_way_says_who_asked() -> None:
    time, _, session = make()
    Caller(session.fresh())
    time.advance(0.1)
    assert "is refreshing" in session.explain()
    assert "asked for by fresh()" in session.explain()
    assert "next: calls wait for the refresh" in session.explain()


def test_explain_an_outage_says_the_cause_the_status_and_when_it_goes_on() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshUnavailable("the token endpoint answered 503", status_code=503, cause="status 503")] * 3
    caller = Caller(session.fresh())
    time.run_until(lambda: caller.ends == 1)
    time.advance(2)
    text = session.explain()
    assert "is degraded" in text
    assert "RefreshUnavailable: the token endpoint answered 503 [status 503]" in text
    assert "in 3 s" in text


def test_explain_a_lost_answer_warns_of_the_sign_in_to_come() -> None:
    time, refresher, session = make()
    refresher.script = [httpx.ReadError("reset")]
    Caller(session.fresh())
    time.advance(1)
    assert "the user must sign in again" in session.explain()


def test_explain_an_ended_session() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshRefused("the refresh token was refused", status_code=400)]
    Caller(session.fresh())
    time.advance(1)
    text = session.explain()
    assert "is signed out" in text
    assert "[refused, status 400]" in text
    assert "the user has to sign in again" in text


def test_explain_a_wrong_configuration() -> None:
    time, refresher, session = make()
    refresher.script = [RefreshMisconfigured("invalid_client", status_code=401)]
    Caller(session.fresh())
    time.advance(1)
    assert "mend the client's configuration" in session.explain()


def test_explain_holds_no_secret() -> None:
    time, _, session = make()
    Caller(session.fresh())
    time.advance(1)
    assert "access-" not in session.explain()
    assert "refresh-" not in session.explain()
    assert "access-" not in repr(session)


def test_explain_a_login_that_failed_over_somebody_who_stays() -> None:
    _, refresher, session = make(life=300)
    refresher.login_script = [RefreshRefused("wrong password")]
    with pytest.raises(LoginFailed):
        session.login(username="ada", password="wrong").run()
    text = session.explain()
    assert "is signed in" in text
    assert "the last login failed: LoginFailed: " in text
    assert "because" not in text


def test_what_expires_this_very_moment_expired_0_s_ago() -> None:
    time, _, session = make(life=300)
    time.advance(300)
    assert "expired 0 s ago" in session.explain()
    assert ", 0 ms ago" in session._repr_mimebundle_()["text/plain"]


def test_explain_tells_long_times_in_larger_units() -> None:
    time, _, session = make(life=300)
    for seconds, told in ((200, "200 s ago"), (900, "18 min ago"), (10_000, "3 h ago"), (500_000, "6 days ago")):
        time.advance(seconds)
        assert f"({told})" in session.explain()
