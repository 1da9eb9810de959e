"""What the storages' tests share: one Redis server and one Secret Service for each test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.kinds import InAFile, InAKeyring, OnRedis, Place
from tests.storage.storage_kit import secret_service


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    """A server without a password, which keeps what the tests leave there: use names of your own."""
    from tests.storage.redis_kit import serve

    yield from serve()


bus = pytest.fixture(scope="session")(secret_service)


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
