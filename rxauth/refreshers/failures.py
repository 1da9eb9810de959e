"""What a token endpoint's answer, or its silence, means: which failures are final, which pass, which are in doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from rxauth.concurrency.runtime import current_runtime
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
from rxauth.redaction.tracebacks import chain, own_frames, without_frames
from rxauth.refreshers.advice import OF_A_CALLABLE, OF_A_LOGIN, Advice
from rxauth.refreshers.codes import CLIENT_CODES, FINAL_CODES, passes
from rxauth.refreshers.complaints import complaint
from rxauth.refreshers.protocol import NotCalled
from rxauth.refreshers.reasons import address, reason
from rxauth.refreshers.said import codes_in, is_csrf, parse_json, shown_code, texts_in, wants_a_token

#: Which answers end the sign-in, beside those that say so themselves: statuses, or a function of the response.
Final: TypeAlias = int | Collection[int] | Callable[[Any], bool]

Kind = Literal["final", "transient", "in_doubt", "misconfigured", "crashed"]

_REDIRECTS = (301, 302, 303, 307, 308)
#: Statuses that are about the address, or about how the request is sent, and never about the token.
_MISPLACED = {
    404: "there is nothing at this address",
    405: "this address takes no such request",
    406: "it cannot answer in JSON",
    415: "it does not read this kind of body",
}
_NAMES_THE_TOKEN = re.compile(r"(?<!csrf )(?<!xsrf )\btoken\b", re.IGNORECASE)
_OTHER_LOOP = re.compile(r"different (event )?loop|event loop is closed", re.IGNORECASE)
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


def judge(response: Any, final: Final = (), advice: Advice = OF_A_CALLABLE) -> None:
    """Return if this answer should hold tokens, else raise what it means.

    `RefreshRefused` is final, `RefreshMisconfigured` is about the client, `RefreshUnavailable` passes. What counts is
    the error code in a JSON body, of whatever status; then the status. A 400 or 401 whose JSON speaks of the token
    without a code of another meaning is final; an answer without a readable body is not, unless `final` says so.
    Neither is `access_denied` (RFC 6749 section 4.1.2.1): who denied what, and for how long, it does not say; nor a
    refusal for want of a CSRF token. `advice` is what the text suggests.
    """
    status: int = response.status_code
    where = address(response)
    at = where and f" (at{where})"
    finals = final if callable(final) else (final,) if isinstance(final, int) else final
    if finals(response) if callable(finals) else status in finals:
        raise RefreshRefused(
            f"the token endpoint refused the refresh token ({status}){where and f' at{where}'}", status_code=status
        )
    body = parse_json(response.content)
    codes = set(codes_in(body))
    what = f"the token endpoint answered {status}{shown_code(codes)}"
    if codes & FINAL_CODES and status < 500:
        raise RefreshRefused(f"{what}: the refresh token is no good any more{at}", status_code=status)
    if codes & CLIENT_CODES and status < 500:
        raise RefreshMisconfigured(f"{what}: {advice.client}{at}", status_code=status)
    what += at
    if 200 <= status < 300:
        return
    if status < 400:
        raise RefreshMisconfigured(f"{what}, {_moved(status)}; {advice.address}", status_code=status)
    retry_after = parse_retry_after(response.headers.get("retry-after"), response.headers.get("date"))
    if status in (408, 425, 429) or status >= 500 or passes(codes):
        raise RefreshUnavailable(what, cause=f"status {status}", status_code=status, retry_after=retry_after)
    has_own_code = any(_OWN_CODE.fullmatch(code) for code in codes)
    texts = list(texts_in(body)) if isinstance(body, dict) else None
    wants_csrf = is_csrf(response.content, texts)
    speaks_of_token = texts is not None and any(_NAMES_THE_TOKEN.search(text) for text in texts)
    if status in (400, 401) and speaks_of_token and not has_own_code and not wants_csrf:
        raise RefreshRefused(f"{what} and says that the token is no good", status_code=status)
    if status in _MISPLACED:
        raise RefreshMisconfigured(
            f"{what}: {_MISPLACED[status]}; {advice.sending if status in (406, 415) else advice.address}",
            status_code=status,
        )
    is_unfit = status in (400, 422) and texts is not None and "access_denied" not in codes
    ending = f"if it means that the user must sign in again, {advice.ending(status)}"
    if wants_csrf:
        text = f"{what}, which is its protection against CSRF: {advice.csrf}"
    elif is_unfit:
        text = f"{what}{complaint(body, _request_of(response))}: {advice.sending}; {ending}"
    else:
        text = (
            f"{what}, which does not say that the token is no good; {ending}; if that surprises you, {advice.sending}"
        )
    if is_unfit:
        raise RefreshMisconfigured(text, status_code=status)
    raise RefreshUnavailable(text, cause=f"status {status}", status_code=status, retry_after=retry_after, repeat=False)


def judge_login(response: Any, advice: Advice = OF_A_LOGIN) -> None:
    """The same for the answer to a login: a refusal speaks of the credentials."""
    status: int = response.status_code
    try:
        judge(response, (), advice)
    except (RefreshRefused, RefreshUnavailable, RefreshMisconfigured) as judged:
        body = parse_json(response.content)
        codes = set(codes_in(body))
        answered = f"{status}{shown_code(codes)}"
        clients = codes & CLIENT_CODES
        where = address(response)
        at = where and f" at{where}"
        if clients == {"invalid_request"}:  # some servers say so of a wrong password
            raise RefreshRefused(
                f"the server refused the login ({status} invalid_request){at}: check the credentials first; "
                f"then {advice.client}",
                status_code=status,
            ) from None
        texts = list(texts_in(body)) if isinstance(body, dict) else None
        if status in (404, 405) and not clients:
            what = f"there is no login at this address{where} (status {answered}); {advice.address}"
            raise RefreshMisconfigured(what, status_code=status) from None
        if status == 401 and wants_a_token(texts or ()):
            what = (
                f"there is no login at this address{where}, which wants a token (status {answered}); {advice.address}"
            )
            raise RefreshMisconfigured(what, status_code=status) from None
        if isinstance(judged, RefreshRefused):
            pass
        elif clients or passes(codes) or status in (406, 408, 415, 425, 429) or not 400 <= status < 500:
            raise
        elif is_csrf(response.content, texts):
            what = f"the token endpoint answered {answered}{at}, which is its protection against CSRF"
            raise RefreshMisconfigured(f"{what}: {advice.csrf}", status_code=status) from None
        named = complaint(body, _request_of(response))
        named = named and f"{named}; {advice.sending}"
        refused = RefreshRefused(f"the server refused the credentials ({answered}){at}{named}", status_code=status)
        raise refused from None


def _moved(status: int) -> str:
    if status not in _REDIRECTS:
        return "an unexpected status: look at what stands between here and there"
    how = "is not followed" if status in (307, 308) else "would turn the POST into a GET"
    return f"a redirect, which {how}; use the address it points to (often the same with a slash at the end)"


def _request_of(response: Any) -> Any:
    try:
        return response.request
    except RuntimeError:  # of httpx: it was not set
        return None


def httpx_kinds(error: BaseException) -> set[str]:
    """The classes of httpx, or of httpx2, that this error is one of, by name."""
    return {base.__name__ for base in type(error).__mro__ if base.__module__.partition(".")[0] in ("httpx", "httpx2")}


def failure_of(error: BaseException, judge: Callable[[Any], None] = judge) -> Failure:
    """Class whatever a refresh callable raised; `judge` says what an answer means that it raised an HTTP error for.

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
        return _failure_of_status(error, judge)
    asked = f"the token endpoint{address(error)}"
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        wrong = RefreshMisconfigured(
            f"{asked} cannot be asked ({type(error).__name__}): check the address, and the headers that are sent"
        )
        return Failure("misconfigured", _caused(wrong, error))
    if names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}:
        unsent = RefreshUnavailable(f"{asked}: {reason(error, names)}", cause=type(error).__name__)
        return Failure("transient", _caused(unsent, error), True)
    if names & {"HTTPError", "StreamError"}:
        lost = f"{asked}: {reason(error, names)}, and whether the request counts is not known"
        return Failure("in_doubt", _caused(RefreshUnavailable(lost, cause=type(error).__name__), error))
    if isinstance(error, NotCalled):
        uncalled = RefresherError(f"the refresh callable cannot be called with the tokens: {error}", cause=error.cause)
        return Failure("crashed", _caused(uncalled, error.__cause__ or error))
    crashed = RefresherError(f"the refresh callable raised {type(error).__name__}{remedy(error)}")
    crashed.__cause__ = own_frames(error)
    return Failure("in_doubt", crashed)


def remedy(error: BaseException) -> str:
    """What to do about an error that speaks of event loops; "" for any other."""
    try:
        speaks_of_loops = any(_OTHER_LOOP.search(str(link)) for link in chain(error))
    except BaseException:  # one that cannot be shown
        return ""
    if not speaks_of_loops:
        return ""
    return (
        ": an async callable runs on an event loop of its own each time, to which an httpx.AsyncClient made outside of "
        "it is not bound; make the client inside the function, or use a sync httpx.Client or a built-in refresher"
    )


def _failure_of_status(error: Any, judge: Callable[[Any], None]) -> Failure:
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
