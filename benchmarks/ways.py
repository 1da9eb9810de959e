"""The five ways of calling with rxauth."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.scenarios import Result
from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer, simplejwt
from rxauth.api import request
from rxauth.errors import ApiStatusError
from rxauth.testing import Pair, TokenServer


def session_for(server: TokenServer, pair: Pair, **options: Any) -> Session[Any]:
    """A session signed in with the pair. The server's tokens are JWTs, so they tell their own expiry."""
    return Session(simplejwt(server.url), tokens=Tokens(pair.access, pair.refresh), **options)


class AsyncWay:
    """Calls made as tasks of one event loop."""

    def __init__(self, server: TokenServer, pair: Pair) -> None:
        self.first_cancelled = threading.Event()
        self._runner = asyncio.Runner()
        self._server = server
        self._runner.run(self.open(pair))

    session: Session[Any]

    async def open(self, pair: Pair) -> None:
        raise NotImplementedError

    async def send(self, path: str) -> int:
        raise NotImplementedError

    async def shut(self) -> None:
        raise NotImplementedError

    def calls(self, paths: list[str], *, cancel_first_after: float | None = None) -> list[Result]:
        return self._runner.run(self._all(paths, cancel_first_after))

    @property
    def refresh_token(self) -> str | None:
        tokens = self.session.auth.tokens
        return tokens.refresh if tokens else None

    def close(self) -> None:
        self._runner.run(self.shut())
        self._runner.close()

    async def _all(self, paths: list[str], cancel_first_after: float | None) -> list[Result]:
        tasks = [asyncio.create_task(self.send(path)) for path in paths]
        if cancel_first_after is not None:
            await asyncio.sleep(cancel_first_after)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1])
            self.first_cancelled.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))


class Async(AsyncWay):
    """AsyncClient + BearerAuth"""

    async def open(self, pair: Pair) -> None:
        self.session = session_for(self._server, pair)
        self.client = httpx.AsyncClient(auth=BearerAuth(self.session), base_url=self._server.url, timeout=30)

    async def send(self, path: str) -> int:
        return (await self.client.get(path)).status_code

    async def shut(self) -> None:
        await self.client.aclose()
        self.session.close()


class Httpx2(Async):
    """httpx2 AsyncClient + BearerAuth"""

    async def open(self, pair: Pair) -> None:
        import httpx2

        from rxauth.http.httpx2 import BearerAuth as BearerAuth2

        self.session = session_for(self._server, pair)
        self.client: Any = httpx2.AsyncClient(auth=BearerAuth2(self.session), base_url=self._server.url, timeout=30)


class ByHand(AsyncWay):
    """session.fresh() and replace()"""

    async def open(self, pair: Pair) -> None:
        self.session = session_for(self._server, pair)
        self.client = httpx.AsyncClient(base_url=self._server.url, timeout=30)

    async def send(self, path: str) -> int:
        tokens = await self.session.fresh()
        response = await self._get(path, tokens)
        if response.status_code == 401:
            response = await self._get(path, await self.session.replace(tokens))
        return response.status_code

    async def _get(self, path: str, tokens: Tokens) -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {tokens.access}"})

    async def shut(self) -> None:
        await self.client.aclose()
        self.session.close()


@dataclass(frozen=True)
class Get(ApiCall[int]):
    path: str

    def request(self, state: Any) -> Request:
        return Request.get(self.path)

    def parse(self, response: Any) -> int:
        status: int = response.status_code
        return status


class Epic(AsyncWay):
    """ApiCall through the epic"""

    async def open(self, pair: Pair) -> None:
        self.store = Store(auth_reducer, AuthState())
        self.session = session_for(self._server, pair, store=self.store, select=lambda state: state)
        self.client = httpx.AsyncClient(base_url=self._server.url, timeout=30)
        self.store.add_epic(api_epic(self.client, self.session))

    async def send(self, path: str) -> int:
        try:
            return await request(self.store, Get(path))
        except ApiStatusError as error:
            return error.status_code

    async def shut(self) -> None:
        self.store.close()
        self.session.close()
        await self.client.aclose()


class Threads:
    """Client + BearerAuth, from threads"""

    def __init__(self, server: TokenServer, pair: Pair) -> None:
        self.first_cancelled = threading.Event()
        self.session = session_for(server, pair)
        self.client = httpx.Client(auth=BearerAuth(self.session), base_url=server.url, timeout=30)

    def calls(self, paths: list[str], *, cancel_first_after: float | None = None) -> list[Result]:
        results: list[Result] = [0] * len(paths)
        barrier = threading.Barrier(len(paths))
        first_begins = threading.Event()

        def send(number: int) -> None:
            barrier.wait()
            try:
                if number == 0:
                    first_begins.set()  # inside of the try: from here on a Ctrl-C may come
                results[number] = self.client.get(paths[number]).status_code
            except BaseException as error:
                results[number] = error

        def interrupt() -> None:
            first_begins.wait(60)
            time.sleep(cancel_first_after or 0.0)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        # A blocking call is cancelled by Ctrl-C, which reaches the main thread: so the first call is made there.
        threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(1, len(paths))]
        if cancel_first_after is not None:
            threads.append(threading.Thread(target=interrupt, daemon=True))
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever else ran in this process before
        for thread in threads:
            thread.start()
        send(0)
        self.first_cancelled.set()
        for thread in threads:
            thread.join(60)
        signal.signal(signal.SIGINT, usual)
        return results

    @property
    def refresh_token(self) -> str | None:
        tokens = self.session.auth.tokens
        return tokens.refresh if tokens else None

    def close(self) -> None:
        self.client.close()
        self.session.close()


WAYS: tuple[Callable[[TokenServer, Pair], Any], ...] = (Async, Threads, Epic, ByHand, Httpx2)
