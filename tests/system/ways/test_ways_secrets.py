"""What a call shows of the secrets when it goes wrong, in every way of calling (behaviours, B83)."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from rxauth.testing import faults
from tests.system.ways.ways_kit import World, over_sockets, together

TROUBLE = {
    "refused": faults.refuse(),
    "unavailable": faults.unavailable(503),
    "half an answer": faults.half_close(),
}


@pytest.mark.parametrize("trouble", ["refused", "unavailable", "half an answer", "nothing"])
@over_sockets(tries=1)
async def test_a_call_that_fails_shows_no_secret(world: World, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    """B83: neither the logs at DEBUG nor the error, its attributes and the locals of its traceback."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().slow_callback_duration = 60.0
    assert world.pair is not None
    await world.login()
    secrets = {world.server.password, world.pair.access, world.pair.refresh, *_of(world)}
    if trouble != "nothing":
        world.server.always(TROUBLE[trouble])
    world.server.revoke_access()
    outcomes = await together(world.call() for _ in range(3))
    secrets |= set(_of(world))
    assert len(secrets) >= 5
    shown = caplog.text + repr(world.session) + world.session.explain() + repr(world.session.auth) + repr(world.events)
    for outcome in outcomes:
        shown += repr(outcome) + str(outcome)
        if isinstance(outcome, Exception):
            assert trouble != "nothing"
            shown += repr(vars(outcome)) + _locals_of(outcome)
    assert [secret for secret in secrets if secret in shown] == []
    assert "rxauth" in shown or trouble == "nothing"


def _of(world: World) -> list[str]:
    tokens = world.session.auth.tokens
    return [] if tokens is None else [tokens.access, tokens.refresh or tokens.access]


def _locals_of(error: BaseException) -> str:
    """The traceback with the locals of each frame of the library's and of httpx's."""
    lines: list[str] = []
    told: Any = traceback.TracebackException.from_exception(error, capture_locals=True)
    while told is not None:
        for frame in told.stack:
            lines += [str(frame.locals)] if "/tests/" not in frame.filename else []
        told = told.__cause__ or told.__context__
    return "\n".join(lines)
