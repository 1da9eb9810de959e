"""What goes through the gate: API calls as actions, effects behind `session.gate`, and function actions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import reactivex
from reactivex import operators as ops

from rxauth import ApiCall, Request, Tokens, api_epic
from rxauth.api import ApiEvent, ApiSkipped, ApiStarted, request
from rxauth.concurrency.runtime import running_loop
from rxauth.errors import RxAuthError, StoreClosed, TokenRejected
from rxauth.http import BearerAuth
from rxauth.session.state import is_premature
from tests.system.simulation.callers import sign_in_now
from tests.system.simulation.server import URL

if TYPE_CHECKING:
    from tests.system.simulation.loops import Loop
    from tests.system.simulation.world import World

POLICIES: tuple[Any, ...] = ("merge", "merge", "merge", "latest", "first", "in_order")


@dataclass(frozen=True)
class Call(ApiCall[None]):
    number: int
    began: str

    def request(self, state: Any) -> Request:
        return Request.get("/", headers={"X-Began": self.began})


@dataclass(frozen=True)
class BlockingCall(Call):
    """For the epic on threads."""


@dataclass(frozen=True)
class AsyncCall(Call):
    """For the epic on a loop."""


@dataclass(frozen=True)
class BareCall(Call):
    """Sent without a token."""

    auth = "none"

    def request(self, state: Any) -> Request:
        return Request.get("/bare")


@dataclass(frozen=True)
class Effect:
    number: int


@dataclass
class Outcomes:
    """What became of all that was dispatched, by its number."""

    wrong: list[str]
    calls: dict[int, list[str]] = field(default_factory=dict)
    effects: dict[int, list[str]] = field(default_factory=dict)
    results: dict[int, list[str]] = field(default_factory=dict)
    #: Every effect ends: not so where the policy cancels or drops some.
    effects_end: bool = True
    number: int = 0

    def next(self, kind: dict[int, list[str]]) -> int:
        self.number += 1
        kind[self.number] = []
        return self.number

    def note_call(self, event: ApiEvent[Any]) -> None:
        assert isinstance(event.call, Call)
        self.calls[event.call.number].append(type(event).__name__)

    @property
    def open_calls(self) -> list[int]:
        """The calls that have begun and have no answer yet."""
        return [number for number, events in self.calls.items() if events == [ApiStarted.__name__]]

    def check(self) -> None:
        for events in self.calls.values():
            if events != [ApiSkipped.__name__] and (len(events) != 2 or events[0] != ApiStarted.__name__):
                self.wrong.append(f"a dispatched call was answered with {', '.join(events) or 'nothing'}")
        for ends in self.effects.values():
            if len(ends) > 1 or (not ends and self.effects_end):
                self.wrong.append(f"an effect behind the gate ended {len(ends)} times")
        for ends in self.results.values():
            if len(ends) != 1:
                self.wrong.append(f"the result of a login, a logout or a function action came {len(ends)} times")


# -- how they are set up ---------------------------------------------------------------------------------------------


def add_blocking_epic(world: World) -> None:
    client = httpx.Client(transport=httpx.MockTransport(world.api.answer), base_url=URL, trust_env=False)
    kinds = (BlockingCall, BareCall)
    epic = api_epic(client, world.session, policy=world.policy, max_in_flight=world.max_in_flight, calls=kinds)
    world.store.add_epic(epic)


def add_async_epic(world: World) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(world.api.answer_async), base_url=URL, trust_env=False)
    epic = api_epic(client, world.session, policy=world.policy, max_in_flight=world.max_in_flight, calls=AsyncCall)
    world.store.add_epic(epic)


def add_gate(world: World) -> None:
    """Effects behind `session.gate`; on a loop they are coroutines."""
    loop = running_loop()
    tries: dict[int, tuple[str, list[int]]] = {}
    #: How often the current pair was refused before half of its life: an effect may have one of them replaced.
    early: dict[int, int] = {}

    def enter(effect: Effect) -> None:
        tries[effect.number] = (sign_in_now(world), [])

    def begin(effect: Effect, tokens: Tokens) -> bool:
        """True when the API refuses the tokens."""
        began, generations = tries[effect.number]
        if began and tokens.sign_in != began:
            world.wrong.append("an effect ran with another user's tokens")
        if tokens.generation in generations:
            world.wrong.append("an effect was given the tokens again that it had rejected")
        generations.append(tokens.generation)
        if early.get(effect.number, 0) > 1:
            world.wrong.append("an effect ran again after two pairs in a row were refused")
        refused = world.server.faults and world.dice.random() < world.api.refusals
        # A coroutine's refusal is heard later, when the pair may have been replaced for others.
        if refused and loop is None and tokens.generation == world.session.auth.generation:
            early[effect.number] = early.get(effect.number, 0) + is_premature(tokens, world.time.now(), True)
        return refused

    def project(effect: Effect, tokens: Tokens) -> reactivex.Observable[tuple[int, str]]:
        if begin(effect, tokens):
            raise TokenRejected
        return reactivex.just((effect.number, tokens.sign_in))

    async def project_async(effect: Effect, tokens: Tokens) -> tuple[int, str]:
        refused = begin(effect, tokens)
        await asyncio.sleep(world.dice.choice((0.0, 0.1, 2.0)))
        if refused:
            raise TokenRejected
        return effect.number, tokens.sign_in

    def end(number: int, began: str) -> None:
        """`began`: the sign-in that the value is of, "" for a failure."""
        if began and world.history.auth.sign_in != began and not world.history.was_broken:
            world.wrong.append("an effect passed a value on after its sign-in was over")
        world.outcomes.effects[number].append("ended")

    world.outcomes.effects_end = world.policy in ("merge", "in_order")
    gate = world.session.gate(
        project if loop is None else project_async, policy=world.policy, failed=lambda effect, _: (effect.number, "")
    )
    world.store.actions.of_type(Effect).pipe(ops.do_action(enter), gate).subscribe(lambda ended: end(*ended))


# -- what actors do --------------------------------------------------------------------------------------------------


def dispatch(world: World) -> None:
    """Dispatch API calls."""
    kinds: list[Any] = [BlockingCall, BlockingCall, BareCall] + [AsyncCall] * 3 * bool(world.loops)
    for _ in range(world.dice.randrange(1, 4)):
        kind = world.dice.choice(kinds)
        _dispatch(world, world.outcomes.calls, lambda number, kind=kind: kind(number, sign_in_now(world)))


def dispatch_effect(world: World) -> None:
    for _ in range(world.dice.randrange(1, 3)):
        _dispatch(world, world.outcomes.effects, Effect)


def dispatch_function(world: World) -> None:
    """A function action; some wait for its result, some drop it."""
    number = world.outcomes.next(world.outcomes.results)
    ends = world.outcomes.results[number]

    def function(dispatch: Any, get_state: Any) -> int:
        ends.append("ran")
        return number

    result = world.store.dispatch(world.session.gated(function))
    if world.dice.random() < 0.5:
        try:
            if result.run() != number:
                world.wrong.append("a function action brought another one's result")
        except RxAuthError:
            ends.append("failed")
    else:
        result.subscribe(None, lambda _: ends.append("failed"))


def _dispatch(world: World, kind: dict[int, list[str]], make: Callable[[int], Any]) -> None:
    number = world.outcomes.next(kind)
    try:
        world.store.dispatch(make(number))
    except StoreClosed:
        del kind[number]


def send(world: World) -> None:
    """A plain httpx client with the session as its auth."""
    client = httpx.Client(
        transport=httpx.MockTransport(world.api.answer), base_url=URL, trust_env=False, auth=BearerAuth(world.session)
    )
    with suppress(RxAuthError):
        client.get("/")


async def send_async(world: World, loop: Loop) -> None:
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(world.api.answer_async),
        base_url=URL,
        trust_env=False,
        auth=BearerAuth(world.session),
    ) as client:
        await client.get("/")


async def request_async(world: World, loop: Loop) -> None:
    """Dispatch a call and wait for its answer."""
    number = world.outcomes.next(world.outcomes.calls)
    try:
        waiting = request(world.store, AsyncCall(number, sign_in_now(world)))
    except RxAuthError:
        del world.outcomes.calls[number]  # the store is closed
        return
    await waiting


async def function_async(world: World, loop: Loop) -> None:
    """A coroutine as a function action."""

    async def function(dispatch: Any, get_state: Any) -> str:
        if running_loop() is not loop:
            world.wrong.append("a function action ran on another loop")
        await asyncio.sleep(world.dice.choice((0.0, 0.1, 2.0)))
        return "done"

    await world.store.dispatch(world.session.gated(function))
