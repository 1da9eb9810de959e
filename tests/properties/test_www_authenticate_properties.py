"""`WWW-Authenticate`: whatever it holds, the status and our own header count, but for a demand for another sign-in."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from rxauth import BearerAuth
from tests.kit import make

CHALLENGES = st.one_of(
    st.sampled_from(
        [b"Bearer", b"bearer", b"BEARER realm=", b'Bearer error="invalid_token"', b'Bearer error="insufficient_scope"',
         b'Basic realm="x", Bearer', b"Negotiate",
         b"Digest nonce", b'Digest realm="a", nonce="b", qop="auth"', b",,,", b'"', b""]
    ),
    st.binary(max_size=40),
)  # fmt: skip
NAMES = st.sampled_from([b"WWW-Authenticate", b"www-authenticate", b"wWw-aUtHeNtIcAtE", b"Proxy-Authenticate"])
HEADERS = st.lists(st.tuples(NAMES, CHALLENGES), max_size=4)


def answered(status: int, headers: Any, body: bytes) -> tuple[int, list[str], int]:
    """(status, tokens that were sent, refreshes) of a call whose first answer is this, and whose next is a 200."""
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        if len(sent) == 1:
            return httpx.Response(status, headers=headers, content=body)
        return httpx.Response(200)

    _, refresher, session = make(life=300, origins=["https://api.example.com"])
    with session, httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(session)) as client:
        response = client.get("https://api.example.com/api/me/")
    return response.status_code, sent, refresher.posts


@given(headers=HEADERS, body=st.binary(max_size=50))
def test_a_401_is_a_refusal_whatever_its_challenge(headers: Any, body: bytes) -> None:
    assert answered(401, headers, body) == (200, ["Bearer access-0", "Bearer access-1"], 1)


@given(headers=HEADERS, status=st.sampled_from([200, 204, 400, 403, 404, 407, 500, 503]))
def test_no_challenge_makes_another_status_a_refusal(headers: Any, status: int) -> None:
    assert answered(status, headers, b"") == (status, ["Bearer access-0"], 0)
