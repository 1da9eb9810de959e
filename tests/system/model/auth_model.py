"""The session's discipline: what callers, refreshes, logins, logouts, an app and the clock can do, in any order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from rxauth import AuthState, Tokens
from rxauth.concurrency import Instant
from rxauth.errors import (
    NotSignedIn,
    RefreshMisconfigured,
    RefreshRefused,
    RefreshUnavailable,
    SessionExpired,
)
from rxauth.refreshers.failures import Failure, failure_of
from rxauth.session import Settings
from tests.system.model.exploration import Move, broken
from tests.system.model.session_rules import (
    ANSWER_RULES,
    DEPARTURE_RULES,
    EVENT_RULES,
    REVOKE_RULES,
    WORLD_RULES,
    is_about_now,
)
from tests.system.model.stage import Answer, Login, Run, Stage, World
from tests.system.model.state_rules import STATE_RULES
from tests.system.model.step_rules import STEP_RULES
from tests.system.model.wild_model import CRASHED, LIFE, TICK

#: The rule that looks beyond one event.
RECOVERS = "after the faults stop a call gets tokens or is told why not"

Act = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be under way at once. Nothing bounds for how long, or how often: names are renamed."""

    name: str
    callers: int = 2
    runs: int = 2
    logins: int = 0
    faults: tuple[str, ...] = ("503", "misconfigured", "crashed", "lost")
    timeouts: bool = True
    replaces: bool = True
    storage: bool = False
    excess: bool = False
    resets: bool = False
    failures: int = 2


def _failures() -> dict[str, Callable[[], Failure]]:
    busy, lost = RefreshUnavailable("503", cause="status 503"), RefreshUnavailable("reset", cause="ReadError")
    return {
        "refused": lambda: failure_of(RefreshRefused(status_code=401)),
        "503": lambda: failure_of(busy),
        "misconfigured": lambda: failure_of(RefreshMisconfigured("invalid_client")),
        "crashed": lambda: Failure("crashed", CRASHED),
        "lost": lambda: Failure("in_doubt", lost),
    }


FAILURES = _failures()


