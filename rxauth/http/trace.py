"""Events of requests on the wire, for recordings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rxauth.errors import OriginNotAllowed
from rxauth.session.trace import CallEvent, refused
from rxauth.store.tap import SESSION, Traced


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent(CallEvent):
    """A request goes out. `path` is without its query, which may hold secrets."""

    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEnded(CallEvent):
    """Its answer came with `status`, or (None) the connection failed or the caller left.

    An `ApiCall` without a token has none of these: its `ApiSucceeded` or `ApiFailed` says the same.
    """

    status: int | None


def traced_flow(
    flow: Generator[Any, Any, None], store: Traced, session: str, caller: int, first: Any
) -> Generator[Any, Any, None]:
    """An auth flow, for the request `first`, whose requests and answers are noted."""
    answer = None
    try:
        while True:
            with noting_other_origins(store, session, caller, first):
                request = flow.send(answer)
            sent(store, session, caller, request)
            status = None
            try:
                answer = yield request
                status = answer.status_code
            finally:
                store.trace(RequestEnded(session=session, caller=caller, status=status), SESSION)
    except StopIteration:
        return
    finally:
        flow.close()


async def traced_async_flow(
    flow: AsyncGenerator[Any, Any], store: Traced, session: str, caller: int, first: Any
) -> AsyncGenerator[Any, Any]:
    """An async auth flow, for the request `first`, whose requests and answers are noted."""
    answer = None
    try:
        while True:
            with noting_other_origins(store, session, caller, first):
                request = await flow.asend(answer)
            sent(store, session, caller, request)
            status = None
            try:
                answer = yield request
                status = answer.status_code
            finally:
                store.trace(RequestEnded(session=session, caller=caller, status=status), SESSION)
    except StopAsyncIteration:
        return
    finally:
        await flow.aclose()


@contextmanager
def noting_other_origins(store: Traced, session: str, caller: int, request: Any) -> Iterator[None]:
    """Note a request that must not have the token. Other refusals are noted where they are decided."""
    try:
        yield
    except OriginNotAllowed as error:
        refused(store, session, caller, f"{request.method} {request.url.path}", error)
        raise


def sent(store: Traced, session: str, caller: int, request: Any) -> None:
    """Note that this request, of httpx or httpx2, goes out."""
    event = RequestSent(session=session, caller=caller, method=request.method, path=request.url.path)
    store.trace(event, SESSION)
