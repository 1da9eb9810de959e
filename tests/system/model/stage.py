"""One world with a real gatekeeper in it: what happens to it is what the session's own code does.

A stage is set up from a world, one event takes place on it, and its new world is taken down. Locks, flights, decisions,
landings and the reducer are the session's; the clock, the threads, the store's delivery and the storage stand still.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rxauth import AuthState, Session, Tokens
from rxauth.concurrency import Flight, Instant
from rxauth.concurrency.single import Leave, Loop, Settle
from rxauth.session import Settings
from rxauth.session.gate import Gatekeeper
from rxauth.session.jobs.login import LoginRun
from rxauth.session.jobs.refresh import RefreshRun
from rxauth.session.waiters import AfterLogin
from tests.system.model.props import Bench, Refresher, Shelf, StillTime


class Run(NamedTuple):
    """A refresh on the wire. `late`: its deadline is over; `landed`: nobody waits for it any more."""

    number: int
    spent: Tokens
    refused: bool
    late: bool = False
    landed: bool = False


class Login(NamedTuple):
    """A login on the wire."""

    number: int
    sign_in: str
    landed: bool = False


class Call(NamedTuple):
    """A waiting caller: for which flight, what he came with, and whether he waits for somebody else's login."""

    flight: int
    began: str | None = None
    rejected: Tokens | None = None
    behind: bool = False


class World(NamedTuple):
    auth: AuthState
    now: Instant
    runs: tuple[Run, ...] = ()
    logins: tuple[Login, ...] = ()
    slot: int = 0
    login_slot: int = 0
    calls: tuple[Call | None, ...] = ()
    #: How many flights there were: each has its number.
    flights: int = 0


class Answer(NamedTuple):
    """What a caller was told, and in which state."""

    caller: int
    began: str | None
    waited_for: Run | Login | None
    tokens: Tokens | None
    error: Exception | None
    auth: AuthState


class Waiter:
    """A caller's ear."""

    def __init__(self, stage: Stage, caller: int, call: Call, flight: Run | Login | None) -> None:
        self.stage, self.caller, self.call, self.flight = stage, caller, call, flight

    def __call__(self, tokens: Tokens | None, error: Exception | None) -> None:
        began = self.flight.spent.sign_in if isinstance(self.flight, Run) else self.call.began
        stage = self.stage
        stage.answers.append(Answer(self.caller, began, self.flight, tokens, error, stage.auth))


