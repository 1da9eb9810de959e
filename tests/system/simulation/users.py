"""Who changes the world: users who come and go, operators who correct clocks, apps that close or forget everything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rxauth import AuthState
from rxauth.errors import MissingSlice, RxAuthError, SessionClosed, StoreClosed
from rxauth.session import Login, Logout, Refresh
from tests.system.simulation import callers, effects, tasks
from tests.system.simulation.history import App, Break, Mend, Reset, Undo
from tests.system.simulation.server import LIFE

if TYPE_CHECKING:
    from tests.system.simulation.world import World

#: How long an actor waits before it begins.
PAUSES = (0.0, 0.05, 0.2, 1.0, LIFE - 3, LIFE + 1, 2 * LIFE)


def sign_in(world: World, tokens: Any) -> None:
    """Bring a pair of one's own; the result comes exactly once."""
    _watch(world, lambda: world.session.sign_in(tokens))


def switch(world: World) -> None:
    """Another user takes over."""
    sign_in(world, world.server.issue(f"bob{world.server.number}x"))


def rush(world: World) -> None:
    """Calls are dispatched while another user takes over."""
    for act in (effects.dispatch, switch, effects.dispatch):
        world.time.spawn(lambda act=act: act(world), act.__name__)  # type: ignore[misc]


def login(world: World) -> None:
    _watch(world, lambda: world.session.login(user="eve"))


def logout(world: World) -> None:
    _watch(world, world.session.logout)


def command(world: World) -> None:
    """The same as dispatched actions."""
    commands: tuple[Any, ...] = (Login(credentials={"user": "eve"}), Logout(), Refresh(), Refresh())
    with suppress(StoreClosed):
        world.store.dispatch(world.dice.choice(commands))


def jump(world: World) -> None:
    """The clock is corrected."""
    world.time.jump(world.dice.choice((-3600.0, -4.0, 4.0, 30.0, 3600.0)))


def reset(world: World) -> None:
    """The app forgets everything."""
    if isinstance(world.store.state, App):
        with suppress(StoreClosed):
            world.store.dispatch(Reset())


def undo(world: World) -> None:
    """The app goes back to a state that it had."""
    if world.history.kept and not world.blocked_loops:
        with suppress(StoreClosed):
            world.store.dispatch(Undo(world.dice.choice(world.history.kept)))


def lose(world: World) -> None:
    """For a while the app's reducer loses the session's events, or its slice, or fails on them."""
    history = world.history
    if not history.kept or history.was_broken or world.dice.random() < 0.5 or world.blocked_loops:
        return
    before = history.kept[-1].auth
    with suppress(StoreClosed):
        world.store.dispatch(Break(world.dice.choice(("events", "slice", "fails"))))
        world.time.sleep(world.dice.choice((0.0, 0.1, 2.0, LIFE + 1)))
        world.store.dispatch(Mend(world.dice.choice((AuthState(), before, history.kept[-1].auth))))


def end(world: World) -> None:
    """The app ends: it closes its session, its store or both."""
    world.time.sleep(world.dice.choice(PAUSES))
    orders = ((close_session,), (close_store,), (close_session, close_store), (close_store, close_session))
    world.history.closing = True
    for close in world.dice.choice(orders):
        close(world)
        world.time.sleep(world.dice.choice((0.0, 0.1)))


def close_session(world: World) -> None:
    """Nobody who waits for tokens waits on."""
    world.session.close()
    world.history.closed = True
    world.time.sleep(0.0)
    waiting = [caller for caller in world.callers if caller.waits and not (caller.loop and world.blocked_loops)]
    world.time.sleep(0.01)
    world.wrong.extend(f"{caller.what} waits on after the session was closed" for caller in waiting if caller.waits)


def close_store(world: World) -> None:
    """No call is left without an answer."""
    world.store.close()
    world.time.sleep(0.01)
    if world.outcomes.open_calls and not world.blocked_loops:
        world.wrong.append("a call was not answered when the store was closed")


def _watch(world: World, begin: Callable[[], Any]) -> None:
    """Something that ends exactly once, whenever one looks."""
    try:
        result = begin()
    except (SessionClosed, StoreClosed):
        return
    except (MissingSlice, LookupError):  # of a reducer that is broken
        if not world.history.was_broken:
            raise
        return
    outcomes = world.outcomes.results
    number = world.outcomes.next(outcomes)
    world.time.sleep(world.dice.choice((0.0, 0.0, 0.1, 3.0)))
    if world.dice.random() < 0.5:
        ends = outcomes[number]
        result.subscribe(lambda _: ends.append("done"), lambda _: ends.append("failed"))
        return
    with suppress(RxAuthError):
        result.run()
    outcomes[number].append("done")


ACTORS: tuple[Callable[[World], None], ...] = (
    effects.dispatch,
    effects.dispatch,
    effects.dispatch,
    effects.dispatch_effect,
    effects.dispatch_function,
    effects.send,
    callers.acquire,
    callers.acquire,
    callers.acquire,
    callers.block,
    callers.block,
    callers.insist,
    callers.subscribe,
    callers.crowd,
    logout,
    switch,
    rush,
    login,
    command,
    jump,
    reset,
    undo,
    undo,
    lose,
)

ASYNC_ACTORS: tuple[Callable[[World], None], ...] = (*(tasks.begin,) * 12, tasks.everybody_leaves)
