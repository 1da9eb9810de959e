"""What a token endpoint's answer, or its silence, means: which failures are final, which pass, which are in doubt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from rxauth.errors import (
    InvalidTokens,
    RefresherError,
    RefreshMisconfigured,
    RefreshRefused,
    RefreshUnavailable,
    RxAuthError,
    SessionExpired,
    UnsendableTokens,
)
from rxauth.frames import chain, own_frames, without_frames
from rxauth.refreshers.protocol import NotCalled
from rxauth.runtime import current_runtime

#: Which answers end the sign-in, beside those that say so themselves: statuses, or a function of the response.
Final: TypeAlias = int | Collection[int] | Callable[[Any], bool]

Kind = Literal["final", "transient", "in_doubt", "misconfigured", "crashed"]

#: RFC 6749 section 5.2 and RFC 6750 section 3.1, simplejwt, and what other servers call the same; OpenID Connect Core
#: section 3.1.2.6, where the user is needed.
_FINAL_CODES = {
    "invalid_grant",
    "invalid_token",
    "invalid_refresh_token",
    "token_not_valid",
    "no_active_account",
    "token_expired",
    "token_revoked",
    "expired_token",
    "refresh_token_expired",
    "refresh_token_revoked",
    "refresh_token_not_found",
    "bad_refresh_token",
    "interaction_required",
    "login_required",
    "consent_required",
}
_CLIENT_CODES = {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request"}
#: RFC 6749 section 4.1.2.1, RFC 8628 section 3.5, and what other servers say, where a status of 5xx or 429 would say
#: the same; compared without regard to how its words are joined, and without `Exception` at its end.
_PASSING_CODES = {
    "authorizationpending",
    "temporarilyunavailable",
    "servererror",
    "slowdown",
    "ratelimited",
    "ratelimitexceeded",
    "toomanyrequests",
    "throttled",
    "throttling",
    "tryagain",
    "tryagainlater",
    "unavailable",
    "serviceunavailable",
    "serverunavailable",
    "overloaded",
    "serveroverloaded",
    "serverbusy",
    "internal",
    "internalerror",
    "internalfailure",
    "internalservererror",
    "internalserviceerror",
    "internalservicefailure",
    "serverfailure",
    "serviceerror",
    "backenderror",
    "databaseerror",
    "unknownerror",
    "unexpectederror",
    "timeout",
    "requesttimeout",
    "gatewaytimeout",
    "badgateway",
}
_REDIRECTS = (301, 302, 303, 307, 308)
_NAMES_THE_TOKEN = re.compile(r"(?<!csrf )(?<!xsrf )\btoken\b", re.IGNORECASE)
_OTHER_LOOP = re.compile(r"different (event )?loop|event loop is closed", re.IGNORECASE)
_HARMLESS_CODE = re.compile(r"[a-z][a-z_.\-]{1,39}", re.IGNORECASE)
#: A code that is about neither the token nor only the status again (`"error": "Unauthorized"`), and is no sentence.
_OWN_CODE = re.compile(r"(?!bad.?request$|unauthorized$|(?!.*[cx]srf).*token)[a-z][\w.:/\-]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try brought no tokens.

    `in_doubt`: the server may have spent the refresh token without our having its answer. `crashed`: nothing was sent,
    and nothing needs to be waited for. `repeat`: the same refresh
    may try again. `retry_after`: the wait in seconds that the server asked for.
    """

    kind: Kind
    error: RxAuthError
    repeat: bool = False
    retry_after: float | None = None


