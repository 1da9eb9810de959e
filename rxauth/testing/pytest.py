"""Fixtures: `pytest_plugins = ["rxauth.testing.pytest"]` in your `conftest.py`.

There is no entry point, so nothing of this is loaded in the test runs of others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rxauth.testing.server.server import TokenServer
from rxauth.testing.time import VirtualTime


@pytest.fixture
def virtual_time() -> VirtualTime:
    """A clock that the test moves: `Session(..., time=virtual_time)`."""
    return VirtualTime()


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    """A server on loopback, with rotation, reuse detection and a script of faults; closed after the test."""
    with TokenServer() as server:
        yield server
