"""A test server's face to httpx in the same process: no socket, and its latencies take the time of a `Runtime`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx

from rxauth.concurrency.runtime import Pending, Runtime
from rxauth.testing.server.handler import HELD_FOR, Desk, Exchange
from rxauth.testing.server.wire import Answer, request_of
from rxauth.testing.time import VirtualTime


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Serves a `Client`, an `AsyncClient` (on asyncio) and a refresher's `transport=`, under any host name.

    What breaks a connection raises what httpx raises over a socket; a server that is too slow costs the client's read
    timeout, and does its work nevertheless, as one at the end of a real wire would.
    """

    def __init__(self, desk: Desk, time: Runtime) -> None:
        self._desk, self._time = desk, time

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # Not request.read(), which would make a body that can be read only once one that can be sent again.
        exchange = self._arrive(request, b"".join(cast(httpx.SyncByteStream, request.stream)))
        patience = _patience(request)
        pending = self._work_on(exchange)
        if not self._time.wait(pending.done, patience):
            raise httpx.ReadTimeout("the server takes too long", request=request)
        return self._response(request, exchange, pending.result())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = cast(httpx.AsyncByteStream, request.stream)
        exchange = self._arrive(request, b"".join([chunk async for chunk in stream]))
        patience = _patience(request)
        pending = self._work_on(exchange)
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        self._time.spawn(lambda: self._tell(loop, done, pending, patience), "test-server-answer")
        await done.wait()
        if not pending.done.is_set():
            raise httpx.ReadTimeout("the server takes too long", request=request)
        return self._response(request, exchange, pending.result())

    def close(self) -> None:
        """Nothing is held open, so one transport may serve many clients."""

    def _arrive(self, request: httpx.Request, body: bytes) -> Exchange:
        exchange = self._desk.begin(request_of(request.method, str(request.url), request.headers.multi_items(), body))
        if exchange.fault.wire == "reset_before":
            raise httpx.ReadError("the connection was reset", request=request)
        return exchange

    def _work_on(self, exchange: Exchange) -> Pending[Answer]:
        """The server's work, which goes on whether or not anybody waits for it."""

        def work() -> Answer:
            if exchange.fault.wire == "never":
                self._time.wait(self._time.latch())
            self._time.sleep(exchange.latency)
            while self._desk.is_held(exchange):
                self._time.sleep(HELD_FOR)
            return self._desk.answer(exchange)

        return self._time.io(work, "test-server")

    def _tell(
        self, loop: asyncio.AbstractEventLoop, done: asyncio.Event, pending: Pending[Answer], patience: float | None
    ) -> None:
        self._time.wait(pending.done, patience)
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    def _response(self, request: httpx.Request, exchange: Exchange, answer: Answer) -> httpx.Response:
        if exchange.fault.wire == "reset_after":
            raise httpx.ReadError("the connection was reset", request=request)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer, exchange, self._time, request), request=request
        )


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's body, with what may happen to it on its way."""

    def __init__(self, answer: Answer, exchange: Exchange, time: Runtime, request: httpx.Request) -> None:
        self._fault, self._time, self._request = exchange.fault, time, request
        self._content = b"" if exchange.request.method == "HEAD" else answer.body

    def __iter__(self) -> Iterator[bytes]:
        for chunk, pause, late in self._chunks():
            self._time.sleep(pause)
            self._check(late)
            yield chunk
        self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk, pause, late in self._chunks():
            await _sleep(self._time, pause)
            self._check(late)
            yield chunk
        self._end()

    def _chunks(self) -> Iterator[tuple[bytes, float, bool]]:
        """Each piece, the seconds before it, and whether nobody waited for so long."""
        if self._fault.wire == "half_close":
            yield self._content[: -max(1, len(self._content) // 2)], 0.0, False
        elif self._fault.wire == "drip":
            patience = _patience(self._request)
            late = patience is not None and patience < self._fault.delay
            for byte in self._content:
                yield bytes([byte]), patience if late and patience else self._fault.delay, late
        else:
            yield self._content, 0.0, False

    def _check(self, late: bool) -> None:
        if late:
            raise httpx.ReadTimeout("the server takes too long", request=self._request)

    def _end(self) -> None:
        if self._fault.wire == "half_close":
            raise httpx.RemoteProtocolError("the answer ended before its body did", request=self._request)


def _patience(request: httpx.Request) -> float | None:
    """The client's read timeout in seconds, None for none."""
    timeout: float | None = request.extensions.get("timeout", {}).get("read")
    return timeout


async def _sleep(time: Runtime, seconds: float) -> None:
    await (time.pause(seconds) if isinstance(time, VirtualTime) else asyncio.sleep(seconds))
