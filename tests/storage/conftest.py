"""What the storages' tests share: one Redis server and one Secret Service for each test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rxauth.storage.file import FileStorage
from rxauth.storage.redis import RedisStorage
from tests.storage.kinds import InAFile, InAKeyring, OnRedis, Place
from tests.storage.redis_kit import PATIENCE, Server, client_of, listening, serve, until
from tests.storage.storage_kit import Desktop, record


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A server without a password, which keeps what the tests leave there: use names of your own."""
    yield from serve()


@pytest.fixture(scope="session")
def desktop() -> Iterator[Desktop]:
    with ExitStack() as services:
        yield Desktop(services)


@pytest.fixture
def bus(desktop: Desktop) -> str:
    """The address of a D-Bus with an unlocked Secret Service."""
    return desktop.address()


@pytest.fixture(params=["file", "keyring", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place for a record, of each kind that outlives the process."""
    found: Place
    match request.param:
        case "file":
            found = InAFile(tmp_path)
        case "keyring":
            found = InAKeyring(tmp_path)
        case _:
            found = OnRedis(request.getfixturevalue("redis_server"))
    yield found
    found.leave()


@pytest.fixture
def make(redis_server: Server) -> Iterator[Callable[..., RedisStorage]]:
    """Makes storages on an empty server, which are closed at the end; `how` is the client's kind."""
    redis_server.client.flushall()
    until(lambda: listening(redis_server) == 0, "the watches of other tests have ended")
    with ExitStack() as closing:

        def storage(how: str = "url", **options: Any) -> RedisStorage:
            made = RedisStorage(client_of(redis_server, how), **{"timeout": PATIENCE, **options})
            closing.callback(made.close)
            return made

        yield storage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app" / "tokens"


@pytest.fixture
def stored(path: Path) -> Path:
    """A path where a record is."""
    FileStorage(path).save(record())
    return path
