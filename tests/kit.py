"""One way to build a clock, a refresher and a session for the tests of every room."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.testing import VirtualTime

#: What a script of refreshes holds: tokens' life in seconds, or an exception to raise.
Step = float | BaseException | Callable[[Tokens], Any]


@dataclass
class FakeRefresher:
    """A token endpoint in virtual time: each refresh takes `latency` and brings a pair of a `life`, or what `script`
    says: another life, an exception to raise, or a function of the tokens.

    `posted` holds the refresh tokens it was given, `started` when.
    """

    time: VirtualTime
    latency: float = 0.2
    life: float = 300.0
    script: list[Step] = field(default_factory=list)
    posted: list[str | None] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    logins: list[dict[str, Any]] = field(default_factory=list)
    logouts: list[Tokens] = field(default_factory=list)
    login_script: list[Step] = field(default_factory=list)

    def __call__(self, tokens: Tokens) -> Any:
        self.posted.append(tokens.refresh)
        self.started.append(self.time.now().mono)
        self.time.sleep(self.latency)
        return self._answer(self.script, tokens, len(self.posted))

    def login(self, **credentials: Any) -> Any:
        self.logins.append(credentials)
        self.time.sleep(self.latency)
        return self._answer(self.login_script, Tokens("none"), f"login-{len(self.logins)}")

    def logout(self, tokens: Tokens) -> None:
        self.logouts.append(tokens)

    @property
    def posts(self) -> int:
        return len(self.posted)

    def _answer(self, script: list[Step], tokens: Tokens, number: object) -> Any:
        step = script.pop(0) if script else self.life
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            return step(tokens)
        return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": step}


def pair(time: VirtualTime, life: float = 300.0, *, age: float = 0.0, name: str = "0") -> Tokens:
    """A pair that was received `age` seconds ago."""
    now = time.now()
    tokens = Tokens.from_response(
        {"access_token": f"access-{name}", "refresh_token": f"refresh-{name}", "expires_in": life}, received=now
    )
    return tokens if age == 0 else Tokens(tokens.access, tokens.refresh, now.wall + life - age, life=life)


def stale(time: VirtualTime, name: str = "0") -> Tokens:
    return pair(time, 300, age=301, name=name)


def make(*, life: float | None = None, **options: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    """A clock, a refresher and a session on it, signed in with a stale pair (or one with `life` seconds left)."""
    time = VirtualTime()
    refresher = FakeRefresher(time)
    tokens = options.pop("tokens", stale(time) if life is None else pair(time, life))
    return time, refresher, Session(refresher, tokens=tokens, time=time, **options)


class Caller:
    """Somebody who subscribed to `fresh()` or another `Single`, and what became of it."""

    def __init__(self, single: Any) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.ends = 0
        self.subscription = single.subscribe(self._value, self._failed)

    def _value(self, value: Any) -> None:
        self.value, self.ends = value, self.ends + 1

    def _failed(self, error: Exception) -> None:
        self.error, self.ends = error, self.ends + 1

    @property
    def access(self) -> str | None:
        return self.value.access if self.value is not None else None

    def __repr__(self) -> str:
        return f"Caller({self.value!r}, {self.error!r}, ends={self.ends})"


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged in this thread or in virtual time: in another, an earlier test's work may be at its end."""
    here = threading.current_thread().name
    return [record for record in caplog.records if record.threadName == here or "(virtual)" in str(record.threadName)]
