"""`token_type` says how an access token is sent; one that needs more than a header is not sent as Bearer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from rxauth import Session, Tokens, oauth2
from rxauth.errors import InvalidTokens, LoginFailed, RefreshMisconfigured
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair, stale

ANSWER = {"access_token": "a2", "refresh_token": "r2", "expires_in": 300}
unsendable = pytest.mark.parametrize("token_type", ["DPoP", "dpop", " DPOP ", "PoP", "mac", "N_A"])


def server(token_type: Any, posts: list[bytes]) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        posts.append(request.content)
        return httpx.Response(200, json={**ANSWER, "token_type": token_type})

    return oauth2("https://auth.example/token", transport=httpx.MockTransport(answer))


@unsendable
def test_a_refresh_that_brings_one_is_misconfigured_and_says_so(token_type: str) -> None:
    time, posts = VirtualTime(), []  # type: tuple[VirtualTime, list[bytes]]
    session = Session(server(token_type, posts), tokens=stale(time), time=time)
    for _ in range(5):
        with pytest.raises(RefreshMisconfigured, match=f"token_type is {token_type.strip()}, "):
            session.fresh().run()
        time.advance(10)
    assert len(posts) == 1, "the server has spent the refresh token: a second post would be a reuse"
    assert session.auth.tokens is not None
    assert (session.auth.tokens.access, session.auth.in_doubt) == ("access-0", True)


@unsendable
def test_a_login_that_brings_one_fails_for_good(token_type: str) -> None:
    session = Session(server(token_type, []), time=VirtualTime())
    with pytest.raises(LoginFailed, match=f"token_type is {token_type.strip()}, ") as caught:
        session.login(username="ada", password="x").run()
    assert not caught.value.transient
    assert session.auth.tokens is None


def test_so_does_a_callable_that_returns_the_answer() -> None:
    time = VirtualTime()
    refresher = FakeRefresher(time, script=[lambda tokens: {**ANSWER, "token_type": "DPoP"}])
    with pytest.raises(RefreshMisconfigured, match="token_type is DPoP"):
        Session(refresher, tokens=stale(time), time=time).fresh().run()


def test_a_pair_that_is_brought_with_one_is_refused_at_once() -> None:
    time = VirtualTime()
    session = Session(FakeRefresher(time), tokens=pair(time), time=time)
    with pytest.raises(InvalidTokens, match="token_type is DPoP"):
        session.sign_in({**ANSWER, "token_type": "DPoP"})
    with pytest.raises(InvalidTokens, match="token_type is DPoP"):
        Session(FakeRefresher(time), tokens={**ANSWER, "token_type": "DPoP"}, time=time)


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", "Bearer ", "JWT", "Token", "access", "", None, 7, ["DPoP"]])
def test_anything_else_counts_as_bearer(token_type: Any) -> None:
    assert Tokens.from_response({**ANSWER, "token_type": token_type}).access == "a2"
