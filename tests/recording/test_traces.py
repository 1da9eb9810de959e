"""What a recording holds of those who wait at the gate and of what goes over the wire, in every way of calling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rxauth import (
    ApiStarted,
    ApiSucceeded,
    AuthState,
    BearerAuth,
    Request,
    Session,
    Store,
    api_epic,
    auth_reducer,
    call,
)
from rxauth.api import request
from rxauth.errors import CallCancelled, NotSignedIn, OriginNotAllowed, RefreshUnavailable, SessionExpired
from rxauth.http import RequestEnded, RequestSent
from rxauth.recording import Recording, record
from rxauth.refreshers import simplejwt
from rxauth.session import CallRefused, CallReleased, CallWaits
from rxauth.store import ErrorReported
from rxauth.testing import TokenServer, VirtualTime, faults

API = "https://api.example.com"


class Stage:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.server = TokenServer(time=self.time, life=300, token_latency=0.5, api_latency=0.25)
        self.store: Store[AuthState] = Store(auth_reducer, AuthState())
        refresher = simplejwt(API, transport=self.server.transport)
        self.session = Session(refresher, store=self.store, time=self.time)
        self.session.login(username="ada", password="lovelace").run()

    def client(self, **how: Any) -> httpx.Client:
        return httpx.Client(base_url=API, transport=self.server.transport, **how)

    def async_client(self, **how: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=API, transport=self.server.transport, **how)

    def expire(self) -> None:
        self.time.advance(301)


def told(recording: Recording, *, moments: bool = False) -> list[Any]:
    """What the callers did, in words; callers are numbered anew."""
    numbers: dict[int, int] = {}
    lines = []
    for event in recording.events:
        if event.stream != "session":
            continue
        action = event.action
        assert action.session == "default"
        number = numbers.setdefault(action.caller, len(numbers) + 1)
        match action:
            case CallWaits(asked_by=asked_by):
                what = f"waits: {asked_by}"
            case CallReleased(error=None):
                what = "released"
            case CallReleased(error=error):
                what = f"released: {type(error).__name__}"
            case CallRefused(error=error, asked_by=asked_by):
                what = f"refused: {asked_by}: {type(error).__name__}"
            case RequestSent(method=method, path=path):
                what = f"sent {method} {path}"
            case RequestEnded(status=status):
                what = f"ended {status}"
        lines.append((round(event.at, 3), number, what) if moments else (number, what))
    return lines


def test_a_bearer_call_waits_is_released_sent_and_answered() -> None:
    stage = Stage()
    stage.expire()
    with record(stage.session, time=stage.time) as recording, stage.client(auth=BearerAuth(stage.session)) as client:
        client.get("/api/me/", params={"q": "private"})
        client.get("/api/me/")
    assert told(recording, moments=True) == [
        (0, 1, "waits: GET /api/me/"),
        (0.5, 1, "released"),
        (0.5, 1, "sent GET /api/me/"),
        (0.75, 1, "ended 200"),
        (0.75, 2, "sent GET /api/me/"),
        (1.0, 2, "ended 200"),
    ]
    assert "private" not in "".join(recording.to_lines())


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_refused_call_waits_and_is_sent_again_under_its_number(is_async: bool) -> None:
    stage = Stage()

    async def get() -> int:
        async with httpx.AsyncClient(
            base_url=API, transport=stage.server.transport, auth=BearerAuth(stage.session)
        ) as client:
            return (await client.get("/api/me/")).status_code

    with record(stage.session, time=stage.time) as recording, stage.client(auth=BearerAuth(stage.session)) as client:
        stage.server.revoke_access()
        assert (stage.time.run(get()) if is_async else client.get("/api/me/").status_code) == 200
    assert told(recording) == [
        (1, "sent GET /api/me/"),
        (1, "ended 401"),
        (1, "waits: GET /api/me/, answered 401"),
        (1, "released"),
        (1, "sent GET /api/me/"),
        (1, "ended 200"),
    ]


def test_async_bearer_calls_too() -> None:
    stage = Stage()
    stage.expire()

    async def main() -> None:
        async with httpx.AsyncClient(
            base_url=API, transport=stage.server.transport, auth=BearerAuth(stage.session)
        ) as client:
            await asyncio.gather(*(client.get("/api/me/") for _ in range(3)))

    with record(stage.session, time=stage.time) as recording:
        stage.time.run(main())
    lines = told(recording)
    assert lines[:3] == [(number, "waits: GET /api/me/") for number in (1, 2, 3)]
    assert sorted(lines) == sorted(
        (number, what)
        for number in (1, 2, 3)
        for what in ("waits: GET /api/me/", "released", "sent GET /api/me/", "ended 200")
    )
    assert stage.server.posts == 1


def test_a_connection_that_breaks_ends_without_a_status() -> None:
    stage = Stage()

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    client = httpx.Client(base_url=API, transport=httpx.MockTransport(broken), auth=BearerAuth(stage.session))
    with record(stage.session) as recording, pytest.raises(httpx.ReadError):
        client.get("/api/me/")
    assert told(recording) == [(1, "sent GET /api/me/"), (1, "ended None")]


def test_an_api_call_has_the_number_of_its_actions() -> None:
    stage = Stage()
    stage.store.add_epic(api_epic(stage.client(), stage.session))
    stage.expire()
    with record(stage.store, time=stage.time) as recording:
        for _ in range(2):
            stage.store.dispatch(call(Request.get("/api/me/")))
        stage.time.advance(5)
    ids = [action.id for action in recording.of_type(ApiStarted)]
    assert [action.id for action in recording.of_type(ApiSucceeded)] == ids
    callers = [event.action.caller for event in recording.events if event.stream == "session"]
    assert set(callers) == set(ids)
    assert told(recording)[:2] == [(1, "waits: the call GET /api/me/"), (2, "waits: the call GET /api/me/")]
    assert sorted(told(recording)) == sorted(
        (number, what)
        for number in (1, 2)
        for what in ("waits: the call GET /api/me/", "released", "sent GET /api/me/", "ended 200")
    )


def test_an_anonymous_call_is_sent_without_waiting() -> None:
    stage = Stage()
    stage.store.add_epic(api_epic(stage.client(), stage.session))
    stage.expire()
    with record(stage.store, time=stage.time) as recording:
        stage.store.dispatch(call(Request.get("/api/me/"), auth="none"))
        stage.time.advance(5)
    assert told(recording) == [(1, "sent GET /api/me/")]


def waits(stage: Stage) -> list[tuple[str, Callable[[], Any]]]:
    session = stage.session
    return [
        ("fresh()", lambda: session.fresh().run()),
        ("replace()", lambda: session.replace().run()),
    ]


def test_other_waits_are_there_as_well_when_there_are_any() -> None:
    stage = Stage()
    for name, wait in waits(stage):
        stage.expire()
        with record(stage.session, time=stage.time) as recording:
            wait()
        assert told(recording, moments=True) == [(0, 1, f"waits: {name}"), (0.5, 1, "released")]
    with record(stage.session, time=stage.time) as recording:
        stage.session.fresh().run()
    assert told(recording) == [], "fresh tokens come at once"


def test_a_wait_that_fails_says_with_what() -> None:
    stage = Stage()
    stage.expire()
    stage.server.always(faults.refuse())
    with record(stage.session) as recording, pytest.raises(SessionExpired):
        stage.session.fresh().run()
    assert told(recording) == [(1, "waits: fresh()"), (1, "released: SessionExpired")]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_call_that_fails_without_a_wait_is_there_once(is_async: bool) -> None:
    stage = Stage()
    stage.server.always(faults.unavailable())

    async def get() -> None:
        async with httpx.AsyncClient(
            base_url=API, transport=stage.server.transport, auth=BearerAuth(stage.session)
        ) as client:
            await client.get("/api/me/", params={"q": "private"})

    with record(stage.session, time=stage.time) as recording, stage.client(auth=BearerAuth(stage.session)) as client:
        stage.expire()
        for _ in range(2):
            with pytest.raises(RefreshUnavailable):
                stage.time.run(get()) if is_async else client.get("/api/me/", params={"q": "private"})
        with pytest.raises(RefreshUnavailable):
            stage.session.fresh().run()
        assert stage.session.peek() is None
    assert told(recording) == [
        (1, "waits: GET /api/me/"),
        (1, "released: RefreshUnavailable"),
        (2, "refused: GET /api/me/: RefreshUnavailable"),
        (3, "refused: fresh(): RefreshUnavailable"),
    ]
    assert "private" not in "".join(recording.to_lines())


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_request_to_another_origin_is_refused_before_it_is_sent(is_async: bool) -> None:
    stage = Stage()

    async def get() -> None:
        async with httpx.AsyncClient(transport=stage.server.transport, auth=BearerAuth(stage.session)) as client:
            await client.get("https://elsewhere.example.com/a/?q=private")

    client = stage.client(auth=BearerAuth(stage.session))
    with client, record(stage.session, time=stage.time) as recording, pytest.raises(OriginNotAllowed):
        stage.time.run(get()) if is_async else client.get("https://elsewhere.example.com/a/?q=private")
    assert told(recording) == [(1, "refused: GET /a/: OriginNotAllowed")]


def test_a_call_whose_second_send_is_refused_at_once_says_so_under_its_number() -> None:
    stage = Stage()
    stage.server.always(faults.unavailable())
    stage.server.revoke_access()
    with record(stage.session, time=stage.time) as recording, stage.client(auth=BearerAuth(stage.session)) as client:
        for _ in range(2):
            with pytest.raises(RefreshUnavailable):
                client.get("/api/me/")
    assert [line for line in told(recording) if line[0] == 2] == [
        (2, "sent GET /api/me/"),
        (2, "ended 401"),
        (2, "refused: GET /api/me/, answered 401: RefreshUnavailable"),
    ]


def test_an_api_call_that_is_refused_at_once_is_noted_before_its_failure() -> None:
    stage = Stage()
    stage.server.always(faults.unavailable())

    async def main() -> None:
        async with stage.async_client() as client:
            with stage.store.add_epic(api_epic(client, stage.session)):
                for _ in range(2):
                    with pytest.raises(RefreshUnavailable):
                        await request(stage.store, call(Request.get("/api/me/")))

    stage.expire()
    with record(stage.store, time=stage.time) as recording:
        stage.time.run(main())
    second = recording.of_type(ApiStarted)[-1]
    about = [event for event in recording.events if second.id in (vars_of(event.action, "caller", "id"))]
    assert [type(event.action).__name__ for event in about] == ["ApiStarted", "CallRefused", "ApiFailed"]


def test_a_login_that_fails_ends_the_wait_of_its_calls_once() -> None:
    """They ask again when it has failed, and are told that nobody is signed in: still one wait and one end."""
    stage = Stage()
    stage.session.logout()
    with record(stage.session, time=stage.time) as recording:
        login = stage.session.login(username="ada", password="wrong")
        login.subscribe(on_error=lambda _: None)
        stage.session.fresh().subscribe(on_error=lambda _: None)
        stage.time.advance(1)
    assert told(recording) in (
        [(1, "waits: fresh()"), (1, "released: LoginFailed")],
        [(1, "waits: fresh()"), (1, "released: NotSignedIn")],
    )


def vars_of(action: Any, *names: str) -> set[Any]:
    return {getattr(action, name, None) for name in names}


def test_a_logout_releases_who_waits() -> None:
    stage = Stage()
    stage.expire()
    errors: list[Exception] = []
    with record(stage.session) as recording:
        stage.session.fresh().subscribe(on_error=errors.append)
        stage.session.logout()
        stage.time.advance(5)
    assert [type(error) for error in errors] == [NotSignedIn]
    assert told(recording) == [(1, "waits: fresh()"), (1, "released: NotSignedIn")]


def test_who_leaves_waits_no_more() -> None:
    stage = Stage()
    stage.expire()
    with record(stage.session) as recording:
        stage.session.fresh().subscribe().dispose()
        stage.time.advance(5)
    assert told(recording) == [(1, "waits: fresh()"), (1, f"released: {CallCancelled.__name__}")]


def test_a_call_that_waits_for_a_login_waits_once() -> None:
    stage = Stage()
    stage.expire()
    got: list[Any] = []
    with record(stage.session, time=stage.time) as recording:
        stage.session.login(username="bob", password="wrong").subscribe(on_error=lambda error: None)
        stage.session.replace().subscribe(got.append)
        stage.time.advance(5)
    assert told(recording) == [(1, "waits: replace()"), (1, "released")]
    assert len(got) == 1


def test_a_reported_error_is_recorded_with_its_place() -> None:
    store: Store[int] = Store(lambda state, action: state + 1, 0, report=lambda error, where, action: None)
    with record(store) as recording:
        store.actions.subscribe(lambda action: 1 / 0)
        store.dispatch("x")
    [event] = [event for event in recording.events if event.stream == "errors"]
    assert isinstance(event.action, ErrorReported)
    assert isinstance(event.action.error, ZeroDivisionError)
    assert event.action.during == "str"
    assert event.action.where


def test_nothing_is_noted_while_nobody_records() -> None:
    stage = Stage()
    recording = record(stage.store)
    recording.close()
    stage.expire()
    with stage.client(auth=BearerAuth(stage.session)) as client:
        client.get("/api/me/")
    assert len(recording) == 0
    assert not stage.store.is_recorded


def test_request_and_await_are_recorded_under_the_id_of_the_call() -> None:
    stage = Stage()
    stage.store.add_epic(api_epic(stage.client(), stage.session))
    with record(stage.store, time=stage.time) as recording:
        assert request(stage.store, call(Request.get("/api/me/"))).run() == {"user": "ada"}
    assert told(recording) == [(1, "sent GET /api/me/"), (1, "ended 200")]


def test_since_gives_the_news() -> None:
    store: Store[int] = Store(lambda state, action: state + 1, 0)
    with record(store, limit=3) as recording:
        assert (recording.total, recording.since(0)) == (0, [])
        for action in "abcde":
            store.dispatch(action)
        assert recording.total == 5
        assert [event.action for event in recording.since(3)] == ["d", "e"]
        assert [event.action for event in recording.since(0)] == ["c", "d", "e"], "what is still there"
        assert recording.since(5) == []
        assert recording.since(9) == []
