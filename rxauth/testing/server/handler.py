"""What a test server thinks and remembers, whichever way it was asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

from rxauth.concurrency.runtime import Runtime
from rxauth.testing.server.faults import Fault
from rxauth.testing.server.rotation import Pair, Rotation, Verdict
from rxauth.testing.server.wire import Answer, Request, json_answer

#: How often a held answer asks whether it may go, in seconds.
HELD_FOR = 0.005


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as the server saw it: `at` in seconds since the server started, `token` what it thought of it.

    `status` is 0 as long as nothing was answered.
    """

    number: int
    at: float
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    token: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Answers wait until `until()` holds, at most for so many seconds since their request came."""

    until: Callable[[], object]
    at_most: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was read and not answered yet. `latency` is how long the server takes, in seconds."""

    number: int
    at: float
    request: Request
    fault: Fault
    latency: float
    early: Verdict | None


class Desk:
    """Reads requests, keeps count, and answers. Safe from several threads.

    `begin(request)` is the request's arrival, `answer(exchange)` the moment at which the server does what was asked.
    """

    def __init__(
        self,
        time: Runtime,
        rotation: Rotation,
        *,
        user: str,
        password: str,
        token_latency: float,
        api_latency: float,
        clock_offset: float,
        date_header: bool,
    ) -> None:
        self._time, self.rotation = time, rotation
        self._user, self._password = user, password
        self._token_latency, self._api_latency = token_latency, api_latency
        self._clock_offset, self._date_header = clock_offset, date_header
        self.lock = threading.Lock()
        self.script: deque[Fault] = deque()
        self.always: Fault | None = None
        self.reject_all: int | None = None
        self.holds: dict[str, Hold] = {}
        self.recorded: list[Recorded] = []
        self._started = time.now().mono

    def begin(self, request: Request) -> Exchange:
        """Note a request, and which fault it meets."""
        if request.method == "POST" and request.path in _TOKEN_PATHS:
            fault = self._next_fault()
            latency = self._token_latency + (fault.delay if fault.wire != "drip" else 0.0)
        else:
            fault = Fault()
            latency = self._api_latency + float(request.query.get("seconds", 0))
        with self.lock:
            number = len(self.recorded) + 1
            at = self._time.now().mono - self._started
            seen = Recorded(number, at, request.method, request.path, request.headers, request.body, 0)
            self.recorded.append(seen)
        return Exchange(number, at, request, fault, latency, self._judge(request))

    def is_held(self, exchange: Exchange) -> bool:
        """Has this answer to wait? Who is about to answer asks again and again."""
        hold = self.holds.get(exchange.request.path)
        waited = self._time.now().mono - self._started - exchange.at
        return hold is not None and waited < hold.at_most and not hold.until()

    def answer(self, exchange: Exchange) -> Answer:
        """Do what was asked, with the headers that every answer has."""
        request, fault = exchange.request, exchange.fault
        if request.method == "POST" and request.path in _TOKEN_PATHS:
            answer = self._token_answer(request, fault)
        else:
            answer = self._api_answer(request, exchange.early)
        answer.headers = {"content-length": str(len(answer.body)), **answer.headers}
        if self._date_header:
            answer.headers["date"] = formatdate(self._time.now().wall + self._clock_offset, usegmt=True)
        with self.lock:
            if exchange.number <= len(self.recorded):
                seen = self.recorded[exchange.number - 1]
                self.recorded[exchange.number - 1] = replace(seen, status=answer.status, token=answer.token)
        return answer

    def _next_fault(self) -> Fault:
        with self.lock:
            return self.script.popleft() if self.script else self.always or Fault()

    def _token_answer(self, request: Request, fault: Fault) -> Answer:
        if fault.status is not None:
            return Answer(fault.status, fault.body, dict(fault.headers))
        fields = request.fields()
        simple = request.path != "/oauth/token"
        spends = request.path == "/api/token/refresh/" or fields.get("grant_type") == "refresh_token"
        with self.lock:
            if spends:
                pair = self.rotation.refresh(_refresh_in(request, fields), born_expired=fault.born_expired)
            elif self._knows(fields):
                pair = self.rotation.sign_in()
            else:
                pair = None
        if pair is None:
            return _refusal(simple, spends)
        return json_answer(200, {**(_simplejwt(pair) if simple else _oauth2(pair)), **fault.change})

    def _knows(self, fields: dict[str, str]) -> bool:
        known = (fields.get("username"), fields.get("password")) == (self._user, self._password)
        return known or fields.get("grant_type") == "client_credentials"

    def _api_answer(self, request: Request, early: Verdict | None) -> Answer:
        methods = _METHODS.get(request.path)
        if methods is None:  # first of all: a wrong address must not look like a refused token
            return json_answer(404, {"detail": "Not found."}, early)
        if request.method not in methods:
            answer = json_answer(405, {"detail": f'Method "{request.method}" not allowed.'}, early)
            answer.headers["allow"] = ", ".join(methods)
            return answer
        if request.path in ("/api/token/blacklist/", "/oauth/revoke"):
            fields = request.fields()
            with self.lock:
                self.rotation.revoke(fields.get("refresh") or fields.get("token") or "")
            return json_answer(200, {})
        verdict = self._judge(request) if request.query.get("check") == "late" else early
        if self.reject_all is not None and request.path != "/api/public/":
            return _unauthorized(self.reject_all, verdict)
        if request.path == "/api/public/":
            return json_answer(200, {"public": True}, verdict)
        if request.path == "/api/redirect/":
            status = int(request.query.get("status", 302))
            return Answer(status, headers={"location": request.query.get("to", "/api/me/")}, token=verdict)
        if verdict not in ("current", "old"):
            return _unauthorized(401, verdict)
        if request.path == "/api/echo/":
            kind = request.headers.get("content-type", "application/octet-stream")
            return Answer(200, request.body, {"content-type": kind}, verdict)
        return json_answer(200, {"user": self._user}, verdict)

    def _judge(self, request: Request) -> Verdict | None:
        if "authorization" not in request.headers:
            return None
        with self.lock:
            return self.rotation.judge(request.bearer)


