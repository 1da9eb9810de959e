"""A session in a simulated world: one seed chooses every interleaving, fault, cancellation, clock jump and logout.

The session, its flights, its store, its gate and its api epics are the real ones. Threads and event loops take turns
on an `Interleaving`, which picks at random who goes on. The same seed makes the same choices, so a failure replays
exactly.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

from rxauth import AuthState, Session, Store, Tokens
from rxauth.api import ApiEvent
from rxauth.errors import NotSignedIn, RxAuthError, SessionClosed
from rxauth.session import SessionEnded
from rxauth.storage import MemoryStorage, Record
from tests.system.simulation import effects
from tests.system.simulation.callers import Caller
from tests.system.simulation.clock import Interleaving
from tests.system.simulation.history import App, History
from tests.system.simulation.loops import Loop
from tests.system.simulation.server import Api, Server, Storage, family_of
from tests.system.simulation.users import ACTORS, ASYNC_ACTORS, PAUSES, end, sign_in


class Violation(AssertionError):
    """An invariant that did not hold."""


class World:
    """Everything that one seed brings about."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.time = Interleaving(dice, eagerness=dice.choice((0.2, 0.5, 0.5, 0.8)))
        self.wrong: list[str] = []
        self.storage = Storage(self.time, dice)
        self.server = Server(self.time, dice, self.storage, self.wrong, calm=dice.choice((3, 3, 60)))
        self.history = History(self.time.now, self.wrong, self.server.dead.__contains__)
        self.server.history = self.history
        self.api = Api(self.server, self.history, refusals=dice.choice((0.0, 0.2, 0.2, 0.9)))
        self.outcomes = effects.Outcomes(self.wrong)
        self.callers: list[Caller] = []
        self.shown: list[Any] = []
        self.delivered: list[Any] = []
        self.ended: list[SessionEnded] = []
        self.blocked_loops = False
        self.policy = dice.choice(effects.POLICIES)
        self.max_in_flight = dice.choice((1, 3, 100))
        self.loops = [
            Loop(self.time, f"loop {number}", self.wrong.append) for number in range(dice.choice((0, 1, 1, 2)))
        ]
        #: Where the store delivers, if that is a loop.
        self.home = self.loops[0] if self.loops and dice.random() < 0.3 else None
        self.store: Store[Any]
        self.session: Session[Any]

    @property
    def schedule(self) -> int:
        """The choices that were made, as one number."""
        return hash(tuple(self.time.choices))

    def run(self) -> None:
        """Live through it, and raise `Violation` for what should not have happened."""
        gc.disable()  # it would choose by itself when to run what depends on the end of an object
        try:
            self._begin()
            self._live()
            self._recover()
        finally:
            self.time.end()
            gc.enable()

    # -- the beginning -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._do(self.home, self._open)
        self._do(None, lambda: effects.add_blocking_epic(self))
        if self.loops:
            self._do(self.dice.choice(self.loops), lambda: effects.add_async_epic(self))
        self._do(self.dice.choice((None, *self.loops)), lambda: effects.add_gate(self))

    def _do(self, where: Loop | None, step: Callable[[], None]) -> None:
        """Do it on a loop, which will then be the home of what is made, or on a thread."""
        if where is None:
            self.time.spawn(step, "the beginning")
        else:
            where.call_soon_threadsafe(step)
        self.time.advance(1.0)

    def _open(self) -> None:
        self.store, select = self.dice.choice((self._store_of_app, self._store_of_session))()
        self.store.subscribe(self._show)
        self.store.actions.subscribe(self.delivered.append)
        self.store.actions.of_type(ApiEvent).subscribe(self.outcomes.note_call)
        self.store.actions.of_type(SessionEnded).subscribe(self.ended.append)
        how = self.dice.choice(("sign in", "sign in", "given", "stored"))
        pair = Tokens.from_response(self.server.issue("ada"), received=self.time.now())
        if how == "stored":
            MemoryStorage.save(self.storage, Record("earlier", 0, pair))
            self.storage.tried.add(pair.refresh)
        self.session = Session(
            self.server,
            tokens=pair if how == "given" else None,
            store=self.store,
            select=select,
            storage=self.storage,
            time=self.time,
            origins=["https://api.example.com"],
            refresh_ahead=self.dice.choice((0.0, None)),
        )
        if how == "sign in":
            self.time.spawn(lambda: sign_in(self, pair), "the first user")

    def _store_of_app(self) -> tuple[Store[Any], Callable[[Any], AuthState]]:
        return Store(self.history.of_app, App(), report=self._report), lambda app: app.auth

    def _store_of_session(self) -> tuple[Store[Any], Callable[[Any], AuthState]]:
        return Store(self.history.of_session, AuthState(), report=self._report), lambda auth: auth

    def _show(self, state: Any) -> None:
        self.time.yield_point("a subscriber is told")
        self.shown.append(state)

    def _report(self, error: Exception, where: str, action: Any) -> None:
        is_due = self.history.was_broken or (self.storage.unread and where.endswith("loading its tokens"))
        if not isinstance(error, RxAuthError) and not is_due:
            self.wrong.append(f"{where} reported {error!r}")

    # -- life --------------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        actors = ACTORS + (ASYNC_ACTORS if self.loops else ())
        pauses = PAUSES if self.dice.random() < 0.7 else (self.dice.choice(PAUSES),)  # sometimes all come at once
        for _ in range(self.dice.randrange(3, 14)):
            act = self.dice.choice(actors)
            self.time.spawn(self._life_of(act, self.dice.choice(pauses)), act.__name__)
        if self.dice.random() < 0.3:
            self.time.spawn(lambda: end(self), "the end")
        self.time.advance(400)
        self._check()

    def _life_of(self, act: Callable[[World], None], pause: float) -> Callable[[], None]:
        again = [self.dice.choice((0.0, 0.1, 0.3, 0.4, 0.6)) for _ in range(self.dice.randrange(3))]

        def live() -> None:
            self.time.sleep(pause)
            act(self)
            for wait in again:
                self.time.sleep(wait)
                act(self)

        return live

    # -- the end -----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """The faults stop: the session recovers, or has told its user why not."""
        self.server.faults = self.storage.faults = False
        self.time.advance(4000)
        outcome: list[Any] = []
        self.time.spawn(lambda: outcome.append(self._ask()), "the last caller")
        self.time.advance(100)
        for loop in self.loops:
            if not loop.is_idle:
                self.wrong.append("a coroutine never ended")
            self.time.spawn(loop.quit, "the end of a loop")
        self.time.advance(1)
        self._check()
        self._judge(outcome[0])
        for task in self.time.alive:
            self._object(f"{task.name} waits for ever")

    def _ask(self) -> Any:
        try:
            return self.session.fresh().run()
        except RxAuthError as error:
            return error

    def _judge(self, outcome: Tokens | RxAuthError) -> None:
        auth = self.history.auth
        if self.history.closing:
            if not isinstance(outcome, SessionClosed | NotSignedIn | Tokens) and not self.history.was_broken:
                self._object(f"a closed session answered with {outcome!r}")
        elif isinstance(outcome, Tokens):
            if outcome.refresh != self.server.current.get(family_of(outcome)):
                self._object("a pair that had arrived was lost")
        elif not isinstance(outcome, NotSignedIn):
            self._object(f"it does not recover: {outcome!r}")
        elif self.history.was_broken:
            pass  # the reducer did not hear of each end
        elif (self.history.last_end is None and not self.storage.unread) or auth.tokens is not None:
            self._object("the user was signed out for nothing")
        if not self.history.was_broken:
            self._judge_storage(auth)

    def _judge_storage(self, auth: AuthState) -> None:
        record = self.storage.holds
        stored = record.tokens.refresh if record is not None and record.tokens is not None else None
        if auth.tokens is not None:
            newest = self.server.current[family_of(auth.tokens)] if self.history.closing else auth.tokens.refresh
            is_unsaved = auth.tokens.refresh in self.storage.failed or (
                self.storage.unread and auth.tokens.refresh not in self.storage.tried
            )
            if stored not in (auth.tokens.refresh, newest) and not is_unsaved:
                self._object("what is stored is not the current pair")
        elif record is not None and not (self.history.closing or self.storage.unread or self._is_left(record.sign_in)):
            self._object("tokens are still stored although nobody is signed in")

    def _is_left(self, sign_in: str) -> bool:
        """Did the server end it, and could it not be removed then? That is not tried again: the pair is dead."""
        ends = [entry.event for entry in self.history.entries if entry.ends_sign_in and entry.before.sign_in == sign_in]
        if sign_in in self.history.middles:
            return True  # the app went back to the middle of its login, or of the session's start
        return sign_in in self.storage.unremoved and bool(ends) and isinstance(ends[-1], SessionEnded)

    def _check(self) -> None:
        """What holds whenever everybody has come to rest."""
        for caller in self.callers:
            caller.check()
        self.outcomes.check()
        self.wrong.extend(self.time.crashes)
        if self.wrong:
            self._object(self.wrong[0])
        if not _same(self.delivered, self.history.actions):
            self._object("not all actions were delivered in the order of the reducer")
        if not _same(self.shown[1:], self.history.states):
            self._object("not all states were delivered in the order of the reducer")
        if len({id(event.cause) for event in self.ended}) != len(self.ended):
            self._object("one end was told twice")

    def _object(self, what: str) -> None:
        raise Violation(what)


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
