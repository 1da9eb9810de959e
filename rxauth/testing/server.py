"""`TokenServer`: a token server and an API behind it, on real sockets, with faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from rxauth.closing import Closing
from rxauth.testing.faults import Fault
from rxauth.testing.rotation import Pair, Reuse, Rotation, Verdict
from rxauth.testing.wire import Answer, Request, json_answer, read_request, reset


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as the server saw it: `at` in seconds since the server started, `token` what it thought of it."""

    number: int
    at: float
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    token: Verdict | None = None


class TokenServer(Closing):
    """A real server on a loopback port, in a thread of its own; a context manager.

    It speaks simplejwt (`POST /api/token/`, `/api/token/refresh/`, `/api/token/blacklist/`, JSON) and OAuth 2
    (`POST /oauth/token`, `/oauth/revoke`, forms). Its API: `GET /api/me/`, `POST`, `PUT` and `PATCH /api/echo/` (the
    body comes back), `GET /api/slow/?seconds=1` (`&check=late` looks at the token afterwards),
    `GET /api/redirect/?to=URL` and `GET /api/public/`.

    All times in seconds. `life` of the access tokens (exact; the JWT's `exp` is cut to whole seconds), `refresh_life`;
    `token_latency` and `api_latency` of the answers; `clock_offset` is how far the server's clock is ahead of ours;
    `rotate` and `reuse` are the policy for refresh tokens, see `rxauth.testing.rotation.Rotation`.
    """

    def __init__(
        self,
        *,
        life: float = 300.0,
        refresh_life: float = 86400.0,
        token_latency: float = 0.0,
        api_latency: float = 0.0,
        rotate: bool = True,
        reuse: Reuse = "revoke_family",
        revoke_on_rotate: bool = False,
        clock_offset: float = 0.0,
        date_header: bool = True,
        user: str = "ada",
        password: str = "lovelace",
    ) -> None:
        self.user, self.password = user, password
        self._token_latency, self._api_latency = token_latency, api_latency
        self._clock_offset, self._date_header = clock_offset, date_header
        self._lock = threading.Lock()
        self._rotation = Rotation(
            self._now,
            life=life,
            refresh_life=refresh_life,
            rotate=rotate,
            reuse=reuse,
            revoke_on_rotate=revoke_on_rotate,
            user=user,
        )
        self._script: deque[Fault] = deque()
        self._always: Fault | None = None
        self._reject_all: int | None = None
        self._recorded: list[Recorded] = []
        self._started = time.monotonic()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.token_url = f"{self.url}/oauth/token"
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve, name="rxauth-test-server", daemon=True)
        self._thread.start()

    # -- what a test says ------------------------------------------------------------------------------------------

    def issue(self, *, expired: bool = False) -> Pair:
        """A signed-in pair without a request; `expired`: with a stale access token."""
        with self._lock:
            return self._rotation.sign_in(expired=expired)

    def script(self, *faults: Fault | None) -> None:
        """The next requests to the token endpoint meet these, in order (None: nothing); then all is well again."""
        with self._lock:
            self._script.extend(fault or Fault() for fault in faults)

    def always(self, fault: Fault | None) -> None:
        """Every request to the token endpoint that no script is for meets this."""
        self._always = fault

    def revoke_access(self) -> None:
        """Refuse every access token given out so far; the refresh tokens stay good."""
        with self._lock:
            self._rotation.revoke_access()

    def revoke_family(self) -> None:
        """End every sign-in: no token given out so far is good any more."""
        with self._lock:
            self._rotation.end_all()

    def reject_all_api(self, status: int | None = 401) -> None:
        """Let the API answer this whatever the token (None: no more)."""
        self._reject_all = status

    def reset_counts(self) -> None:
        """Forget what was recorded."""
        with self._lock:
            self._recorded.clear()

    # -- what a test asks ------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Recorded]:
        """Everything asked so far, in order of arrival of the answers' beginning."""
        with self._lock:
            return list(self._recorded)

    @property
    def posts(self) -> int:
        """How many requests for a refresh reached the token endpoint."""
        return sum(1 for seen in self.requests if _is_refresh(seen))

    @property
    def logins(self) -> int:
        """How many other requests for tokens did."""
        return sum(
            1 for seen in self.requests if seen.path in ("/api/token/", "/oauth/token") and not _is_refresh(seen)
        )

    @property
    def api_calls(self) -> list[Recorded]:
        """The requests to the API."""
        return [seen for seen in self.requests if seen.path.startswith("/api/") and "/token/" not in seen.path]

    @property
    def reuses(self) -> int:
        """How often a spent refresh token came back."""
        return self._rotation.reuses

    @property
    def current_refresh(self) -> str | None:
        """The refresh token given out last."""
        return self._rotation.current_refresh

    def close(self) -> None:
        """Stop, and free the port. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(10)

    # -- the protocol ----------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return time.time() + self._clock_offset

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._socket)
        await self._closing.wait()
        server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (request := await read_request(reader)) is not None and await self._respond(request, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass  # the client left, or we close
        finally:
            self._connections.discard(task)
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false ends the connection."""
        is_token = request.method == "POST" and request.path in _TOKEN_PATHS
        fault = self._next_fault() if is_token else Fault()
        number = self._note(request)
        if fault.wire == "reset_before":
            reset(writer)
            return False
        if fault.wire == "never":
            await self._closing.wait()
            return False
        if is_token:
            await asyncio.sleep(self._token_latency + (fault.delay if fault.wire != "drip" else 0.0))
            answer = self._token_answer(request, fault)
        else:
            answer = await self._api_answer(request)
        self._note_answer(number, answer)
        if fault.wire == "reset_after":
            reset(writer)
            return False
        return await self._send(request, answer, fault, writer)

    async def _send(self, request: Request, answer: Answer, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        keep = request.headers.get("connection", "").lower() != "close" and fault.wire == "answer"
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        if self._date_header:
            headers["date"] = formatdate(self._now(), usegmt=True)
        if not keep:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        data = "\r\n".join(lines).encode("latin-1") + (b"" if request.method == "HEAD" else answer.body)
        if fault.wire == "half_close":
            data = data[: -max(1, len(answer.body) // 2)]
        if fault.wire == "drip":
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(fault.delay)
        else:
            writer.write(data)
            await writer.drain()
        return keep

    def _next_fault(self) -> Fault:
        with self._lock:
            return self._script.popleft() if self._script else self._always or Fault()

    def _note(self, request: Request) -> int:
        with self._lock:
            number = len(self._recorded) + 1
            at = time.monotonic() - self._started
            self._recorded.append(Recorded(number, at, request.method, request.path, request.headers, request.body, 0))
            return number

    def _note_answer(self, number: int, answer: Answer) -> None:
        with self._lock:
            if number <= len(self._recorded):
                seen = self._recorded[number - 1]
                self._recorded[number - 1] = Recorded(
                    seen.number, seen.at, seen.method, seen.path, seen.headers, seen.body, answer.status, answer.token
                )

    def _token_answer(self, request: Request, fault: Fault) -> Answer:
        if fault.status is not None:
            return Answer(fault.status, fault.body, dict(fault.headers))
        fields = request.fields()
        simple = request.path != "/oauth/token"
        spends = request.path == "/api/token/refresh/" or fields.get("grant_type") == "refresh_token"
        with self._lock:
            if spends:
                pair = self._rotation.refresh(_refresh_in(request, fields), born_expired=fault.born_expired)
            elif self._knows(fields):
                pair = self._rotation.sign_in()
            else:
                pair = None
        if pair is None:
            return _refusal(simple, spends)
        if simple:
            answer: dict[str, Any] = {"access": pair.access, "refresh": pair.refresh}
        else:
            answer = {
                "access_token": pair.access,
                "token_type": "Bearer",
                "expires_in": pair.expires_in,
                "refresh_token": pair.refresh,
            }
        return json_answer(200, {**answer, **fault.change})

    def _knows(self, fields: dict[str, str]) -> bool:
        known = (fields.get("username"), fields.get("password")) == (self.user, self.password)
        return known or fields.get("grant_type") == "client_credentials"

    async def _api_answer(self, request: Request) -> Answer:
        if request.path in ("/api/token/blacklist/", "/oauth/revoke"):
            fields = request.fields()
            with self._lock:
                self._rotation.revoke(fields.get("refresh") or fields.get("token") or "")
            return json_answer(200, {})
        early = self._judge(request)
        await asyncio.sleep(self._api_latency + float(request.query.get("seconds", 0)))
        verdict = self._judge(request) if request.query.get("check") == "late" else early
        if self._reject_all is not None and request.path != "/api/public/":
            return _unauthorized(self._reject_all, verdict)
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
        if request.path in ("/api/me/", "/api/slow/"):
            return json_answer(200, {"user": self.user}, verdict)
        return json_answer(404, {"detail": "Not found."}, verdict)

    def _judge(self, request: Request) -> Verdict | None:
        if "authorization" not in request.headers:
            return None
        with self._lock:
            return self._rotation.judge(request.bearer)


_TOKEN_PATHS = ("/api/token/", "/api/token/refresh/", "/oauth/token")


def _is_refresh(seen: Recorded) -> bool:
    return seen.path == "/api/token/refresh/" or (
        seen.path == "/oauth/token" and b"grant_type=refresh_token" in seen.body
    )


def _refresh_in(request: Request, fields: dict[str, str]) -> str:
    cookie = request.headers.get("cookie", "").partition("=")[2]
    return fields.get("refresh") or fields.get("refresh_token") or cookie or request.bearer


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
