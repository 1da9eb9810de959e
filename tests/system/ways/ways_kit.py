"""One story, told in every way of calling: the world it happens in, and the decorator that tells it.

A story is an async function of a `World`. `world.call(...)` makes a call at once and beside the others; awaited, it is
the answer's status or the error. All latencies take virtual time, unless the story is told `over_sockets`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

import httpx
import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.concurrency import Runtime
from rxauth.errors import ApiStatusError, TokenRejected
from rxauth.testing import Pair, TokenServer, VirtualTime
from tests.system.ways.ways_of_calling import ALL, BEARERS, LEAVERS, Way

T = TypeVar("T")

__all__ = [
    "ALL",
    "API",
    "BEARERS",
    "LEAVERS",
    "ME",
    "Rewriting",
    "Way",
    "World",
    "in_every_way",
    "kinds",
    "over_sockets",
    "together",
]

API = "https://api.example.com"
ME = "/api/me/"

#: What a call came to: the status of its answer, or an error.
Outcome = int | Exception
Story = Callable[..., Coroutine[Any, Any, None]]


class World:
    """A server, a session and one way of calling.

    `pair` is what the session is signed in with: fresh, or `expired`, or nothing at all when `signed_in` is false.
    """

    def __init__(
        self,
        way: type[Way],
        time: Runtime,
        server: TokenServer,
        *,
        url: str = API,
        transport: Any = None,
        signed_in: bool = True,
        expired: bool = False,
        refresher: Callable[[World], Any] | None = None,
        client: dict[str, Any] | None = None,
        session: Session[Any] | None = None,
        **settings: Any,
    ) -> None:
        self.time, self.server, self.url, self.transport = time, server, url, transport
        self.client_options = client or {}
        self.responses: list[Any] = []
        self._way = way
        self._ways: list[Way] = []
        self.owns_session = session is None
        if session is None:
            self.pair: Pair | None = server.issue(expired=expired) if signed_in else None
            tokens = Tokens(self.pair.access, self.pair.refresh) if self.pair else None
            refresh = refresher(self) if refresher else simplejwt(url, transport=transport)
            session = Session(refresh, tokens=tokens, time=time, origins=[url], **settings)
        self.session = session
        self.events: list[Any] = []
        self._watching = session.store.actions.subscribe(self.events.append)

    # -- what a story does ------------------------------------------------------------------------------------------

    def call(
        self, method: str = "GET", path: str = ME, *, way: Way | None = None, **body: Any
    ) -> asyncio.Task[Outcome]:
        """Begin a call; await the result for its outcome."""
        return asyncio.create_task(self._outcome((way or self.ways(1)[0]).send(method, path, **body)))

    async def calls(self, number: int, method: str = "GET", path: str = ME) -> list[Outcome]:
        """Make so many calls at once and wait for their outcomes."""
        return await together(self.call(method, path) for _ in range(number))

    async def login(self) -> Tokens:
        return await self.session.login(username=self.server.user, password=self.server.password)

    def ways(self, number: int) -> list[Way]:
        """So many of this way, each with a client of its own, on the one session."""
        while len(self._ways) < number:
            self._ways.append(self._way(self))
        return self._ways[:number]

    def use(self, kind: type[Way]) -> Way:
        """Another way of calling on the same session."""
        self._ways.append(kind(self))
        return self._ways[-1]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises in a thread of the world's time."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def tell(settle: Callable[[Any], None], what: Any) -> None:
            if not done.done():
                settle(what)

        def run() -> None:
            try:
                result = work()
            except Exception as error:
                loop.call_soon_threadsafe(tell, done.set_exception, error)
            else:
                loop.call_soon_threadsafe(tell, done.set_result, result)

        self.time.spawn(run, "caller")
        return await done

    # -- what a story asks ------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.time.now().mono

    @property
    def sent(self) -> list[str | None]:
        """What the server thought of the token of each call that reached the API."""
        return [seen.token for seen in self.server.api_calls]

    @property
    def bearers(self) -> list[str]:
        """The access token of each call that reached the API."""
        return [seen.headers.get("authorization", "").removeprefix("Bearer ") for seen in self.server.api_calls]

    @property
    def stored_refresh(self) -> str | None:
        """The refresh token in the session's storage."""
        record = self.session.storage.load()
        return record.tokens.refresh if record is not None else None

    async def close(self) -> None:
        self._watching.dispose()
        for way in self._ways:
            await way.close()

    async def _outcome(self, sending: Awaitable[Any]) -> Outcome:
        try:
            response = await sending
        except (ApiStatusError, TokenRejected) as error:
            response = error.response
        except Exception as error:
            return error
        self.responses.append(response)
        status: int = response.status_code
        return status