class Stage(Gatekeeper[AuthState]):
    """A world, come alive for one event."""

    def __init__(self, world: World, settings: Settings) -> None:
        bench: Any = Bench(world.auth)
        shelf: Any = Shelf()
        super().__init__(Refresher(), "default", bench, lambda auth: auth, shelf, StillTime(world.now), settings)
        self.logouts = 0
        self._memory.amend(world.auth, world.now)
        self.world, self.answers = world, list[Answer]()
        self.left: int | None = None
        self._number = world.flights
        self.departed: list[tuple[RefreshRun, AuthState]] = []
        self._runs = {run.number: run for run in world.runs}
        self._logins = {login.number: login for login in world.logins}
        self._flights: dict[int, Flight[Tokens]] = {}
        self._behind: dict[int, Waiter] = {}
        for flying in (*world.runs, *world.logins):
            self._flights[flying.number] = flight = Flight()
            flight.landed = flying.landed
        slot, login = self._runs.get(world.slot), self._logins.get(world.login_slot)
        self._flight = (slot.spent, self._flights[slot.number]) if slot else None
        self._login = (login.sign_in, self._flights[login.number]) if login else None
        for caller, call in enumerate(world.calls):
            if call is not None:
                self._wait_again(caller, call)

    def _wait_again(self, caller: int, call: Call) -> None:
        waiter = Waiter(self, caller, call, self._runs.get(call.flight) or self._logins.get(call.flight))
        flight = self._flights[call.flight]
        if call.behind:
            after = AfterLogin(flight, None, lambda: self._ask(waiter))
            self._behind[id(after)] = waiter
        else:
            flight.join(waiter)

    def _ask(self, waiter: Waiter) -> Leave:
        call, waiter.flight = waiter.call, None
        how = {"rejected": call.rejected, "began": call.began}
        return self.acquire(waiter, None, asked_by="a caller", **how)

    def acquire(self, settle: Settle[Tokens], loop: Loop | None, **how: Any) -> Leave:
        leave = super().acquire(settle, loop, **how)
        after = getattr(leave, "__self__", None)
        if isinstance(after, AfterLogin) and isinstance(settle, Waiter):
            self._behind[id(after)] = settle
        return leave

    def _spawn(self, work: Any, flight: Flight[Tokens], failed: Any) -> None:
        self._number += 1
        number = self._number
        self._flights[number] = flight
        run = work.__self__
        if isinstance(run, RefreshRun):
            self._runs[number] = Run(number, run._spent, run._refused)
            self.departed.append((run, self.auth))
        else:
            self._logins[number] = Login(number, run._sign_in)

    # -- events ----------------------------------------------------------------------------------------------------

    def call(self, caller: int, began: str | None = None, rejected: Tokens | None = None) -> None:
        """A caller comes: with nothing, or with a pair that the API refused."""
        self._ask(Waiter(self, caller, Call(0, rejected.sign_in if rejected else began, rejected), None))

    def force(self) -> None:
        """Somebody who does not wait asks for a refresh."""
        self.acquire(lambda tokens, error: None, None, asked_by="the Refresh action", force=True)

    def leave(self, caller: int) -> None:
        """A caller goes away; his flight does not."""
        self.left = caller

    def log_in(self) -> None:
        Session._sign_in(self, lambda flight, who: LoginRun(self, flight, who, None).run)  # type: ignore[arg-type]

    def log_out(self) -> None:
        Session.logout(self)  # type: ignore[arg-type]

    def reset(self) -> None:
        """An app puts back the first state; the session hears of it where the sign-in changed."""
        before, self.store.state = self.auth, AuthState(session=self.name)
        if before.sign_in or before.pending:
            self.abandon_if_gone()

    def refresh_run(self, run: Run) -> RefreshRun:
        return RefreshRun(self, self._flights[run.number], run.spent, refused=run.refused, probe=False)

    def login_run(self, login: Login) -> LoginRun:
        return LoginRun(self, self._flights[login.number], login.sign_in, None)

    def forget(self, number: int) -> None:
        """The flight is over, as far as its thread is concerned."""
        self._runs.pop(number, None)
        self._logins.pop(number, None)

    def be_late(self, run: Run) -> None:
        self.refresh_run(run)._time_out()
        self._runs[run.number] = run._replace(late=True)

    # -- the world after it ----------------------------------------------------------------------------------------

    def strike(self) -> World:
        calls: list[Call | None] = [None] * len(self.world.calls)
        for number, flight in self._flights.items():
            for settle, _ in flight._waiters.values():
                waiter, behind = self._waiter_of(settle)
                if waiter is not None and waiter.caller != self.left:
                    calls[waiter.caller] = waiter.call._replace(flight=number, behind=behind)
        return World(
            self.auth,
            self.world.now,
            tuple(run._replace(landed=self._flights[run.number].landed) for run in self._runs.values()),
            tuple(login._replace(landed=self._flights[login.number].landed) for login in self._logins.values()),
            self._number_of(self._flight),
            self._number_of(self._login),
            tuple(calls),
            self._number,
        )

    def _waiter_of(self, settle: Any) -> tuple[Waiter | None, bool]:
        if isinstance(settle, Waiter):
            return settle, False
        return self._behind.get(id(getattr(settle, "__self__", None))), True

    def _number_of(self, slot: tuple[Any, Flight[Tokens]] | None) -> int:
        return next((number for number, flight in self._flights.items() if slot and flight is slot[1]), 0)