class AuthModel:
    """Everything that may happen next to a session, given what is under way."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.name = bounds, bounds.name
        self._settings = Settings(
            leeway=1.0,
            refresh_ahead=2.0,
            listen=2.0,
            cool_down=1.0,
            max_cool_down=2.0,
            pause=1.0,
            excess=1 if bounds.excess else 100,
            excess_window=2.0 if bounds.excess else 0.0,
        )

    def begin(self) -> World:
        world = World(AuthState(), Instant(1000.0, 10.0), calls=(None,) * self.bounds.callers)
        if self.bounds.logins:
            return world
        stage = Stage(world, self._settings)
        stage.log_in()
        (login,) = stage.strike().logins
        _sign_in(login)(stage)
        return stage.strike()

    # -- what may happen -------------------------------------------------------------------------------------------

    def moves(self, world: World) -> Iterator[Move]:
        later = Instant(world.now.wall + TICK, world.now.mono + TICK)
        yield Move("time passes", world._replace(now=later), (), True)
        for event, calm, act in self._events(world):
            move = self._take(world, event, calm, act)
            runs, logins = len(move.after.runs), len(move.after.logins)
            if calm or (runs <= self.bounds.runs and logins <= self.bounds.logins):
                yield move

    def _take(self, world: World, event: str, calm: bool, act: Act) -> Move:
        stage = Stage(world, self._settings)
        act(stage)
        after = stage.strike()
        if stage.left is not None:
            return Move(event, after, (), calm)
        return Move(event, after, tuple(_broken_on(stage, world, after)), calm)

    def _events(self, world: World) -> Iterator[tuple[str, bool, Act]]:
        yield from self._calls(world)
        for run in world.runs:
            for answer, calm, act in self._answers(run, world.auth):
                yield f"flight {run.number}, a refresh, {answer}", calm, act
        for login in world.logins:
            yield f"flight {login.number}, a login, succeeds", True, _sign_in(login)
            yield f"flight {login.number}, a login, fails", True, _fail_login(login)
        if self.bounds.logins:
            yield "a login begins", False, Stage.log_in
            yield "a logout", False, Stage.log_out
        if self.bounds.resets:
            yield "an app resets its state", False, Stage.reset

    def _calls(self, world: World) -> Iterator[tuple[str, bool, Act]]:
        yield "somebody who does not wait asks for a refresh", False, Stage.force
        for caller, call in enumerate(world.calls):
            if call is not None:
                yield f"caller {caller + 1} leaves", False, partial(Stage.leave, caller=caller)
        if None not in world.calls:
            return
        caller, tokens = world.calls.index(None), world.auth.tokens
        yield f"caller {caller + 1} asks", False, partial(Stage.call, caller=caller)
        if not self.bounds.replaces:
            return
        other = Tokens("earlier", "earlier", sign_in="somebody earlier", generation=-2)
        came = {"somebody earlier": other}
        if tokens is not None:
            came |= {"now": tokens, "an earlier refresh": replace(tokens, generation=-1)}
        for whose, rejected in came.items():
            act = partial(Stage.call, caller=caller, rejected=rejected)
            yield f"caller {caller + 1} comes back with the refused pair of {whose}", False, act

    def _answers(self, run: Run, auth: AuthState) -> Iterator[tuple[str, bool, Act]]:
        """What may become of a refresh. Without faults it succeeds, or is refused where its pair may be spent."""
        in_doubt = auth.in_doubt or run.late or not is_about_now(run, auth)
        yield "succeeds", True, _land(run)
        if self.bounds.storage:
            yield "succeeds and can not be stored", False, _land(run, stored=False)
        yield "is refused", in_doubt, _fail(run, "refused")
        if run.late:
            yield "ends without an answer", True, partial(Stage.forget, number=run.number)
            return
        for fault in self.bounds.faults:
            yield f"fails: {fault}", False, _fail(run, fault)
        if self.bounds.timeouts and not run.landed:
            yield "has no answer in time", False, partial(Stage.be_late, run=run)

    # -- what it comes to ------------------------------------------------------------------------------------------

    def broken_in(self, world: World) -> Iterator[str]:
        yield from broken(STATE_RULES, world.auth, world.now)
        yield from broken(WORLD_RULES, world)

    def broken_at_rest(self, world: World) -> Iterator[str]:
        """Nothing is under way and time has passed: ask once more."""
        stage = Stage(world._replace(calls=(None,)), self._settings)
        stage.call(0)
        for run in stage.strike().runs:
            _land(run)(stage)
        (answer,) = stage.answers or [None]
        if any(world.calls) or world.runs or world.logins or not _is_explained(answer):
            yield RECOVERS

    def key(self, world: World) -> Hashable:
        auth, now, whose, which = world.auth, world.now, _Names(), _Names()
        order = {flight.number: place for place, flight in enumerate((*world.runs, *world.logins))}
        remaining = None if auth.tokens is None else max(0.0, auth.tokens.remaining(now) or 0.0)
        cooling = None if auth.cool_down is None else max(0.0, auth.cool_down - now.mono)
        recent = tuple(now.mono - at for at in auth.counted if now.mono - at < self._settings.excess_window)
        signing_in = auth.status == "signing_in"
        return (
            (auth.status, auth.resume if signing_in else "", whose[auth.sign_in], whose[auth.pending]),
            (which[auth.generation], remaining, cooling, min(auth.failures, self.bounds.failures), auth.in_doubt),
            (type(auth.error), getattr(auth.error, "cause", None), auth.storage, recent),
            tuple(self._run_key(run, world, whose, which) for run in world.runs),
            tuple((whose[login.sign_in], login.landed) for login in world.logins),
            (order.get(world.slot), order.get(world.login_slot)),
            tuple(
                sorted(
                    (order[call.flight], call.behind, whose[call.began], which[getattr(call.rejected, "generation", 0)])
                    for call in world.calls
                    if call is not None
                )
            ),
        )

    def _run_key(self, run: Run, world: World, whose: _Names, which: _Names) -> Hashable:
        now = is_about_now(run, world.auth)
        refused = run.refused and now and self.bounds.excess
        return (whose[run.spent.sign_in], now or which[run.spent.generation], refused, run.late, run.landed)


class _Names(dict[object, int]):
    """Names in the order in which they are first met."""

    def __missing__(self, name: object) -> int:
        self[name] = number = len(self) + 1 if name else 0
        return number


def _land(run: Run, *, stored: bool = True) -> Act:
    def act(stage: Stage) -> None:
        stage.storage.is_full = not stored
        stage.forget(run.number)
        stage.refresh_run(run)._land(_new_pair(stage))

    return act


def _fail(run: Run, fault: str) -> Act:
    def act(stage: Stage) -> None:
        stage.forget(run.number)
        stage.refresh_run(run)._fail(FAILURES[fault]())

    return act


def _sign_in(login: Login) -> Act:
    def act(stage: Stage) -> None:
        stage.forget(login.number)
        run = stage.login_run(login)
        run._given = _new_pair(stage)
        run.run()

    return act


def _fail_login(login: Login) -> Act:
    def act(stage: Stage) -> None:
        stage.forget(login.number)
        stage.login_run(login)._fail(RefreshRefused("the password is wrong", status_code=401))

    return act


def _new_pair(stage: Stage) -> Tokens:
    now = stage.runtime.now()
    return Tokens("access", "refresh", now.wall + LIFE, received=now)


def _broken_on(stage: Stage, before: World, after: World) -> Iterator[str]:
    for step in stage.store.steps:
        yield from broken(STEP_RULES, *step)
    for run, auth in stage.departed:
        yield from broken(DEPARTURE_RULES, before, run, auth)
    for answer in stage.answers:
        yield from broken(ANSWER_RULES, answer)
    for tokens in stage.refresher.revoked:
        yield from broken(REVOKE_RULES, tokens, after.auth)
    yield from broken(EVENT_RULES, before, after, stage.answers)


def _is_explained(answer: Answer | None) -> bool:
    if answer is None:
        return False
    if answer.tokens is not None:
        return True
    ended = isinstance(answer.auth.error, SessionExpired)
    return isinstance(answer.error, SessionExpired if ended else NotSignedIn) and answer.auth.tokens is None
