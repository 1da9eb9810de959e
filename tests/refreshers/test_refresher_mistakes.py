"""What a refresher does not take, or does not send: wrong keywords and addresses, endless answers, others' tokens."""

from __future__ import annotations

import asyncio
import gzip
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from refresher_kit import REFRESH, Site, brought, failed, nobody_listens

from rxauth import BearerAuth, RefreshUnavailable, Session, SessionExpired, Tokens, oauth2, simplejwt
from rxauth.errors import RefreshMisconfigured
from rxauth.refreshers import Refresher
from rxauth.refreshers.endpoint import EndpointOptions
from rxauth.refreshers.response_body import MAX_ANSWER
from rxauth.testing import TokenServer, faults

both = pytest.mark.parametrize("make", [simplejwt, oauth2], ids=["simplejwt", "oauth2"])


@both
def test_an_unknown_keyword_names_those_that_there_are(make: Any) -> None:
    with pytest.raises(TypeError, match=r"\w+\(\) has no keyword 'expires_name', 'sned'; there are \w+_") as caught:
        make("https://a.example", sned="json", expires_name="x", expiry="jwt")
    for known in EndpointOptions.__optional_keys__:
        assert known in str(caught.value)


@both
@pytest.mark.parametrize(
    ("keyword", "wrong", "named"),
    [("send", "body", "json, form, header, cookie"), ("expiry", "minutes", "seconds, milliseconds, epoch")],
)
def test_an_unknown_choice_names_those_that_there_are(make: Any, keyword: str, wrong: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        make("https://a.example", **{keyword: wrong})
    assert f"got {wrong!r}" in str(caught.value)


@both
@pytest.mark.parametrize("url", ["", "/token", "a.example/token", "//a.example/token", "ftp://a.example", "https://"])
def test_an_address_that_is_not_absolute_is_refused_at_once(make: Any, url: str) -> None:
    with pytest.raises(ValueError, match="expected an absolute URL such as 'https://"):
        make(url)


def test_a_logout_address_that_is_not_absolute_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"absolute URL .* got '/revoke'"):
        oauth2("https://a.example/token", logout_url="/revoke")


def test_a_secret_without_a_client_id_is_refused() -> None:
    with pytest.raises(ValueError, match="pass both") as caught:
        oauth2("https://a.example/token", client_secret="hush")
    assert "hush" not in str(caught.value)


@both
@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example/x", "https://a.example"),
        ("https://a.example:8443/x", "https://a.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
    ],
)
def test_the_origin_of_a_refresher_is_that_of_its_address(make: Any, url: str, origin: str) -> None:
    assert make(url).origins == (origin,)


@pytest.mark.parametrize("extra", [0, 1])
def test_an_answer_may_be_this_large_and_not_larger(endpoint: Site, extra: int) -> None:
    body = b'{"access": "a2"}'
    endpoint.say(body + b" " * (MAX_ANSWER - len(body) + extra))
    if not extra:
        assert brought(simplejwt(endpoint.url)).access == "a2"
        return
    failure = failed(simplejwt(endpoint.url))
    assert (type(failure.error), failure.repeat) == (RefreshUnavailable, False)
    assert f"longer than {MAX_ANSWER} bytes" in str(failure.error)


def test_a_large_refusal_is_not_read_to_its_end_either(endpoint: Site) -> None:
    failure = failed(simplejwt(endpoint.say(b"x" * (MAX_ANSWER + 1), 401).url))
    assert failure.error.status_code == 401  # type: ignore[attr-defined]
    assert failure.error.cause == "endless answer"  # type: ignore[attr-defined]


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "gzip, identity", "utf-8, Gzip"])
def test_a_compressed_answer_is_read(endpoint: Site, coding: str) -> None:
    endpoint.say(gzip.compress(b'{"access": "a2"}'), headers=[("content-encoding", coding)])
    assert brought(simplejwt(endpoint.url)).access == "a2"


@pytest.mark.parametrize("coding", ["", "UTF-8", "none", "identity", "IDENTITY", "identity, utf-8"])
def test_a_coding_that_is_none_does_not_cost_the_new_refresh_token(endpoint: Site, coding: str) -> None:
    endpoint.say({"access": "a2", "refresh": "r2"}, headers=[("content-encoding", coding)])
    assert brought(simplejwt(endpoint.url)).refresh == "r2"


@pytest.mark.parametrize("coding", ["gzip, gzip", "x-gzip,DEFLATE", "br"])
def test_what_is_compressed_twice_or_in_another_way_is_in_doubt(endpoint: Site, coding: str) -> None:
    body = gzip.compress(gzip.compress(b'{"access": "a2"}'))
    assert failed(simplejwt(endpoint.say(body, headers=[("content-encoding", coding)]).url)).kind == "in_doubt"


@both
@pytest.mark.parametrize("final", ["401", ["401"], b"401", True, [True], 401.0, {401: None}.items(), iter([401])])
def test_final_that_is_neither_statuses_nor_a_function_is_refused_before_it_costs_a_token(
    make: Any, final: Any
) -> None:
    with pytest.raises(TypeError, match=r"final must be statuses \(final=\[401\]\)"):
        make("https://a.example", final=final)


def test_final_that_would_be_awaited_is_refused() -> None:
    async def final(response: httpx.Response) -> bool:
        return response.status_code == 401

    with pytest.raises(TypeError, match="a sync function"):
        simplejwt("https://a.example", final=final)  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("final", [None, (), 401, [401], {401}, range(401, 404), HTTPStatus.UNAUTHORIZED])
