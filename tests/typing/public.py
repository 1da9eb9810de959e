"""What a type checker makes of the public surface: `make check` runs mypy on this file, nobody runs the file itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, assert_type

import httpx
from reactivex import Observable
from reactivex import operators as ops

from rxauth import (
    ApiCall,
    ApiSucceeded,
    AuthState,
    BearerAuth,
    Request,
    Session,
    Store,
    Tokens,
    api_epic,
    auth_reducer,
    call,
    combine_epics,
    combine_reducers,
    request,
    share_replayed,
    simplejwt,
)
from rxauth.concurrency import Single
from rxauth.session import SessionEnded, SignedIn, access_token, is_signed_in
from rxauth.storage import MemoryStorage
from rxauth.store import ActionStream, StateView, of_type


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ping:
    number: int


@dataclass(frozen=True)
class Echo(ApiCall[dict[str, str]]):
    message: str

    def request(self, state: App) -> Request:
        return Request.post("/api/echo/", json={"message": self.message, "token": access_token(state.auth)})


def notes(state: tuple[str, ...], action: object) -> tuple[str, ...]:
    match action:
        case ApiSucceeded(call=Echo(), payload=payload):
            return (*state, payload["message"])
    return state


def pings(actions: ActionStream[Any], state: StateView[App]) -> Observable[Any]:
    assert_type(state.state, App)
    assert_type(actions.of_type(Ping), ActionStream[Ping])
    assert_type(actions.of_type(Ping, SignedIn), ActionStream[Ping | SignedIn])
    return actions.of_type(Ping).map(lambda ping: Echo(str(ping.number)))


async def refreshed(tokens: Tokens) -> dict[str, Any]:
    return {"access": tokens.access}


store = Store(combine_reducers(App, auth=auth_reducer, notes=notes), App(), epics=[pings, combine_epics(pings)])
session = Session(simplejwt("https://api.example.com"), store=store, select=lambda app: app.auth)
alone = Session(simplejwt("https://api.example.com"), tokens=Tokens("access", "refresh"))

assert_type(store, Store[App])
assert_type(session, Session[App])
assert_type(session.auth, AuthState)
assert_type(alone, Session[AuthState])
assert_type(Session(refreshed, storage=MemoryStorage()), Session[AuthState])
assert_type(Session(refreshed, store=Store(auth_reducer, AuthState())), Session[AuthState])
assert_type(store.state, App)
assert_type(store.dispatch(Ping(1)), Ping)
assert_type(store.select(lambda app: app.auth.status == "signed_in"), Observable[bool])
assert_type(store.select(lambda app: is_signed_in(app.auth)).pipe(ops.filter(bool)), Observable[bool])
assert_type(session.fresh(), Single[Tokens])
assert_type(session.states, Observable[AuthState])
assert_type(session.fresh().run(), Tokens)
assert_type(session.replace(), Single[Tokens])
assert_type(session.logout(), Single[None])
assert_type(session.fresh().map(lambda tokens: tokens.access), Observable[str])
assert_type(request(store, Echo("hi")), Single[dict[str, str]])
assert_type(request(store, call(Request.get("/api/me/"))), Single[Any])
assert_type(session.login(username="ada"), Single[Tokens])
assert_type(session.ensure(username="ada"), Single[Tokens])
assert_type(session.sign_in({"access": "a"}), Single[Tokens])
assert_type(store.actions.pipe(of_type(SessionEnded)), Observable[SessionEnded])
assert_type(session.fresh().pipe(share_replayed()), Observable[Tokens])

Session(refreshed, leeway=10, refresh_ahead=None, deadline=20, tries=1, excess_window=0.5)
session.fresh().access  # type: ignore[attr-defined]  # noqa: B018
session.login("ada", "lovelace")  # type: ignore[arg-type]
session.ensure("ada", "lovelace")  # type: ignore[arg-type]
Session(refreshed, leewya=10)  # type: ignore[call-arg]
Session(refreshed, tries="3")  # type: ignore[arg-type]

assert_type(BearerAuth(session, wait=2.0).pinned(), BearerAuth)
client = httpx.Client(auth=BearerAuth(alone))
async_client = httpx.AsyncClient(auth=BearerAuth(session), base_url="https://api.example.com")
store.add_epic(api_epic(async_client, session), api_epic(client, session, policy="latest"))


async def awaited() -> None:
    assert_type(await session.fresh(), Tokens)
    assert_type(await request(store, Echo("hi")), dict[str, str])
    print(await request(store, Echo("hi")))  # where any object is expected, a call of another type is one as well
    assert_type(await session.login(username="ada"), Tokens)


asyncio.run(awaited())
