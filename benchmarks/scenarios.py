"""The seven scenarios of the storm table, for any way of calling, counted at the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rxauth.testing import Pair, TokenServer, faults

CALLERS = 20
TOKEN_LATENCY = 0.2

#: What a call ended with: an HTTP status, or an exception.
Result = int | BaseException


class Way(Protocol):
    """One way of calling, signed in with a pair of the server's."""

    def calls(self, paths: list[str], *, cancel_first_after: float | None = None) -> list[Result]:
        """Make these calls at once; cancel the first one so many seconds after it began."""

    @property
    def first_cancelled(self) -> threading.Event:
        """Is set once the first call was cancelled."""

    @property
    def refresh_token(self) -> str | None:
        """The refresh token that is kept now."""

    def close(self) -> None: ...


MakeWay = Callable[[TokenServer, Pair], Way]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scenario showed. `posts` reached the token endpoint; `wrong` says what should have been otherwise."""

    posts: int
    ended: str
    wrong: str = ""

    def __str__(self) -> str:
        posts = f"{self.posts} post" + ("" if self.posts == 1 else "s")
        return f"{posts}, {self.ended}"


def expired(make: MakeWay) -> Outcome:
    """access token expired"""
    with _server() as server:
        way = make(server, server.issue(expired=True))
        results = _call(way)
        return _outcome(server, results, (server.posts == 1, "1 post"), (_all_ok(results), "20 x 200"))


def refused(make: MakeWay) -> Outcome:
    """refresh token refused"""
    with _server() as server:
        pair = server.issue(expired=True)
        server.revoke_family()
        way = make(server, pair)
        try:
            results = way.calls(["/api/me/"] * CALLERS)
            first = server.posts
            way.calls(["/api/me/"] * 3)
        finally:
            way.close()
        return _outcome(
            server,
            results,
            (first == 1, "1 post"),
            (_all(results, "SessionExpired"), "20 x SessionExpired"),
            (server.posts == first, "no later post"),
        )


def unavailable(make: MakeWay) -> Outcome:
    """token endpoint: 503"""
    with _server() as server:
        pair = server.issue(expired=True)
        server.always(faults.unavailable(503))
        way = make(server, pair)
        results = _call(way)
        return _outcome(
            server,
            results,
            (1 <= server.posts <= 3, "3 tries at most"),
            (_all(results, "RefreshUnavailable"), "20 x RefreshUnavailable"),
            (way.refresh_token == pair.refresh, "RT kept"),
        )


def revoked(make: MakeWay) -> Outcome:
    """access token revoked: 401s"""
    with _server() as server:
        way = make(server, server.issue())
        server.revoke_access()
        # Else who is slow to begin would find the new token, and be sent but once.
        server.hold("/api/me/", until=lambda: len(server.api_calls) >= CALLERS)
        results = _call(way)
        return _outcome(
            server,
            results,
            (server.posts == 1, "1 post"),
            (_all_ok(results), "20 x 200"),
            (len(server.api_calls) == 2 * CALLERS, "each call sent exactly twice"),
        )


def late(make: MakeWay) -> Outcome:
    """a late 401"""
    with _server() as server:
        way = make(server, server.issue())
        revoked = threading.Event()
        threading.Thread(target=_revoke_when_slow, args=(server, revoked), daemon=True).start()
        server.hold("/api/me/", until=revoked.is_set)
        # The third request is the one with the new token: by then the refresh has landed.
        server.hold("/api/slow/", until=lambda: len(server.api_calls) >= 3, at_most=3.0)
        results = _call(way, ["/api/slow/?check=late", "/api/me/?check=late"])
        return _outcome(server, results, (server.posts == 1, "1 post"), (_all_ok(results), "2 x 200"))


def cancelled(make: MakeWay) -> Outcome:
    """first caller cancelled"""
    with _server() as server:
        way = make(server, server.issue(expired=True))
        server.hold("/api/token/refresh/", "/oauth/token", until=way.first_cancelled.is_set)
        results = _call(way, cancel_first_after=TOKEN_LATENCY / 2)
        return _outcome(
            server,
            results[1:],
            (server.posts == 1, "1 post"),
            (_all_ok(results[1:]), "19 x 200"),
            (not isinstance(results[0], int), "the first one cancelled"),
            (way.refresh_token == server.current_refresh, "new RT stored"),
        )


def held(make: MakeWay) -> Outcome:
    """5 calls of 1 s, fresh"""
    with _server() as server:
        way = make(server, server.issue())
        start = time.monotonic()
        results = _call(way, ["/api/slow/?seconds=1"] * 5)
        took = time.monotonic() - start
        arrived = [seen.at for seen in server.api_calls]
        at_once = max(arrived) - min(arrived) < 3.5  # one after the other they come four seconds apart
        outcome = _outcome(
            server, results, (server.posts == 0, "no post"), (_all_ok(results), "5 x 200"), (at_once, "nothing held")
        )
        return Outcome(outcome.posts, f"{outcome.ended} in {took:.1f} s", outcome.wrong)


SCENARIOS = (expired, refused, unavailable, revoked, late, cancelled, held)


def _server() -> TokenServer:
    return TokenServer(token_latency=TOKEN_LATENCY)


def _call(way: Way, paths: list[str] | None = None, *, cancel_first_after: float | None = None) -> list[Result]:
    try:
        return way.calls(paths or ["/api/me/"] * CALLERS, cancel_first_after=cancel_first_after)
    finally:
        way.close()


def _revoke_when_slow(server: TokenServer, revoked: threading.Event) -> None:
    """Revoke the access tokens as soon as the slow call is on the wire."""
    deadline = time.monotonic() + 10
    while all(seen.path != "/api/slow/" for seen in server.api_calls) and time.monotonic() < deadline:
        time.sleep(0.005)
    server.revoke_access()
    revoked.set()


def _outcome(server: TokenServer, results: list[Result], *checks: tuple[bool, str]) -> Outcome:
    wrong = ", ".join(f"not {what}" for held, what in checks if not held)
    ended = Counter(str(result) if isinstance(result, int) else type(result).__name__ for result in results)
    return Outcome(server.posts, ", ".join(f"{count} x {name}" for name, count in ended.most_common()), wrong)


def _all_ok(results: list[Result]) -> bool:
    return all(result == 200 for result in results)


def _all(results: list[Result], name: str) -> bool:
    return all(any(base.__name__ == name for base in type(result).__mro__) for result in results)
