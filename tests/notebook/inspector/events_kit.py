"""Recordings to fold and replay: events made by hand, and a session in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx

from rxauth import AuthState, BearerAuth, Session, Store, Tokens, auth_reducer, combine_reducers, simplejwt
from rxauth.http import RequestEnded, RequestSent
from rxauth.recording.record import Event
from rxauth.session import CallReleased, CallWaits
from rxauth.store.tap import SESSION
from rxauth.testing import TokenServer, VirtualTime

API = "https://api.example.com"


@dataclass(frozen=True)
class Add:
    item: str


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    items: tuple[str, ...] = ()


def items(state: tuple[str, ...], action: Any) -> tuple[str, ...]:
    return (*state, action.item) if isinstance(action, Add) else state


REDUCER = combine_reducers(App, auth=auth_reducer, items=items)


class Stage:
    """A store with a session, its server, and the clock of all of them."""

    def __init__(self, **options: Any) -> None:
        self.time = VirtualTime()
        self.server = TokenServer(time=self.time, **{"life": 300, "token_latency": 0.5, **options})
        self.store: Store[App] = Store(REDUCER, App())
        refresher = simplejwt(API, transport=self.server.transport)
        self.session = Session(refresher, store=self.store, select=lambda app: app.auth, time=self.time)

    def login(self) -> Stage:
        self.session.login(username="ada", password="lovelace").run()
        return self

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=API, transport=self.server.transport, auth=BearerAuth(self.session))


def on_a_loop(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The test on an event loop in virtual time."""

    def run() -> None:
        stage = Stage()
        stage.time.run(test(stage))

    run.__name__ = test.__name__
    return run


def events(*actions: Any, every: float = 0.1) -> list[Event]:
    """These, numbered, 0.1 s apart; what callers of a session do is in its stream."""
    numbers = itertools.count(1)
    traced = CallWaits | CallReleased | RequestSent | RequestEnded
    return [
        Event(n, n * every, action, SESSION if isinstance(action, traced) else "")
        for n, action in zip(numbers, actions, strict=False)
    ]


def waits(caller: int) -> CallWaits:
    return CallWaits(session="default", caller=caller, asked_by="fresh()")


def released(caller: int, error: Exception | None = None) -> CallReleased:
    return CallReleased(session="default", caller=caller, error=error)


def sent(caller: int, path: str = "/api/me/") -> RequestSent:
    return RequestSent(session="default", caller=caller, method="GET", path=path)


def ended(caller: int, status: int | None = 200) -> RequestEnded:
    return RequestEnded(session="default", caller=caller, status=status)


def some_tokens() -> Tokens:
    return Tokens("a" * 40, "r" * 40, expires_at=100.0)
