"""Machines whose clocks differ share times on the Redis server's clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from rxauth import Tokens
from rxauth.storage import Record
from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis import storage as storage_room
from rxauth.storage.redis.clock import TOLERANCE, ServerClock
from tests.storage.redis_kit import Server, every_client

#: More than any test takes, and less than the clocks differ by.
SOON = 200.0


@contextmanager
def clock_ahead(seconds: float) -> Iterator[float]:
    """This machine's clock is ahead of the server's; yields what it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_room, "time", SimpleNamespace(time=lambda: time.time() + seconds))
        yield time.time() + seconds


def living(now: float) -> Record:
    """What a session has just received, on its own clock."""
    return Record("mary", 1, Tokens("access", "refresh", now + 300, now + 9000, life=300.0), spending=now - 7)


@every_client
@pytest.mark.parametrize(("saver", "reader"), [(3600.0, 0.0), (0.0, 3600.0), (-3600.0, 3600.0), (3600.0, 3600.0)])
def test_a_pair_lives_as_long_on_a_machine_whose_clock_is_another(
    make: Callable[..., RedisStorage], saver: float, reader: float, how: str
) -> None:
    with clock_ahead(saver) as now:
        make(how).save(living(now))
    with clock_ahead(reader) as now:
        found = make(how).load()
    assert found is not None
    assert found.tokens is not None
    wanted = living(now)
    assert wanted.tokens is not None
    for of, at in ((found.tokens, wanted.tokens), (found, wanted)):
        for name in ("expires_at", "refresh_expires_at", "spending"):
            if hasattr(at, name):
                assert getattr(of, name) == pytest.approx(getattr(at, name), abs=SOON), name
    assert found.tokens.life == 300.0


def test_what_is_stored_is_in_the_servers_time(redis_server: Server, make: Callable[..., RedisStorage]) -> None:
    with clock_ahead(3600.0) as now:
        make().save(living(now))
    stored = json.loads(redis_server.client.get("rxauth:session"))
    assert stored["expires_at"] == pytest.approx(time.time() + 300, abs=SOON)
    assert stored["spending"] == pytest.approx(time.time() - 7, abs=SOON)


def test_what_is_not_known_stays_so(make: Callable[..., RedisStorage]) -> None:
    with clock_ahead(3600.0):
        for saved in (Record("mary", 1, Tokens("access")), Record("mary", 2, None)):
            make().save(saved)
            assert make().load() == saved


@pytest.mark.parametrize(
    ("sent", "told", "received", "ahead"),
    [
        (100.0, 100.2, 100.4, 0.0),
        (100.0, 99.95, 100.4, 0.0),
        (100.0, 160.0, 101.0, 59.0),
        (100.0, 40.0, 101.0, -60.0),
        (100.0, 101.0 + TOLERANCE / 2, 101.0, 0.0),
        (200.0, 150.0, 100.0, 50.0),
    ],
)
def test_only_what_an_answer_proves_counts(sent: float, told: float, received: float, ahead: float) -> None:
    clock = ServerClock()
    clock.learn(sent, told, received)
    moved = clock.to_server(Record("mary", 1, Tokens("access", expires_at=1000.0)))
    assert moved.tokens is not None
    assert moved.tokens.expires_at == 1000.0 + ahead
    assert clock.from_server(moved) == replace(moved, tokens=Tokens("access", expires_at=1000.0))


def test_the_last_answer_counts() -> None:
    """A clock that was set right, or a failover to a server that has another one."""
    clock = ServerClock()
    clock.learn(0.0, 60.0, 1.0)
    clock.learn(100.0, 100.5, 101.0)
    plain = Record("mary", 1, Tokens("access", expires_at=1000.0))
    assert clock.to_server(plain) == plain
