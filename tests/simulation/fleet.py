"""Processes that share one sign-in, in a simulated world: who refreshes when, and what each hears of it, is chance.

The sessions are the real ones, each in the place of a process, on the same `Interleaving`. They share a storage that
fails and is slow, may be lost or tell of changes, and a server that rotates and takes a spent token for theft.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from rxauth import Session, Tokens
from rxauth.errors import NotSignedIn, RefreshRefused, RefreshUnavailable, RxAuthError, SessionChanged
from rxauth.storage import Key, Record
from tests.simulation.clock import Interleaving
from tests.simulation.world import Violation

LIFE = 60.0


class Shelf:
    """What is stored, for all processes."""

    def __init__(self, time: Interleaving, dice: random.Random, wrong: list[str]) -> None:
        self.time, self.dice, self.wrong = time, dice, wrong
        self.record: Record | None = None
        self.holder: Handle | None = None
        self.handles: list[Handle] = []
        self.faults = dice.choice((0.0, 0.1, 0.3))
        self.watched = dice.random() < 0.6
        self.numbers: dict[str, int] = {}

    def put(self, record: Record | None, by: Handle | None) -> None:
        if record is not None:
            if record.generation < self.numbers.get(record.sign_in, 0):
                self.wrong.append("the generation of a sign-in went back")
            self.numbers[record.sign_in] = record.generation
        self.record = record
        for handle in self.handles:
            if handle is not by and handle.changed is not None:
                self.time.spawn(self._tell(handle), "a watcher")

    def _tell(self, handle: Handle) -> Callable[[], None]:
        late = self.dice.choice((0.0, 0.0, 0.2, 3.0))

        def tell() -> None:
            self.time.sleep(late)
            if handle.changed is not None:
                handle.changed()

        return tell


class Handle:
    """One process's way to the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.changed: Callable[[], None] | None = None
        shelf.handles.append(self)

    def load(self) -> Record | None:
        self._call()
        return self._shelf.record

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._call()
        stored = self._shelf.record
        if replaces is not None and (stored is None or stored.tokens is None or stored.key != replaces):
            return False
        self._shelf.put(record, self)
        return True

    def clear(self, sign_in: str) -> None:
        self._call()
        stored = self._shelf.record
        if stored is not None and stored.tokens is not None and stored.sign_in == sign_in:
            self._shelf.put(replace(stored, tokens=None, spending=None), self)

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        self._call()
        shelf = self._shelf
        end = shelf.time.now().mono + wait
        while shelf.holder is not None:
            if shelf.time.now().mono >= end:
                raise TimeoutError("held by another process")
            shelf.time.sleep(shelf.dice.choice((0.05, 0.5)))
        shelf.holder = self
        try:
            yield
        finally:
            shelf.holder = None

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        if self._shelf.watched:
            self.changed = changed
        return self._unwatch

    def _unwatch(self) -> None:
        self.changed = None

    def _call(self) -> None:
        shelf = self._shelf
        shelf.time.sleep(shelf.dice.choice((0.0, 0.0, 0.0, 0.1, 0.5)))
        if shelf.dice.random() < shelf.faults:
            raise OSError("no route to the storage")


class Endpoint:
    """A token server that rotates, detects reuse, and loses answers in some worlds."""

    def __init__(self, time: Interleaving, dice: random.Random, wrong: list[str]) -> None:
        self.time, self.dice, self.wrong = time, dice, wrong
        self.kinds = dice.choice((("ok",), ("ok", "ok", "503", "unreachable"), ("ok",) * 9 + ("503", "lost")))
        self.number = 0
        self.posting = ""
        self.current: dict[str, str] = {}
        self.spent: set[str] = set()
        self.lost: set[str] = set()
        self.over: set[str] = set()

    def issue(self, user: str) -> dict[str, Any]:
        self.number += 1
        self.current[user] = f"{user}/{self.number}"
        return {"access_token": f"a-{self.current[user]}", "refresh_token": self.current[user], "expires_in": LIFE}

    def login(self) -> dict[str, Any]:
        self.time.sleep(self.dice.choice((0.0, 0.3)))
        return self.issue(f"user{self.number + 1}")

    def logout(self, tokens: Tokens) -> None:
        self.over.add(user_of(tokens))

    def __call__(self, tokens: Tokens) -> Any:
        token, user = tokens.refresh or "", user_of(tokens)
        if self.posting == user:
            self.wrong.append("two processes posted at once")
        if token in self.spent and token not in self.lost:
            self.wrong.append("a spent refresh token was posted again")
        self.posting = user
        try:
            self.time.sleep(self.dice.choice((0.0, 0.1, 2.0)))
            return self._answer(token, user)
        finally:
            self.posting = ""

    def _answer(self, token: str, user: str) -> Any:
        kind = self.dice.choice(self.kinds)
        if kind == "503":
            raise RefreshUnavailable("503", status_code=503)
        if kind == "unreachable":
            raise httpx.ConnectError("refused")
        if token in self.spent or user in self.over:
            self.over.add(user)
            raise RefreshRefused(status_code=400)
        self.spent.add(token)
        answer = self.issue(user)
        if kind == "lost":
            self.lost.add(token)
            raise httpx.ReadError("reset")
        return answer


