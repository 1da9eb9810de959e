"""The ways in which rxauth can be called, each as one `send(method, path, **body)` that brings the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx
import httpx2
import reactivex

from rxauth import ApiCall, BearerAuth, Request, Store, Tokens, api_epic
from rxauth.api import request
from rxauth.errors import TokenRejected
from rxauth.http.httpx2 import BearerAuth as BearerAuth2


class Way:
    """One way of calling, on a world's session, with a client of its own."""

    name: ClassVar[str]

    def __init__(self, world: Any) -> None:
        self.world, self.session = world, world.session
        self.client = self.open()

    def open(self) -> Any:
        return httpx.AsyncClient(**self.options())

    def options(self) -> dict[str, Any]:
        timeout = {"timeout": 30, "verify": False}
        return {"base_url": self.world.url, "transport": self.world.transport, **timeout, **self.world.client_options}

    async def send(self, method: str, path: str, **body: Any) -> Any:
        """Send one call and bring its answer, or raise."""
        raise NotImplementedError

    async def close(self) -> None:
        await self.client.aclose()

    async def with_tokens(self, tokens: Tokens, method: str, path: str, **body: Any) -> Any:
        """What user code does that attaches the token itself."""
        return await self.client.request(method, path, headers={"Authorization": f"Bearer {tokens.access}"}, **body)


class Async(Way):
    """httpx.AsyncClient + BearerAuth"""

    name = "AsyncClient"

    def open(self) -> Any:
        return httpx.AsyncClient(auth=BearerAuth(self.session), **self.options())

    async def send(self, method: str, path: str, **body: Any) -> Any:
        return await self.client.request(method, path, **body)


class Blocking(Way):
    """httpx.Client + BearerAuth, a thread for each call"""

    name = "Client"

    def open(self) -> Any:
        return httpx.Client(auth=BearerAuth(self.session), **self.options())

    async def send(self, method: str, path: str, **body: Any) -> Any:
        return await self.world.in_thread(lambda: self.client.request(method, path, **body))

    async def close(self) -> None:
        self.client.close()


@dataclass(frozen=True)
class Send(ApiCall[Any]):
    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)

    def request(self, state: Any) -> Request:
        return Request(self.method, self.path, **self.body)

    def parse(self, response: Any) -> Any:
        return response


class Epic(Way):
    """An ApiCall, answered by an api_epic with an httpx.AsyncClient

    The first one lives in the session's store, the others in stores of their own: of two in one store, both answer.
    """

    name = "epic"

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        first = world.owns_session and not world._ways
        self.store = self.session.store if first else Store(lambda state, action: state, ())
        self.epic = self.store.add_epic(api_epic(self.client, self.session))

    async def send(self, method: str, path: str, **body: Any) -> Any:
        return await request(self.store, Send(method, path, body))

    async def close(self) -> None:
        self.epic.dispose()
        await self.client.aclose()


class BlockingEpic(Epic):
    """An ApiCall, answered by an api_epic with an httpx.Client"""

    name = "epic with a Client"

    def open(self) -> Any:
        return httpx.Client(**self.options())

    async def close(self) -> None:
        self.epic.dispose()
        self.client.close()


class ByHand(Way):
    """session.fresh() and session.replace(), subscribed"""

    name = "fresh() and replace()"

    async def send(self, method: str, path: str, **body: Any) -> Any:
        tokens = await subscribed(self.session.fresh())
        response = await self.with_tokens(tokens, method, path, **body)
        if response.status_code == 401:
            newer = await subscribed(self.session.replace(tokens, response=response))
            response = await self.with_tokens(newer, method, path, **body)
        return response


class Httpx2(Way):
    """httpx2.AsyncClient + rxauth.http.httpx2.BearerAuth"""

    name = "httpx2"

    def open(self) -> Any:
        options = self.options()
        if options["transport"] is not None:
            options["transport"] = Forwarding(self.world.transport)
        return httpx2.AsyncClient(auth=BearerAuth2(self.session), **options)

    async def send(self, method: str, path: str, **body: Any) -> Any:
        return await self.client.request(method, path, **body)


class Forwarding(httpx2.AsyncBaseTransport):
    """httpx's transport for a client of httpx2."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, asked: Any) -> Any:
        forwarded = httpx.Request(
            asked.method,
            str(asked.url),
            headers=asked.headers.raw,
            # Not aread(), which would make a body that can be read only once one that can be sent again.
            content=b"".join([chunk async for chunk in asked.stream]),
            extensions={"timeout": asked.extensions["timeout"]},
        )
        answer = await self._transport.handle_async_request(forwarded)
        return httpx2.Response(answer.status_code, headers=answer.headers.raw, content=await answer.aread())


class Gate(Way):
    """An effect behind session.gate(...), which raises TokenRejected for a 401"""

    name = "gate"

    async def send(self, method: str, path: str, **body: Any) -> Any:
        async def effect(_: str, tokens: Tokens) -> Any:
            response = await self.with_tokens(tokens, method, path, **body)
            if response.status_code == 401:
                raise TokenRejected(response=response)
            return response

        gated = reactivex.just(path).pipe(self.session.gate(effect, failed=lambda _, error: error))
        answer = await subscribed(gated)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Gated(Way):
    """A function action, dispatched through session.gated(...)"""

    name = "gated function"

    async def send(self, method: str, path: str, **body: Any) -> Any:
        async def function(dispatch: Any, get_state: Any) -> Any:
            tokens = get_state().tokens or await self.session.fresh()
            response = await self.with_tokens(tokens, method, path, **body)
            if response.status_code == 401:
                newer = await self.session.replace(tokens, response=response)
                response = await self.with_tokens(newer, method, path, **body)
            return response

        return await self.session.store.dispatch(self.session.gated(function))


async def subscribed(source: reactivex.Observable[Any]) -> Any:
    """The one value of an Observable; whoever is cancelled disposes of the subscription."""
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    subscription = source.subscribe(outcome.set_result, outcome.set_exception)
    try:
        return await outcome
    finally:
        subscription.dispose()


ALL = (Async, Blocking, Epic, BlockingEpic, ByHand, Httpx2, Gate, Gated)
#: Those in which rxauth itself attaches the token to a request of the caller's, and sends it again.
BEARERS = (Async, Blocking, Epic, BlockingEpic, Httpx2)
#: Those whose caller can go away while he waits: a thread can not.
LEAVERS = (Async, Epic, BlockingEpic, ByHand, Httpx2, Gate, Gated)
