"""Every dispatch of a call is answered: Started, then exactly one outcome."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from api_kit import URL, Api, Bare, Bench, Echo, Maybe, bench, refresh

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, call, request
from rxauth.api import ApiCancelled, ApiFailed, ApiSkipped, ApiStarted, ApiSucceeded
from rxauth.errors import (
    ApiDecodingError,
    ApiNetworkError,
    ApiRequestError,
    ApiStatusError,
    CallSkipped,
    InvalidCall,
    NotSignedIn,
    RefreshRefused,
    SessionExpired,
)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: Echo("hi"), None),
        (lambda: Echo("hi", broken=True), ApiRequestError),
        (lambda: call(Request.get("/broken")), ApiNetworkError),
        (lambda: call(Request.get("/status/404")), ApiStatusError),
        (lambda: call(Request.get("/status/500")), ApiStatusError),
        (lambda: call(Request.get("/text")), ApiDecodingError),
    ],
    ids=["success", "request", "network", "404", "500", "decoding"],
)
def test_started_comes_before_exactly_one_outcome(made: Any, error: type[Exception] | None) -> None:
    """B101, B102"""

    async def work(bench: Bench) -> tuple[list[str], Any]:
        bench.store.dispatch(made())
        await bench.until(lambda: len(bench.outcomes()) >= 2)
        for _ in range(20):
            await asyncio.sleep(0)
        return bench.outcomes(), bench.log[-1]

    names, last = bench(work)
    assert names == ["ApiStarted", "ApiSucceeded" if error is None else "ApiFailed"]
    if error is None:
        assert (last.payload, last.response.status_code) == ("hi", 200)
    else:
        assert type(last.error) is error


def test_a_refused_gate_is_the_calls_failure_and_nothing_is_sent() -> None:
    def refused(tokens: Tokens) -> Tokens:
        raise RefreshRefused(status_code=400)

    async def work(bench: Bench) -> Any:
        for number in range(20):
            bench.store.dispatch(Echo(str(number)))
        await bench.until(lambda: bench.outcomes().count("ApiFailed") == 20)
        return bench.api.seen, {type(action.error) for action in bench.log if isinstance(action, ApiFailed)}

    seen, errors = bench(work, tokens=Tokens("old", "r1", expires_at=1.0), refresher=refused)
    assert (seen, errors) == ([], {SessionExpired})


def test_calls_are_released_in_the_order_of_dispatch_and_the_list_is_emptied() -> None:
    async def work(bench: Bench) -> list[str]:
        for number in range(50):
            bench.store.dispatch(Echo(str(number)))
        await bench.until(lambda: bench.outcomes().count("ApiSucceeded") == 50)
        return [seen.content.decode().strip('"') for seen in bench.api.seen]

    assert bench(work, tokens=Tokens("old", "r1", expires_at=1.0)) == [str(number) for number in range(50)]


def test_a_call_that_finds_fresh_tokens_stays_behind_those_that_are_just_being_released() -> None:
    async def work(bench: Bench) -> list[str]:
        first = request(bench.store, Echo("first"))
        bench.session.fresh().run()  # the refresh has landed; the loop has not been told yet
        second = request(bench.store, Echo("second"))
        await first
        await second
        return [seen.content.decode().strip('"') for seen in bench.api.seen]

    assert bench(work, tokens=Tokens("old", "r1", expires_at=1.0)) == ["first", "second"]


def test_headers_are_made_after_the_gate_from_the_newest_state() -> None:
    @dataclass(frozen=True)
    class Mine(ApiCall[Any]):
        def request(self, state: AuthState) -> Request:
            assert state.tokens is not None
            return Request.get("/mine", headers={"X-Generation": state.tokens.access})

    async def work(bench: Bench) -> Any:
        await request(bench.store, Mine())
        [seen] = bench.api.seen
        return seen.headers["X-Generation"], seen.headers["Authorization"]

    assert bench(work, tokens=Tokens("old", "r1", expires_at=1.0)) == ("new", "Bearer new")


def test_anonymous_calls_pass_those_that_wait_and_carry_no_token() -> None:
    import threading

    may_answer = threading.Event()

    def slow(tokens: Tokens) -> Tokens:
        assert may_answer.wait(60)
        return refresh(tokens)

    async def work(bench: Bench) -> Any:
        waiting = request(bench.store, Echo("waits"))
        await request(bench.store, Bare())
        assert [seen.url.path for seen in bench.api.seen] == ["/bare"]
        may_answer.set()
        await waiting
        return [seen.headers.get("authorization") for seen in bench.api.seen]

    assert bench(work, tokens=Tokens("old", "r1", expires_at=1.0), refresher=slow) == [None, "Bearer new"]


@pytest.mark.parametrize("signed_in", [True, False])
def test_if_signed_in_follows_the_state(signed_in: bool) -> None:
    async def work(bench: Bench) -> Any:
        await request(bench.store, Maybe())
        return bench.api.seen[0].headers.get("authorization")

    tokens = Tokens("old", "r1", expires_at=4e9) if signed_in else None
    assert bench(work, tokens=tokens) == ("Bearer old" if signed_in else None)


def test_without_a_sign_in_a_call_fails_as_not_signed_in() -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(NotSignedIn):
            await request(bench.store, Echo("hi"))

    bench(work, tokens=None)


def test_a_call_of_ada_is_never_sent_as_bob() -> None:
    """B52"""
    import threading

    may_answer = threading.Event()

    def slow(tokens: Tokens) -> Tokens:
        assert may_answer.wait(60)
        return refresh(tokens)

    async def work(bench: Bench) -> Any:
        from rxauth.errors import SessionChanged

        waiting = request(bench.store, Echo("ada"))
        await bench.session.sign_in(Tokens("bob", "rb", expires_at=4e9))
        with pytest.raises(SessionChanged):
            await waiting
        may_answer.set()
        return bench.api.seen

    assert bench(work, tokens=Tokens("old", "r1", expires_at=1.0), refresher=slow) == []


def test_a_call_that_bails_out_is_skipped_and_that_is_all() -> None:
    async def work(bench: Bench) -> Any:
        with pytest.raises(CallSkipped) as caught:
            await request(bench.store, Echo("hi", send=False))
        return caught.value.why, bench.outcomes(), bench.api.seen

    assert bench(work) == ("bailed out", ["ApiSkipped"], [])


def test_ok_payload_and_meta_are_the_calls_own() -> None:
    @dataclass(frozen=True)
    class Odd(ApiCall[int]):
        def request(self, state: AuthState) -> Request:
            return Request.get("/status/404")

        def is_ok(self, response: Any) -> bool:
            return response.status_code == 404

        def parse(self, response: Any) -> int:
            return len(response.json())

        def meta(self, state: AuthState, response: Any = None) -> Any:
            return state.status, response and response.status_code

    async def work(bench: Bench) -> Any:
        payload = await request(bench.store, Odd())
        answers = [action for action in bench.log if isinstance(getattr(action, "call", None), Odd)]
        return payload, [action.meta for action in answers], {action.id for action in answers}

    payload, metas, ids = bench(work)
    assert (payload, metas) == (1, [("signed_in", None), ("signed_in", 404)])
    assert len(ids) == 1


def test_one_object_dispatched_twice_is_two_calls_with_ids_of_their_own() -> None:
    """B102"""
    echo = Echo("hi")

    async def work(bench: Bench) -> Any:
        assert bench.store.dispatch(echo) is echo
        bench.store.dispatch(echo)
        await bench.until(lambda: bench.outcomes().count("ApiSucceeded") == 2)
        return [
            (type(action).__name__, action.id) for action in bench.log if isinstance(action, ApiStarted | ApiSucceeded)
        ]

    answers = bench(work)
    started = [number for name, number in answers if name == "ApiStarted"]
    ended = [number for name, number in answers if name == "ApiSucceeded"]
    assert len(set(started)) == 2
    assert sorted(started) == sorted(ended)
    assert echo == Echo("hi")


def test_reducers_match_calls_by_class() -> None:
    got: list[str] = []

    def reducer(state: AuthState, action: Any) -> AuthState:
        match action:
            case ApiSucceeded(call=Echo(), payload=payload):
                got.append(payload)
            case ApiCancelled() | ApiSkipped():
                got.append("no")
        return auth_reducer(state, action)

    async def main() -> None:
        store = Store(reducer, AuthState())
        session = Session(refresh, store=store, select=lambda s: s, tokens=Tokens("t", expires_at=4e9))
        async with httpx.AsyncClient(transport=httpx.MockTransport(Api()), base_url=URL) as client:
            store.add_epic(api_epic(client, session))
            await request(store, Echo("hi"))

    asyncio.run(main())
    assert got == ["hi"]


def test_a_blocking_client_sends_on_threads() -> None:
    import threading

    threads: set[str] = set()

    def api(asked: httpx.Request) -> httpx.Response:
        threads.add(threading.current_thread().name)
        return httpx.Response(200, json=asked.headers["authorization"])

    store = Store(auth_reducer, AuthState())
    session = Session(refresh, store=store, select=lambda s: s, tokens=Tokens("old", "r", expires_at=1.0))
    with httpx.Client(transport=httpx.MockTransport(api), base_url=URL) as client:
        store.add_epic(api_epic(client, session))
        singles = [request(store, call(Request.get("/x"))) for _ in range(50)]
        assert [single.run() for single in singles] == ["Bearer new"] * 50
    assert threads == {"rxauth-call"}


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: api_epic(object(), None), TypeError, "needs an httpx or httpx2 client, got object"),  # type: ignore[arg-type]
        (lambda: api_epic(httpx.Client(), None, max_in_flight=0), ValueError, "max_in_flight must be 1"),  # type: ignore[arg-type]
        (
            lambda: api_epic(httpx.Client(), Session(refresh), policy="switch"),
            ValueError,
            "policy must be one of merge, latest",
        ),  # type: ignore[arg-type]
        (
            lambda: api_epic(httpx.Client(), Session(refresh), calls="Echo"),
            TypeError,
            "calls must be a class of ApiCall",
        ),  # type: ignore[arg-type]
        (lambda: api_epic(httpx.Client(), Session(refresh), calls=(Request,)), TypeError, "or a tuple of them; got"),  # type: ignore[arg-type]
        (lambda: api_epic(httpx.Client(), Session(refresh), calls=()), TypeError, "calls must be a class"),  # type: ignore[arg-type]
        (
            lambda: api_epic(httpx.Client(), None),
            TypeError,
            r"needs a Session, got NoneType: api_epic\(client, session\)",
        ),  # type: ignore[arg-type]
        (lambda: call("/text"), InvalidCall, r"call\(\) takes a Request, got str"),  # type: ignore[arg-type]
        (lambda: call(Request.get("/"), auth="maybe"), InvalidCall, "got 'maybe'"),  # type: ignore[arg-type]
        (lambda: request(Store(lambda s, a: s, 0), 5), InvalidCall, "takes an ApiCall, got int"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_a_call_class_that_is_no_frozen_dataclass() -> None:
    class Plain(ApiCall[Any]):
        pass

    @dataclass
    class Open(ApiCall[Any]):
        pass

    with pytest.raises(
        InvalidCall, match=r"Plain is no dataclass; .* write @dataclass\(frozen=True\) above class Plain"
    ):
        Plain()
    with pytest.raises(InvalidCall, match="Open can be changed in place"):
        Open()


def test_an_async_client_needs_a_loop_when_it_is_added() -> None:
    store = Store(auth_reducer, AuthState())
    session = Session(refresh, store=store, select=lambda s: s)
    with pytest.raises(TypeError, match="must be added while its event loop runs"):
        store.add_epic(api_epic(httpx.AsyncClient(), session))


def test_a_store_that_nobody_holds_is_forgotten_with_its_session_and_epics() -> None:
    """Somebody runs a notebook's cell again and again, and closes nothing."""

    def make() -> list[weakref.ref[Any]]:
        store: Store[AuthState] = Store(auth_reducer, AuthState())
        client = httpx.Client(base_url="https://api.example.com", transport=httpx.MockTransport(lambda request: None))
        session = Session(lambda tokens: tokens, store=store, tokens=Tokens("a", "r"))
        store.add_epic(api_epic(client, session))
        return [weakref.ref(store), weakref.ref(session)]

    references = [reference for _ in range(3) for reference in make()]
    gc.collect()
    assert [reference() for reference in references] == [None] * 6
