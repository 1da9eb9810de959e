"""A 401: whose it is, what it costs, and what is sent again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from http_kit import KINDS, Kind, authorizations, signed_in

from rxauth import BearerAuth, Session, simplejwt
from rxauth.errors import NotReplayable, SessionExpired
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.testing import TokenServer, faults

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


@kinds
def test_an_expired_token_is_refreshed_before_the_call(server: TokenServer, kind: Kind) -> None:
    response = kind.run(signed_in(server, expired=True), lambda send: send("GET", f"{server.url}/api/me/"))
    assert (response.status_code, server.posts, len(server.api_calls)) == (200, 1, 1)


@kinds
def test_a_refused_token_is_replaced_and_the_call_sent_once_more(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    server.revoke_access()
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert (response.status_code, server.posts, len(server.api_calls)) == (200, 1, 2)
    first, second = authorizations(server)
    assert first != second


@kinds
@pytest.mark.parametrize(
    "body",
    [
        {"json": {"message": "hi"}},
        {"data": {"a": "1", "b": "ä"}},
        {"content": b"\x00\x01binary"},
        {"content": "text"},
    ],
    ids=["json", "form", "bytes", "str"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_the_body_arrives_again_whole(server: TokenServer, kind: Kind, method: str, body: dict[str, Any]) -> None:
    """B80: over sockets, because MockTransport hides an exhausted stream."""
    session = signed_in(server)
    server.revoke_access()
    response = kind.run(session, lambda send: send(method, f"{server.url}/api/echo/", **body))
    first, second = server.api_calls
    assert response.status_code == 200
    assert first.body
    assert response.content == first.body == second.body


@kinds
def test_a_multipart_of_a_seekable_file_is_sent_again(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    server.revoke_access()
    file = io.BytesIO(b"x" * 100_000)
    response = kind.run(session, lambda send: send("POST", f"{server.url}/api/echo/", files={"file": file}))
    first, second = server.api_calls
    assert response.status_code == 200
    assert len(first.body) > 100_000
    assert first.body == second.body


@kinds
def test_a_generator_body_is_not_sent_again_and_the_refusal_says_why(server: TokenServer, kind: Kind) -> None:
    """B81: refresh once, the 401 is returned, typed."""
    session = signed_in(server)
    server.revoke_access()

    def chunks() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    response = kind.run(session, lambda send: send("POST", f"{server.url}/api/echo/", content=chunks()))
    assert (response.status_code, server.posts, len(server.api_calls)) == (401, 1, 1)
    assert isinstance(response.extensions["rxauth"], NotReplayable)
    assert response.json()["code"] == "token_not_valid", "the refusal can still be read"


@kinds
def test_an_api_that_refuses_whatever_comes_costs_two_sends_and_one_refresh(server: TokenServer, kind: Kind) -> None:
    """B20"""
    session = signed_in(server)
    server.reject_all_api(401)
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert (response.status_code, server.posts, len(server.api_calls)) == (401, 1, 2)


@kinds
def test_a_403_is_the_callers(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    server.reject_all_api(403)
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert (response.status_code, server.posts, len(server.api_calls)) == (403, 0, 1)


@kinds
@pytest.mark.parametrize(
    "refused",
    [403, (401, 403), lambda response: response.json().get("code") == "token_not_valid"],
    ids=["status", "statuses", "function"],
)
def test_which_answers_mean_refused_is_one_keyword(server: TokenServer, kind: Kind, refused: Any) -> None:
    session = signed_in(server)
    server.reject_all_api(403)
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"), auth={"refused": refused})
    assert (response.status_code, server.posts, len(server.api_calls)) == (403, 1, 2)


@kinds
def test_a_header_that_the_caller_set_is_his_and_so_is_its_refusal(server: TokenServer, kind: Kind) -> None:
    """B54"""
    session = signed_in(server)
    response = kind.run(
        session, lambda send: send("GET", f"{server.url}/api/me/", headers={"Authorization": "Bearer mine"})
    )
    assert (response.status_code, server.posts) == (401, 0)
    assert authorizations(server) == ["Bearer mine"]


@kinds
def test_our_own_previous_token_in_a_header_is_replaced(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    old = session.auth.tokens
    assert old is not None
    kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    new = session.replace(old).run()
    headers = {"Authorization": f"Bearer {new.access}"}
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/", headers=headers))
    assert response.status_code == 200


@kinds
def test_auth_none_sends_one_call_bare(server: TokenServer, kind: Kind) -> None:
    response = kind.run(signed_in(server), lambda send: send("GET", f"{server.url}/api/public/", auth=None))
    assert response.status_code == 200
    assert authorizations(server) == [None]


@kinds
def test_a_refused_refresh_token_is_the_errors_and_carries_the_401(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    server.revoke_family()
    with pytest.raises(SessionExpired) as caught:
        kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert caught.value.response.status_code == 401
    assert caught.value.response.request.url.path == "/api/me/"
    assert (server.posts, len(server.api_calls)) == (1, 1)


@kinds
def test_no_call_is_sent_when_the_refresh_is_refused(server: TokenServer, kind: Kind) -> None:
    """B11"""
    session = signed_in(server, expired=True)
    server.revoke_family()
    with pytest.raises(SessionExpired):
        kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert len(server.api_calls) == 0


@kinds
def test_challenges_are_not_needed_to_recognise_a_refusal(server: TokenServer, kind: Kind) -> None:
    """B85: several challenges, odd case and spacing, or none at all: what counts is the status."""
    session = signed_in(server)
    server.revoke_access()
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert response.status_code == 200


@kinds
def test_the_refresh_carries_no_access_token(server: TokenServer, kind: Kind) -> None:
    """B15"""
    kind.run(signed_in(server, expired=True), lambda send: send("GET", f"{server.url}/api/me/"))
    [refresh] = [seen for seen in server.requests if seen.path == "/api/token/refresh/"]
    assert "authorization" not in refresh.headers


@kinds
def test_header_and_scheme_are_keywords(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server)
    access = session.auth.tokens.access  # type: ignore[union-attr]
    how = {"header": "X-Access-Token", "scheme": ""}
    kind.run(session, lambda send: send("GET", f"{server.url}/api/public/"), auth=how)
    assert server.api_calls[0].headers["x-access-token"] == access
    assert authorizations(server) == [None]


@kinds
def test_one_connection_is_enough_because_the_refusal_holds_none(server: TokenServer, kind: Kind) -> None:
    """B16"""
    import importlib

    library = importlib.import_module(kind.client.__module__.partition(".")[0])
    session = signed_in(server)
    server.revoke_access()
    limits = library.Limits(max_connections=1)
    timeout = library.Timeout(20, pool=5)
    response = kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"), limits=limits, timeout=timeout)
    assert (response.status_code, server.posts) == (200, 1)


@kinds
def test_a_503_during_the_replacement_keeps_the_tokens(server: TokenServer, kind: Kind) -> None:
    from rxauth.errors import RefreshUnavailable

    session = signed_in(server)
    before = session.auth.tokens
    server.revoke_access()
    server.always(faults.unavailable(503))
    with pytest.raises(RefreshUnavailable) as caught:
        kind.run(session, lambda send: send("GET", f"{server.url}/api/me/"))
    assert caught.value.response.status_code == 401
    assert session.auth.tokens == before


def test_unknown_elsewhere_is_refused() -> None:
    from rxauth import BearerAuth, Session

    with pytest.raises(ValueError, match="'refuse' or 'bare'"):
        BearerAuth(Session(lambda tokens: tokens), elsewhere="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("refused", ["403", b"401", [401, "403"], None, 401.0, True])
def test_what_is_no_status_is_refused(refused: Any) -> None:
    with pytest.raises(TypeError, match="refused must be a status such as 401, several, or a function"):
        BearerAuth(Session(lambda tokens: tokens), refused=refused)


@pytest.mark.parametrize("session", ["a token", simplejwt("https://a.example")])
def test_what_is_no_session_is_refused(session: Any) -> None:
    with pytest.raises(TypeError, match=r"BearerAuth\(\) needs a Session, got \w+: BearerAuth\(Session\(simplejwt"):
        BearerAuth(session)


def test_its_repr_says_for_which_library_it_is() -> None:
    session = Session(lambda tokens: tokens)
    assert repr(BearerAuth(session)) == f"rxauth.http.BearerAuth({session!r})"
    assert repr(BearerAuth2(session)) == f"rxauth.http.httpx2.BearerAuth({session!r})"
