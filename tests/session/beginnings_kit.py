"""How a session begins on an event loop: a test on one, and what is stored."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from rxauth import Session, Tokens
from rxauth.storage import Record


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, as one that pytest can run."""

    @functools.wraps(test)
    def run(*args: Any, **how: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **how), 60))

    return run


def stored(expires_in: float = 300.0) -> Record:
    tokens = Tokens.from_response({"access_token": "a", "refresh_token": "r", "expires_in": expires_in})
    return Record("ada", 3, tokens)


def posting(tokens: Tokens) -> dict[str, Any]:
    return {"access_token": f"new-{tokens.refresh}", "refresh_token": "r2", "expires_in": 300}


async def ask(session: Session[Any]) -> Tokens:
    """A call, as a task that can be begun."""
    return await session.fresh()
