"""Answers that accept the token and ask for more than a refresh can bring: RFC 9470 and RFC 6750 section 3.1."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from bearer_kit import WAYS, Refreshed, accept, drive, get, signed_in

from rxauth import BearerAuth
from rxauth.http.refusals import asks_for_more

STEP_UP = 'Bearer error="insufficient_user_authentication", acr_values="high"'
SCOPE = 'Bearer realm="api", error="insufficient_scope", scope="write"'


def answered(status: int, *challenges: str) -> httpx.Response:
    return httpx.Response(status, headers=[("WWW-Authenticate", text) for text in challenges], content=b"no")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("refused", "status", "challenge"),
    [(401, 401, STEP_UP), ((401, 403), 401, STEP_UP), ((401, 403), 403, SCOPE), (403, 403, SCOPE)],
)
def test_a_demand_for_another_sign_in_or_scope_refreshes_nothing(
    way: str, refused: Any, status: int, challenge: str
) -> None:
    session = signed_in()
    auth = BearerAuth(session, refused=refused)
    sent, response = drive(way, auth, get(), lambda request: _of(answered(status, challenge), request))
    assert (sent, response.status_code) == (["Bearer token-0"], status)
    refresher = session.refresher
    assert isinstance(refresher, Refreshed)
    assert refresher.count == 0


def _of(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    response.request = request
    return response


@pytest.mark.parametrize("way", WAYS)
def test_a_function_of_the_users_decides_itself(way: str) -> None:
    auth = BearerAuth(signed_in(), refused=lambda response: response.status_code == 403)
    sent, _ = drive(way, auth, get(), lambda request: _of(answered(403, SCOPE), request), accept)
    assert sent == ["Bearer token-0", "Bearer token-1"]


@pytest.mark.parametrize("way", WAYS)
def test_the_body_of_such_an_answer_is_left_to_the_caller(way: str) -> None:
    from bearer_kit import Body

    body = Body(b"sign in again", before=lambda: pytest.fail("it was read"))
    answer = httpx.Response(401, headers={"www-authenticate": STEP_UP}, stream=body)
    drive(way, BearerAuth(signed_in()), get(), lambda request: _of(answer, request))


@pytest.mark.parametrize(
    ("status", "challenges", "more"),
    [
        (401, [STEP_UP], True),
        (401, ["Negotiate", STEP_UP], True),
        (401, ['Basic realm="a, error=\\"invalid_token\\", b", ' + STEP_UP], True),
        (401, ['  bEaReR   ERROR = "Insufficient_User_Authentication"  ,max_age=5'], True),
        (401, ["Bearer error=insufficient_user_authentication"], True),
        (401, ['DPoP algs="ES256", Bearer realm="x" , error= "insufficient_user_authentication"'], True),
        (403, [SCOPE], True),
        (403, [STEP_UP], True),
        (401, [SCOPE], False),
        (401, [], False),
        (401, ["Bearer"], False),
        (401, ['Bearer error="invalid_token"'], False),
        (401, [STEP_UP, 'Bearer error="invalid_token"'], False),
        (401, ['Bearer realm="error=insufficient_user_authentication"'], False),
        (401, ['Bearer error_description="insufficient_user_authentication"'], False),
        (401, ['Bearer error="insufficient_user_authentication_x"'], False),
        (401, ['Bearer error="'], False),
        (418, [STEP_UP], False),
    ],
)
def test_a_challenge_is_read_in_any_form(status: int, challenges: list[str], more: bool) -> None:
    """B85"""
    assert asks_for_more(answered(status, *challenges)) is more


@pytest.mark.parametrize(
    "text", ["a" * 60_000, "a " * 30_000, "a" + " " * 60_000, '"' * 60_000, '\\"' * 30_000, "=" * 60_000]
)
def test_a_long_header_takes_time_in_proportion(text: str) -> None:
    """Steps of the pattern would grow with the square of its length otherwise, and the test would not end."""
    assert not asks_for_more(answered(401, text))