def test_final_may_be_none_one_status_or_several(endpoint: Site, make: Any, final: Any) -> None:
    assert brought(make(endpoint.url, final=final)).access == "new-access"
    endpoint.say(b"", 401)
    assert failed(make(endpoint.url, final=final)).kind == ("final" if final else "transient")


# -- what is posted, and how often -------------------------------------------------------------------------------------


@both
def test_the_refresh_carries_no_access_token(endpoint: Site, make: Any) -> None:
    """B15"""
    session = Session(make(endpoint.url), tokens=Tokens("stale-access", REFRESH, expires_at=1.0))
    with httpx.Client(base_url=endpoint.url, auth=BearerAuth(session)) as client:
        client.get("/api/me/")
    token, call = endpoint.asked
    assert "authorization" not in token.headers
    assert "stale-access" not in str(token)
    assert call.headers["authorization"] == "Bearer new-access"


@pytest.mark.parametrize("style", ["sync", "async"])
def test_a_callable_that_posts_with_the_very_client_of_the_calls_does_not_wait_for_itself(
    endpoint: Site, style: str
) -> None:
    """B15: neither a deadlock nor an `Authorization` on the token POST."""

    def refresh(tokens: Tokens) -> Any:
        return client.post("/token", json={"refresh": tokens.refresh}).json()

    async def refresh_async(tokens: Tokens) -> Any:
        async with httpx.AsyncClient(base_url=endpoint.url, auth=BearerAuth(session)) as own:
            return (await own.post("/token", json={"refresh": tokens.refresh})).json()

    callable_: Refresher = refresh if style == "sync" else refresh_async
    session = Session(callable_, tokens=Tokens("stale", REFRESH, expires_at=1.0), origins=[endpoint.url])
    with httpx.Client(base_url=endpoint.url, auth=BearerAuth(session), timeout=10) as client:
        assert client.get("/api/me/").status_code == 200
    assert endpoint.paths == ["/token", "/api/me/"]
    assert "authorization" not in endpoint.asked[0].headers


def test_nothing_is_posted_before_the_answer_to_a_refused_connection(endpoint: Site) -> None:
    """Nothing was sent, so the same refresh asks again: the third time somebody listens."""

    class Flaky(httpx.HTTPTransport):
        tries = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.tries += 1
            if self.tries < 3:
                request.url = httpx.URL(closed + request.url.path)
            return super().handle_request(request)

    with nobody_listens() as closed, Flaky() as transport:
        stale = Tokens("stale", REFRESH, expires_at=1.0)
        session = Session(simplejwt(endpoint.url, transport=transport), tokens=stale, backoff=0)
        assert session.fresh().run().access == "new-access"
    assert (transport.tries, len(endpoint.asked)) == (3, 1)


@pytest.mark.parametrize(
    ("fault", "error", "posts", "status"),
    [
        (faults.refuse(), SessionExpired, 1, "signed_out"),
        (faults.refuse(403), SessionExpired, 1, "signed_out"),
        (faults.refuse(200), SessionExpired, 1, "signed_out"),
        (faults.refuse(401, "invalid_client"), RefreshMisconfigured, 1, "degraded"),
        (faults.empty(401), RefreshUnavailable, 1, "degraded"),
        (faults.html(403), RefreshUnavailable, 1, "degraded"),
        (faults.raw(b"[]"), RefreshUnavailable, 1, "degraded"),
        (faults.raw(b""), RefreshUnavailable, 1, "degraded"),
        (faults.html(200), RefreshUnavailable, 1, "degraded"),
        (faults.reset_after(), RefreshUnavailable, 1, "degraded"),
        (faults.too_many(30), RefreshUnavailable, 1, "degraded"),
        (faults.html(502), RefreshUnavailable, 3, "degraded"),
        (faults.unavailable(503), RefreshUnavailable, 3, "degraded"),
    ],
)
def test_what_a_session_makes_of_it(fault: faults.Fault, error: type[Exception], posts: int, status: str) -> None:
    """B22, B23, B41, B42: how many posts, and whether the sign-in is kept."""
    with TokenServer() as server:
        given = server.issue(expired=True)
        server.always(fault)
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh), backoff=0)
        with pytest.raises(error) as caught:
            asyncio.run(_fresh(session))
        assert type(caught.value) is error
        assert (server.posts, session.auth.status) == (posts, status)
        kept = session.auth.tokens is not None and session.auth.tokens.refresh == given.refresh
        assert kept is (status == "degraded")
        if error is RefreshUnavailable:
            with pytest.raises(RefreshUnavailable):
                session.fresh().run()
            assert server.posts == posts  # the cool-down: no further post
            assert caught.value.retry_at is not None  # type: ignore[attr-defined]


async def _fresh(session: Session[Any]) -> Tokens:
    return await session.fresh()


def test_retry_after_is_how_long_nobody_posts() -> None:
    """B23"""
    with TokenServer() as server:
        given = server.issue(expired=True)
        server.always(faults.too_many(600))
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh))
        with pytest.raises(RefreshUnavailable) as caught:
            session.fresh().run()
    assert caught.value.retry_after == 600
    assert caught.value.retry_at == pytest.approx(session.runtime.now().wall + 600, abs=30)
