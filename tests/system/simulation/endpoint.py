"""A token server that rotates, and ends a sign-in of which a spent refresh token comes again; and who posted what."""

from __future__ import annotations

import random
from typing import Any

import httpx

from rxauth import Tokens
from rxauth.errors import RefreshRefused, RefreshUnavailable
from tests.system.simulation.clock import Interleaving
from tests.system.simulation.raising import anything
from tests.system.simulation.shelf import Handle

LIFE = 60.0

#: What a server is like: how it answers, at random.
KINDS: tuple[tuple[str, ...], ...] = (
    ("ok",),
    ("ok",),
    ("ok", "ok", "503", "unreachable"),
    ("ok",) * 9 + ("503", "lost"),
    ("ok",) * 4 + ("late",),
)


class Endpoint:
    """The server; each process has a `Wire` to it."""

    def __init__(self, time: Interleaving, dice: random.Random, wrong: list[str], kinds: tuple[str, ...]) -> None:
        self.time, self.dice, self.wrong, self.kinds = time, dice, wrong, kinds
        self.number = 0
        #: user -> the process that posts for him and since when; user -> his last refresh token.
        self.posting: dict[str, float] = {}
        self.current: dict[str, str] = {}
        #: Spent refresh token -> what it brought; and those whose answer reached nobody who lives.
        self.spent: dict[str, str] = {}
        self.lost: set[str] = set()
        self.over: set[str] = set()

    def issue(self, user: str) -> dict[str, Any]:
        self.number += 1
        self.current[user] = f"{user}/{self.number}"
        return {"access_token": f"a-{self.current[user]}", "refresh_token": self.current[user], "expires_in": LIFE}


class Wire:
    """The refresher of one process."""

    def __init__(self, server: Endpoint, handle: Handle) -> None:
        self._server, self._handle = server, handle
        self._posts: set[str] = set()

    def login(self) -> dict[str, Any]:
        server = self._server
        self._handle.live()
        server.time.sleep(server.dice.choice((0.0, 0.3)))
        self._handle.live()
        return server.issue(f"user{server.number + 1}")

    def logout(self, tokens: Tokens) -> None:
        self._handle.live()
        self._server.over.add(user_of(tokens))

    def __call__(self, tokens: Tokens) -> Any:
        server, token, user = self._server, tokens.refresh or "", user_of(tokens)
        self._handle.live()
        began = server.time.now().mono
        if user in self._posts:
            server.wrong.append("two posts of one session at once")
        if began - server.posting.get(user, -1e9) < 89.0:
            server.wrong.append("two processes posted at once")
        if token in server.spent and token not in server.lost and user not in server.over:
            server.wrong.append("a spent refresh token was posted, although the answer had come")
        self._posts.add(user)
        server.posting[user] = began
        try:
            server.time.sleep(server.dice.choice((0.0, 0.1, 2.0)))
            answer = self._answer(token, user)
            self._handle.live()
            return answer
        finally:
            self._posts.discard(user)
            server.posting.pop(user, None)

    def _answer(self, token: str, user: str) -> Any:
        server = self._server
        kind = server.dice.choice(server.kinds)
        if kind == "503":
            raise RefreshUnavailable("503", status_code=503)
        if kind == "unreachable":
            raise httpx.ConnectError("refused")
        if self._handle.is_dead:
            server.lost.add(token)  # it was on its way already, and nobody hears what comes of it
        if token in server.spent or user in server.over:
            server.over.add(user)
            raise RefreshRefused(status_code=400)
        answer = server.issue(user)
        server.spent[token] = server.current[user]
        if kind == "lost":
            server.lost.add(token)
            raise httpx.ReadError("reset") if server.dice.random() < 0.5 else anything(server.dice)
        if kind == "late":
            late = server.dice.choice((31.0, 60.0, 100.0))
            if late > 90.0:  # nobody has to wait for that long
                server.lost.add(token)
            server.time.sleep(late)
        return answer


def user_of(tokens: Tokens) -> str:
    return (tokens.refresh or "").partition("/")[0]
