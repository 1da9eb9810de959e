"""Calls to an API that says what token it was sent, from a thread that does not hang with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
from api_kit import URL, refresh

from rxauth import AuthState, Session, Store, Tokens, api_epic, auth_reducer


def soon(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises; a failure instead of a hang."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert outcome, "it hangs"
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def api(asked: httpx.Request) -> httpx.Response:
    status = asked.url.path.rpartition("/")[2]
    return httpx.Response(int(status) if status.isdigit() else 200, json=asked.headers.get("authorization"))


def made(client: Any = None, **options: Any) -> tuple[Store[AuthState], Session[AuthState]]:
    store = Store(auth_reducer, AuthState())
    session = Session(refresh, store=store, select=lambda auth: auth, tokens=Tokens("token", "r"))
    store.add_epic(api_epic(client or blocking(), session, **options))
    return store, session


def blocking(**options: Any) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(api), base_url=URL, **options)


def asynchronous(answer: Callable[[httpx.Request], Any] = api) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=URL)


async def never(asked: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError
