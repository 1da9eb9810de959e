"""A refresh callable of your own: sync or async, returning tokens, a mapping, or a mistake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from refresher_kit import REFRESH, Site

from rxauth import RefreshUnavailable, Session, SessionExpired, Tokens
from rxauth.concurrency import Instant, Runtime
from rxauth.errors import InvalidTokens, LoginFailed, RefresherError, RefreshMisconfigured, RefreshRefused
from rxauth.refreshers.protocol import call, tokens_of

Refresh = Callable[[Tokens], Any]
T0 = Instant(wall=1_800_000_000.0, mono=500.0)


def make_async(function: Refresh) -> Refresh:
    async def refresh(tokens: Tokens) -> Any:
        await asyncio.sleep(0)
        return function(tokens)

    return refresh


styles = pytest.mark.parametrize("style", [lambda function: function, make_async], ids=["sync", "async"])


def stale_session(refresh: Refresh, **options: Any) -> Session[Any]:
    return Session(refresh, tokens=Tokens("stale", REFRESH, expires_at=1.0, refresh_expires_at=4e9), **options)


def error_of(refresh: Refresh) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        stale_session(refresh, backoff=0).fresh().run()
    return caught.value


@styles
@pytest.mark.parametrize(
    "answer",
    [
        Tokens("a2", "r2"),
        {"access": "a2", "refresh": "r2"},
        {"access_token": "a2", "refresh_token": "r2", "expires_in": 60, "token_type": "bearer"},
        MappingProxyType({"access": "a2", "refresh": "r2"}),
    ],
    ids=["Tokens", "simplejwt", "OAuth 2", "Mapping"],
)
def test_it_may_return_tokens_or_the_answer(style: Callable[[Refresh], Refresh], answer: Any) -> None:
    seen: list[Tokens] = []

    def refresh(tokens: Tokens) -> Any:
        seen.append(tokens)
        return answer

    tokens = stale_session(style(refresh)).fresh().run()
    assert (tokens.access, tokens.refresh) == ("a2", "r2")
    assert [(spent.access, spent.refresh) for spent in seen] == [("stale", REFRESH)]


@styles
@pytest.mark.parametrize("answer", [Tokens("a2"), {"access": "a2"}], ids=["Tokens", "Mapping"])
def test_without_a_refresh_token_the_one_we_had_is_kept(style: Callable[[Refresh], Refresh], answer: Any) -> None:
    """B32"""
    tokens = stale_session(style(lambda spent: answer)).fresh().run()
    assert (tokens.access, tokens.refresh, tokens.refresh_expires_at) == ("a2", REFRESH, 4e9)


@styles
def test_it_is_called_on_a_thread_of_its_own_also_from_a_running_loop(style: Callable[[Refresh], Refresh]) -> None:
    threads: list[threading.Thread] = []

    def refresh(tokens: Tokens) -> Any:
        threads.append(threading.current_thread())
        return {"access": "a2"}

    async def main() -> str:
        return (await stale_session(style(refresh)).fresh()).access

    assert asyncio.run(main()) == "a2"
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


def test_a_callable_object_and_an_awaitable_that_is_no_coroutine_will_do() -> None:
    class Later:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return {"access": "a2"}

    class Refresher:
        def __call__(self, tokens: Tokens) -> Later:
            return Later()

    assert stale_session(Refresher()).fresh().run().access == "a2"


@pytest.mark.parametrize(
    ("answer", "named"),
    [(None, "NoneType"), ("a2", "str"), (["a2"], "list"), (("a2", "r2"), "tuple"), (b"{}", "bytes"), (7, "int")],
)
@styles
def test_anything_else_is_named_in_the_error(style: Callable[[Refresh], Refresh], answer: Any, named: str) -> None:
    error = error_of(style(lambda tokens: answer))
    assert type(error) is RefreshUnavailable
    assert isinstance(error.__cause__, InvalidTokens)
    assert f"the refresh callable returned {named}; return Tokens(access, refresh) or" in str(error)
    assert "await" not in str(error)


def test_a_response_that_was_not_decoded_is_named_too() -> None:
    assert "returned Response;" in str(error_of(lambda tokens: httpx.Response(200, json={"access": "a2"})))


def test_a_coroutine_that_nobody_awaited_comes_with_the_remedy() -> None:
    left: list[Any] = []

    async def fetch() -> Any:
        return {"access": "a2"}

    async def refresh(tokens: Tokens) -> Any:
        left.append(fetch())
        return left[0]

    error = error_of(refresh)
    left[0].close()
    assert "returned coroutine" in str(error)
    assert "await it, or make the refresh callable async" in str(error)


@styles
@pytest.mark.parametrize("answer", [{}, {"access": None}, {"access": "a b"}, {"acess": "typo-secret"}])
def test_a_mapping_without_a_usable_token_is_in_doubt(style: Callable[[Refresh], Refresh], answer: Any) -> None:
    session = stale_session(style(lambda tokens: answer))
    with pytest.raises(RefreshUnavailable, match="nothing usable") as caught:
        session.fresh().run()
    assert session.auth.in_doubt
    assert "secret" not in str(caught.value)


@styles
def test_an_exception_of_its_own_is_raised_to_all_with_its_cause_and_cools_down(
    style: Callable[[Refresh], Refresh],
) -> None:
    """B12"""
    script: list[Any] = [ValueError("the file is gone"), {"access": "a2"}]

    def refresh(tokens: Tokens) -> Any:
        step = script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    session = stale_session(style(refresh))
    for _ in range(2):
        with pytest.raises(RefresherError, match="the refresh callable raised ValueError") as caught:
            session.fresh().run()
        assert isinstance(caught.value.__cause__, ValueError)
        assert str(caught.value.__cause__) == "the file is gone"
    assert session.auth.tokens is not None
    assert len(script) == 1


@styles
@pytest.mark.parametrize(
    ("raised", "error", "calls"),
    [
        (RefreshRefused("gone"), SessionExpired, 1),
        (SessionExpired("gone"), SessionExpired, 1),
        (RefreshMisconfigured("no client"), RefreshMisconfigured, 1),
        (RefreshUnavailable("later"), RefreshUnavailable, 3),
        (RefreshUnavailable("later", repeat=False), RefreshUnavailable, 1),
        (httpx.ConnectError("refused"), RefreshUnavailable, 3),
        (httpx.ReadError("reset"), RefreshUnavailable, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_how_often_it_is_called(
    style: Callable[[Refresh], Refresh], raised: Exception, error: type[Exception], calls: int
) -> None:
    count: list[Tokens] = []

    def refresh(tokens: Tokens) -> Any:
        count.append(tokens)
        raise raised

    assert type(error_of(style(refresh))) is error
    assert len(count) == calls


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_grant"}, SessionExpired),
        (401, {"error": "invalid_client"}, RefreshMisconfigured),
        (401, b"", RefreshUnavailable),
        (403, b"<h1>no</h1>", RefreshUnavailable),
    ],
)
def test_httpx_in_a_callable_is_classed_like_a_built_in_refresher(
    endpoint: Site, asynchronous: bool, status: int, body: Any, error: type[Exception]
) -> None:
    def refresh(tokens: Tokens) -> Any:
        return httpx.post(endpoint.url, json={"rt": tokens.refresh}).raise_for_status().json()

    async def refresh_async(tokens: Tokens) -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.post(endpoint.url, json={"rt": tokens.refresh})).raise_for_status().json()

    chosen = refresh_async if asynchronous else refresh
    assert stale_session(chosen).fresh().run().access == "new-access"
    endpoint.say(body, status)
    assert type(error_of(chosen)) is error
    assert endpoint.last.json == {"rt": REFRESH}


def test_a_streamed_refusal_that_was_not_read_is_read() -> None:
    def refresh(tokens: Tokens) -> Any:
        content = iter([b'{"error": ', b'"invalid_grant"}'])
        request = httpx.Request("POST", "https://a.example")
        httpx.Response(400, content=content, request=request).raise_for_status()

    assert type(error_of(refresh)) is SessionExpired


def test_a_callable_may_have_a_login_and_a_logout_sync_or_async() -> None:
    class Refresher:
        ended: list[str | None]

        def __init__(self) -> None:
            self.ended = []

        def __call__(self, tokens: Tokens) -> Any:
            return {"access": "a2"}

        async def login(self, **credentials: Any) -> Any:
            return {"access": "a1", "refresh": f"r-{credentials['code']}", "expires_in": 300}

        async def logout(self, tokens: Tokens) -> None:
            self.ended.append(tokens.refresh)

    refresher = Refresher()
    session = Session(refresher)
    assert session.login(code="7").run().refresh == "r-7"
    session.logout().run()
    assert refresher.ended == ["r-7"]


def test_a_login_that_returns_nothing_fails() -> None:
    class Refresher:
        def __call__(self, tokens: Tokens) -> Any: ...

        def login(self) -> None: ...

    with pytest.raises(LoginFailed, match="returned NoneType"):
        Session(Refresher()).login().run()


def test_the_life_of_brought_tokens_counts_from_now() -> None:
    later = Instant(T0.wall + 5, T0.mono + 5)
    tokens = tokens_of({"access": "a2", "expires_in": 60}, T0, later)
    assert (tokens.received, tokens.remaining(later)) == (later, 60)
    brought = tokens_of(Tokens("a2", expires_at=later.wall + 30), T0, later)
    assert (brought.received, brought.life) == (later, 30)


def test_a_mapping_without_a_refresh_token_keeps_that_of_the_spent_pair() -> None:
    spent = Tokens("a1", "r1", refresh_expires_at=4e9)
    tokens = tokens_of({"access": "a2"}, T0, T0, keep=spent)
    assert (tokens.refresh, tokens.refresh_expires_at) == ("r1", 4e9)


def test_call_runs_either_kind() -> None:
    async def double(number: int, *, plus: int = 0) -> int:
        return 2 * number + plus

    assert call(double, 2, plus=1) == 5
    assert call(lambda number: 2 * number, 2) == 4
    assert call(lambda **given: given, function="f", args=1) == {"function": "f", "args": 1}  # a login's credentials
    assert isinstance(call(Runtime), Runtime)
