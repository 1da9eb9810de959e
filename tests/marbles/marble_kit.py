"""Recordings to draw: real ones in virtual time, and events made by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx

from rxauth import ApiCall, AuthState, Request, Session, Store, api_epic, auth_reducer, simplejwt
from rxauth.recorder import Recording, record
from rxauth.recording import Event
from rxauth.testing import TokenServer, VirtualTime

API = "https://api.example.com"


@dataclass(frozen=True)
class Echo(ApiCall[Any]):
    number: int

    def request(self, state: Any) -> Request:
        return Request.get("/api/me/", params={"q": f"private {self.number}"})


@dataclass(frozen=True)
class Tick:
    number: int


class Stage:
    """A session in a store of its own, a server in the same process, and a clock that a test moves."""

    def __init__(self, *, life: float = 300, token_latency: float = 0.42, api_latency: float = 0.1) -> None:
        self.time = VirtualTime()
        self.server = TokenServer(time=self.time, life=life, token_latency=token_latency, api_latency=api_latency)
        self.store: Store[AuthState] = Store(auth_reducer, AuthState())
        refresher = simplejwt(API, transport=self.server.transport)
        self.session = Session(refresher, store=self.store, time=self.time)
        self.session.login(username="ada", password="lovelace").run()

    def expire(self) -> None:
        self.time.advance(10_000)

    def play(self, story: Callable[[Stage], Coroutine[Any, Any, None]]) -> Recording:
        """What is recorded while the story runs, with an epic for calls."""

        async def main() -> Recording:
            async with httpx.AsyncClient(base_url=API, transport=self.server.transport) as client:
                epic = self.store.add_epic(api_epic(client, self.session))
                with record(self.store, time=self.time) as recording:
                    await story(self)
                epic.dispose()
                return recording

        return self.time.run(main())

    async def storm(self, calls: int, *, apart: float = 0.013, after: float = 2.0) -> None:
        """So many calls, one after the other, and some time for their answers."""
        chance = random.Random(7)
        for number in range(calls):
            self.store.dispatch(Echo(number))
            await asyncio.sleep(apart * chance.uniform(0.6, 1.4))
        await asyncio.sleep(after)


def fifty_calls() -> Recording:
    """Fifty calls meet an expired token."""
    stage = Stage()
    stage.expire()
    return stage.play(lambda stage: stage.storm(50))


def recorded(*events: tuple[float, Any] | tuple[float, Any, str], initial: Any = None, first: int = 1) -> Recording:
    """A recording made by hand, of (at, action) or (at, action, stream)."""
    made = [Event(first + n, event[0], event[1], event[2] if len(event) > 2 else "") for n, event in enumerate(events)]
    return Recording(made, initial=initial, limit=max(len(made), 1))
