"""Recordings to draw: real ones in virtual time, and events made by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import httpx

from rxauth import ApiCall, AuthState, Request, Session, Store, Tokens, api_epic, auth_reducer, simplejwt
from rxauth.concurrency import Instant
from rxauth.http import RequestEnded, RequestSent
from rxauth.recording import Completed, Emitted, Recording, Subscribed, record
from rxauth.recording.record import Event
from rxauth.session import CallReleased, CallWaits, RefreshStarted, TokensRefreshed
from rxauth.testing import TokenServer, VirtualTime

API = "https://api.example.com"
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Echo(ApiCall[Any]):
    number: int

    def request(self, state: Any) -> Request:
        return Request.get("/api/me/", params={"q": f"private{self.number}"})


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

    def play(self, story: Callable[[Stage], Coroutine[Any, Any, None]], **how: Any) -> Recording:
        """What is recorded while the story runs, with an epic for calls."""

        async def main() -> Recording:
            async with httpx.AsyncClient(base_url=API, transport=self.server.transport) as client:
                epic = self.store.add_epic(api_epic(client, self.session))
                with record(self.store, time=self.time, **how) as recording:
                    await story(self)
                epic.dispose()
                return recording

        return self.time.run(main())

    async def storm(self, calls: int, *, apart: float = 0.01, after: float = 2.0) -> None:
        """So many calls, one after the other, and some time for their answers."""
        for number in range(calls):
            self.store.dispatch(Echo(number))
            await asyncio.sleep(apart)
        await asyncio.sleep(after)


def fifty_calls() -> Recording:
    """Fifty calls meet an expired token: a refresh of 420 ms, a call each 13 ms, answered after 100 ms."""
    stage = Stage()
    stage.expire()
    return stage.play(lambda stage: stage.storm(50, apart=0.013))


def recorded(*events: tuple[Any, ...], initial: Any = None, first: int = 1) -> Recording:
    """A recording made by hand, of (at, action) or (at, action, stream)."""
    made = [Event(first + number, at, action, *stream) for number, (at, action, *stream) in enumerate(events)]
    return Recording(made, initial=initial, limit=max(len(made), 1))


def waits(at: float, caller: int, name: str = "GET /api/me/", session: str = "default") -> tuple[Any, ...]:
    return at, CallWaits(session=session, caller=caller, asked_by=name), "session"


def released(at: float, caller: int, error: Exception | None = None, session: str = "default") -> tuple[Any, ...]:
    return at, CallReleased(session=session, caller=caller, error=error), "session"


def sent(at: float, caller: int, session: str = "default") -> tuple[Any, ...]:
    return at, RequestSent(session=session, caller=caller, method="GET", path="/api/me/"), "session"


def ended(at: float, caller: int, status: int | None = 200, session: str = "default") -> tuple[Any, ...]:
    return at, RequestEnded(session=session, caller=caller, status=status), "session"


def instant(at: float) -> Instant:
    return Instant(1_000_000.0 + at, 500.0 + at)


def tokens(at: float, generation: int, life: float = 300) -> Tokens:
    """A pair that was received at this moment."""
    now = instant(at)
    return Tokens(
        "#aaaaaaaa", "#bbbbbbbb", now.wall + life, life=life, received=now, sign_in="a", generation=generation
    )


def signed_in(at: float = 0, life: float = 300, session: str = "default") -> AuthState:
    return AuthState(session=session, status="signed_in", sign_in="a", generation=1, tokens=tokens(at, 1, life))


def starts(at: float, generation: int = 1, session: str = "default") -> tuple[Any, ...]:
    return at, RefreshStarted(
        session=session, sign_in="a", generation=generation, at=instant(at), asked_by="GET /api/me/"
    )


def lands(at: float, generation: int = 1, life: float = 300, session: str = "default") -> tuple[Any, ...]:
    new = tokens(at, generation + 1, life)
    return at, TokensRefreshed(session=session, sign_in="a", generation=generation, at=instant(at), tokens=new)


def stream(name: str, *values: tuple[float, Any], ends: float | None = None, number: int = 1) -> list[tuple[Any, ...]]:
    """What a spy records of a subscriber who came at once."""
    events: list[tuple[Any, ...]] = [(0.0, Subscribed(subscriber=number), name)]
    events += [(at, Emitted(subscriber=number, value=value), name) for at, value in values]
    return events + ([(ends, Completed(subscriber=number), name)] if ends is not None else [])


def storm_of(calls: int, seed: int = 1) -> Recording:
    """Calls in any order that end in any way, of which each has four events."""
    chance, events = random.Random(seed), []
    for number in range(calls):
        begin = chance.uniform(0, 60)
        answer = begin + 0.3 + chance.random()
        status = chance.choice([200, 200, 500, None])
        events += [waits(begin, number), released(begin + 0.2, number), sent(begin + 0.2, number)]
        events.append(ended(answer, number, status))
    return recorded(*sorted(events, key=lambda event: event[0]))


def parsed(svg: str) -> ElementTree.Element:
    """The picture, which has to be well-formed."""
    return ElementTree.fromstring(svg)


def words(svg: str) -> list[str]:
    """All texts of a picture, in order."""
    return ["".join(text.itertext()) for text in parsed(svg).iter(f"{SVG}text")]
