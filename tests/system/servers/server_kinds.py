"""The four servers: how rxauth is told to speak with each, and how each is spoken to by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.demo import backend
from tests.system.servers.server_kit import PASSWORD, TLS, USER, Process, post


@dataclass(frozen=True)
class Counts:
    """What the server has answered since `reset()`."""

    refreshes: int = 0
    refused_refreshes: int = 0
    logins: int = 0


class Server:
    """One server: how rxauth is told to speak with it, and how to speak with it by hand."""

    name: str
    #: Which answers of its API mean that the access token is refused.
    refused: int | tuple[int, ...] = 401
    #: What its API says to an access token that is no good, and its token endpoint to a refresh token that was spent.
    refused_status, spent_status = 401, 401
    wrong_password_status = 401
    #: Does a logout, or the end of the refresh token, also end the access token at once?
    ends_access = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.me = f"{url}/api/me/"

    def refresher(self, **options: Any) -> Any:
        raise NotImplementedError

    def log_in(self) -> Tokens:
        """A pair, got by hand, that is good for an hour at the server and known as such."""
        raise NotImplementedError

    def refresh(self, token: str) -> httpx.Response:
        """Spend a refresh token by hand."""
        raise NotImplementedError

    def expired(self, access: str) -> str:
        """The token as it is when its time is over: the same, or for a JWT the same claims with an `exp` long ago."""
        raise NotImplementedError

    def revoke(self, tokens: Tokens) -> None:
        """End a session at the server, with all that it has."""
        raise NotImplementedError

    def short_lived(self, seconds: int) -> Tokens:
        """A pair, got by hand, whose access token is good for so many seconds; its successors are for an hour."""
        raise NotImplementedError

    def counts(self) -> Counts:
        raise NotImplementedError

    def refused_calls(self) -> int:
        """How many calls of the API came with an access token that is no good."""
        raise NotImplementedError

    def reset(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def status(self, access: str | None) -> int:
        """What the API says to an access token, by hand."""
        assert access is not None
        return httpx.get(self.me, verify=TLS, headers={"Authorization": f"Bearer {access}"}, timeout=30).status_code

    def session(self, tokens: Tokens | None = None, *, options: dict[str, Any] | None = None, **how: Any) -> Session:
        return Session(self.refresher(**(options or {})), tokens=tokens, **how)

    def stale(self, *, known: bool) -> Tokens:
        """A pair whose access token the server refuses, which the client knows, or believes to be fresh for an hour."""
        pair = self.log_in()
        return Tokens(self.expired(pair.access), pair.refresh, expires_at=1.0 if known else time.time() + 3600)


class SimpleJWT(Server):
    """The demo backend: Django REST Framework with simplejwt."""

    name = "simplejwt"

    def __init__(self) -> None:
        self.backend = backend(life=3600, user=USER, password=PASSWORD)
        super().__init__(self.backend.url)
        self.stop, self.reset = self.backend.stop, self.backend.reset_counts  # type: ignore[method-assign]

    def refresher(self, **options: Any) -> Any:
        return simplejwt(self.url, **{"logout_path": "/api/token/blacklist/", **options})

    def log_in(self) -> Tokens:
        answer = post(f"{self.url}/api/token/", json={"username": USER, "password": PASSWORD})
        return Tokens(**answer.raise_for_status().json())

    def refresh(self, token: str) -> httpx.Response:
        return post(f"{self.url}/api/token/refresh/", json={"refresh": token})

    def expired(self, access: str) -> str:
        return self._ending(access, 61)

    def revoke(self, tokens: Tokens) -> None:
        self.backend.revoke()

    def short_lived(self, seconds: int) -> Tokens:
        pair = self.log_in()
        return Tokens(self._ending(pair.access, int(time.time()) + seconds), pair.refresh)

    def _ending(self, access: str, exp: int) -> str:
        claims = jwt.decode(access, options={"verify_signature": False})
        return jwt.encode({**claims, "exp": exp, "iat": 1}, self.backend._secret, "HS256")

    def refused_calls(self) -> int:
        return self.backend.counts().unauthorized

    def counts(self) -> Counts:
        seen = self.backend.counts()
        return Counts(seen.refreshes, seen.refused_refreshes, seen.logins)


class Started(Server):
    """A server of one of our app modules."""

    module: str
    environment: dict[str, str] = {}  # noqa: RUF012
    #: (path, grant) of a login and of a refresh.
    login_at: tuple[str, str]
    refresh_at: tuple[str, str]

    def __init__(self) -> None:
        self.process = Process(self.module, **self.environment)
        self.obey, self.stop = self.process.obey, self.process.stop  # type: ignore[method-assign]
        super().__init__(self.process.url)

    def expired(self, access: str) -> str:
        token: str = self.obey("expire", token=access)
        return token

    def revoke(self, tokens: Tokens) -> None:
        self.obey("revoke", token=tokens.refresh)

    def reset(self) -> None:
        self.obey("reset")

    def live(self, seconds: int) -> None:
        """How long the access tokens live that are given out from now on."""
        self.obey("live", seconds=seconds)

    def short_lived(self, seconds: int) -> Tokens:
        self.live(seconds)
        pair = self.log_in()
        self.live(3600)
        return pair

    def refused_calls(self) -> int:
        return self.seen("/api/me/").get(self.refused_status, 0)

    def seen(self, path: str, grant: str = "") -> dict[int, int]:
        """How often each status was answered there."""
        return {status: number for at, by, status, number in self.obey("counts") if (at, by) == (path, grant)}

    def counts(self) -> Counts:
        refreshes, logins = self.seen(*self.refresh_at), self.seen(*self.login_at)
        answered = refreshes.pop(200, 0)
        return Counts(answered, sum(refreshes.values()), logins.get(200, 0))


class FlaskJWT(Started):
    """Flask-JWT-Extended: the refresh token in the `Authorization` header."""

    name, module = "Flask-JWT-Extended", "flask_jwt_app"
    login_at, refresh_at = ("/login", ""), ("/refresh", "")

    def refresher(self, **options: Any) -> Any:
        paths = {"login_path": "/login", "refresh_path": "/refresh", "logout_path": "/logout"}
        return simplejwt(self.url, **{**paths, "send": "header", **options})

    def log_in(self) -> Tokens:
        answer = post(f"{self.url}/login", json={"username": USER, "password": PASSWORD}).raise_for_status()
        return Tokens(answer.json()["access_token"], answer.json()["refresh_token"])

    def refresh(self, token: str) -> httpx.Response:
        return post(f"{self.url}/refresh", headers={"Authorization": f"Bearer {token}"})

    def revoke(self, tokens: Tokens) -> None:
        for token in (tokens.access, tokens.refresh):
            self.obey("revoke", token=token)

    def revoke_access(self, access: str) -> None:
        self.obey("revoke", token=access)


class OAuth(Started):
    """A server that speaks OAuth 2; `app` is a client without a secret."""

    spent_status = wrong_password_status = 400
    ends_access = True
    token_path: str
    revoke_path: str

    def __init__(self) -> None:
        self.login_at, self.refresh_at = (self.token_path, "password"), (self.token_path, "refresh_token")
        super().__init__()

    def refresher(self, **options: Any) -> Any:
        known = {"client_id": "app", "scope": "read", "logout_url": self.url + self.revoke_path}
        return oauth2(self.url + self.token_path, **{**known, **options})

    def log_in(self) -> Tokens:
        answer = self._post("password", username=USER, password=PASSWORD, scope="read").raise_for_status().json()
        in_time = time.time() + answer["expires_in"]
        return Tokens(answer["access_token"], answer["refresh_token"], expires_at=in_time)

    def refresh(self, token: str) -> httpx.Response:
        return self._post("refresh_token", refresh_token=token)

    def _post(self, grant: str, **form: str) -> httpx.Response:
        return post(self.url + self.token_path, data={"grant_type": grant, "client_id": "app", **form})


class Authlib(OAuth):
    name, module, environment = "Authlib", "authlib_app", {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    token_path, revoke_path = "/oauth/token", "/oauth/revoke"

    def revoke_access(self, access: str) -> None:
        """RFC 7009, by hand."""
        post(self.url + self.revoke_path, data={"token": access, "client_id": "app"}).raise_for_status()


class Toolkit(OAuth):
    """django-oauth-toolkit, whose own views answer 403 to a token that is no good."""

    name, module = "django-oauth-toolkit", "toolkit_app"
    token_path, revoke_path = "/o/token/", "/o/revoke_token/"
    refused, refused_status = (401, 403), 403


KINDS: dict[str, Callable[[], Server]] = {kind.name: kind for kind in (SimpleJWT, FlaskJWT, Authlib, Toolkit)}
