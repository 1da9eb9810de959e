"""The three solutions that the project began from, with what was wrong with each of them gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import httpx
from reactivex import operators as ops

from rxauth import ApiCall, AuthState, Request, Session, Store, api_epic, auth_reducer, call, combine_reducers
from rxauth.api import ApiEvent, ApiFailed, ApiSucceeded
from rxauth.errors import RefreshRefused, SessionExpired
from rxauth.session import Login, Logout, Refresh, SessionEnded, access_token, is_refreshing, is_signed_in, last_error
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair, stale

URL = "https://api.example.com"


@dataclass(frozen=True)
class Echo(ApiCall[str]):
    message: str

    def request(self, state: App) -> Request:
        return Request.post("/echo", json=self.message, headers={"X-Token": access_token(state.auth)})


@dataclass(frozen=True)
class Register(ApiCall[str]):
    name: str
    auth: ClassVar[Literal["none"]] = "none"

    def request(self, state: App) -> Request:
        return Request.post("/register", json=self.name)


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    echoes: tuple[str, ...] = ()


def echoes(state: tuple[str, ...], action: Any) -> tuple[str, ...]:
    match action:
        case ApiSucceeded(call=Echo(), payload=payload):
            return (*state, payload)
    return state


class World:
    """An app in virtual time, whose API notes what it was sent."""

    def __init__(self, *, signed_in: bool = True) -> None:
        self.time = VirtualTime()
        self.refresher = FakeRefresher(self.time)
        self.store = Store(combine_reducers(App, auth=auth_reducer, echoes=echoes), App())
        self.log: list[Any] = []
        self.store.actions.subscribe(self.log.append)
        tokens = stale(self.time) if signed_in else None
        self.session: Session[App] = Session(
            self.refresher, store=self.store, select=lambda app: app.auth, tokens=tokens, time=self.time
        )
        self.sent: list[tuple[str, str | None, bytes]] = []

    def api(self, asked: httpx.Request) -> httpx.Response:
        self.sent.append((asked.url.path, asked.headers.get("authorization"), asked.content))
        return httpx.Response(200, content=asked.content)

    def add_api(self, **options: Any) -> World:
        client = httpx.Client(transport=httpx.MockTransport(self.api), base_url=URL)
        self.store.add_epic(api_epic(client, self.session, **options))
        return self


def test_a_gated_function_starts_one_refresh_and_the_next_waits_behind_it() -> None:
    """(a)"""
    world = World()
    order: list[str] = []

    def load(name: str) -> Any:
        return lambda dispatch, get_state: order.append(f"{name} {access_token(get_state().auth)}")

    world.store.dispatch(world.session.gated(load("one")))
    assert is_refreshing(world.store.state.auth), "the state shows that one is in flight"
    world.store.dispatch(world.session.gated(load("two")))
    world.store.dispatch(lambda dispatch, get_state: order.append("plain"))
    world.time.advance(1)
    assert order == ["plain", "one access-1", "two access-1"]
    assert world.refresher.posts == 1
    assert not is_refreshing(world.store.state.auth)


def test_without_a_token_a_gated_function_is_not_held() -> None:
    """(a)"""
    world = World(signed_in=False)
    ran: list[int] = []
    world.store.dispatch(world.session.gated(lambda dispatch, get_state: ran.append(1)))
    assert ran == [1]


def test_a_subscriber_loads_when_the_token_is_fresh_and_again_when_it_changes() -> None:
    """(b)"""
    world = World()
    loads: list[str] = []
    world.store.select(lambda app: None if is_refreshing(app.auth) else access_token(app.auth)).pipe(
        ops.filter(bool), ops.switch_map(lambda token: world.session.fresh()), ops.distinct_until_changed()
    ).subscribe(lambda tokens: loads.append(tokens.access))
    world.time.advance(1)
    assert loads == ["access-1"], "not with the stale one"
    world.time.advance(100)
    assert loads == ["access-1"]
    world.store.dispatch(Refresh())
    world.time.advance(1)
    assert loads == ["access-1", "access-2"]
    world.store.dispatch(Logout())
    world.time.advance(1)
    assert loads == ["access-1", "access-2"]


def test_calls_are_parked_during_the_refresh_and_released_once_in_their_order() -> None:
    """(c): the parked list is emptied, so the second refresh sends none of the first one's calls."""
    world = World().add_api(policy="in_order")
    for word in ("one", "two", "three"):
        world.store.dispatch(Echo(word))
    assert world.sent == []
    world.time.advance(1)
    assert [content for _, _, content in world.sent] == [b'"one"', b'"two"', b'"three"']
    assert {token for _, token, _ in world.sent} == {"Bearer access-1"}
    assert world.store.state.echoes == ("one", "two", "three")
    world.time.advance(301)
    world.store.dispatch(Echo("four"))
    world.time.advance(1)
    assert world.store.state.echoes == ("one", "two", "three", "four")
    assert len(world.sent) == 4
    assert world.refresher.posts == 2