class FleetWorld:
    """Everything that one seed brings about."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.time = Interleaving(dice, eagerness=dice.choice((0.2, 0.5, 0.8)))
        self.wrong: list[str] = []
        self.shelf = Shelf(self.time, dice, self.wrong)
        self.server = Endpoint(self.time, dice, self.wrong)
        self.sessions: list[Session[Any]] = []
        self.left = 0
        self.asked = self.told = 0

    @property
    def schedule(self) -> int:
        return hash(tuple(self.time.choices))

    def run(self) -> None:
        try:
            self._begin()
            for _ in range(self.dice.randrange(4, 16)):
                act = self.dice.choice((self._ask,) * 6 + (self._refuse,) * 2 + (self._rarely,))
                self.time.spawn(self._at(act), act.__name__)
            self.time.advance(400)
            self._recover()
        finally:
            self.time.end()

    def _begin(self) -> None:
        faults, self.shelf.faults = self.shelf.faults, 0.0
        pair = Tokens.from_response(self.server.issue("ada"), received=self.time.now())
        for number in range(self.dice.choice((2, 2, 3, 5))):
            given = pair if number == 0 else None
            self.time.spawn(lambda given=given: self.sessions.append(self._start(given)), "a process")
            self.time.advance(10)
        self.shelf.faults = faults

    def _start(self, tokens: Tokens | None) -> Session[Any]:
        return Session(self.server, tokens=tokens, storage=Handle(self.shelf), runtime=self.time)

    def _at(self, act: Callable[[Session[Any]], None]) -> Callable[[], None]:
        pause, session = (
            self.dice.choice((0.0, 50.0, 54.0, 54.5, 55.0, 60.0, 60.1, 115.0)),
            self.dice.choice(self.sessions),
        )

        def live() -> None:
            self.time.sleep(pause)
            act(session)

        return live

    # -- what happens ------------------------------------------------------------------------------------------------

    def _ask(self, session: Session[Any]) -> None:
        self._wait(session.fresh())

    def _refuse(self, session: Session[Any]) -> None:
        self._wait(session.replace())

    def _wait(self, single: Any) -> None:
        self.asked += 1
        try:
            single.run()
        except (NotSignedIn, SessionChanged) as error:
            if not (self.left or self.server.lost):
                self.wrong.append(f"signed out for nothing: {error}")
        except RxAuthError as error:
            if not (self.shelf.faults or "503" in self.server.kinds):
                self.wrong.append(f"failed for nothing: {error!r}")
        self.told += 1

    def _rarely(self, session: Session[Any]) -> None:
        what = self.dice.choice(("logout", "login", "lose"))
        if what == "lose":
            self._lose()
            return
        self.left += 1
        try:
            (session.logout() if what == "logout" else session.login()).run()
        except RxAuthError:
            pass

    def _lose(self) -> None:
        """Lose the record; not while somebody sleeps with a spent pair, of which nobody could tell him any more."""
        record = self.shelf.record
        if record is None or record.tokens is None or record.spending is not None:
            return
        if all(_refresh(session.auth.tokens) == _refresh(record.tokens) for session in self.sessions):
            self.shelf.put(None, None)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        self.shelf.faults, self.server.kinds = 0.0, ("ok",)
        self.time.advance(4000)
        for _ in range(3):  # a login that could not be saved is heard of after its next refresh
            ends: list[Tokens | RxAuthError] = []
            for session in self.sessions:
                self.time.spawn(lambda session=session: ends.append(_end(session)), "the last caller")
                self.time.advance(5)
            self.time.advance(LIFE)
        self._check(ends)

    def _check(self, ends: list[Tokens | RxAuthError]) -> None:
        wrong = self.wrong + self.time.crashes
        if self.told < self.asked or len(ends) < len(self.sessions):
            wrong.append("a caller waits for ever")
        pairs = {end.refresh for end in ends if isinstance(end, Tokens)}
        if len(pairs) > 1:
            wrong.append(f"the processes ended with different pairs: {sorted(map(str, pairs))}")
        for end in ends:
            if isinstance(end, Tokens) and end.refresh != self.server.current[user_of(end)]:
                wrong.append("a pair that had arrived was lost")
            if not isinstance(end, Tokens) and not (self.left or self.server.lost):
                wrong.append(f"signed out for nothing: {end!r}")
        if wrong:
            raise Violation(wrong[0])


def _end(session: Session[Any]) -> Tokens | RxAuthError:
    try:
        return session.fresh().run()
    except RxAuthError as error:
        return error


def _refresh(tokens: Tokens | None) -> str | None:
    return tokens.refresh if tokens is not None else None


def user_of(tokens: Tokens) -> str:
    return (tokens.refresh or "").partition("/")[0]
