"""B114: a redirect from one of the session's own origins to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from bearer_kit import URL, accept, drive, get
from http_kit import KINDS, Kind, authorizations, signed_in

from rxauth import BearerAuth, Session, Tokens
from rxauth.errors import NotReplayable, NotSignedIn, SessionChanged
from rxauth.testing import TokenServer

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def other(server: TokenServer) -> str:
    """The same server under another name: another origin."""
    return server.url.replace("127.0.0.1", "localhost")


def has_header(server: TokenServer) -> list[bool]:
    return [value is not None for value in authorizations(server)]


@kinds
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_of_our_origins_gets_the_token(server: TokenServer, kind: Kind, status: int) -> None:
    """B114: httpx drops the header on the way."""
    session = signed_in(server, origins=[other(server)])
    path = f"{server.url}/api/redirect/?status={status}&to={other(server)}/api/me/"
    response = kind.run(session, lambda send: send("GET", path), follow_redirects=True)
    assert (response.status_code, response.url.host, server.posts) == (200, "localhost", 0)
    assert has_header(server) == [True, False, True]


@kinds
def test_a_token_that_is_refused_behind_the_redirect_is_replaced(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server, origins=[other(server)])
    server.revoke_access()
    path = f"{server.url}/api/redirect/?to={other(server)}/api/me/"
    response = kind.run(session, lambda send: send("GET", path), follow_redirects=True)
    assert (response.status_code, server.posts) == (200, 1)
    assert has_header(server) == [True, False, True, True]


@kinds
def test_an_origin_that_refuses_whatever_comes_costs_one_refresh_behind_a_redirect(
    server: TokenServer, kind: Kind
) -> None:
    session = signed_in(server, origins=[other(server)])
    path = f"{server.url}/api/redirect/?to={other(server)}/api/me/"
    server.reject_all_api(401)
    response = kind.run(session, lambda send: send("GET", path), follow_redirects=True)
    assert (response.status_code, server.posts) == (401, 1)


@kinds
def test_the_body_arrives_whole_behind_a_redirect(server: TokenServer, kind: Kind) -> None:
    session = signed_in(server, origins=[other(server)])
    hop = redirecting(kind, f"{other(server)}/api/echo/", server.url)
    response = kind.run(session, lambda send: send("POST", "/first", json={"a": 1}), follow_redirects=True, **hop)
    assert (response.status_code, response.json()) == (200, {"a": 1})
    assert {seen.body for seen in server.api_calls} == {b'{"a":1}'}


def redirecting(kind: Kind, to: str, base_url: str) -> dict[str, Any]:
    """Options of a client whose `/first` redirects there with 307; all else goes over real sockets."""
    library: Any = httpx2 if "httpx2" in kind.name else httpx
    real = library.AsyncHTTPTransport if kind.is_async else library.HTTPTransport

    class First(real):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            if request.url.path != "/first":
                return super().handle_request(request)
            return library.Response(307, headers={"location": to})

        async def handle_async_request(self, request: Any) -> Any:
            if request.url.path != "/first":
                return await super().handle_async_request(request)
            return library.Response(307, headers={"location": to})

    return {"transport": First(), "base_url": base_url}


@kinds
def test_a_redirect_through_a_foreign_origin_gets_no_token(server: TokenServer, kind: Kind) -> None:
    """It would be a request that the foreign origin wrote."""
    session = signed_in(server, origins=[other(server)])
    with TokenServer() as foreign:
        back = f"{foreign.url}/api/redirect/?to={other(server)}/api/me/"
        path = f"{server.url}/api/redirect/?to={back}"
        response = kind.run(session, lambda send: send("GET", path), follow_redirects=True)
        assert authorizations(foreign) == [None]
    assert (response.status_code, server.posts) == (401, 0)
    assert has_header(server) == [True, False]


class Mocked:
    """A client of a session, whose `https://a.example` redirects to `to`; and what was sent where."""

    def __init__(self, kind: Kind, to: str, *, answer: int = 401, origins: tuple[str, ...] = ()) -> None:
        self.sent: list[tuple[str, str | None]] = []
        self.answer, self.to = answer, to
        self.library: Any = httpx2 if "httpx2" in kind.name else httpx
        self.session: Session[Any] = Session(
            lambda tokens: Tokens("new", "r2"), tokens=Tokens("t", "r"), origins=["https://a.example", *origins]
        )
        self.before_answer = lambda: None
        self._kind = kind

    def get(self, **how: Any) -> Any:
        transport = self.library.MockTransport(self._reply)
        return self._kind.run(
            self.session,
            lambda send: send("GET", "https://a.example/", **how),
            follow_redirects=True,
            transport=transport,
        )

    def _reply(self, request: Any) -> Any:
        header = request.headers.get("authorization")
        self.sent.append((str(request.url), header))
        if request.url.host == "a.example":
            return self.library.Response(302, headers={"location": self.to})
        if header is None:
            self.before_answer()
            return self.library.Response(self.answer)
        return self.library.Response(200)


@kinds
@pytest.mark.parametrize("to", ["http://localhost/x", "http://b.example/x"])
def test_a_redirect_from_https_to_http_gets_no_token(kind: Kind, to: str) -> None:
    mocked = Mocked(kind, to, origins=("http://localhost", "http://b.example"))
    assert mocked.get().status_code == 401
    assert mocked.sent == [("https://a.example/", "Bearer t"), (to, None)]


@kinds
def test_a_foreign_401_stays_one_behind_a_redirect(kind: Kind) -> None:
    mocked = Mocked(kind, "https://evil.example/x", origins=("https://b.example",))
    assert mocked.get().status_code == 401
    assert mocked.sent[1:] == [("https://evil.example/x", None)]


@kinds
@pytest.mark.parametrize("answer", [200, 403, 404, 500])
def test_an_answer_to_a_redirect_without_the_token_that_is_no_401_is_passed_on(kind: Kind, answer: int) -> None:
    mocked = Mocked(kind, "https://b.example/x", answer=answer, origins=("https://b.example",))
    assert mocked.get().status_code == answer
    assert len(mocked.sent) == 2


@kinds
def test_a_header_of_the_callers_is_not_ours_behind_a_redirect(kind: Kind) -> None:
    mocked = Mocked(kind, "https://b.example/x", origins=("https://b.example",))
    assert mocked.get(headers={"Authorization": "Bearer mine"}).status_code == 401
    assert mocked.sent == [("https://a.example/", "Bearer mine"), ("https://b.example/x", None)]


@kinds
def test_who_signs_out_or_in_during_the_redirect_is_not_sent(kind: Kind) -> None:
    for change, error in (
        (lambda session: session.logout().run(), NotSignedIn),
        (lambda session: session.sign_in(Tokens("bobs", "r")).run(), SessionChanged),
    ):
        mocked = Mocked(kind, "https://b.example/x", origins=("https://b.example",))
        mocked.before_answer = lambda change=change, mocked=mocked: change(mocked.session)  # type: ignore[misc]
        with pytest.raises(error):
            mocked.get()
        assert mocked.sent == [("https://a.example/", "Bearer t"), ("https://b.example/x", None)]


@kinds
def test_two_of_our_origins_that_redirect_to_each_other_end(kind: Kind) -> None:
    mocked = Mocked(kind, "https://b.example/", origins=("https://b.example",))

    def reply(request: Any) -> Any:
        mocked.sent.append((str(request.url), request.headers.get("authorization")))
        if request.headers.get("authorization") is None:
            return mocked.library.Response(401)
        to = "https://b.example/" if request.url.host == "a.example" else "https://a.example/"
        return mocked.library.Response(302, headers={"location": to})

    mocked._reply = reply  # type: ignore[method-assign]
    with pytest.raises((httpx.TooManyRedirects, httpx2.TooManyRedirects)):
        mocked.get()
    assert len(mocked.sent) < 100


def behind_a_redirect(status: int, *, refused: Any = 401, **headers: str) -> list[str]:
    """The headers of a call whose redirect to another of our origins is answered so while it goes without the token."""
    session = Session(lambda tokens: tokens, tokens=Tokens("t", "r"), origins=[URL, "https://b.example"])

    def redirected(request: httpx.Request) -> httpx.Response:
        first = httpx.Response(302, request=request)
        hop = httpx.Request("GET", "https://b.example/x", headers=headers, extensions=request.extensions)
        return httpx.Response(status, request=hop, history=[first], content=b"no")

    return drive("sync", BearerAuth(session, refused=refused), get(), redirected, accept)[0]


@pytest.mark.parametrize(
    ("status", "refused", "is_sent_again"),
    [
        (401, 403, True),
        (403, 401, False),
        (403, (401, 403), True),
        (403, lambda response: response.content == b"no", True),
        (403, lambda response: False, False),
        (401, lambda response: False, True),
        (404, lambda response: response.status_code == 403, False),
    ],
)
def test_without_the_token_a_401_or_a_refusal_of_the_users_is_sent_again(
    status: int, refused: Any, is_sent_again: bool
) -> None:
    """Whatever the API calls a refused token: a 401 says that there was none."""
    assert behind_a_redirect(status, refused=refused) == ["Bearer t"] + ["Bearer t"] * is_sent_again


def test_a_header_that_a_hook_gave_the_redirected_request_is_not_ours() -> None:
    assert behind_a_redirect(401, Authorization="Basic eA==") == ["Bearer t"]


def test_a_body_that_can_be_read_once_says_that_it_went_without_the_token() -> None:
    session = Session(lambda tokens: tokens, tokens=Tokens("t", "r"), origins=[URL, "https://b.example"])

    def redirected(request: httpx.Request) -> httpx.Response:
        first = httpx.Response(307, request=request)
        hop = httpx.Request("POST", "https://b.example/x", content=iter([b"a"]), extensions=request.extensions)
        return httpx.Response(401, request=hop, history=[first], content=b"no")

    _, response = drive("sync", BearerAuth(session), get(), redirected)
    why = response.extensions["rxauth"]
    assert isinstance(why, NotReplayable)
    assert "POST /x was answered 401; a redirect took it there without the token" in str(why)
