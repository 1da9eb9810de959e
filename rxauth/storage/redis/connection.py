"""The Redis storage's way to its server: connections of its own, one time limit, errors that hold no secret."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from rxauth.concurrency.runtime import CHANCE
from rxauth.errors import StorageError
from rxauth.storage.redis.failures import ERRORS, trouble_of

#: The pause before the second try, in seconds; it doubles up to the last one.
FIRST_PAUSE, LAST_PAUSE = 0.02, 0.3


class Wire:
    """Commands to a server, from any thread, by a client of its own or by the caller's."""

    def __init__(self, client: Any, where: str, timeout: float, *, own: bool) -> None:
        self._client = client
        self._timeout = timeout
        self._own = own
        self._closed = False
        self.where = where

    def run(self, ask: Callable[[Any], Any]) -> Any:
        """What `ask` gets from the client. Raises one of ERRORS."""
        if self._closed:
            raise self._error("was closed, with this RedisStorage")
        try:
            return ask(self._client)
        finally:
            if self._closed:  # meanwhile: the connection is back in the pool, and nobody else would close it
                self._drop()

    def once(self, *words: Any) -> Any:
        """The answer to one command, tried once. Raises one of ERRORS."""
        return self.run(lambda client: client.execute_command(*words))

    def call(self, *words: Any) -> Any:
        """The answer to one command, which may be executed twice: while the trouble may pass and the time is not up,
        it is tried again.

        Raises `StorageError`.
        """
        # A try takes up to half of the timeout, so that none is begun when half of it is over.
        end = time.monotonic() + self._timeout / 2
        pause = FIRST_PAUSE
        while True:
            try:
                return self.once(*words)
            except ERRORS as error:
                trouble = trouble_of(error)
            if not trouble.passes or time.monotonic() + pause > end:
                # Out of the except clause: redis-py's error, and its frames that hold the password, do not come along.
                raise self._error(trouble.text)
            time.sleep(pause * CHANCE.uniform(0.5, 1.0))
            pause = min(2 * pause, LAST_PAUSE)

    def close(self) -> None:
        """Close the connections, without waiting for it. All calls fail from now on."""
        self._closed = True
        self._drop()

    def hang_up(self, notices: Any) -> None:
        """Close the client's pub/sub connection, also when this wire was closed."""
        with contextlib.suppress(*ERRORS):
            notices.close()

    def _drop(self) -> None:
        """Close the connections that nobody uses. One under a reader in another thread must not be closed: redis-py
        would fail in there in any way, or read from whatever gets the number of its socket next."""
        if self._own:
            self._client.connection_pool.disconnect(inuse_connections=False)

    def _error(self, what: str) -> StorageError:
        return StorageError(f"the {self.where} {what}")


class _Home(NamedTuple):
    """An event loop on a thread of its own, and the client that lives there."""

    pid: int
    loop: asyncio.AbstractEventLoop
    client: Any


_of_parents: list[_Home] = []


class AsyncWire(Wire):
    """Commands by an asyncio client, on an event loop of its own. The child of a fork gets one of its own, too."""

    def __init__(self, make: Callable[[], Any], where: str, timeout: float) -> None:
        super().__init__(None, where, timeout, own=True)
        self._make = make
        self._lock = threading.Lock()
        self._home: _Home | None = None

    def run(self, ask: Callable[[Any], Any]) -> Any:
        async def asked(client: Any) -> Any:
            answer = ask(client)
            return await answer if hasattr(answer, "__await__") else answer

        if self._home is not None and self._home.pid != os.getpid():
            # In a forked child, where nobody gives the lock back. The parent's client must not be collected here:
            # closing its connections, it would take them out of the selector that child and parent share.
            _of_parents.append(self._home)
            self._lock, self._home = threading.Lock(), None
        with self._lock:  # whatever was asked before `close` is cancelled by it
            if self._closed:
                raise self._error("was closed, with this RedisStorage")
            home = self._home = self._home or self._move_in()
            future = asyncio.run_coroutine_threadsafe(asked(home.client), home.loop)
        try:
            return future.result()
        except CancelledError:
            pass
        raise self._error("was closed, with this RedisStorage")

    def hang_up(self, notices: Any) -> None:
        with contextlib.suppress(*ERRORS, StorageError):  # closed: it was closed with the others
            self.run(lambda _: notices.aclose() if hasattr(notices, "aclose") else notices.close())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            home, self._home = self._home, None
            if home is not None and home.pid == os.getpid():
                leaving: Future[None] = asyncio.run_coroutine_threadsafe(_leave(home.client), home.loop)
                leaving.add_done_callback(lambda _: home.loop.call_soon_threadsafe(home.loop.stop))

    def _move_in(self) -> _Home:
        loop = asyncio.new_event_loop()

        def live() -> None:
            loop.run_forever()
            loop.close()

        threading.Thread(target=live, name="rxauth-redis-loop", daemon=True).start()
        return _Home(os.getpid(), loop, self._make())


