"""One POST to a token endpoint with httpx, and the ways in which servers want it."""

from __future__ import annotations

import functools
import inspect
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, get_args

import httpx

from rxauth.errors import InvalidTokens, RefreshMisconfigured, RefreshUnavailable
from rxauth.names import AUTHORIZATION, BEARER, COOKIE, REFRESH_TOKEN, check_sendable
from rxauth.origins import is_safe, parse_origin
from rxauth.refreshers.answers import Final, judge, judge_login, parse_date, parse_json
from rxauth.refreshers.checks import as_bool, as_final, check_credentials, check_texts, check_transport
from rxauth.refreshers.reading import READ_TIMEOUT, plain, read, set_cookie
from rxauth.runtime import current_runtime
from rxauth.tokens import Expiry, TokenFields, Tokens

Send = Literal["json", "form", "header", "cookie"]

_TEXTS = ("refresh_field", "under", "access_key", "refresh_key", "expires_key", "refresh_expires_key")


class EndpointOptions(TypedDict, total=False):
    """How servers differ, one keyword each. The defaults are the refresher's.

    * `send`: the refresh token travels in a `"form"`, in `"json"`, in a `"header"` (`Authorization: Bearer`) or in a
      `"cookie"`; `refresh_field` is the name of the form or JSON field, or of the cookie.
    * `under`, `access_key`, `refresh_key`, `expires_key`, `refresh_expires_key`, `expiry`: where the tokens are in the
      answer and in which unit it states their life; see `rxauth.tokens.TokenFields`.
    * `final`: answers that end the sign-in beside those that say so: statuses (`final=[401]`), or a function of the
      response.
    * `rotates=False`: a refresh does not spend the refresh token, so a post without an answer is repeated, within the
      session's tries, and is not in doubt. Only for a server that is known to keep its refresh tokens: with one that
      rotates them, the repeat ends the sign-in.
    * `credentials`: what `login()` uses when it is called without any, as a mapping or a function that returns one
      (`{}` for OAuth 2 client credentials); with them, the session signs in again by itself where it has no refresh
      token.
    * `headers`: extra headers of each request; an `Accept` there takes the place of ours, `application/json`.
      `transport`: an `httpx.BaseTransport`, for a proxy, a private certificate authority, or a test.
    """

    send: Send
    refresh_field: str
    under: str | None
    access_key: str | None
    refresh_key: str | None
    expires_key: str | None
    refresh_expires_key: str | None
    expiry: Expiry
    final: Final | None
    rotates: bool
    credentials: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None
    headers: Mapping[str, str]
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

    def __init__(self, url: str, options: EndpointOptions, *, send: Send, refresh_field: str) -> None:
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
        self.final = as_final(options.get("final"))
        self._as_form = (self.send if self.send in ("form", "json") else send) == "form"
        self.rotates = as_bool("rotates", options.get("rotates", True))
        self.credentials = options.get("credentials")
        self.headers = dict(options.get("headers", {}))
        self.transport = options.get("transport")
        for name, value, allowed in (("send", self.send, Send), ("expiry", self.fields.expiry, Expiry)):
            if value not in get_args(allowed):
                raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}; got {value!r}")
        if self.send == "cookie":
            check_sendable("refresh_field", self.refresh_field, empty=False)
        for header, text in self.headers.items():
            check_sendable("the name of a header in headers=", header, empty=False)
            check_sendable(f"headers={{{header!r}: ...}}", text)
        self.origins = (origin_of(url),)

    @property
    def unattended(self) -> bool:
        return self.credentials is not None

    def known_credentials(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The credentials given to `login(...)`, else those that the refresher was made with."""
        if given or self.credentials is None:
            return given
        return self.credentials() if callable(self.credentials) else self.credentials

    def refresh(self, url: str, tokens: Tokens, body: Mapping[str, str], auth: httpx.Auth | None = None) -> Tokens:
        """Spend `tokens.refresh`. Raises what `judge` says, `InvalidTokens`, or httpx's errors."""
        headers, fields = self._carry(tokens.refresh or "")
        return self.post(url, {**body, **fields}, headers, auth=auth, keep=tokens)

    def logout(self, url: str, tokens: Tokens) -> None:
        """Send the refresh token to be revoked, as it is sent to be spent. Raises `RefreshUnavailable` if refused."""
        headers, fields = self._carry(tokens.refresh or "")
        self.confirm(self.send_to(url, fields, headers))

    @staticmethod
    def confirm(response: httpx.Response) -> None:
        """Raise `RefreshUnavailable` unless the answer is a success."""
        if not response.is_success:
            raise RefreshUnavailable(f"it answered {response.status_code}", status_code=response.status_code)

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

    def post(
        self,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        auth: httpx.Auth | None = None,
        keep: Tokens | None = None,
    ) -> Tokens:
        """POST `body` and read the pair in the answer; `keep` is the pair that is spent, None for a login."""
        clock = current_runtime()
        sent = clock.now()
        response = self.send_to(url, body, headers, auth=auth)
        received = clock.now()
        judge_login(response) if keep is None else judge(response, self.final)
        answer = parse_json(response.content)  # not response.json(): its error would hold the text, tokens and all
        if answer is None:
            raise InvalidTokens(f"it is no JSON (status {response.status_code}, {len(response.content)} bytes)")
        if self.send == "cookie":
            secret = set_cookie(response.headers, self.refresh_field)
            if secret is not None:
                path = self.fields.under.split(".") if self.fields.under else []
                answer = _with(answer, path, self.fields.refresh_key or REFRESH_TOKEN, secret)
        return Tokens.from_response(
            answer,
            fields=self.fields,
            received=received,
            sent=sent,
            server_date=parse_date(response.headers.get("date")),
            keep=keep,
        )

    def send_to(
        self,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        auth: httpx.Auth | None = None,
    ) -> httpx.Response:
        """POST `body` as the server wants it and return the answer, read to its end."""
        timeout = httpx.Timeout(10.0, read=READ_TIMEOUT)
        transport = _Lent(self.transport) if self.transport is not None else None
        # One that is compressed well would be bounded too late; a server that compresses nevertheless is read below.
        # Some servers, GitHub's among them, answer with a form unless they are asked for JSON.
        sent = httpx.Headers({"Accept": "application/json", "Accept-Encoding": "identity"})
        sent.update(self.headers)
        sent.update(headers)
        parsed = httpx.URL(url)
        if parsed.userinfo:  # httpx logs the URL, and would put this in the place of our own header
            if auth is None and AUTHORIZATION not in sent:
                auth = httpx.BasicAuth(parsed.username, parsed.password)
            url = without_password(url)
        encoded: dict[str, Any] = {"data": body} if self._as_form else {"json": body} if body else {}
        with (
            httpx.Client(transport=transport, timeout=timeout, verify=_tls(), mounts=_direct(url)) as client,
            client.stream("POST", url, headers=sent, auth=auth, **encoded) as response,
        ):
            try:
                content = read(response)
            except httpx.DecodingError:
                if response.is_success:
                    raise
                content = b""  # an error page that was compressed badly is still an answer
        return httpx.Response(
            response.status_code, headers=plain(response.headers), content=content, request=response.request
        )


@functools.cache
def _tls() -> ssl.SSLContext:
    """The usual certificates, which take longer to load than a refresh does, once for all our clients."""
    return httpx.create_ssl_context()


class _Lent(httpx.BaseTransport):
    """Somebody else's transport, which must stay open when our client closes."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)


def _direct(url: str) -> dict[str, None] | None:
    """No proxy of the environment between us and this machine, where plain http is safe because nobody listens in."""
    parsed = httpx.URL(url)
    is_direct = parsed.scheme == "http" and is_safe(parse_origin(origin_of(url)))
    return {f"http://[{parsed.host}]" if ":" in parsed.host else f"http://{parsed.host}": None} if is_direct else None


def origin_of(url: str) -> str:
    """scheme://host[:port] of an absolute URL."""
    parsed = httpx.URL(url)
    return str(parsed.copy_with(raw_path=b"", username="", password="", fragment=None)).rstrip("/")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return str(httpx.URL(url).copy_with(username=None, password=None))


def _with(answer: Any, path: list[str], key: str, value: str) -> Any:
    """The decoded answer with one more field, in the object at the end of the path."""
    if not isinstance(answer, dict):
        return answer
    if not path:
        return {**answer, key: value}
    return {**answer, path[0]: _with(answer.get(path[0]), path[1:], key, value)}
