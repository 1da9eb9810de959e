"""A session in a simulated world: one seed chooses every interleaving, fault, cancellation, clock jump and logout.

The session, its flights and its store are the real ones. They run on a `VirtualTime` that picks at random who goes on,
at every wait and every `yield_point`. The same seed makes the same choices, so a failure replays exactly.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from rxauth import ApiCall, AuthState, Request, Session, Tokens, api_epic
from rxauth.actions import SessionEnded, SignedIn
from rxauth.api import ApiEvent, ApiStarted
from rxauth.errors import NotSignedIn, RefreshRefused, RefreshUnavailable, RxAuthError
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.testing import VirtualTime
from rxauth.testing.time import _Task

LIFE = 60.0
URL = "https://api.example.com"


@dataclass(frozen=True)
class Call(ApiCall[None]):
    began: str

    def request(self, state: AuthState) -> Request:
        return Request.get("/", headers={"X-Began": self.began})


class Interleaving(VirtualTime):
    """Virtual time in which chance decides who goes on. `choices` is the schedule so far."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self.choices: list[int] = []

    def chance(self) -> float:
        return self._dice.random()

    def yield_point(self, name: str) -> None:
        task = self._tasks.get(threading.get_ident())
        if task is not None and self._dice.random() < 0.5:
            self._ready.append(task)
            task.pause()

    def _next(self) -> _Task:
        number = self._dice.randrange(len(self._ready))
        if len(self._ready) > 1:
            self.choices.append(number)
        self._ready.rotate(-number)
        return self._ready.popleft()


class Violation(AssertionError):
    """An invariant that did not hold."""


class Storage(MemoryStorage):
    """A storage that fails, or is slow, now and then."""

    def __init__(self, time: VirtualTime, dice: random.Random) -> None:
        super().__init__()
        self._time, self._dice = time, dice
        self.faults = True

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._time.sleep(self._dice.choice((0.0, 0.0, 0.5)))
        if self.faults and self._dice.random() < 0.1:
            raise OSError("disk full")
        return super().save(record, replaces)


@dataclass
class Server:
    """A token server that rotates, detects reuse, and meets faults as long as `faults` is true."""

    time: VirtualTime
    dice: random.Random
    storage: Storage
    wrong: list[str]
    faults: bool = True
    number: int = 0
    active: list[tuple[str, float]] = field(default_factory=list)
    current: dict[str, str] = field(default_factory=dict)
    spent: dict[str, str] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    refused: bool = False

    def issue(self, family: str) -> dict[str, Any]:
        self.number += 1
        token = f"{family}/{self.number}"
        self.current[family] = token
        return {"access_token": f"access {token}".replace(" ", "-"), "refresh_token": token, "expires_in": LIFE}

    def login(self, user: str) -> dict[str, Any]:
        self.time.sleep(self.dice.choice((0.0, 0.1, 2.0)))
        if self.faults and self.dice.random() < 0.2:
            raise RefreshUnavailable("503")
        self.number += 1
        return self.issue(f"{user}{self.number}")

    def logout(self, tokens: Tokens) -> None:
        self.time.sleep(self.dice.choice((0.0, 1.0)))
        if tokens.refresh is not None:
            self.dead.add(tokens.refresh.partition("/")[0])

    def __call__(self, tokens: Tokens) -> Any:
        token = tokens.refresh
        assert token is not None
        now = self.time.now().mono
        family = token.partition("/")[0]
        self._judge(token, family, now)
        self.active.append((family, now))
        try:
            return self._answer(token)
        finally:
            self.active.remove((family, now))

    def _judge(self, token: str, family: str, now: float) -> None:
        """What a post may not be. Noted, not raised: the session would take it for a refresher that crashed."""
        if [began for other, began in self.active if other == family and now - began < 89.0]:
            self.wrong.append("two posts of one sign-in at once")
        if token in self.spent and token not in self.unheard:
            self.wrong.append(f"the spent refresh token {token} was posted again, although its answer had come")
        if now - self.unheard.get(token, -1e9) < 4.9:
            self.wrong.append("an unanswered try was repeated at once")
        stored = self.storage.load()
        if not self.storage.faults and (stored is None or stored.tokens.refresh != token):
            self.wrong.append("what is stored was not brought up to date before a post")

    def _answer(self, token: str) -> Any:
        kinds = ("ok", "ok", "ok", "503", "unreachable", "lost", "late", "refused", "odd", "stale")
        kind = self.dice.choice(kinds) if self.faults else "ok"
        self.time.sleep(self.dice.choice((0.0, 0.1, 0.3, 5.0)))
        if kind == "unreachable":
            raise httpx.ConnectError("refused")
        if kind == "503":
            raise RefreshUnavailable("503", status_code=503)
        family = token.partition("/")[0]
        if token in self.spent or family in self.dead or kind == "refused":
            self.dead.add(family)
            self.refused = True
            raise RefreshRefused(status_code=400)
        self.spent[token] = family
        pair = self.issue(family)
        if kind in ("lost", "odd", "late"):
            self.unheard[token] = self.time.now().mono
        if kind == "lost":
            raise httpx.ReadError("reset")
        if kind == "odd":
            return {"no": "tokens"}
        if kind == "late":
            self.time.sleep(self.dice.choice((31.0, 50.0, 100.0)))
            self.unheard.pop(token, None)
        return {**pair, "expires_in": 0.0} if kind == "stale" else pair


