"""The servers: started together, once, and stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from tests.system.servers.server_kinds import KINDS, Authlib, FlaskJWT, Server, Toolkit

S = TypeVar("S", bound=Server)


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Server]]:
    running: dict[str, Server] = {}

    def start(name: str) -> None:
        running[name] = KINDS[name]()

    try:
        with ThreadPoolExecutor(len(KINDS)) as pool:
            list(pool.map(start, KINDS))
        yield running
    finally:
        with ThreadPoolExecutor(len(KINDS)) as pool:
            list(pool.map(lambda server: server.stop(), running.values()))


@pytest.fixture(params=KINDS)
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    found = servers[request.param]
    found.reset()
    return found


@pytest.fixture
def flask_jwt(servers: dict[str, Server]) -> FlaskJWT:
    return _reset(servers, FlaskJWT)


@pytest.fixture
def authlib(servers: dict[str, Server]) -> Authlib:
    return _reset(servers, Authlib)


@pytest.fixture
def toolkit(servers: dict[str, Server]) -> Toolkit:
    return _reset(servers, Toolkit)


def _reset(servers: dict[str, Server], kind: type[S]) -> S:
    found = servers[kind.name]
    assert isinstance(found, kind)
    found.reset()
    return found
