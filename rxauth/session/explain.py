"""Why a session is in the state it is in, in words."""

from __future__ import annotations

from datetime import datetime

from rxauth.concurrency.runtime import Instant
from rxauth.errors import LoginFailed, RefresherError, RefreshMisconfigured, RefreshUnavailable, SessionExpired
from rxauth.redaction.text import without_secrets
from rxauth.session.state import AuthState, is_access_expired


def explain(auth: AuthState, name: str, now: Instant) -> str:
    """A few lines: the status and since when, what for, who asked, what to do next. Holds no secret."""
    since = ""
    if auth.changed is not None:
        since = f" since {clock(auth.changed.wall)} ({_span(now.mono - auth.changed.mono)} ago)"
    lines = [f"session {name!r} is {auth.status.replace('_', ' ')}{since}"]
    if auth.tokens is not None:
        remaining = auth.tokens.remaining(now)
        life = "(expiry unknown)" if remaining is None else _expiry(remaining)
        lines.append(f"the access token of generation {auth.generation} {life}")
    if auth.asked_by:
        lines.append(f"the last refresh was asked for by {without_secrets(auth.asked_by)}")
    if auth.error is not None:
        status = getattr(auth.error, "status_code", None)
        cause = getattr(auth.error, "cause", None)
        details = [str(cause)] if cause else []
        details += [f"status {status}"] if status and f"status {status}" not in details else []
        what = "the last login failed" if isinstance(auth.error, LoginFailed) and auth.tokens is not None else "because"
        because = str(auth.error) + (f" [{', '.join(details)}]" if details else "")
        lines.append(f"{what}: {type(auth.error).__name__}: {without_secrets(because)}")
    if auth.storage == "failing" and auth.tokens is not None:
        lines.append("the tokens could not be saved: they live in memory, and are saved again before the next refresh")
    lines.append(f"next: {next_step(auth, now)}")
    return "\n".join(lines)


def next_step(auth: AuthState, now: Instant) -> str:
    """What happens next, or what somebody has to do."""
    if auth.status == "signing_in":
        return "calls wait for the login"
    if auth.status == "refreshing":
        return "calls wait for the refresh" if auth.failures == 0 else "a single probe is under way"
    if auth.status == "signed_out":
        what = "the user has to sign in again" if isinstance(auth.error, SessionExpired) else "nobody is signed in"
        return f"{what}: session.login(...) or session.sign_in(tokens)"
    if auth.retry_at is not None:
        wait = max(0.0, (auth.cool_down or now.mono) - now.mono)
        when = f"the next refresh is tried by a call after {clock(auth.retry_at)}, in {wait:.0f} s"
        if isinstance(auth.error, RefreshMisconfigured):
            return f"mend the client's configuration; {when}"
        if auth.in_doubt and not is_access_expired(auth, now):
            return "calls use the access token until it expires; the next refresh is tried after that, by a single post"
        if auth.in_doubt:
            return f"{when}; if the server has spent the refresh token meanwhile, the user must sign in again"
        return when
    if isinstance(auth.error, RefresherError | RefreshUnavailable):
        return "the next call that finds the token stale tries again"
    if is_access_expired(auth, now):
        return "the next call waits for a refresh"
    return "nothing to do"


def _expiry(remaining: float) -> str:
    return f"expires in {_span(remaining)}" if remaining > 0 else f"expired {_span(abs(remaining))} ago"


def _span(seconds: float) -> str:
    for limit, unit, name in ((600, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def clock(wall: float) -> str:
    """Seconds since the epoch as the local time of day."""
    try:
        return datetime.fromtimestamp(wall).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{wall:.0f}"
