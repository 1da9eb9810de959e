"""The other side: a token server that rotates and detects reuse, an API behind it, and a storage; all of them fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from rxauth import Tokens
from rxauth.errors import RefreshRefused, RefreshUnavailable
from rxauth.refreshers.protocol import NotCalled
from rxauth.session.state import is_cooling
from rxauth.storage import Key, MemoryStorage, Record
from tests.system.simulation.clock import Interleaving
from tests.system.simulation.history import History
from tests.system.simulation.raising import anything

LIFE = 60.0
FAULTS = ("503", "unreachable", "lost", "late", "refused", "odd", "stale", "crash")
URL = "https://api.example.com"


class Storage(MemoryStorage):
    """A storage that fails, or is slow, now and then. `tried` are the refresh tokens that it was given."""

    #: What was stored at the start could not be read.
    unread = False

    def __init__(self, time: Interleaving, dice: random.Random) -> None:
        super().__init__()
        self._time, self._dice = time, dice
        self.faults = True
        self.tried: set[str | None] = set()
        self.failed: set[str | None] = set()
        #: The sign-ins that could not be removed.
        self.unremoved: set[str] = set()

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._time.sleep(self._dice.choice((0.0, 0.0, 0.5)))
        refresh = record.tokens.refresh
        self.tried.add(refresh)
        self.failed.discard(refresh)
        if self._fails(0.1):
            self.failed.add(refresh)
            raise self._error("disk full")
        return super().save(record, replaces)

    def load(self) -> Record | None:
        if self._fails(0.05):
            self.unread = True
            raise self._error("no such device")
        return super().load()

    def clear(self, sign_in: str) -> None:
        if self._fails(0.1):
            self.unremoved.add(sign_in)
            raise self._error("read-only")
        super().clear(sign_in)

    @property
    def holds(self) -> Record | None:
        """What is stored, for who judges it."""
        return super().load()

    def _fails(self, often: float) -> bool:
        return self.faults and self._dice.random() < often

    def _error(self, why: str) -> BaseException:
        return OSError(why) if self._dice.random() < 0.5 else anything(self._dice)


@dataclass
class Server:
    """A token server that rotates, detects reuse, and meets faults as long as `faults` is true."""

    time: Interleaving
    dice: random.Random
    storage: Storage
    wrong: list[str]
    #: How many answers are good, for each round of the faults.
    calm: int
    faults: bool = True
    number: int = 0
    active: list[tuple[str, float]] = field(default_factory=list)
    current: dict[str, str] = field(default_factory=dict)
    spent: dict[str, str] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    #: The families that a login brought.
    logins: set[str] = field(default_factory=set)
    history: History = field(init=False)

    def issue(self, family: str) -> dict[str, Any]:
        self.number += 1
        token = f"{family}/{self.number}"
        self.current[family] = token
        return {"access_token": f"access-{token}", "refresh_token": token, "expires_in": LIFE}

    def login(self, user: str) -> dict[str, Any]:
        self.time.sleep(self.dice.choice((0.0, 0.1, 2.0)))
        if self.faults and self.dice.random() < 0.2:
            raise RefreshUnavailable("503") if self.dice.random() < 0.5 else anything(self.dice)
        self.number += 1
        family = f"{user}{self.number}"
        self.logins.add(family)
        return self.issue(family)

    def logout(self, tokens: Tokens) -> None:
        self.time.sleep(self.dice.choice((0.0, 1.0)))
        if self.faults and self.dice.random() < 0.1:
            raise anything(self.dice)
        self.dead.add(family_of(tokens))

    def __call__(self, tokens: Tokens) -> Any:
        token = tokens.refresh
        assert token is not None
        now = self.time.now().mono
        family = family_of(tokens)
        self._judge(tokens, token, family, now)
        self.active.append((family, now))
        try:
            return self._answer(token)
        finally:
            self.active.remove((family, now))

    def _judge(self, tokens: Tokens, token: str, family: str, now: float) -> None:
        """What a post may not be. Noted, not raised: the session would take it for a refresher that crashed."""
        if [began for other, began in self.active if other == family and now - began < 89.0]:
            self.wrong.append("two posts of one sign-in at once")
        if token in self.spent and token not in self.unheard:
            self.wrong.append("a spent refresh token was posted again, although its answer had come")
        if now - self.unheard.get(token, -1e9) < 3.7:  # a cool-down of 5 s, a quarter of it chance
            self.wrong.append("an unanswered try was repeated at once")
        auth = self.history.auth
        if auth.generation == tokens.generation and is_cooling(auth, self.time.now()):
            self.wrong.append("a post during the cool-down")
        if self.history.left.get(tokens.sign_in, now) < now:
            self.wrong.append("the refresh token of who left was posted")
        stored = self.storage.holds
        if not self.storage.faults and (stored is None or stored.tokens.refresh != token):
            self.wrong.append("what is stored was not brought up to date before a post")

    def _answer(self, token: str) -> Any:
        kind = self.dice.choice(("ok",) * self.calm + FAULTS) if self.faults else "ok"
        self.time.sleep(self.dice.choice((0.0, 0.1, 0.3, 5.0)))
        if kind == "unreachable":
            raise httpx.ConnectError("refused")
        if kind == "503":
            raise RefreshUnavailable("503", status_code=503)
        if kind == "crash" and self.number % 3:
            raise NotCalled("a fault of the app's own, before anything was sent")
        family = token.partition("/")[0]
        if token in self.spent or family in self.dead or kind == "refused":
            self.dead.add(family)
            raise RefreshRefused(status_code=400)
        self.spent[token] = family
        pair = self.issue(family)
        if kind in ("lost", "odd", "late", "crash"):
            self.unheard[token] = self.time.now().mono
        if kind == "lost":
            raise httpx.ReadError("reset")
        if kind == "crash":
            raise anything(self.dice)
        if kind == "odd":
            return {"no": "tokens"}
        if kind == "late":
            self.time.sleep(self.dice.choice((31.0, 50.0, 100.0)))
            self.unheard.pop(token, None)
        return {**pair, "expires_in": 0.0} if kind == "stale" else pair


@dataclass
class Api:
    """What the access tokens are for. `refusals` is how often it refuses a good one, from 0 to 1."""

    server: Server
    history: History
    refusals: float
    requests: int = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self._judge(request)
        self.server.time.sleep(self._latency())
        return self._response(request, self._body)

    async def answer_async(self, request: httpx.Request) -> httpx.Response:
        self._judge(request)
        await asyncio.sleep(self._latency())
        return self._response(request, self._body_async)

    def _judge(self, request: httpx.Request) -> None:
        """What a request may not be."""
        self.requests += 1
        now = self.server.time.now().mono
        header, began = request.headers.get("authorization"), request.headers.get("x-began")
        if header is None:
            if request.url.path != "/bare":
                self._wrong("a call was sent without a token")
            return
        owner = self.history.owners.get(header.removeprefix("Bearer "))
        if owner is None and self.history.was_broken:
            return
        if owner is None:
            self._wrong("a token was sent before it was published")
            return
        sign_in, generation = owner
        if began and began != sign_in:
            self._wrong("a call was sent with another user's token")
        if self.history.left.get(sign_in, now) < now:
            self._wrong("a call was sent with the token of who had left")
        if self.history.followed.get(generation, now) < now:
            self._wrong("a call was sent with a token that had been followed by another one")

    def _wrong(self, what: str) -> None:
        self.server.wrong.append(what)

    def _latency(self) -> float:
        return self.server.dice.choice((0.0, 0.1, 2.0))

    def _response(self, request: httpx.Request, body: Any) -> httpx.Response:
        header = request.headers.get("authorization")
        dead = header is not None and header.removeprefix("Bearer access-").partition("/")[0] in self.server.dead
        refused = dead or (header is not None and self.server.faults and self.server.dice.random() < self.refusals)
        if not refused:
            return httpx.Response(200)
        return httpx.Response(401, content=body() if self.server.dice.random() < 0.2 else b"no")

    def _body(self) -> Iterator[bytes]:
        """A refusal that dribbles in."""
        yield b"n"
        self.server.time.sleep(self.server.dice.choice((0.1, 9.0)))
        yield b"o"

    async def _body_async(self) -> AsyncIterator[bytes]:
        yield b"n"
        await asyncio.sleep(self.server.dice.choice((0.1, 9.0)))
        yield b"o"


def family_of(tokens: Tokens) -> str:
    """The line of refresh tokens that began with one login."""
    return (tokens.refresh or "").partition("/")[0]
