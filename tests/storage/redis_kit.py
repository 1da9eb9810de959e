"""A Redis server of the test's own, on a free loopback port, and processes that share it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from rxauth.concurrency import Pending, Runtime
from rxauth.storage import Record
from rxauth.storage.redis import RedisStorage
from rxauth.tokens import Tokens
from tests.programs import needed

PASSWORD = "s3cret-of-the-server"
CHILD = Path(__file__).with_name("redis_child.py")

#: How long a call tries, in seconds, where a test does not ask for how long: longer than any machine is busy.
PATIENCE = 60.0

#: The name of a thread that watches.
WATCH = "rxauth-redis-watch"


class Server:
    """redis-server with a directory and a port of its own. It can be stopped, killed and started again."""

    def __init__(self, *options: str, password: str = "", config: Path | None = None) -> None:
        self._binary = needed("redis-server", packages=("redis-server",))
        self._directory = tempfile.mkdtemp(prefix="rxauth-redis-")
        #: With a configuration file it is a Sentinel.
        self._words = [str(config), "--sentinel"] if config is not None else []
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.password = password
        for last in (False, False, True):
            self.port = _free_port()
            try:
                self.start()
            except AssertionError:  # another test was quicker to take the port
                if last:
                    raise
            else:
                break

    @property
    def url(self) -> str:
        return f"redis://{':' + self.password + '@' if self.password else ''}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Any:
        """For the test itself, with redis-py's own settings."""
        return redis.Redis(port=self.port, host="127.0.0.1", password=self.password or None, decode_responses=True)

    def start(self) -> None:
        """Start it, without the data of an earlier start unless the options say to keep it, and wait for it."""
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self._directory, "save": '""', "appendonly": "no"}
        settings |= {"daemonize": "no", "logfile": "redis.log", "loglevel": "warning"}
        if self.password:
            settings["requirepass"] = self.password
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value).strip('"'))]
        self._process = subprocess.Popen(
            [self._binary, *self._words, *words, *self._options], stdout=subprocess.DEVNULL
        )
        until(self._answers, "redis-server answers")

    def pause(self) -> None:
        """It says nothing more, and keeps its connections (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, by its process id."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended at its start"
        client = self.client
        try:
            # Not another test's, that was quicker to take the port while ours is about to find out.
            return client.ping() and client.info("server")["process_id"] == self._process.pid
        except redis.RedisError:
            return False
        finally:
            client.close()


def serve(*options: str, password: str = "", config: Path | None = None) -> Iterator[Server]:
    """For a fixture: a server for as long as it lives."""
    server = Server(*options, password=password, config=config)
    try:
        yield server
    finally:
        server.end()


def until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Wait for something that another thread, process or the server does."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def record(generation: int = 1, sign_in: str = "sign-in-1", **how: Any) -> Record:
    tokens = Tokens(f"access-{sign_in}-{generation}", f"refresh-{sign_in}-{generation}", expires_at=2e9)
    return Record(sign_in, generation, tokens, **how)


def child(*words: object) -> subprocess.Popen[str]:
    """Another process: see redis_child.py for what it can do."""
    command = [sys.executable, str(CHILD), *map(str, words)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def client_of(server: Server, how: str) -> Any:
    settings = {"host": "127.0.0.1", "port": server.port, "password": server.password or None}
    match how:
        case "sync":
            return redis.Redis(**settings)
        case "asyncio":
            return redis.asyncio.Redis(**settings)
        case _:
            return server.url


CLIENTS = ("url", "sync", "asyncio")
every_client = pytest.mark.parametrize("how", CLIENTS)


@contextmanager
def storing(client: Any, **options: Any) -> Iterator[RedisStorage]:
    """A storage, which is closed at the end."""
    storage = RedisStorage(client, **{"timeout": PATIENCE, **options})
    try:
        yield storage
    finally:
        storage.close()


@contextmanager
def giving_up_soon(client: Any, **options: Any) -> Iterator[RedisStorage]:
    """A storage that does not repeat for long what failed; but each try may take its time, as on a busy machine."""
    with storing(client, **options) as storage:
        storage._wire._timeout = 0.3
        yield storage


class Told:
    """A callback of a watch."""

    def __init__(self, error: Exception | None = None) -> None:
        self.times = 0
        self.names: set[str] = set()
        self._error = error

    def __call__(self) -> None:
        self.times += 1
        self.names.add(threading.current_thread().name)
        if self._error is not None:
            raise self._error


def calls(storage: RedisStorage) -> list[Callable[[], Any]]:
    return [
        storage.load,
        lambda: storage.save(record(1)),
        lambda: storage.clear("sign-in-1"),
        lambda: storage.exclusive(30.0).__enter__(),
    ]


def assert_no_secret(error: BaseException) -> None:
    """Neither in the text of the error, nor in the variables that a report of it would show."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    kept = "".join(str(frame.locals) for frame in frames if not Path(frame.filename).name.startswith("test_"))
    for secret in (PASSWORD, "refresh-sign-in"):
        assert secret not in f"{error} {error!r} {error.args} {error.__dict__}"
        assert secret not in kept
    assert error.__cause__ is None
    assert error.__context__ is None


def listening(server: Server) -> int:
    """How many watches there are."""
    return int(server.client.pubsub_numsub("{rxauth:session}:changes")[0][1])


def watching() -> set[threading.Thread]:
    """The threads that watch, those of other tests' storages included."""
    return {thread for thread in threading.enumerate() if thread.name == WATCH}


def in_threads(works: list[Callable[[], Any]]) -> None:
    """Do all of this at once, and raise what the first of them raises."""
    runtime = Runtime()
    pending: list[Pending[Any]] = [runtime.io(work, "test") for work in works]
    for one in pending:
        assert runtime.wait(one.done, 60.0)
        one.result()


def _free_port() -> int:
    """A port that nobody listens on, low enough for a cluster's second one, 10,000 above it."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randint(20_000, 32_000)))
            return int(probe.getsockname()[1])
