"""What each answer of a token endpoint means (B41): the same table for a built-in refresher and for a callable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from refresher_kit import HTML, Reply, Site, failed, site

from rxauth import Tokens, simplejwt
from rxauth.errors import RefreshMisconfigured, RefreshRefused, RefreshUnavailable
from rxauth.refreshers.failures import Failure, failure_of, judge

BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}
EXPIRED = {
    "detail": "Given token not valid for any token type",
    "code": "token_not_valid",
    "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is expired"}],
}

FINAL: list[tuple[int, Any]] = [
    (400, {"error": "invalid_grant"}),
    (400, {"error": "invalid_grant", "error_description": "Token is not active"}),
    (400, {"error": " Invalid_Grant "}),
    (400, {"error": {"code": "invalid_grant"}}),
    (400, {"error": {"error": {"code": "invalid_grant"}}}),
    (401, {"error": "invalid_grant"}),
    (403, {"error": "invalid_grant"}),  # B22
    (404, {"error": "invalid_grant"}),
    (422, {"error": "invalid_grant"}),
    (200, {"error": "invalid_grant"}),
    (200, {"error": "invalid_grant", "access": "and-a-token-all-the-same"}),
    (301, {"error": "invalid_grant"}),
    (429, {"error": "invalid_grant"}),
    (401, BLACKLISTED),
    (401, EXPIRED),
    (401, {"detail": "No active account found for the given token.", "code": "no_active_account"}),
    (403, BLACKLISTED),
    (401, {"error_code": "refresh_token_not_found"}),
    (400, {"code": "refresh_token_expired"}),
    (401, {"error": "invalid_token"}),
    (422, {"code": "token_revoked"}),
    (400, {"code": 17, "error": "bad_refresh_token"}),
    (401, {"msg": "Token has expired"}),  # Flask-JWT-Extended has no codes
    (401, {"msg": "Token has been revoked"}),
    (400, {"detail": "The refresh token is malformed."}),
    (400, {"errors": [{"message": "token unknown"}]}),
    (400, {"error": "interaction_required", "error_description": "AADSTS50076: use multi-factor authentication"}),
    (400, {"error": "consent_required"}),
    (401, {"error": "login_required"}),
    (401, {"error": "Unauthorized", "message": "Refresh token expired"}),  # NestJS and Spring repeat the status
    (400, {"error": "Bad Request", "message": "Invalid refresh token"}),
    (401, {"error": "BAD_REQUEST", "code": "401", "message": "Invalid refresh token"}),
    (401, {"error": "Token has expired"}),
    (401, {"code": "REFRESH_TOKEN_INVALID", "message": "The token is unknown."}),
    (401, {"error": "JsonWebTokenError", "message": "invalid token"}),
]

MISCONFIGURED: list[tuple[int, Any]] = [
    (401, {"error": "invalid_client"}),
    (400, {"error": "invalid_client"}),
    (200, {"error": "invalid_client"}),
    (400, {"error": "unauthorized_client"}),
    (400, {"error": "unsupported_grant_type"}),
    (400, {"error": "invalid_scope"}),
    (400, {"error": "invalid_request", "error_description": "token parameter is missing"}),
    (301, b""),
    (302, HTML),
    (307, b""),
    (308, b""),
    (404, HTML),
    (404, {"detail": "Not found."}),
    (405, {"detail": 'Method "POST" not allowed.'}),
    (406, b""),
    (415, {"detail": "Unsupported media type."}),
    (400, {"refresh": ["This field is required."]}),
    (400, {}),
    (400, {"error": "something_else"}),
    (400, {"error": "something_else", "error_description": "The token endpoint says no."}),
    (422, {"msg": "Not enough segments"}),
    (422, {"detail": [{"loc": ["body", "refresh"], "msg": "field required"}]}),
]

#: Transient, and the same refresh may try again.
REPEATED: list[tuple[int, Any]] = [
    (408, b""),
    (425, b""),
    (429, {"detail": "Request was throttled."}),
    (429, b""),
    (500, HTML),
    (500, {"error": "invalid_grant"}),
    (500, {"detail": "token table is gone"}),
    (502, HTML),
    (503, b"try later"),
    (503, {"error": "invalid_client"}),
    (503, {"error": "temporarily_unavailable"}),
    (504, b""),
    (599, b""),
    (400, {"error": "temporarily_unavailable", "error_description": "The token endpoint is overloaded."}),
    (400, {"error": "temporarily_unavailable"}),
    (401, {"error": "server_error", "error_description": "could not read the token table"}),
    (400, {"error": "Slow_Down"}),
    (400, {"error": {"code": "rate_limit_exceeded", "message": "too many token requests"}}),
    (403, {"code": "too_many_requests"}),
    (422, {"code": "server_error"}),
    (400, {"error": "internal_failure"}),
    (400, {"error": "internal_failure", "error_description": "The token could not be stored."}),
    (400, {"error": "Internal Server Error"}),
    (401, {"code": "INTERNAL"}),
    (400, {"error": "InternalErrorException"}),
    (403, {"error": {"code": "service-unavailable"}}),
    (400, {"error_code": "gateway_timeout"}),
]

#: Transient, but asking again at once would bring the same.
NOT_REPEATED: list[tuple[int, Any]] = [
    (400, b""),
    (401, b""),
    (403, b""),
    (400, HTML),
    (401, HTML),
    (403, HTML),
    (401, b"<p>the token is no good</p>"),
    (401, []),
    (401, ["token is no good"]),
    (401, "token"),
    (401, b"\xff\xfe\x00"),
    (401, b'{"code": "token_not_valid"'),
    (401, b"[" * 100_000),
    (401, {}),
    (401, {"msg": "Missing Authorization Header"}),
    (401, {"detail": "CSRF token missing"}),
    (401, {"detail": "no tokenizer, no tokens"}),
    (403, {"detail": "this token is not for you"}),
    (403, {"code": 10}),
    (401, {"error": "maintenance", "message": "The token service is down for an hour."}),
    (401, {"code": "E1042", "message": "no token today"}),
    (401, {"code": "csrf_token_invalid", "message": "The token of the form is wrong."}),
    (400, {"error": "access_denied", "error_description": "No token for this address."}),
    (401, {"error": "access_denied"}),
    (403, {"error": "access_denied"}),
    (409, {"detail": "busy"}),
    (418, b""),
    (422, HTML),
]

TABLE = [
    *((status, body, "final", RefreshRefused, False) for status, body in FINAL),
    *((status, body, "misconfigured", RefreshMisconfigured, False) for status, body in MISCONFIGURED),
    *((status, body, "transient", RefreshUnavailable, True) for status, body in REPEATED),
    *((status, body, "transient", RefreshUnavailable, False) for status, body in NOT_REPEATED),
]
table = pytest.mark.parametrize(
    ("status", "body", "kind", "error", "repeat"),
    TABLE,
    ids=[f"{status}-{str(body)[:40]}" for status, body, *_ in TABLE],
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with site() as opened:
        yield opened


#: One for all, because making one loads the machine's certificates.
TRANSPORT = httpx.HTTPTransport()


def check(failure: Failure, status: int, kind: str, error: type[Exception], repeat: bool) -> None:
    assert (failure.kind, type(failure.error), failure.repeat) == (kind, error, repeat)
    assert failure.error.status_code == status  # type: ignore[attr-defined]
    assert f"answered {status}" in str(failure.error)
    assert "<h1>" not in str(failure.error)


@table
def test_what_an_answer_means(status: int, body: Any, kind: str, error: type[Exception], repeat: bool) -> None:
    with pytest.raises(error) as caught:
        judge(httpx.Response(status, content=Reply(body).content))
    check(failure_of(caught.value), status, kind, error, repeat)


@table
def test_the_same_answer_to_a_built_in_refresher(
    shared: Site, status: int, body: Any, kind: str, error: type[Exception], repeat: bool
) -> None:
    shared.say(body, status, [("location", "/elsewhere/")] if status < 400 else ())
    check(failed(simplejwt(shared.url, transport=TRANSPORT)), status, kind, error, repeat)
    assert shared.last.path == "/api/token/refresh/"


@table
def test_the_same_answer_to_a_callable_that_raises_for_status(
    status: int, body: Any, kind: str, error: type[Exception], repeat: bool
) -> None:
    if status < 300:
        return  # of such an answer the callable itself makes what it will

    def refresh(tokens: Tokens) -> Any:
        request = httpx.Request("POST", "https://a.example/token")
        response = httpx.Response(status, content=Reply(body).content, request=request)
        return response.raise_for_status().json()

    check(failed(refresh), status, kind, error, repeat)