def judge(response: Any, final: Final = ()) -> None:
    """Return if this answer should hold tokens, else raise what it means.

    `RefreshRefused` is final, `RefreshMisconfigured` is about the client, `RefreshUnavailable` passes. What counts is
    the error code in a JSON body, of whatever status; then the status. A 400 or 401 whose JSON speaks of the token
    without a code of another meaning is final; an answer without a readable body is not, unless `final` says so.
    Neither is `access_denied` (RFC 6749 section 4.1.2.1): who denied what, and for how long, it does not say.
    """
    status: int = response.status_code
    finals = final if callable(final) else (final,) if isinstance(final, int) else final
    if finals(response) if callable(finals) else status in finals:
        raise RefreshRefused(f"the token endpoint refused the refresh token ({status})", status_code=status)
    body = parse_json(response.content)
    codes = set(_codes(body))
    what = f"the token endpoint answered {status}{_said(codes)}"
    if codes & _FINAL_CODES and status < 500:
        raise RefreshRefused(f"{what}: the refresh token is no good any more", status_code=status)
    if codes & _CLIENT_CODES and status < 500:
        raise RefreshMisconfigured(f"{what}: check client_id, client_secret, scope and grant", status_code=status)
    if 200 <= status < 300:
        return
    if status < 400:
        moved = (
            "a redirect, which would turn the POST into a GET; use the address it points to (often the same with a "
            "slash at the end)"
        )
        odd = "an unexpected status: check the address, and what stands between here and there"
        raise RefreshMisconfigured(f"{what}, {moved if status in _REDIRECTS else odd}", status_code=status)
    retry_after = parse_retry_after(response.headers.get("retry-after"), response.headers.get("date"))
    if status in (408, 425, 429) or status >= 500 or _passes(codes):
        raise RefreshUnavailable(what, cause=f"status {status}", status_code=status, retry_after=retry_after)
    has_own_code = any(_OWN_CODE.fullmatch(code) for code in codes)
    speaks_of_token = isinstance(body, dict) and any(_NAMES_THE_TOKEN.search(text) for text in _texts(body))
    if status in (400, 401) and speaks_of_token and not has_own_code:
        raise RefreshRefused(f"{what} and says that the token is no good", status_code=status)
    is_bad_request = status in (400, 422) and isinstance(body, dict) and "access_denied" not in codes
    if status in (404, 405, 406, 415) or is_bad_request:
        raise RefreshMisconfigured(
            f"{what}: check the address, and how the refresh token is sent (send=, refresh_field=)", status_code=status
        )
    raise RefreshUnavailable(
        f"{what}, which does not say that the token is no good; if it means that the user must sign in again, say "
        f"final=[{status}]; if that surprises you, check how the refresh token is sent (send=, refresh_field=)",
        cause=f"status {status}",
        status_code=status,
        retry_after=retry_after,
        repeat=False,
    )


def judge_login(response: Any) -> None:
    """The same for the answer to a login: a refusal speaks of the credentials."""
    status: int = response.status_code
    try:
        judge(response)
    except (RefreshRefused, RefreshUnavailable, RefreshMisconfigured):
        codes = set(_codes(parse_json(response.content)))
        answered = f"{status}{_said(codes)}"
        clients = codes & _CLIENT_CODES
        if clients == {"invalid_request"}:  # some servers say so of a wrong password
            raise RefreshRefused(
                f"the server refused the login ({status} invalid_request): check the credentials first, then "
                "client_id, scope and grant",
                status_code=status,
            ) from None
        if status in (404, 405) and not clients:
            what = f"there is no login at this address (status {answered}): check the address, and login_path="
            raise RefreshMisconfigured(what, status_code=status) from None
        if clients or _passes(codes) or status in (406, 408, 415, 425, 429) or not 400 <= status < 500:
            raise
        refused = RefreshRefused(f"the server refused the credentials ({answered})", status_code=status)
        raise refused from None


def httpx_kinds(error: BaseException) -> set[str]:
    """The classes of httpx, or of httpx2, that this error is one of, by name."""
    return {base.__name__ for base in type(error).__mro__ if base.__module__.partition(".")[0] in ("httpx", "httpx2")}


