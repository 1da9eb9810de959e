"""Who waits on an event loop: coroutines, some of which are cancelled at some point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from reactivex import operators as ops

from rxauth import Tokens
from rxauth.errors import RxAuthError
from tests.system.simulation.callers import Caller, block
from tests.system.simulation.effects import function_async, request_async, send_async
from tests.system.simulation.loops import Loop

if TYPE_CHECKING:
    from tests.system.simulation.world import World

Job = Callable[["World", Loop], Coroutine[Any, Any, None]]
DELAYS = (0.0, 0.05, 0.1, 0.5, 2.0)


async def await_fresh(world: World, loop: Loop) -> None:
    """Wait for tokens, and ask again at once if there are none; some find that the tokens are refused."""
    tokens = None
    while tokens is None:
        tokens = await _answered(Caller(world, "an async caller", loop=loop), world.session.fresh())
        if world.dice.random() < 0.5:
            break
    if tokens is not None and world.dice.random() < 0.3:
        await asyncio.sleep(world.dice.choice(DELAYS))
        caller = Caller(world, "a refused async caller", began=tokens.sign_in, rejected=tokens, loop=loop)
        await _answered(caller, world.session.replace(tokens))


async def await_piped(world: World, loop: Loop) -> None:
    caller = Caller(world, "an async caller behind a pipe", loop=loop)
    await _answered(caller, world.session.fresh().pipe(ops.map(lambda tokens: tokens)))


async def await_at_most(world: World, loop: Loop) -> None:
    """Lose patience after some time."""
    caller = Caller(world, "an impatient async caller", loop=loop)
    try:
        await asyncio.wait_for(_answered(caller, world.session.fresh()), world.dice.choice(DELAYS))
    except TimeoutError:
        pass
    finally:
        caller.has_left = not caller.answers  # it may not even have begun


async def block_loop(world: World, loop: Loop) -> None:
    """Block the loop, as in a notebook cell; nothing else on it goes on meanwhile."""
    world.blocked_loops = True
    block(world)


async def subscribe_on_loop(world: World, loop: Loop) -> None:
    """Subscribe with callbacks; some dispose of it."""
    caller = Caller(world, "a subscriber on a loop", loop=loop)
    subscription = world.session.fresh().subscribe(caller.told_tokens, caller.told_error)
    if world.dice.random() < 0.4:
        await asyncio.sleep(world.dice.choice(DELAYS))
        subscription.dispose()
        caller.has_left = not caller.answers


async def gather(world: World, loop: Loop) -> None:
    """Many wait, and are cancelled together."""
    callers = [Caller(world, "one of a group", loop=loop) for _ in range(world.dice.randrange(2, 5))]
    try:
        async with asyncio.TaskGroup() as group:
            for caller in callers:
                group.create_task(_answered(caller, world.session.fresh()))
    finally:
        for caller in callers:
            caller.has_left = not caller.answers


async def _answered(caller: Caller, question: Any) -> Tokens | None:
    """Wait for the answer; a cancelled caller has left."""
    try:
        tokens: Tokens = await question
    except asyncio.CancelledError:
        caller.leave()
        raise
    except RxAuthError as error:
        caller.told_error(error)
        return None
    caller.told_tokens(tokens)
    return tokens


JOBS: tuple[Job, ...] = (
    await_fresh,
    await_fresh,
    await_piped,
    await_at_most,
    subscribe_on_loop,
    gather,
    block_loop,
    send_async,
    send_async,
    request_async,
    request_async,
    function_async,
)


def begin(world: World) -> None:
    """Have a loop start a job; some are cancelled, by their loop or from here."""
    loop: Loop = world.dice.choice(world.loops)
    job: Job = world.dice.choice(JOBS)
    cancel_after = world.dice.choice((None, None, None, *DELAYS))

    def start() -> None:
        task = loop.start(_guarded(world, loop, job))
        if cancel_after is not None:
            loop.call_later(cancel_after, task.cancel)

    loop.call_soon_threadsafe(start)


async def _guarded(world: World, loop: Loop, job: Job) -> None:
    try:
        await job(world, loop)
    except RxAuthError:
        pass
    except Exception as error:
        world.wrong.append(f"a coroutine got {error!r}")


def everybody_leaves(world: World) -> None:
    """Cancel all that a loop does."""
    loop: Loop = world.dice.choice(world.loops)
    loop.call_soon_threadsafe(loop.cancel_all)
