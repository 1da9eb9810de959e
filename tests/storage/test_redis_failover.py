"""A master that dies, and the replica that takes its place: by Sentinel, with two servers and a watcher of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from redis.sentinel import Sentinel

from tests.storage.redis_kit import Told, record, serve, storing, until

server = contextmanager(serve)


class Pair:
    """A master, its replica, and the Sentinel that knows which is which."""

    def __init__(self, closing: ExitStack, tmp_path: Any) -> None:
        self.master = closing.enter_context(server())
        self.replica = closing.enter_context(server("--replicaof", f"127.0.0.1 {self.master.port}"))
        config = tmp_path / "sentinel.conf"
        config.write_text(
            f"sentinel monitor main 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds main 1500\nsentinel failover-timeout main 2000\n"
        )
        self.watcher = closing.enter_context(server(config=config))
        until(
            lambda: self.watcher.client.execute_command("INFO", "sentinel")["master0"]["slaves"] == 1, "it knows both"
        )

    def client(self) -> Any:
        return Sentinel([("127.0.0.1", self.watcher.port)], socket_timeout=1.0).master_for("main", socket_timeout=0.5)


@pytest.fixture
def pair(tmp_path: Any) -> Iterator[Pair]:
    with ExitStack() as closing:
        yield Pair(closing, tmp_path)


def test_a_master_that_is_killed_is_replaced_and_nobody_is_lost(pair: Pair) -> None:
    told = Told()
    with storing(pair.client(), timeout=200.0) as ours, storing(pair.client(), timeout=200.0) as theirs:
        ours.watch(told)
        theirs.save(record(1))
        until(lambda: told.times >= 1, "it is told")
        pair.master.client.wait(1, 0)
        pair.master.kill()
        assert theirs.save(record(2), ("sign-in-1", 1)), "after the failover"
        with theirs.exclusive(60.0):
            assert ours.load() == record(2)
        until(lambda: told.times >= 2, "what may have been missed is told")
        before = told.times
        theirs.save(record(3))
        until(lambda: told.times > before, "and the next change")
    assert pair.replica.client.info("replication")["role"] == "master"
