"""The refresher for OAuth 2 token endpoints (RFC 6749)."""

from __future__ import annotations

from typing import Any, Literal, Unpack, get_args
from urllib.parse import quote_plus

import httpx

from rxauth.errors import OriginNotAllowed
from rxauth.redaction.tracebacks import concealed
from rxauth.refreshers.advice import built_in
from rxauth.refreshers.arguments import as_url, check_texts
from rxauth.refreshers.endpoint import Endpoint, EndpointOptions, check_options
from rxauth.refreshers.posting import without_password
from rxauth.tokens.origins import is_safe, origin_of, parse_origin, show
from rxauth.tokens.pair import Tokens
from rxauth.tokens.wire_names import (
    CLIENT_ID,
    CLIENT_SECRET,
    GRANT_TYPE,
    REFRESH_TOKEN,
    SCOPE,
    TOKEN,
    TOKEN_TYPE_HINT,
)

ClientAuth = Literal["basic", "body"]

_ADVICE = built_in(
    login="token_url=",
    refresh="token_url=",
    logout="logout_url=",
    client="check client_id, client_secret, scope and grant",
)


@concealed
def oauth2(
    token_url: str | httpx.URL,
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    client_auth: ClientAuth = "basic",
    scope: str | None = None,
    logout_url: str | httpx.URL | None = None,
    **options: Unpack[EndpointOptions],
) -> OAuth2:
    """Tokens from an OAuth 2 token endpoint: the refresh grant (RFC 6749 section 6), and a login for each other grant.

    `session.login(username=..., password=...)` uses the password grant (section 4.3), `login(code=...,
    redirect_uri=..., code_verifier=...)` the code grant (section 4.1.3, RFC 7636), and `login()` the client
    credentials grant (section 4.4). With `credentials={}` a session repeats the latter by itself where there is no
    refresh token; without it, it does not, because a user's session must not turn into the client's own.

    The client authenticates with HTTP Basic (section 2.3.1), or in the body with `client_auth="body"`; without a
    secret its `client_id` goes in the body. With a `logout_url` a logout revokes the refresh token (RFC 7009).
    `options` say how a server differs: see `rxauth.refreshers.endpoint.EndpointOptions`.
    """
    check_options(oauth2, options)
    revoke_url = None if logout_url is None else as_url(logout_url)
    return OAuth2(as_url(token_url), client_id, client_secret, client_auth, scope, revoke_url, options)


class OAuth2:
    """What `oauth2(...)` returns: a refresher with a login and a logout."""

    def __init__(
        self,
        token_url: str,
        client_id: str | None,
        client_secret: str | None,
        client_auth: ClientAuth,
        scope: str | None,
        logout_url: str | None,
        options: EndpointOptions,
    ) -> None:
        check_texts(client_id=client_id, client_secret=client_secret, scope=scope)
        if client_auth not in get_args(ClientAuth):
            raise ValueError(f"client_auth must be one of {', '.join(get_args(ClientAuth))}; got {client_auth!r}")
        if client_secret is not None and client_id is None:
            raise ValueError("client_secret without client_id; pass both")
        self._token_url, self._logout_url, self._scope = token_url, logout_url, scope
        self._endpoint = Endpoint(token_url, options, _ADVICE, send="form", refresh_field=REFRESH_TOKEN)
        self._check_logout_url()
        self._auth: httpx.Auth | None = None
        self._client: dict[str, str] = {}
        if client_id is not None and client_secret is not None and client_auth == "basic":
            if self._endpoint.send == "header":
                raise ValueError(
                    "send='header' puts the refresh token where the client's Basic authentication goes; "
                    "say client_auth='body'"
                )
            if self._endpoint.logout_token != "refresh":
                raise ValueError(
                    f"logout_token={self._endpoint.logout_token!r} puts the access token where the client's Basic "
                    "authentication goes; say client_auth='body'"
                )
            self._auth = httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
        elif client_id is not None:
            self._client = {CLIENT_ID: client_id, **({CLIENT_SECRET: client_secret} if client_secret else {})}
        self.endpoint = without_password(token_url)
        self.origins = self._endpoint.origins
        self.unattended = self._endpoint.unattended
        self.rotates = self._endpoint.rotates
        #: How the server's answer to a login is read.
        self.fields = self._endpoint.login_fields

    def __call__(self, tokens: Tokens) -> Tokens:
        return self._endpoint.refresh(self._token_url, tokens, {GRANT_TYPE: REFRESH_TOKEN, **self._client}, self._auth)

    @concealed
    def login(self, **credentials: Any) -> Tokens:
        known = self._endpoint.known_credentials(credentials)
        grant = "authorization_code" if "code" in known else "password" if "username" in known else "client_credentials"
        scope = {SCOPE: self._scope} if self._scope and grant != "authorization_code" else {}
        return self._endpoint.login(self._token_url, {GRANT_TYPE: grant, **scope, **self._client, **known}, self._auth)

    def logout(self, tokens: Tokens) -> None:
        if self._logout_url is not None:
            fields = {TOKEN: tokens.refresh or "", TOKEN_TYPE_HINT: REFRESH_TOKEN}
            self._endpoint.logout(self._logout_url, tokens, fields, self._client, self._auth)

    def __repr__(self) -> str:
        return f"oauth2({without_password(self._token_url)!r})"

    def _check_logout_url(self) -> None:
        """The refresh token goes there too. Whether it may go to the token endpoint, the session decides."""
        if self._logout_url is None:
            return
        origin = parse_origin(origin_of(self._logout_url))
        if not is_safe(origin) and origin != parse_origin(origin_of(self._token_url)):
            raise OriginNotAllowed(f"the refresh token would go to {show(origin)} in the clear; use https")
