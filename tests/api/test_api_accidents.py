"""What no call may suffer from: code of its own that wants to exit, a loop that is closed, and who blocks himself."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from accident_kit import api, asynchronous, blocking, made, soon
from api_kit import URL, refresh
from reactivex import operators as ops

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, call, request
from rxauth.api import ApiCancelled, ApiFailed, ApiSucceeded
from rxauth.errors import (
    ApiDecodingError,
    ApiRequestError,
    ApiStatusError,
    CallCancelled,
    NotReplayable,
    WouldDeadlock,
)


class Exits(BaseException):
    """As SystemExit, and what pytest raises in `pytest.fail()`."""


@dataclass(frozen=True)
class Leaves(ApiCall[Any]):
    """Its code wants to exit, `where` it is asked."""

    where: str
    error: type[BaseException] = Exits

    def request(self, state: Any) -> Request:
        return self._leave("request") or Request.get("/")

    def parse(self, response: Any) -> Any:
        self._leave("parse")

    def _leave(self, here: str) -> None:
        if here == self.where:
            raise self.error


@dataclass(frozen=True)
class Coroutines(ApiCall[Any]):
    """`where` it is asked it answers like an async function."""

    where: str

    def request(self, state: Any) -> Any:
        return _answer(Request.get("/")) if self.where == "request" else Request.get("/")

    def should_send(self, state: Any) -> Any:
        return _answer(False) if self.where == "should_send" else True

    def parse(self, response: Any) -> Any:
        return _answer("payload") if self.where == "parse" else "payload"

    def is_ok(self, response: Any) -> Any:
        return _answer(False) if self.where == "is_ok" else True

    def meta(self, state: Any, response: Any = None) -> Any:
        return _answer("meta") if self.where == "meta" else None


@dataclass(frozen=True)
class Go:
    pass


class Unread(httpx.BaseTransport):
    """Answers without reading a request's body, which `MockTransport` does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return api(request)


async def _answer(value: Any) -> Any:
    return value


@pytest.mark.parametrize("where", ["request", "parse"])
@pytest.mark.parametrize("error", [Exits, asyncio.CancelledError])
def test_a_call_whose_code_wants_to_exit_is_cancelled(where: str, error: type[BaseException]) -> None:
    told: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        store, _ = made(asynchronous())
        store.actions.of_type(ApiCancelled, ApiFailed).subscribe(lambda action: told.append(type(action).__name__))
        with pytest.raises(CallCancelled):
            await asyncio.wait_for(request(store, Leaves(where, error)), 60)
        assert await request(store, call(Request.get("/"))) == "Bearer token", "and the others go on"

    soon(lambda: asyncio.run(main()))
    assert told[:1] == ["ApiCancelled"]


@pytest.mark.parametrize("where", ["request", "parse"])
def test_a_call_whose_code_wants_to_exit_leaves_its_thread_to_others(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Any] = []
    others = threading.excepthook

    def note(failed: Any) -> None:
        return ended.append(failed.thread) if failed.exc_type is Exits else others(failed)

    monkeypatch.setattr(threading, "excepthook", note)
    store, _ = made(max_in_flight=2)
    waiting = [request(store, Leaves(where)) for _ in range(5)]
    for single in waiting:
        with pytest.raises(CallCancelled):
            soon(single.run)
    assert soon(request(store, call(Request.get("/"))).run) == "Bearer token"
    soon(lambda: all(iter(lambda: len(ended) < len(waiting), False)))  # each ends its thread, which says so last


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("should_send", ApiRequestError),
        ("request", ApiRequestError),
        ("is_ok", ApiDecodingError),
        ("parse", ApiDecodingError),
    ],
)
def test_a_call_with_async_methods_is_told_that_they_must_not_be(where: str, error: type[Exception]) -> None:
    store, _ = made()
    with pytest.raises(error) as caught:
        soon(request(store, Coroutines(where)).run)
    assert f"{where}() must not be async" in str(caught.value.__cause__)


def test_an_async_meta_is_reported_and_none() -> None:
    store, told = Store(auth_reducer, AuthState(), report=lambda error, where, action: told.append(str(error))), []
    session = Session(refresh, store=store, tokens=Tokens("token", "r"))
    store.add_epic(api_epic(blocking(), session))
    store.actions.of_type(ApiSucceeded).subscribe(lambda succeeded: told.append(succeeded.meta))
    assert soon(request(store, Coroutines("meta")).run) == "payload"
    assert told[-1] is None
    assert {text for text in told if text is not None} == {
        "meta() must not be async; what has to be waited for goes into an epic or the gate"
    }


def test_a_status_that_a_hook_of_the_client_raises_is_a_status_error() -> None:
    store, _ = made(blocking(event_hooks={"response": [lambda response: response.raise_for_status()]}))
    with pytest.raises(ApiStatusError, match="GET /404 was answered 404") as caught:
        soon(request(store, call(Request.get("/404"))).run)
    assert (caught.value.status_code, caught.value.response.status_code) == (404, 404)


def test_why_a_refused_call_was_not_sent_again_is_the_cause_of_its_error() -> None:
    store, _ = made(httpx.Client(transport=Unread(), base_url=URL))
    with pytest.raises(ApiStatusError) as caught:
        soon(request(store, call(Request.post("/401", content=iter([b"once"])))).run)
    assert isinstance(caught.value.__cause__, NotReplayable)


class TestBlocking:
    """Who blocks where the work is to be done is told so; else he would wait for ever."""

    def test_on_the_loop_on_which_the_call_is_sent(self) -> None:
        async def main() -> None:
            store, _ = made(asynchronous())
            single = request(store, call(Request.get("/")))
            for block in (single.run, single.pipe(ops.map(str)).run):
                with pytest.raises(WouldDeadlock, match="blocks the event loop on which the call is sent: await it"):
                    block()
            assert await single == "Bearer token", "the call itself is none the worse for it"
            assert single.run() == "Bearer token", "and what is there needs no waiting"

        soon(lambda: asyncio.run(main()))

    def test_on_a_loop_when_threads_send_it(self) -> None:
        async def main() -> Any:
            store, _ = made()
            return request(store, call(Request.get("/"))).run()

        assert soon(lambda: asyncio.run(main())) == "Bearer token"

    def test_inside_of_a_notification(self) -> None:
        store, _ = made()
        told: list[Any] = []

        def block(go: Go) -> None:
            single = request(store, call(Request.get("/")))
            try:
                single.run()
            except WouldDeadlock as error:
                told.append(str(error))
            single.subscribe(told.append)

        store.actions.of_type(Go).subscribe(block)
        soon(lambda: store.dispatch(Go()))
        assert told[0].startswith("run() inside of a notification blocks the store")
        soon(request(store, call(Request.get("/"))).run)
        soon(lambda: all(iter(lambda: len(told) < 2, False)))
        assert told[1] == "Bearer token"

    def test_a_gated_function_on_its_loop(self) -> None:
        async def main() -> None:
            store, session = made()

            async def five(dispatch: Any, get_state: Any) -> int:
                await asyncio.sleep(0)
                return 5

            result = store.dispatch(session.gated(five))
            with pytest.raises(WouldDeadlock, match="blocks the event loop on which the function action runs"):
                result.run()
            assert await result == 5

        soon(lambda: asyncio.run(main()))
