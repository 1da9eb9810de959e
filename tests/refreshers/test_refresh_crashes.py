"""A refresh callable that raises what nobody knows: its POST may have gone out, so the pair is in doubt."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import LoginFailed, RefresherError, RefreshRefused, SessionExpired
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, logged, make, pair, stale


def bad_gateway(tokens: Tokens) -> Any:
    return json.loads("<html>502 Bad Gateway</html>")


def no_such_field(tokens: Tokens) -> Any:
    return {"token": "new"}["access"]


def other_loop(tokens: Tokens) -> Any:
    raise RuntimeError("<asyncio.locks.Event object> is bound to a different event loop")


@pytest.mark.parametrize("mistake", [bad_gateway, no_such_field, other_loop])
def test_thirty_calls_are_one_post_and_one_warning(
    mistake: Callable[[Tokens], Any], caplog: pytest.LogCaptureFixture
) -> None:
    time, refresher, session = make()
    refresher.script = [mistake] * 30
    callers = []
    with caplog.at_level(logging.WARNING, "rxauth"):
        for _ in range(30):
            callers.append(Caller(session.fresh()))
            time.advance(0.1)
    assert refresher.posted == ["refresh-0"]
    errors = [caller.error for caller in callers]
    assert {type(error) for error in errors} == {RefresherError}
    assert len({id(error) for error in errors}) == 30, "each gets a copy of its own"
    assert {id(error.__cause__) for error in errors if error} == {id(errors[0].__cause__)}  # type: ignore[union-attr]
    assert len(logged(caplog)) == 1
    assert (session.auth.status, session.auth.in_doubt) == ("degraded", True)
    assert "[in_doubt]" in session.explain()


def test_the_cool_down_doubles_to_a_minute_with_one_probe_after_each() -> None:
    time, refresher, session = make()
    refresher.script = [KeyError("x")] * 1000
    for _ in range(600):
        Caller(session.fresh())
        time.advance(1)
    gaps = [round(later - earlier) for earlier, later in zip(refresher.started, refresher.started[1:], strict=False)]
    assert gaps[:4] == [6, 11, 21, 41]
    assert set(gaps[4:]) == {61}


def test_a_token_that_lives_is_used_while_it_cools() -> None:
    time, refresher, session = make(life=40)
    refresher.script = [KeyError("x")] * 1000
    for _ in range(40):
        assert session.fresh().run().access == "access-0"
        time.advance(0.999)
    assert 1 <= refresher.posts <= 3


def test_a_refusal_after_the_doubt_says_that_the_answer_was_lost() -> None:
    time, refresher, session = make()
    refresher.script = [KeyError("access"), RefreshRefused(status_code=401)]
    Caller(session.fresh())
    time.advance(10)
    with pytest.raises(SessionExpired) as caught:
        session.fresh().run()
    assert (caught.value.cause, caught.value.status_code) == ("answer lost", 401)
    assert isinstance(caught.value.__cause__, RefreshRefused)
    assert isinstance(caught.value.__context__, RefresherError)
    assert isinstance(caught.value.__context__.__cause__, KeyError)


class Async:
    """Has an async refresh and login, which use what is given."""

    def __init__(self, body: Callable[[], Any]) -> None:
        self._body = body

    async def __call__(self, tokens: Tokens) -> Any:
        return await self._body()

    async def login(self, **credentials: Any) -> Any:
        return await self._body()


def test_what_an_async_client_shares_between_loops_is_named_with_its_remedy() -> None:
    """The client's locks and idle connections belong to the loop of the first call."""
    shared = asyncio.Event()

    async def post() -> Any:
        async with asyncio.timeout(0.001):
            await shared.wait()

    with pytest.raises(TimeoutError):
        asyncio.run(post())
    session = Session(Async(post), tokens=Tokens("old", "r", expires_at=1.0))
    with pytest.raises(RefresherError, match=r"make the client inside the function, or use a sync httpx\.Client"):
        session.fresh().run()
    assert session.auth.in_doubt


@pytest.mark.parametrize(
    "text",
    [
        "Event loop is closed",
        "<Lock> is bound to a different event loop",
        "Task got Future attached to a different loop",
    ],
)
def test_a_loop_of_another_is_named_for_a_login_too(text: str) -> None:
    async def fail() -> Any:
        raise RuntimeError(text)

    with pytest.raises(LoginFailed, match="RuntimeError in the refresher's login: an async callable runs on") as caught:
        Session(Async(fail)).login().run()
    assert not caught.value.transient


def no_arguments() -> Tokens:
    raise AssertionError


class Method:
    def refresh(self) -> Tokens:
        raise AssertionError


async def no_arguments_async() -> Tokens:
    raise AssertionError


@pytest.mark.parametrize(
    "refresh",
    [no_arguments, no_arguments_async, Method().refresh, lambda: Tokens("a")],
    ids=["function", "async", "method", "lambda"],
)
def test_a_function_that_does_not_take_the_tokens_has_posted_nothing(refresh: Any) -> None:
    time = VirtualTime()
    session = Session(refresh, tokens=stale(time), time=time)
    for _ in range(2):
        with pytest.raises(RefresherError, match=r"cannot be called with the tokens: .*argument") as caught:
            session.fresh().run()
        assert isinstance(caught.value.__cause__, TypeError)
        assert (caught.value.cause, caught.value.retry_at) == ("not called", None)
        assert (session.auth.status, session.auth.in_doubt) == ("signed_in", False)


def test_a_type_error_from_inside_is_in_doubt() -> None:
    time = VirtualTime()

    def refresh(tokens: Tokens) -> Any:
        return no_arguments(tokens)  # type: ignore[call-arg]

    session = Session(refresh, tokens=stale(time), time=time)
    with pytest.raises(RefresherError, match="raised TypeError"):
        session.fresh().run()
    assert session.auth.in_doubt


def test_an_extension_that_may_have_begun_is_in_doubt() -> None:
    """It leaves no frame, and this one does not say what it takes."""
    time = VirtualTime()
    session: Session[Any] = Session(iter, tokens=stale(time), time=time)  # type: ignore[arg-type]
    with pytest.raises(RefresherError, match="raised TypeError"):
        session.fresh().run()
    assert session.auth.in_doubt


def test_a_login_that_does_not_take_the_credentials_says_so() -> None:
    time = VirtualTime()
    session = Session(FakeRefresher(time), tokens=pair(time), time=time)

    class Strict(FakeRefresher):
        def login(self, *, username: str) -> Any:  # type: ignore[override]
            raise AssertionError

    session = Session(Strict(time), time=time)
    with pytest.raises(LoginFailed, match=r"does not take these credentials: .*'user'") as caught:
        session.login(user="ada").run()
    assert isinstance(caught.value.__cause__, TypeError)
