"""Whose connections RedisStorage uses: of its own, on every kind of client."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio

from rxauth.errors import StorageError
from rxauth.storage import codec
from rxauth.storage.redis import RedisStorage
from tests.storage.redis_kit import (
    PATIENCE,
    Server,
    Told,
    client_of,
    every_client,
    record,
    serve,
    until,
    watching,
)

KEY = "rxauth:session"


class TestClients:
    def test_an_asyncio_client_blocks_no_loop_and_stays_its_owners(self, redis_server: Server) -> None:
        async def main() -> tuple[list[bool], list[bool]]:
            theirs = redis.asyncio.Redis(host="127.0.0.1", port=redis_server.port)
            await theirs.flushall()
            storage = RedisStorage(theirs, timeout=60.0)
            redis_server.pause()
            try:
                stop = storage.watch(lambda: None)
                saves = [asyncio.create_task(asyncio.to_thread(storage.save, record(number))) for number in range(4)]
                for _ in range(20):
                    await asyncio.sleep(0.01)  # which would wait for the server, too, if anything on this loop did
                during = [save.done() for save in saves]
            finally:
                redis_server.go_on()  # it is all tests'
            saved = await asyncio.gather(*saves)
            assert await theirs.get(KEY)
            stop()
            storage.close()
            await theirs.connection_pool.disconnect()
            return during, saved

        during, saved = asyncio.run(main())
        assert during == [False] * 4
        assert saved == [True] * 4

    def test_the_clients_own_connections_and_settings_stay_as_they_are(
        self, redis_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs = redis_server.client
        with monkeypatch.context() as busy:
            busy.setattr(theirs.connection_pool, "get_connection", lambda *_: pytest.fail("it is the caller's"))
            storage = RedisStorage(theirs, timeout=PATIENCE)
            assert storage.save(record(1))
            storage.close()
        assert codec.loads(theirs.get(KEY), "here") == record(1), "and it decodes as before"
        theirs.close()

    @pytest.mark.parametrize("how", ["protocol=3", "protocol=2&decode_responses=True", "health_check_interval=1"])
    def test_settings_that_change_what_answers_look_like(
        self, redis_server: Server, make: Callable[..., RedisStorage], how: str
    ) -> None:
        storage, told = RedisStorage(f"{redis_server.url}?{how}", timeout=PATIENCE), Told()
        storage.watch(told)
        with storage.exclusive(1.0):
            assert storage.save(record(1))
        make().clear("sign-in-1")
        until(lambda: told.times == 1, "the logout is told")
        assert storage.load() == replace(record(1), tokens=None)
        storage.close()

    @every_client
    def test_a_storage_that_nobody_holds_any_more_leaves_nothing_behind(
        self, redis_server: Server, make: Callable[..., RedisStorage], how: str
    ) -> None:
        asking = redis_server.client

        def connections() -> int:
            return sum(connection["name"] == "of-the-storage" for connection in asking.client_list())

        client = client_of(redis_server, how)
        if how == "url":
            client += "?client_name=of-the-storage"
        else:
            client.connection_pool.connection_kwargs["client_name"] = "of-the-storage"
        storage = RedisStorage(client, timeout=PATIENCE)
        stop = storage.watch(lambda: None)
        storage.save(record(1))
        assert connections() == 2
        stop()
        stop()
        assert not storage._watches
        del storage, stop
        until(lambda: connections() == 0, "its own are gone")

    def test_a_unix_socket(self, tmp_path: Any) -> None:
        path = tmp_path / "redis.sock"
        for unix_server in serve("--unixsocket", str(path)):
            assert unix_server.port
            for how in (f"unix://{path}", redis.asyncio.Redis(unix_socket_path=str(path))):
                storage = RedisStorage(how, timeout=PATIENCE)
                with storage.exclusive(1.0):
                    assert storage.save(record(1))
                assert str(path) in repr(storage)
                storage.close()

    def test_a_cluster(self) -> None:
        for node in serve("--cluster-enabled", "yes"):
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            until(lambda: node.client.cluster("info")["cluster_state"] == "ok", "the cluster is up")  # noqa: B023
            cluster, told = redis.RedisCluster(host="127.0.0.1", port=node.port), Told()
            ours, theirs = (RedisStorage(cluster, "tokens", timeout=PATIENCE) for _ in range(2))
            others = watching()
            stop = ours.watch(told)
            with theirs.exclusive(1.0):
                assert theirs.save(record(1))
                with pytest.raises(TimeoutError), ours.exclusive(0.3):
                    pass
            until(lambda: told.times == 1, "the save is told")  # noqa: B023
            theirs.clear("sign-in-1")
            stop()
            ours.close()
            assert theirs.load() == replace(record(1), tokens=None), "the caller's client is not closed"
            until(lambda: watching() <= others, "the watch has ended")  # noqa: B023
            cluster.close()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    @every_client
    def test_a_forked_child_goes_on_by_itself(self, make: Callable[..., RedisStorage], how: str) -> None:
        storage = make(how)
        storage.save(record(1))
        pid = os.fork()
        if pid == 0:
            try:
                with storage.exclusive(5.0):
                    os._exit(0 if storage.save(record(2), ("sign-in-1", 1)) else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert storage.load() == record(2)

    def test_what_is_no_client_is_refused(self) -> None:
        sentinel = redis.asyncio.Sentinel([("127.0.0.1", 1)]).master_for("main")
        wrong: Any
        for wrong in (None, 7, redis.asyncio.RedisCluster, sentinel):
            with pytest.raises(TypeError, match=r"takes a URL, a redis\.Redis.* pass the client without asyncio"):
                RedisStorage(wrong)

    def test_without_the_package_the_error_names_the_extra(self) -> None:
        code = "import sys; sys.modules['redis'] = None; import rxauth.storage.redis"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "pip install 'rxauth[redis]'" in ended.stderr.splitlines()[-1]

    @every_client
    def test_a_closed_storage_says_so(self, make: Callable[..., RedisStorage], how: str) -> None:
        storage, told = make(how), Told()
        storage.watch(told)
        storage.load()
        storage.close()
        storage.close()
        for call in (storage.load, lambda: storage.save(record(1)), lambda: storage.exclusive(1.0).__enter__()):
            with pytest.raises(StorageError, match="was closed"):
                call()