def test_a_failed_refresh_releases_everybody() -> None:
    """(c)"""
    world = World().add_api()
    world.refresher.script = [RefreshRefused(status_code=400)]
    for number in range(5):
        world.store.dispatch(Echo(str(number)))
    world.time.advance(1)
    failed = [action for action in world.log if isinstance(action, ApiFailed)]
    assert [type(action.error) for action in failed] == [SessionExpired] * 5
    assert len([action for action in world.log if isinstance(action, SessionEnded)]) == 1
    assert world.sent == []
    assert not is_signed_in(world.store.state.auth)
    assert isinstance(last_error(world.store.state.auth), SessionExpired)


def test_headers_are_made_from_the_state_after_the_gate() -> None:
    """(c)"""
    world = World()
    seen: list[str | None] = []

    def api(asked: httpx.Request) -> httpx.Response:
        seen.append(asked.headers.get("x-token"))
        return httpx.Response(200)

    client = httpx.Client(transport=httpx.MockTransport(api), base_url=URL)
    world.store.add_epic(api_epic(client, world.session))
    world.store.dispatch(Echo("hi"))
    world.time.advance(1)
    assert seen == ["access-1"]


def test_anonymous_calls_pass_through_the_same_epic_while_others_wait() -> None:
    world = World().add_api()
    world.store.dispatch(Echo("waits"))
    world.store.dispatch(Register("bob"))
    world.time.advance(0.1)
    assert [(path, token) for path, token, _ in world.sent] == [("/register", None)]
    world.time.advance(1)
    assert [path for path, _, _ in world.sent] == ["/register", "/echo"]


def test_login_refresh_and_logout_are_actions_and_calls_wait_for_the_login() -> None:
    world = World(signed_in=False).add_api()
    world.store.dispatch(Login({"username": "ada", "password": "lovelace"}))
    world.store.dispatch(call(Request.get("/me")))
    assert world.sent == []
    world.time.advance(1)
    assert [(path, token) for path, token, _ in world.sent] == [("/me", "Bearer access-login-1")]
    world.store.dispatch(Refresh())
    world.time.advance(1)
    assert access_token(world.store.state.auth) == "access-1"
    world.store.dispatch(Logout())
    world.time.advance(1)
    assert access_token(world.store.state.auth) is None


def test_a_call_ends_once_whatever_happens_to_its_session() -> None:
    """A sweep: logout, another sign-in or a refusal at each step of the refresh."""
    for step in range(6):
        for event in ("logout", "switch", "refuse", "close"):
            world = World().add_api()
            if event == "refuse":
                world.refresher.script = [RefreshRefused()]
            world.store.dispatch(Echo("hi"))
            world.time.advance(step * 0.05)
            if event == "logout":
                world.store.dispatch(Logout())
            elif event == "switch":
                world.session.sign_in(pair(world.time, 300, name="bob"))
            elif event == "close":
                world.store.close()
            world.time.advance(5)
            ended = [type(action).__name__ for action in world.log if isinstance(action, ApiEvent)]
            assert len(ended) == 2, (step, event, ended)
            assert ended[0] == "ApiStarted"
            assert all(token in (None, "Bearer access-1") for _, token, _ in world.sent)