class World:
    """Everything that one seed brings about."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.time = Interleaving(self.dice)
        self.wrong: list[str] = []
        self.storage = Storage(self.time, self.dice)
        self.server = Server(self.time, self.dice, self.storage, self.wrong)
        self.session: Session[Any] = Session(
            self.server,
            storage=self.storage,
            runtime=self.time,
            origins=[URL],
            refresh_ahead=self.dice.choice((0.0, None)),
        )
        self.calls = self.ends = 0
        self.shown: Any = None
        self.ended: list[SessionEnded] = []
        self.users_left = False
        self.families: dict[str, str] = {}
        self.started: dict[int, int] = {}
        store = self.session.store
        store.actions.of_type(SignedIn).subscribe(self._note_family)
        store.actions.of_type(ApiEvent).subscribe(self._note_call)
        client = httpx.Client(
            transport=httpx.MockTransport(lambda request: self._api(request)), base_url=URL, trust_env=False
        )
        store.add_epic(api_epic(client, self.session, max_in_flight=self.dice.choice((1, 3, 100))))
        store.subscribe(self._show)
        self.session.store.actions.of_type(SessionEnded).subscribe(self.ended.append)

    def run(self) -> None:
        """Live through it, and raise `Violation` for what should not have happened."""
        self._sign_in("ada")
        for _ in range(self.dice.randrange(3, 14)):
            self.time.spawn(self._actor(self.dice.choice(ACTORS)), "actor")
        self.time.advance(400)
        self._check_ends()
        self._recover()

    def _actor(self, act: Any) -> Any:
        pause = self.dice.choice((0.0, 0.05, 0.2, 1.0, LIFE - 3, LIFE + 1, 2 * LIFE))

        again = [self.dice.choice((0.0, 0.1, 0.3, 0.4, 0.6)) for _ in range(self.dice.randrange(3))]

        def run() -> None:
            self.time.sleep(pause)
            act(self)
            for wait in again:
                self.time.sleep(wait)
                act(self)

        return run

    def _sign_in(self, user: str) -> None:
        self.session.sign_in(self.server.issue(user)).subscribe(lambda _: None, lambda _: None)

    def _show(self, state: Any) -> None:
        self.shown = state

    def call(self) -> None:
        """One call, which knows the sign-in under which it began."""
        began = self.session.auth.pending or self.session.auth.sign_in
        self.calls += 1
        settled = 0

        def settle(tokens: Tokens | None, error: Exception | None) -> None:
            nonlocal settled
            settled += 1
            self.ends += 1
            if settled > 1:
                self.wrong.append("a call ended twice")
            if tokens is not None and tokens.sign_in != began:
                self.wrong.append("a call got another user's tokens")
            if error is not None and not isinstance(error, RxAuthError):
                self.wrong.append(f"a call got {error!r}")

        leave = self.session.acquire(settle, None, asked_by="a call", began=began or None)
        if self.dice.random() < 0.2:
            self.time.sleep(self.dice.choice((0.0, 0.1)))
            leave()
            if not settled:
                self.calls -= 1

    def blocking(self) -> None:
        self.calls += 1
        try:
            tokens = self.session.fresh().run()
            if self.dice.random() < 0.3:
                tokens = self.session.replace(tokens).run()
        except RxAuthError:
            pass
        self.ends += 1

    def logout(self) -> None:
        self.session.logout()
        self.users_left = True

    def switch(self) -> None:
        self.users_left = True
        self._sign_in(f"bob{self.server.number}x")

    def login(self) -> None:
        self.users_left = True
        self.session.login(user="eve").subscribe(lambda _: None, lambda _: None)

    def jump(self) -> None:
        self.time.jump(self.dice.choice((-3600.0, -4.0, 4.0, 30.0, 3600.0)))

    def dispatch(self) -> None:
        for _ in range(self.dice.randrange(1, 4)):
            began = self.session.auth.pending or self.session.auth.sign_in
            self.session.store.dispatch(Call(began))

    def _api(self, request: httpx.Request) -> httpx.Response:
        family = request.headers["authorization"].removeprefix("Bearer access-").partition("/")[0]
        began = request.headers["x-began"]
        if began and self.families.get(family, began) != began:
            self.wrong.append("a call was sent with another user's token")
        self.time.sleep(self.dice.choice((0.0, 0.1, 2.0)))
        refused = family in self.server.dead or (self.server.faults and self.dice.random() < 0.2)
        return httpx.Response(401 if refused else 200)

    def _note_family(self, event: SignedIn) -> None:
        self.families[(event.tokens.refresh or "").partition("/")[0]] = event.sign_in

    def _note_call(self, event: ApiEvent[Any]) -> None:
        self.started[event.id] = self.started.get(event.id, 0) + (1 if isinstance(event, ApiStarted) else 10)

    def _check_ends(self) -> None:
        if self.wrong:
            raise Violation(self.wrong[0])
        if self.calls != self.ends:
            raise Violation(f"{self.calls} calls, {self.ends} ends")
        if set(self.started.values()) - {11}:
            raise Violation("a dispatched call was not answered exactly once")
        if self.shown is not self.session.auth:
            raise Violation("the last state delivered is not the state")
        if len({id(event.cause) for event in self.ended}) != len(self.ended):
            raise Violation("one end was told twice")

    def _recover(self) -> None:
        """The faults stop: the session recovers, or has told its user why not."""
        self.server.faults = self.storage.faults = False
        self.time.advance(4000)
        try:
            tokens = self.session.fresh().run()
        except NotSignedIn:
            if not (self.server.refused or self.users_left):
                raise Violation("the user was signed out for nothing") from None
            return
        except RxAuthError as error:
            raise Violation(f"it does not recover: {error!r}") from None
        self.time.advance(10)
        family = (tokens.refresh or "").partition("/")[0]
        if tokens.refresh != self.server.current.get(family):
            raise Violation("a pair that had arrived was lost")
        stored = self.storage.load()
        if stored is None or stored.tokens.refresh != tokens.refresh:
            raise Violation("what is stored is not the current pair")
        self._check_ends()


ACTORS = (
    World.dispatch,
    World.dispatch,
    World.dispatch,
    World.call,
    World.call,
    World.call,
    World.blocking,
    World.blocking,
    World.logout,
    World.switch,
    World.login,
    World.jump,
)
