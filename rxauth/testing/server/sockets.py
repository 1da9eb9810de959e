"""A test server's face to the network: a loopback port, served by an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from rxauth.testing.server.faults import Fault
from rxauth.testing.server.handler import HELD_FOR, Desk
from rxauth.testing.server.wire import Answer, Request, read_request, reset


class Listener:
    """Listens from the moment it is made until `close()`. Its latencies take real time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="rxauth-test-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and free the port. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(10)

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._socket)
        await self._closing.wait()
        self._loop.remove_reader(self._socket)
        await asyncio.sleep(0)  # who was accepted just now begins: a server that is closed would drop his open socket
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            # One may have been accepted just now: cancelled before it has begun, it would leave its socket open.
            await asyncio.sleep(0)
            for connection in others:
                connection.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None and await self._respond(request, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass  # the client left, or we close
        finally:
            writer.close()
            if not self._closing.is_set():
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()
            writer.transport.abort()  # a client that reads no more would keep it open

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false ends the connection."""
        exchange = self._desk.begin(request)
        if exchange.fault.wire == "reset_before":
            reset(writer)
            return False
        if exchange.fault.wire == "never":
            await self._closing.wait()
            return False
        await asyncio.sleep(exchange.latency)
        while self._desk.is_held(exchange):
            await asyncio.sleep(HELD_FOR)
        answer = self._desk.answer(exchange)
        if exchange.fault.wire == "reset_after":
            reset(writer)
            return False
        return await self._send(request, answer, exchange.fault, writer)

    async def _send(self, request: Request, answer: Answer, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        keep = request.headers.get("connection", "").lower() != "close" and fault.wire == "answer"
        headers = answer.headers if keep else {**answer.headers, "connection": "close"}
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        data = "\r\n".join(lines).encode("latin-1") + (b"" if request.method == "HEAD" else answer.body)
        if fault.wire == "half_close":
            data = data[: -max(1, len(answer.body) // 2)]
        if fault.wire == "drip":
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(fault.delay)
        else:
            writer.write(data)
            await writer.drain()
        return keep
