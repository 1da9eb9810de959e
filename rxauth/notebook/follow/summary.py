"""The sum of a recording in words: the tokens, who waits, and what came of the calls."""

from __future__ import annotations

from dataclasses import dataclass

from rxauth.concurrency.runtime import Instant
from rxauth.notebook.follow.tally import Tally
from rxauth.notebook.words import clock, shorten, span
from rxauth.recording.redactor import Redactor
from rxauth.session.explain import next_step
from rxauth.session.state import AuthState, Windows, decide

#: A sign for each tone, so that nothing is told by colour alone.
SIGNS = {"good": "✓", "busy": "↻", "bad": "✕", "idle": "–"}


@dataclass(frozen=True, slots=True)
class TokenWords:
    """One session. `left` is the part of the token's life that is left, from 0 to 1; None when nobody knows."""

    session: str
    status: str
    tone: str
    detail: str
    left: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All that the cards say."""

    tokens: list[TokenWords]
    waiting: int
    waiting_detail: str
    answered: int
    calls_detail: str
    #: The newest error and when it was; "" for none.
    error: str
    next: str


def summary(tally: Tally, at: float, now: Instant, windows: dict[str, Windows], lead: str = "") -> Summary:
    """What this tally says `at` seconds after the recording began, which is `now`; the session `lead` comes first."""
    sessions = sorted(tally.sessions.values(), key=lambda auth: (auth.session != lead, auth.session))
    tokens = [token_words(auth, now, windows.get(auth.session, Windows())) for auth in sessions]
    longest = tally.longest_wait(at)
    waited = [f"peak {tally.peak}"] + (
        [f"longest {_tenths(longest) if tally.waiting else span(longest)}"] * (longest > 0)
    )
    calls = [
        f"{len(tally.in_flight)} in flight",
        f"{tally.failed} failed",
        _count(tally.refreshes, "refresh", "refreshes"),
    ]
    calls += [f"{tally.cancelled} cancelled"] * (tally.cancelled > 0)
    calls += [f"{_count(tally.failed_refreshes, 'refresh', 'refreshes')} failed"] * (tally.failed_refreshes > 0)
    return Summary(
        tokens=tokens,
        waiting=len(tally.waiting),
        waiting_detail=" · ".join(["call" if len(tally.waiting) == 1 else "calls", *waited]),
        answered=tally.answered,
        calls_detail=" · ".join(calls),
        error=_error(tally.error, now.wall - at + tally.error_at),
        next=next_step(sessions[0], now) if sessions else "",
    )


def token_words(auth: AuthState, now: Instant, windows: Windows) -> TokenWords:
    """One session's tokens in words."""
    status, tone = _status(auth, now, windows)
    remaining = auth.tokens.remaining(now) if auth.tokens is not None else None
    details = []
    if auth.tokens is not None:
        life = "expiry unknown" if remaining is None else countdown(remaining)
        details = [life, f"generation {auth.generation}", "value redacted"]
    elif auth.error is not None:
        details = [type(auth.error).__name__]
    if auth.retry_at is not None and auth.cool_down is not None and auth.cool_down > now.mono:
        details.insert(0, f"next try in {_seconds(auth.cool_down - now.mono)}")
    if auth.storage == "failing":
        details.append("not saved: the storage fails" if auth.tokens is not None else "the storage fails")
    left = None
    if remaining is not None and auth.tokens is not None and auth.tokens.life:
        left = round(min(1.0, max(0.0, remaining / auth.tokens.life)), 3)
    return TokenWords(auth.session, status, tone, " · ".join(details), left)


def _status(auth: AuthState, now: Instant, windows: Windows) -> tuple[str, str]:
    match auth.status:
        case "refreshing":
            return "refreshing", "busy"
        case "signing_in":
            return "signing in", "busy"
        case "degraded":
            return "degraded: the last refresh failed", "bad"
        case "signed_out":
            return "signed out", "idle" if auth.error is None else "bad"
    match decide(auth, now, windows):
        case "refresh_ahead":
            return "fresh, a refresh is due", "good"
        case "refresh" | "unavailable":
            expired = auth.tokens is not None and (auth.tokens.remaining(now) or 0) <= 0
            return ("expired" if expired else "about to expire") + ": the next call refreshes it", "busy"
    return "fresh", "good"


def countdown(remaining: float) -> str:
    """When a token expires, in whole seconds, so that it changes once in a second."""
    if remaining == float("inf"):
        return "never expires"
    return f"expires in {_seconds(remaining)}" if remaining > 0 else f"expired {_seconds(-remaining)} ago"


def _seconds(seconds: float) -> str:
    return span(int(seconds)) if seconds >= 1 else "less than 1 s"


def _tenths(seconds: float) -> str:
    """A wait that goes on: it changes ten times in a second at most."""
    return span(int(seconds * 10) / 10)


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _error(error: Exception | None, wall: float) -> str:
    if error is None:
        return ""
    return shorten(f"{clock(wall)} {type(error).__name__}: {Redactor()(str(error))}", 300)