async def _leave(client: Any) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await client.connection_pool.disconnect()


def connect(client_or_url: Any, timeout: float) -> Wire:
    """The way to a client's server, or to a URL's. Nothing is sent yet."""
    if isinstance(client_or_url, str):
        return connect(_from_url(client_or_url), timeout)
    pool: Any = getattr(client_or_url, "connection_pool", None)
    if isinstance(client_or_url, redis.Redis):
        if type(pool) not in (redis.ConnectionPool, redis.BlockingConnectionPool):  # Sentinel's know the way themselves
            return Wire(client_or_url, f"Redis {_name_of(pool)}", timeout, own=False)
        settings = _settings(pool, timeout, Retry(NoBackoff(), 0))
        own = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **settings))
        return Wire(own, f"Redis at {_address(settings)}", timeout, own=True)
    if isinstance(client_or_url, redis.RedisCluster):
        return Wire(client_or_url, "Redis cluster", timeout, own=False)
    if isinstance(client_or_url, redis.asyncio.Redis) and type(pool) in (
        redis.asyncio.ConnectionPool,
        redis.asyncio.BlockingConnectionPool,
    ):
        settings = _settings(pool, timeout, AsyncRetry(NoBackoff(), 0))
        kind = pool.connection_class
        return AsyncWire(
            lambda: redis.asyncio.Redis(
                connection_pool=redis.asyncio.ConnectionPool(connection_class=kind, **settings)
            ),
            f"Redis at {_address(settings)}",
            timeout,
        )
    kind = type(client_or_url)
    raise TypeError(
        "RedisStorage takes a URL, a redis.Redis (also one of Sentinel), a redis.RedisCluster or a plain "
        f"redis.asyncio.Redis, got {kind.__module__}.{kind.__qualname__}; for asyncio with Sentinel or a cluster "
        "pass the client without asyncio: the storage does its work on threads"
    )


def _from_url(url: str) -> Any:
    try:
        return redis.Redis.from_url(url)
    except (ValueError, TypeError):  # whose text may repeat a part of the password
        pass
    raise ValueError(
        "this is no Redis URL: it has the form redis://[user:password@]host:port/db, rediss://... or unix://...; "
        "is the password percent-encoded?"
    )


#: What a pool adds to its connections' settings for itself, and a new pool adds again.
_OF_THE_POOL = {"himport_registry", "event_dispatcher", "connection_pool", "retry_on_timeout"}


def _settings(pool: Any, timeout: float, retry: Any) -> dict[str, Any]:
    """The settings of connections like the pool's, which fail in time, and at once rather than after retries."""
    settings = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name not in _OF_THE_POOL and "maint_notifications" not in name and not name.startswith("orig_")
    }
    half = timeout / 2
    limits = {name: min(settings.get(name) or half, half) for name in ("socket_timeout", "socket_connect_timeout")}
    if "path" in settings:
        del limits["socket_connect_timeout"]  # a Unix socket has none
    return {**settings, **limits, "retry": retry, "retry_on_error": [], "decode_responses": False}


def _address(settings: dict[str, Any]) -> str:
    if "path" in settings:
        return str(settings["path"])
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{settings.get('db', 0) or 0}"


def _name_of(pool: Any) -> str:
    name = getattr(pool, "service_name", None)
    return f"{name!r}" if name else f"by {type(pool).__name__}"
