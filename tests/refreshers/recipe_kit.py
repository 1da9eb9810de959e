"""Small fakes of the servers that docs/servers.md has a recipe for, made from their public documentation.

Each gives out opaque tokens by number, notes what it was asked, and answers as the real one does: with its statuses,
names and envelopes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER, PASSWORD = "ada", "lovelace"

#: (status, JSON).
Answer = tuple[int, Any]


@dataclass
class Fake:
    """One account. `access` and `refresh` are the tokens that are good; `asked` is (method, path) of each request."""

    access: str = ""
    refresh: str = ""
    issued: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def answer(self, method: str, path: str) -> Answer:
        raise NotImplementedError

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def next(self, kind: str) -> str:
        self.issued += 1
        return f"{kind}-{self.issued}"

    def expire(self) -> None:
        self.access = "none is good"

    def revoke(self) -> None:
        self.access = self.refresh = "none is good"


class Matrix(Fake):
    """Client-Server API v1.3 and later: `/login`, `/refresh`, `/logout`, `/account/whoami`."""

    me = "/_matrix/client/v3/account/whoami"
    unknown: Answer = (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token", "soft_logout": True})

    def answer(self, method: str, path: str) -> Answer:
        match method, path.removeprefix("/_matrix/client/v3"):
            case "POST", "/login":
                known = self.body.get("identifier") == {"type": "m.id.user", "user": USER}
                if self.body.get("type") != "m.login.password":
                    return 400, {"errcode": "M_UNKNOWN", "error": "Bad login type."}
                if not known or self.body.get("password") != PASSWORD:
                    return 403, {"errcode": "M_FORBIDDEN", "error": "Invalid username or password"}
                return 200, {"user_id": "@ada:example.com", "device_id": "D", **self.pair(self.body)}
            case "POST", "/refresh":
                if self.body.get("refresh_token") != self.refresh:
                    return self.unknown
                return 200, self.pair({"refresh_token": True})
            case "POST", "/logout":
                if self.bearer != self.access:
                    return self.unknown
                self.revoke()
                return 200, {}
            case "GET", "/account/whoami":
                return (200, {"user_id": "@ada:example.com"}) if self.bearer == self.access else self.unknown
        return 404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}

    def pair(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.access = self.next("syt")
        if not asked.get("refresh_token"):
            return {"access_token": self.access}
        self.refresh = self.next("syr")
        return {"access_token": self.access, "refresh_token": self.refresh, "expires_in_ms": 300_000}


class Allauth(Fake):
    """django-allauth's headless app client with its `JWTTokenStrategy`, rotating, as version 65.22 answers."""

    me = "/api/me/"
    nobody: Answer = (401, {"status": 401, "data": {"flows": [{"id": "login"}]}, "meta": {"is_authenticated": False}})

    def answer(self, method: str, path: str) -> Answer:
        match method, path.removeprefix("/_allauth/app/v1"):
            case "POST", "/auth/login":
                if (self.body.get("username"), self.body.get("password")) != (USER, PASSWORD):
                    errors = [{"message": "no", "code": "username_password_mismatch", "param": "password"}]
                    return 400, {"status": 400, "errors": errors}
                meta = {"is_authenticated": True, "session_token": "s", **self.pair()}
                return 200, {"status": 200, "data": {"user": {"id": 1}, "methods": []}, "meta": meta}
            case "POST", "/tokens/refresh":
                if "refresh_token" not in self.body:
                    errors = [{"message": "This field is required.", "code": "required", "param": "refresh_token"}]
                    return 400, {"status": 400, "errors": errors}
                if self.body["refresh_token"] != self.refresh:
                    return 400, {"status": 400}
                return 200, {"status": 200, "data": self.pair()}
            case "DELETE", "/auth/session":
                if self.bearer == self.access:
                    self.revoke()
                return self.nobody
            case "GET", "/api/me/":
                return (200, {}) if self.bearer == self.access else (401, {"detail": "no"})
        return 404, {}

    def pair(self) -> dict[str, str]:
        self.access, self.refresh = self.next("a"), self.next("r")
        return {"access_token": self.access, "refresh_token": self.refresh}


class AppBuilder(Fake):
    """Flask-AppBuilder's `SecurityApi`, which is Superset's too: Flask-JWT-Extended behind it, no rotation."""

    me = "/api/v1/me/"

    def answer(self, method: str, path: str) -> Answer:
        match method, path:
            case "POST", "/api/v1/security/login":
                if "provider" not in self.body:
                    return 400, {"message": {"provider": ["Missing data for required field."]}}
                if (self.body.get("username"), self.body.get("password")) != (USER, PASSWORD):
                    return 401, {"message": "Not authorized"}
                self.access, self.refresh = self.next("a"), self.next("r")
                refresh = {"refresh_token": self.refresh} if self.body.get("refresh") else {}
                return 200, {"access_token": self.access, **refresh}
            case "POST", "/api/v1/security/refresh":
                if self.body or self.bearer != self.refresh:
                    return 401, {"msg": "Token has expired"}
                self.access = self.next("a")
                return 200, {"access_token": self.access}
            case "GET", "/api/v1/me/":
                return (200, {"result": {}}) if self.bearer == self.access else (401, {"msg": "Token has expired"})
        return 404, {"message": "Not found"}


class BetterAuth(Fake):
    """better-auth with its plugins `bearer` and `jwt`: the session's token brings a JWT, and lives on."""

    me = "/api/me"
    nobody: Answer = (401, {"code": "UNAUTHORIZED", "message": "Unauthorized"})

    def answer(self, method: str, path: str) -> Answer:
        if method == "POST" and self.headers.get("origin") != f"http://{self.headers['host']}":
            return 403, {"code": "INVALID_ORIGIN", "message": "Invalid origin"}
        match method, path.removeprefix("/api/auth"):
            case "POST", "/sign-in/email":
                if (self.body.get("email"), self.body.get("password")) != (f"{USER}@example.com", PASSWORD):
                    return 401, {"code": "INVALID_EMAIL_OR_PASSWORD", "message": "Invalid email or password"}
                self.refresh = self.next("session")
                return 200, {"redirect": False, "token": self.refresh, "user": {"id": "1"}}
            case "GET", "/token":
                if self.bearer != self.refresh:
                    return self.nobody
                self.access = self.next("jwt")
                return 200, {"token": self.access}
            case "POST", "/sign-out":
                if self.bearer == self.refresh:
                    self.revoke()
                return 200, {"success": True}
            case "GET", "/api/me":
                return (200, {}) if self.bearer == self.access else (401, {})
        return 404, {}


@contextmanager
def served(fake: Fake) -> Iterator[str]:
    """The fake's URL, until the block ends."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                fake.headers = {name.lower(): value for name, value in self.headers.items()}
                fake.body = json.loads(content) if content else {}
                fake.asked.append((self.command, self.path))
                status, body = fake.answer(self.command, self.path)
            encoded = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_DELETE = reply

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.005), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