_TOKEN_PATHS = ("/api/token/", "/api/token/refresh/", "/oauth/token")
_READS = ("GET", "HEAD", "OPTIONS")
_ANY = (*_READS, "POST", "PUT", "PATCH", "DELETE")
#: The server's addresses, and what may be asked there.
_METHODS = {
    **dict.fromkeys((*_TOKEN_PATHS, "/api/token/blacklist/", "/oauth/revoke"), ("POST",)),
    **dict.fromkeys(("/api/echo/", "/api/redirect/"), _ANY),
    **dict.fromkeys(("/api/me/", "/api/slow/", "/api/public/"), _READS),
}


def is_refresh(seen: Recorded) -> bool:
    """Did this request spend a refresh token?"""
    as_oauth2 = seen.path == "/oauth/token" and b"grant_type=refresh_token" in seen.body
    return seen.method == "POST" and (seen.path == "/api/token/refresh/" or as_oauth2)


def is_login(seen: Recorded) -> bool:
    """Did this request ask for tokens in another way?"""
    return seen.method == "POST" and seen.path in ("/api/token/", "/oauth/token") and not is_refresh(seen)


def _refresh_in(request: Request, fields: dict[str, str]) -> str:
    cookie = request.headers.get("cookie", "").partition("=")[2]
    return fields.get("refresh") or fields.get("refresh_token") or cookie or request.bearer


def _simplejwt(pair: Pair) -> dict[str, Any]:
    return {"access": pair.access, "refresh": pair.refresh}


def _oauth2(pair: Pair) -> dict[str, Any]:
    return {
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh,
    }


def _refusal(simple: bool, spends: bool) -> Answer:
    if not simple:
        return json_answer(400, {"error": "invalid_grant"})
    if spends:
        return json_answer(401, {"detail": "Token is blacklisted", "code": "token_not_valid"})
    return json_answer(401, {"detail": "No active account found with the given credentials"})


def _unauthorized(status: int, verdict: Verdict | None) -> Answer:
    answer = json_answer(
        status, {"detail": "Given token not valid for any token type", "code": "token_not_valid"}, verdict
    )
    answer.headers["www-authenticate"] = 'Bearer realm="api"'
    return answer
