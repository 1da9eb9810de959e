"""No error of a refresh shows a secret: not in its text, its arguments, its causes, or their frames' locals (B83)."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from refresher_kit import ACCESS, REFRESH, SPENT, Site, failed, nobody_listens

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import RefreshUnavailable
from rxauth.testing import TokenServer, faults

CLIENT_SECRET, PASSWORD, NEW = "client-secret-secret", "password-secret", "new-access-secret"
SECRETS = (ACCESS, REFRESH, CLIENT_SECRET, PASSWORD, NEW)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it goes back to."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        current = queue.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            queue += [current.__cause__, current.__context__]


def frames(error: BaseException) -> list[str]:
    """The functions in whose frames the error and its causes can be looked at."""
    return [frame.f_code.co_name for one in chain(error) for frame, _ in traceback.walk_tb(one.__traceback__)]


def shown(error: BaseException) -> str:
    texts = [text for one in chain(error) for text in (str(one), repr(one), repr(one.args))]
    for one in chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            texts += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
    return "\n".join(texts)


def assert_silent(error: BaseException) -> None:
    assert frames(error) == []
    text = shown(error)
    assert [secret for secret in SECRETS if secret in text] == []


ANSWERS: list[tuple[int, Any]] = [
    (200, {"acess": NEW}),
    (200, {"access": NEW + " "}),
    (200, {"access": {"token": NEW}}),
    (200, [NEW]),
    (200, f'{{"access": "{NEW}"'.encode()),
    (200, b"<h1>" + REFRESH.encode()),
    (200, {"error": "invalid_grant", "token": REFRESH}),
    (301, b""),
    (400, {"error": "invalid_grant", "error_description": f"token {REFRESH} is spent"}),
    (400, {"error": REFRESH}),
    (401, {"detail": f"the token {REFRESH} is no good"}),
    (401, {"error": "invalid_client", "error_description": CLIENT_SECRET}),
    (401, b""),
    (403, b"<h1>" + REFRESH.encode()),
    (404, b"no such place"),
    (429, b""),
    (503, REFRESH.encode()),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_an_answer_of_a_built_in_refresher(endpoint: Site, status: int, body: Any) -> None:
    endpoint.say(body, status).say(body, status)
    assert_silent(failed(simplejwt(endpoint.url)).error)
    refresher = oauth2(endpoint.url, client_id="app", client_secret=CLIENT_SECRET, client_auth="body")
    assert_silent(failed(refresher).error)


def try_login(refresher: Any) -> BaseException:
    return failed(lambda tokens: refresher.login(username="ada", password=PASSWORD)).error


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_an_answer_to_a_login(endpoint: Site, status: int, body: Any) -> None:
    assert_silent(try_login(simplejwt(endpoint.say(body, status).url)))


@pytest.mark.parametrize("fault", [faults.reset_before(), faults.reset_after(), faults.half_close()])
def test_a_broken_connection(fault: faults.Fault) -> None:
    with TokenServer() as server:
        server.always(fault)
        assert_silent(failed(simplejwt(server.url)).error)
        assert_silent(try_login(simplejwt(server.url)))


def test_a_refused_connection_keeps_its_causes_without_their_frames() -> None:
    with nobody_listens() as url:
        error = failed(simplejwt(url)).error
        assert_silent(error)
        assert {type(one).__name__ for one in chain(error)} >= {"RefreshUnavailable", "ConnectError"}


def httpx_error(endpoint: Site) -> Any:
    def refresh(tokens: Tokens) -> Any:
        secret = tokens.refresh
        return httpx.post(endpoint.url, data={"rt": secret}).raise_for_status().json()

    return refresh


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 429, 503])
def test_an_http_error_of_a_callable(endpoint: Site, status: int) -> None:
    endpoint.say(b"", status)
    error = failed(httpx_error(endpoint)).error
    assert_silent(error)
    assert isinstance(error.__cause__, httpx.HTTPStatusError)


def test_an_error_of_ours_that_a_callable_raised_from_an_http_error() -> None:
    def refresh(tokens: Tokens) -> Any:
        secret = tokens.refresh
        try:
            raise httpx.ReadError("reset")
        except httpx.ReadError as reset:
            raise RefreshUnavailable(f"reset while {len(secret or '')} characters were sent") from reset

    assert_silent(failed(refresh).error)


def test_a_crash_keeps_the_frames_of_the_callable_and_no_others() -> None:
    def refresh(tokens: Tokens) -> Any:
        with httpx.Client(transport=httpx.MockTransport(handle)) as client:
            return client.post("https://a.example", data={"rt": tokens.refresh})

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(int("x"))

    error = failed(refresh).error
    assert frames(error)[-2:] == ["refresh", "handle"]  # what lay between them in httpx had the token in its hands
    assert str(error) == "the refresh callable raised ValueError"


@pytest.mark.parametrize("fault", [faults.refuse(), faults.unavailable(), faults.html(200), faults.reset_after()])
def test_what_a_waiting_call_gets(fault: faults.Fault) -> None:
    with TokenServer() as server:
        server.always(fault)
        session = Session(simplejwt(server.url), tokens=Tokens(ACCESS, REFRESH, expires_at=1.0), tries=1)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            session.fresh().run()
        causes = [one for one in chain(caught.value) if one is not caught.value]
        assert causes or session.auth.error is not None
        for cause in causes:
            assert_silent(cause)
        text = f"{caught.value!r} {caught.value} {caught.value.args} {session.auth.error!r} {session.explain()}"
        assert [secret for secret in SECRETS if secret in text] == []


def test_what_holds_secrets_does_not_show_them() -> None:
    holders = [
        SPENT,
        simplejwt("https://a.example", credentials={"password": PASSWORD}),
        oauth2("https://a.example", client_id="app", client_secret=CLIENT_SECRET, credentials={"password": PASSWORD}),
    ]
    text = "".join(f"{holder} {holder!r}" for holder in holders)
    assert [secret for secret in SECRETS if secret in text] == []