async def together(calls: Iterable[Awaitable[Outcome]]) -> list[Outcome]:
    return list(await asyncio.gather(*calls))


def kinds(outcomes: Iterable[Outcome]) -> set[Any]:
    """Which outcomes there were: statuses, and classes of errors."""
    return {outcome if isinstance(outcome, int) else type(outcome) for outcome in outcomes}


_SERVER = frozenset(inspect.signature(TokenServer).parameters) - {"self", "time"}


@contextlib.asynccontextmanager
async def _world(way: type[Way], time: Runtime, server: TokenServer, **options: Any) -> AsyncIterator[World]:
    world = World(way, time, server, **options)
    try:
        yield world
    finally:
        await world.close()
        world.session.close()


def tell(way: type[Way], story: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """Tell a story in virtual time. Options are those of the server, the session and the `World`."""
    time = VirtualTime()
    server = TokenServer(time=time, **{name: options.pop(name) for name in _SERVER & set(options)})
    through = options.pop("through", lambda transport: transport)

    async def main() -> None:
        async with _world(way, time, server, transport=through(server.transport), **options) as world:
            await story(world)

    time.run(main())


def tell_over_sockets(way: type[Way], story: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """Tell a story in real time, on a loopback port."""
    with TokenServer(**{name: options.pop(name) for name in _SERVER & set(options)}) as server:

        async def main() -> None:
            async with _world(way, Runtime(), server, url=server.url, **options) as world:
                await story(world)

        asyncio.run(main())


def in_every_way(
    ways: Collection[type[Way]] = ALL, *, teller: Callable[..., None] = tell, **options: Any
) -> Callable[[Story], Callable[..., None]]:
    """Make a test of a story, for each of these ways. Its other parameters are pytest's."""

    def decorate(story: Story) -> Callable[..., None]:
        def test(way: type[Way], **given: Any) -> None:
            teller(way, lambda world: story(world, **given), **options)

        test.__name__, test.__qualname__ = story.__name__, story.__qualname__
        test.__doc__, test.__module__ = story.__doc__, story.__module__
        _, *others = inspect.signature(story).parameters.values()
        first = inspect.Parameter("way", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([first, *others])  # type: ignore[attr-defined]
        return pytest.mark.parametrize("way", ways, ids=lambda way: way.name)(test)

    return decorate


def over_sockets(ways: Collection[type[Way]] = ALL, **options: Any) -> Callable[[Story], Callable[..., None]]:
    """`in_every_way`, in real time and on a loopback port: for what only a wire shows. Keep it short."""
    return in_every_way(ways, teller=tell_over_sockets, **options)


class Rewriting(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A server's transport, and what happens on the way to it and back."""

    def __init__(
        self,
        transport: Any,
        *,
        request: Callable[[httpx.Request], None] = lambda request: None,
        response: Callable[[httpx.Response], None] = lambda response: None,
    ) -> None:
        self._transport, self._request, self._response = transport, request, response

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._request(request)
        response: httpx.Response = self._transport.handle_request(request)
        self._response(response)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._request(request)
        response: httpx.Response = await self._transport.handle_async_request(request)
        self._response(response)
        return response
