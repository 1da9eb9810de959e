"""One POST to a token endpoint with httpx, and the ways in which servers want it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias, TypedDict

import httpx

from rxauth.concurrency.runtime import current_runtime, is_sync
from rxauth.errors import InvalidTokens, RefreshMisconfigured, RefreshUnavailable
from rxauth.refreshers.advice import Advised
from rxauth.refreshers.arguments import (
    as_bool,
    as_final,
    as_headers,
    check_choices,
    check_credentials,
    check_texts,
    check_transport,
)
from rxauth.refreshers.failures import Final, judge, judge_login, parse_date
from rxauth.refreshers.posting import ask
from rxauth.refreshers.reasons import address
from rxauth.refreshers.response_body import set_cookie
from rxauth.refreshers.said import is_signed_out, parse_json
from rxauth.tokens.origins import origin_of
from rxauth.tokens.pair import Tokens
from rxauth.tokens.response import Expiry, TokenFields
from rxauth.tokens.wire_names import AUTHORIZATION, BEARER, COOKIE, REFRESH_TOKEN, check_sendable

Send = Literal["json", "form", "header", "cookie"]
LogoutMethod = Literal["POST", "PUT", "DELETE", "GET"]
LogoutToken = Literal["refresh", "access", "both"]
#: Extra headers, or a function of the pair that is spent or revoked (None at a login) that returns them.
Headers: TypeAlias = Mapping[str, str] | Callable[[Tokens | None], Mapping[str, str]]

_TEXTS = ("refresh_field", "under", "login_under", "access_key", "refresh_key", "expires_key", "refresh_expires_key")


class EndpointOptions(TypedDict, total=False):
    """How servers differ, one keyword each. The defaults are the refresher's.

    * `send`: the refresh token travels in a `"form"`, in `"json"`, in a `"header"` (`Authorization: Bearer`) or in a
      `"cookie"`; `refresh_field` is the name of the form or JSON field, or of the cookie.
    * `under`, `access_key`, `refresh_key`, `expires_key`, `refresh_expires_key`, `expiry`: where the tokens are in the
      answer and in which unit it states their life; see `rxauth.tokens.TokenFields`. `login_under` takes the place of
      `under` in the answer to a login (`""`: they are at the top there).
    * `final`: answers that end the sign-in beside those that say so: statuses (`final=[401]`), or a function of the
      response.
    * `rotates=False`: a refresh does not spend the refresh token, so a post without an answer is repeated, within the
      session's tries, and is not in doubt. Only for a server that is known to keep its refresh tokens: with one that
      rotates them, the repeat ends the sign-in.
    * `credentials`: what `login()` uses when it is called without any, as a mapping or a function that returns one
      (`{}` for OAuth 2 client credentials); with them, the session signs in again by itself where it has no refresh
      token.
    * `logout_method` is `"POST"` unless you say otherwise; `logout_token` says what a logout sends: the `"refresh"`
      token as a refresh does, the `"access"` token as `Authorization: Bearer`, or `"both"`.
    * `headers`: extra headers of each request, or a function that returns them, of the pair that is spent or revoked
      (None at a login); an `Accept` there takes the place of ours, `application/json`, and a `Cookie` goes along with
      the one that `send="cookie"` makes.
    * `transport`: an `httpx.BaseTransport`, for a proxy, a private certificate authority, or a test.
    """

    send: Send
    refresh_field: str
    under: str | None
    login_under: str | None
    access_key: str | None
    refresh_key: str | None
    expires_key: str | None
    refresh_expires_key: str | None
    expiry: Expiry
    final: Final | None
    rotates: bool
    credentials: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None
    logout_method: LogoutMethod
    logout_token: LogoutToken
    headers: Headers
    transport: httpx.BaseTransport | None


def check_options(maker: Callable[..., Any], options: EndpointOptions) -> None:
    """Raise a TypeError for keywords that neither `maker` itself has nor `EndpointOptions`."""
    unknown = sorted(set(options) - EndpointOptions.__optional_keys__)
    if unknown:
        parameters = inspect.signature(maker).parameters.values()
        own = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
        known = ", ".join([*own, *sorted(EndpointOptions.__optional_keys__)])
        raise TypeError(f"{maker.__name__}() has no keyword {', '.join(map(repr, unknown))}; there are {known}")


class Endpoint:
    """Sends tokens and credentials to a server and reads its answers; every call uses an httpx client of its own.

    A client of its own cannot be starved by the app's connection pool, and has no idle connection that the server has
    closed meanwhile, so that an error always belongs to this request.
    """

    def __init__(self, url: str, options: EndpointOptions, advice: Advised, *, send: Send, refresh_field: str) -> None:
        check_texts(**{name: options.get(name) for name in _TEXTS})
        check_credentials(options.get("credentials"))
        check_transport(options.get("transport"))
        self.send: Send = options.get("send", send)
        named = options.get("refresh_field")
        self.refresh_field = refresh_field if named is None else named
        self.fields = TokenFields(
            under=options.get("under"),
            access_key=options.get("access_key"),
            refresh_key=options.get("refresh_key"),
            expires_key=options.get("expires_key"),
            refresh_expires_key=options.get("refresh_expires_key"),
            expiry=options.get("expiry", "seconds"),
        )
        login_under = options.get("login_under")
        self.login_fields = self.fields if login_under is None else replace(self.fields, under=login_under)
        self.final = as_final(options.get("final"))
        self.rotates = as_bool("rotates", options.get("rotates", True))
        self.logout_method: LogoutMethod = options.get("logout_method", "POST")
        self.logout_token: LogoutToken = options.get("logout_token", "refresh")
        self.credentials = options.get("credentials")
        headers = options.get("headers", {})
        self.headers: Headers = headers if is_sync(headers) else as_headers(headers)
        self.transport = options.get("transport")
        self._advice = advice
        check_choices(
            send=(self.send, Send),
            expiry=(self.fields.expiry, Expiry),
            logout_method=(self.logout_method, LogoutMethod),
            logout_token=(self.logout_token, LogoutToken),
        )
        self._as_form = (self.send if self.send in ("form", "json") else send) == "form"
        if self.send == "cookie":
            check_sendable("refresh_field", self.refresh_field, empty=False)
        self.origins = (origin_of(url),)

    @property
    def unattended(self) -> bool:
        return self.credentials is not None

    def known_credentials(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The credentials given to `login(...)`, else those that the refresher was made with."""
        if given or self.credentials is None:
            return given
        return self.credentials() if callable(self.credentials) else self.credentials

    def login(self, url: str, body: Mapping[str, Any], auth: httpx.Auth | None = None) -> Tokens:
        """Post the credentials. Raises what `judge_login` says, `InvalidTokens`, or httpx's errors."""
        return self._tokens(url, body, {}, auth, None)

    def refresh(self, url: str, tokens: Tokens, body: Mapping[str, str], auth: httpx.Auth | None = None) -> Tokens:
        """Spend `tokens.refresh`. Raises what `judge` says, `InvalidTokens`, or httpx's errors."""
        headers, fields = self._carry(tokens.refresh or "")
        return self._tokens(url, {**body, **fields}, headers, auth, tokens)

    def logout(
        self,
        url: str,
        tokens: Tokens,
        fields: Mapping[str, str] | None = None,
        client: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> None:
        """Tell the server that these tokens are not needed any more; `RefreshUnavailable` if it refuses.

        The refresh token goes in `fields`, else as it goes to be spent. Without a token to send, nothing is sent.
        """
        headers: dict[str, str] = {}
        body: Mapping[str, str] = {}
        if self.logout_token != "access" and tokens.refresh is not None:
            headers, body = ({}, fields) if fields is not None else self._carry(tokens.refresh)
        if self.logout_token != "refresh":
            headers = {**headers, AUTHORIZATION: f"{BEARER} {tokens.access}"}
        if headers or body:
            body = {**body, **(client or {})}
            response = self._send(self.logout_method, url, body, headers, auth, tokens)
            if not response.is_success and not is_signed_out(response):
                advice = f"; {self._advice.logout}" if response.status_code < 500 else ""
                raise RefreshUnavailable(
                    f"it answered {response.status_code} at{address(response)}{advice}",
                    status_code=response.status_code,
                )

    def _carry(self, secret: str) -> tuple[dict[str, str], dict[str, str]]:
        """(headers, fields of the body) in which the refresh token travels. Raises `RefreshMisconfigured`."""
        if " " in secret and self.send in ("header", "cookie"):
            text = f"the refresh token holds a space, so it can not be sent in a {self.send}"
            raise RefreshMisconfigured(f"{text}; if the server takes it in a body as well, say send='form' or 'json'")
        if self.send == "header":
            return {AUTHORIZATION: f"{BEARER} {secret}"}, {}
        if self.send == "cookie":
            return {COOKIE: f"{self.refresh_field}={secret}"}, {}
        return {}, {self.refresh_field: secret}

    def _tokens(
        self, url: str, body: Mapping[str, Any], headers: dict[str, str], auth: httpx.Auth | None, spent: Tokens | None
    ) -> Tokens:
        """The pair in the answer to a POST; `spent` is the one before, None for a login."""
        clock = current_runtime()
        sent = clock.now()
        response = self._send("POST", url, body, headers, auth, spent)
        received = clock.now()
        if spent is None:
            judge_login(response, self._advice.login)
        else:
            judge(response, self.final, self._advice.refresh)
        answer = parse_json(response.content)  # not response.json(): its error would hold the text, tokens and all
        if answer is None:
            size = f"status {response.status_code}, {len(response.content)} bytes"
            raise InvalidTokens(f"the answer of{address(response)} is no JSON ({size})")
        fields = self.login_fields if spent is None else self.fields
        if self.send == "cookie":
            secret = set_cookie(response.headers, self.refresh_field)
            if secret is not None:
                path = fields.under.split(".") if fields.under else []
                answer = _with(answer, path, fields.refresh_key or REFRESH_TOKEN, secret)
        try:
            return Tokens.from_response(
                answer,
                fields=fields,
                received=received,
                sent=sent,
                server_date=parse_date(response.headers.get("date")),
                keep=spent,
            )
        except InvalidTokens as unusable:
            raise type(unusable)(f"{unusable} (at{address(response)})") from None

    def _send(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any],
        headers: dict[str, str],
        auth: httpx.Auth | None,
        tokens: Tokens | None,
    ) -> httpx.Response:
        """Send this with the extra headers, and return the answer, read to its end."""
        # One that is compressed well would be bounded too late; a server that compresses nevertheless is read below.
        # Some servers, GitHub's among them, answer with a form unless they are asked for JSON.
        sent = httpx.Headers({"Accept": "application/json", "Accept-Encoding": "identity"})
        sent.update(self._extra_headers(tokens))
        own = sent.get(COOKIE) if COOKIE in headers else None
        sent.update(headers)
        if own is not None:
            sent[COOKIE] = _joined(own, headers[COOKIE])
        return ask(method, url, body, sent, as_form=self._as_form, auth=auth, transport=self.transport)

    def _extra_headers(self, tokens: Tokens | None) -> Mapping[str, str]:
        """Those of `headers=`. Nothing was sent yet, so nothing is in doubt where the function is at fault."""
        if not callable(self.headers):
            return self.headers
        try:
            return as_headers(self.headers(tokens))
        except BaseException as error:
            raise RefreshMisconfigured(f"the function headers= failed: {type(error).__name__}") from error


def _joined(cookies: str, ours: str) -> str:
    """Two `Cookie` headers as one (RFC 6265 section 4.2.1), without a second cookie of the name of ours."""
    name = ours.partition("=")[0]
    others = [cookie for part in cookies.split(";") if (cookie := part.strip()).partition("=")[0] != name]
    return "; ".join([*filter(None, others), ours])


def _with(answer: Any, path: list[str], key: str, value: str) -> Any:
    """The decoded answer with one more field, in the object at the end of the path."""
    if not isinstance(answer, dict):
        return answer
    if not path:
        return {**answer, key: value}
    return {**answer, path[0]: _with(answer.get(path[0]), path[1:], key, value)}
