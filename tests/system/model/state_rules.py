"""What holds in every state, by itself."""

from __future__ import annotations

from rxauth.concurrency import Instant
from rxauth.errors import (
    LoginFailed,
    NotSignedIn,
    RefresherError,
    RefreshMisconfigured,
    RefreshUnavailable,
    SessionExpired,
)
from rxauth.session import (
    AuthState,
    Status,
    Windows,
    access_expires_at,
    access_token,
    is_access_expired,
    is_refresh_expired,
    is_refreshing,
    is_signed_in,
    last_error,
    refresh_token,
)
from rxauth.session.explain import explain
from rxauth.session.state import decide, is_cooling, refusal
from tests.system.model.exploration import named

#: A token lives three ticks: one fresh, one inside `refresh_ahead`, one inside `leeway`.
WINDOWS = Windows(leeway=1.0, refresh_ahead=2.0)


def status_of(auth: AuthState) -> Status:
    """The status apart from a login in progress."""
    return auth.resume if auth.status == "signing_in" else auth.status


def there_are_tokens_exactly_while_somebody_is_signed_in(auth: AuthState, now: Instant) -> bool:
    return (auth.tokens is None) == (status_of(auth) == "signed_out")


def tokens_are_the_sign_in_s_and_the_generation_s(auth: AuthState, now: Instant) -> bool:
    if auth.tokens is None:
        return (auth.sign_in, auth.generation, auth.counted) == ("", 0, ())
    return (auth.tokens.sign_in, auth.tokens.generation) == (auth.sign_in, auth.generation) and auth.sign_in != ""


def a_login_is_pending_exactly_while_signing_in(auth: AuthState, now: Instant) -> bool:
    signing_in = auth.status == "signing_in"
    return (
        (auth.pending != "") == signing_in and status_of(auth) != "signing_in" and auth.pending != (auth.sign_in or 0)
    )


def a_cool_down_is_a_failure_s(auth: AuthState, now: Instant) -> bool:
    cooled = auth.cool_down is not None
    return cooled == (auth.retry_at is not None) == (auth.failures > 0) and (not cooled or auth.tokens is not None)


def a_cool_down_ends_on_both_clocks_at_once(auth: AuthState, now: Instant) -> bool:
    if auth.cool_down is None or auth.retry_at is None:
        return True
    return auth.retry_at - auth.cool_down == now.wall - now.mono


def only_a_degraded_session_is_in_trouble(auth: AuthState, now: Instant) -> bool:
    match status_of(auth):
        case "degraded":
            return auth.failures > 0 and auth.error is not None
        case "signed_in":
            return auth.failures == 0
        case "signed_out":
            return not auth.in_doubt and auth.failures == 0
    return True


def the_error_is_one_that_leads_here(auth: AuthState, now: Instant) -> bool:
    kept: tuple[type[Exception], ...] = (LoginFailed, RefreshUnavailable, RefreshMisconfigured, RefresherError)
    ended = (LoginFailed, SessionExpired)
    return auth.error is None or isinstance(auth.error, ended if auth.tokens is None else kept)


def the_gate_decides_by_the_token_s_age_and_the_cool_down(auth: AuthState, now: Instant) -> bool:
    if auth.status == "signing_in" or auth.tokens is None:
        return decide(auth, now, WINDOWS) == ("wait_for_login" if auth.status == "signing_in" else "signed_out")
    if auth.refused:
        return decide(auth, now, WINDOWS) == "refresh"
    remaining = auth.tokens.remaining(now)
    assert remaining is not None
    if auth.in_doubt and remaining > 0:
        return decide(auth, now, WINDOWS) == "fresh"
    alive = remaining > (0 if auth.failures else 1)
    if is_cooling(auth, now):
        expected = "fresh" if alive else "unavailable"
    else:
        expected = "fresh" if remaining > 2 else "refresh_ahead" if alive else "refresh"
    return decide(auth, now, WINDOWS) == expected


def refused_is_said_only_while_a_refresh_runs(auth: AuthState, now: Instant) -> bool:
    return not auth.refused or status_of(auth) == "refreshing"


def a_refusal_says_who_is_missing_or_when_to_try(auth: AuthState, now: Instant) -> bool:
    error, told = refusal(auth), auth.error
    if auth.tokens is None:
        expired = isinstance(told, SessionExpired)
        same = not expired or (error.args, vars(error).get("cause")) == (told.args, vars(told).get("cause"))
        return type(error) is (SessionExpired if expired else NotSignedIn) and same and error is not told
    if not isinstance(told, RefreshUnavailable | RefreshMisconfigured | RefresherError):
        return type(error) is RefreshUnavailable and error.retry_at == auth.retry_at
    return type(error) is type(told) and error is not told and error.args == told.args


def the_selectors_agree_with_the_status(auth: AuthState, now: Instant) -> bool:
    in_flight = status_of(auth) == "refreshing"
    inside = auth.status in ("signed_in", "refreshing", "degraded")
    return (is_signed_in(auth), is_refreshing(auth), last_error(auth)) == (inside, in_flight, auth.error)


def the_selectors_of_tokens_agree_with_the_tokens(auth: AuthState, now: Instant) -> bool:
    tokens = auth.tokens
    if tokens is None:
        nothing = (access_token(auth), refresh_token(auth), access_expires_at(auth)) == (None, None, None)
        return nothing and is_access_expired(auth, now) and is_refresh_expired(auth, now)
    held = (access_token(auth), refresh_token(auth), access_expires_at(auth))
    expired = (tokens.expires_at or 0) <= now.wall
    same = held == (tokens.access, tokens.refresh, tokens.expires_at)
    return same and is_access_expired(auth, now) is expired and not is_refresh_expired(auth, now)


def the_explanation_agrees_with_the_status(auth: AuthState, now: Instant) -> bool:
    text = explain(auth, auth.session, now)
    first, *_, last = text.splitlines()
    waits = "calls wait" in last or "a single probe" in last
    return (
        auth.status.replace("_", " ") in first
        and ("access token of generation" in text) == (auth.tokens is not None)
        and (type(auth.error).__name__ in text) == (auth.error is not None)
        and waits == (auth.status in ("signing_in", "refreshing"))
        and ("next refresh is tried" in last) == (auth.status == "degraded")
        and ("has to sign in again" in last) == (auth.status == "signed_out" and isinstance(auth.error, SessionExpired))
    )


def the_explanation_speaks_of_tokens_that_exist(auth: AuthState, now: Instant) -> bool:
    return auth.tokens is not None or "they live in memory" not in explain(auth, auth.session, now)


STATE_RULES = named(
    there_are_tokens_exactly_while_somebody_is_signed_in,
    tokens_are_the_sign_in_s_and_the_generation_s,
    a_login_is_pending_exactly_while_signing_in,
    a_cool_down_is_a_failure_s,
    a_cool_down_ends_on_both_clocks_at_once,
    only_a_degraded_session_is_in_trouble,
    the_error_is_one_that_leads_here,
    the_gate_decides_by_the_token_s_age_and_the_cool_down,
    refused_is_said_only_while_a_refresh_runs,
    a_refusal_says_who_is_missing_or_when_to_try,
    the_selectors_agree_with_the_status,
    the_selectors_of_tokens_agree_with_the_tokens,
    the_explanation_agrees_with_the_status,
    the_explanation_speaks_of_tokens_that_exist,
)