def failure_of(error: BaseException) -> Failure:
    """Class whatever a refresh callable raised.

    HTTP errors and ours lose their traceback, because the refresh token is a local variable in its frames, which a
    notebook may print; any other exception keeps the frames of the callable's own code, to find its fault.
    """
    if isinstance(error, RxAuthError):
        without_frames(error)
    if isinstance(error, RefreshRefused | SessionExpired):
        return Failure("final", error)
    if isinstance(error, RefreshMisconfigured):
        return Failure("misconfigured", error)
    if isinstance(error, RefreshUnavailable):
        return Failure("transient", error, error.repeat, error.retry_after)
    if isinstance(error, UnsendableTokens):
        return Failure("in_doubt", _caused(RefreshMisconfigured(f"the tokens cannot be sent: {error}"), error))
    if isinstance(error, InvalidTokens):
        # The server was content, so it may have spent the refresh token, and a second try would be a reuse.
        unusable = RefreshUnavailable(f"the refresh brought nothing usable: {error}", cause="unusable answer")
        return Failure("in_doubt", _caused(unusable, error))
    names = httpx_kinds(error)
    if "HTTPStatusError" in names:
        return _failure_of_status(error)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        wrong = RefreshMisconfigured(f"the token endpoint's address is unusable: {type(error).__name__}")
        return Failure("misconfigured", _caused(wrong, error))
    if names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}:
        return Failure("transient", _caused(_unreachable("the token endpoint can not be reached", error), error), True)
    if names & {"HTTPError", "StreamError"}:
        lost = _unreachable("the connection to the token endpoint broke before its answer", error)
        return Failure("in_doubt", _caused(lost, error))
    if isinstance(error, NotCalled):
        uncalled = RefresherError(f"the refresh callable cannot be called with the tokens: {error}", cause=error.cause)
        return Failure("crashed", _caused(uncalled, error.__cause__ or error))
    crashed = RefresherError(f"the refresh callable raised {type(error).__name__}{remedy(error)}")
    crashed.__cause__ = own_frames(error)
    return Failure("in_doubt", crashed)


def remedy(error: BaseException) -> str:
    """What to do about an error that speaks of event loops; "" for any other."""
    if not any(_OTHER_LOOP.search(str(link)) for link in chain(error)):
        return ""
    return (
        ": an async callable runs on an event loop of its own each time, to which an httpx.AsyncClient made outside of "
        "it is not bound; make the client inside the function, or use a sync httpx.Client or a built-in refresher"
    )


def _failure_of_status(error: Any) -> Failure:
    try:
        error.response.read()
        judge(error.response)
    except RxAuthError as meant:
        return failure_of(_caused(meant, error))
    except Exception as unreadable:
        broken = RefreshUnavailable("the token endpoint's answer could not be read", cause="unreadable answer")
        return Failure("transient", _caused(broken, unreadable), True)
    odd = RefreshUnavailable(f"the refresh callable raised {type(error).__name__} for an answer that is fine")
    return Failure("in_doubt", _caused(odd, error))


def _unreachable(what: str, error: BaseException) -> RefreshUnavailable:
    return RefreshUnavailable(f"{what} ({type(error).__name__})", cause=type(error).__name__)


def _caused(error: RxAuthError, cause: BaseException) -> RxAuthError:
    """`error` with its cause, stripped of the frames in which the refresh token is a local variable."""
    error.__cause__ = without_frames(cause)
    error.__traceback__ = None
    return error


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait, from `Retry-After` (RFC 9110 section 10.2.3): a number, or a date compared with `Date`."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    when, now = parse_date(text), parse_date(date)
    if when is None:
        return None
    return max(0.0, when - (now if now is not None else current_runtime().now().wall))


def parse_date(value: str | None) -> float | None:
    """An HTTP date (RFC 9110 section 5.6.7) in seconds since the epoch, or None."""
    try:
        moment = parsedate_to_datetime(value) if value else None
        return None if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_json(content: bytes) -> Any:
    """The decoded JSON, or None for what is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _codes(body: Any, depth: int = 3) -> Iterator[str]:
    """The error codes of a JSON body: `error`, `code` or `error_code`, also inside an object called `error`."""
    if not depth or not isinstance(body, Mapping):
        return
    for name in ("error", "code", "error_code"):
        value = body.get(name)
        if isinstance(value, str):
            yield value.strip().lower()
        elif isinstance(value, Mapping) and name == "error":
            yield from _codes(value, depth - 1)


def _passes(codes: Collection[str]) -> bool:
    return any(re.sub("[^a-z0-9]", "", code).removesuffix("exception") in _PASSING_CODES for code in codes)


def _said(codes: Collection[str]) -> str:
    """One of these codes, for a message, if there is one that can be no secret."""
    return next((f" {code}" for code in sorted(codes) if _HARMLESS_CODE.fullmatch(code)), "")


def _texts(body: Any, depth: int = 3) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif depth and isinstance(body, Mapping):
        for value in body.values():
            yield from _texts(value, depth - 1)
    elif depth and isinstance(body, list):
        for value in body[:20]:
            yield from _texts(value, depth - 1)
