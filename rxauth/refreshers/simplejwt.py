"""The refresher for djangorestframework-simplejwt, and for servers that speak like it."""

from __future__ import annotations

from typing import Any, Unpack

import httpx

from rxauth.redaction.tracebacks import concealed
from rxauth.refreshers.advice import built_in
from rxauth.refreshers.arguments import as_url, check_texts
from rxauth.refreshers.endpoint import Endpoint, EndpointOptions, check_options
from rxauth.refreshers.posting import without_password
from rxauth.refreshers.reasons import shown
from rxauth.tokens.pair import Tokens
from rxauth.tokens.wire_names import SIMPLEJWT_REFRESH

_ADVICE = built_in(
    login="login_path=",
    refresh="refresh_path=",
    logout="logout_path=",
    client="check send=, refresh_field= and headers=; for an OAuth 2 server there is oauth2(...)",
)


@concealed
def simplejwt(
    url: str | httpx.URL,
    *,
    login_path: str = "/api/token/",
    refresh_path: str = "/api/token/refresh/",
    logout_path: str | None = None,
    **options: Unpack[EndpointOptions],
) -> SimpleJWT:
    """Tokens from `POST {login_path} {username, password}` and `POST {refresh_path} {refresh}`, as JSON.

    `url` is the server (`"https://api.example.com"`), the paths are appended to it. With a `logout_path` (simplejwt's
    is `/api/token/blacklist/`) a logout revokes the refresh token at the server. `options` say how a server differs:
    see `rxauth.refreshers.endpoint.EndpointOptions`.
    """
    check_options(simplejwt, options)
    return SimpleJWT(_server(url), login_path, refresh_path, logout_path, options)


class SimpleJWT:
    """What `simplejwt(...)` returns: a refresher with a login and a logout."""

    def __init__(
        self, url: str, login_path: str, refresh_path: str, logout_path: str | None, options: EndpointOptions
    ) -> None:
        paths = {"login_path": login_path, "refresh_path": refresh_path, "logout_path": logout_path}
        check_texts(**paths)
        for name, path in paths.items():
            if path is not None and not path.startswith("/"):
                raise ValueError(f"{name} must begin with a slash, or it becomes part of the host; got {path!r}")
        _check_base(url, paths)
        self._login_url = url + login_path
        self._refresh_url = url + refresh_path
        self._logout_url = None if logout_path is None else url + logout_path
        self._endpoint = Endpoint(self._login_url, options, _ADVICE, send="json", refresh_field=SIMPLEJWT_REFRESH)
        if self._endpoint.send == "header" and self._endpoint.logout_token == "both":
            raise ValueError("send='header' puts the refresh token where logout_token='both' puts the access token")
        self.endpoint = without_password(self._refresh_url)
        self.origins = self._endpoint.origins
        self.unattended = self._endpoint.unattended
        self.rotates = self._endpoint.rotates
        #: How the server's answer to a login is read.
        self.fields = self._endpoint.login_fields

    def __call__(self, tokens: Tokens) -> Tokens:
        return self._endpoint.refresh(self._refresh_url, tokens, {})

    @concealed
    def login(self, **credentials: Any) -> Tokens:
        return self._endpoint.login(self._login_url, self._endpoint.known_credentials(credentials))

    def logout(self, tokens: Tokens) -> None:
        if self._logout_url is not None:
            self._endpoint.logout(self._logout_url, tokens)

    def __repr__(self) -> str:
        return f"simplejwt({without_password(self._refresh_url)!r})"


def _server(url: str | httpx.URL) -> str:
    """The address that the paths are appended to, without the slash at its end."""
    text = as_url(url)
    if "?" in text or "#" in text:
        raise ValueError("the paths come after the URL, so a query belongs to them: login_path='/api/token/?tenant=1'")
    return text.rstrip("/")


def _check_base(url: str, paths: dict[str, str | None]) -> None:
    """Raise a ValueError for a URL that has one of the paths already: each request would miss its address."""
    for name, path in paths.items():
        tail = "" if path is None else path.partition("?")[0].rstrip("/")
        if tail and url.endswith(tail):
            base = shown(url.removesuffix(tail)).rstrip("/")
            raise ValueError(
                f"the URL ends in {name} already ({path!r}), which is appended to it: give the server's address alone, "
                f"simplejwt({base!r})"
            )
