"""RedisStorage on a real server: what is stored, who may change it, taking turns, and hearing of the others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import InvalidRecord, StorageError
from rxauth.runtime import Pending, Runtime
from rxauth.storage import SharedStorage, WatchedStorage
from tests.storage.redis_kit import Server, child, record, redis, serve, until

from rxauth.storage import codec, redis_lease  # isort: skip  # after the kit, which skips without the package redis
from rxauth.storage.redis import RedisStorage  # isort: skip
import redis.asyncio  # isort: skip

ALIEN = '{"version": 99, "of": "the future"}'
KEY = "rxauth:session"

server = pytest.fixture(scope="module")(serve)


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., RedisStorage]]:
    """Makes storages on an empty server, which are closed at the end; `how` is the client's kind."""
    server.client.flushall()
    with ExitStack() as closing:

        def storage(how: str = "url", **options: Any) -> RedisStorage:
            made = RedisStorage(client(server, how), **options)
            closing.callback(made.close)
            return made

        yield storage


def client(server: Server, how: str) -> Any:
    match how:
        case "sync":
            return server.client
        case "asyncio":
            return redis.asyncio.Redis(host="127.0.0.1", port=server.port)
        case _:
            return server.url


every_client = pytest.mark.parametrize("how", ["url", "sync", "asyncio"])


class TestWhatIsStored:
    @every_client
    def test_what_one_saves_another_loads(self, make: Callable[..., RedisStorage], how: str) -> None:
        saved = record(account="mary", endpoint="https://auth.example/token", spending=1234.5)
        assert make(how).load() is None
        assert make(how).save(saved)
        assert make("url").load() == saved
        assert isinstance(make(how), SharedStorage)
        assert isinstance(make(how), WatchedStorage)

    @every_client
    def test_save_is_compare_and_set(self, make: Callable[..., RedisStorage], how: str) -> None:
        storage = make(how)
        first, second = record(1), record(2)
        assert not storage.save(second, first.key), "nothing is stored"
        assert storage.save(first)
        assert not storage.save(second, ("sign-in-1", 7))
        assert not storage.save(second, ("sign-in-2", 1))
        assert storage.save(second, first.key)
        assert not storage.save(second, first.key), "it is not the first any more"
        assert storage.load() == second
        storage.clear("sign-in-1")
        assert not storage.save(record(3), second.key), "a tombstone"
        assert storage.save(record(1, "sign-in-2")), "but a login may take its place"

    def test_of_savers_of_the_same_generation_one_wins(self, make: Callable[..., RedisStorage]) -> None:
        make().save(record(1))
        start, wins = threading.Barrier(8), []

        def save(number: int) -> None:
            storage = make("sync")
            start.wait()
            wins.append(storage.save(replace(record(2), account=str(number)), ("sign-in-1", 1)))

        in_threads([lambda number=number: save(number) for number in range(8)])
        assert sorted(wins) == [False] * 7 + [True]

    def test_a_change_between_the_look_and_the_write_is_looked_at_again(
        self, make: Callable[..., RedisStorage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, quick = make(), make()
        quick.save(record(1))
        dumps, late = codec.dumps, [record(2, account="quick")]

        def interrupted(stored: Any) -> str:
            if late:
                assert quick.save(late.pop(), ("sign-in-1", 1))
            return dumps(stored)

        monkeypatch.setattr(codec, "dumps", interrupted)
        assert not slow.save(record(2, account="slow"), ("sign-in-1", 1))
        assert quick.load() == record(2, account="quick")

    @pytest.mark.parametrize("damage", [ALIEN, "no json", "", b"\xff\xfe\x00"])
    def test_what_it_can_not_read_is_refused_and_left_alone(
        self, server: Server, make: Callable[..., RedisStorage], damage: str | bytes
    ) -> None:
        raw = redis.Redis(port=server.port)
        raw.set(KEY, damage)
        storage = make()
        for call in (storage.load, lambda: storage.save(record(1)), lambda: storage.clear("sign-in-1")):
            with pytest.raises(InvalidRecord, match=KEY):
                call()
        assert raw.get(KEY) == (damage if isinstance(damage, bytes) else damage.encode())
        raw.close()

    def test_another_kind_of_value_is_left_alone(self, server: Server, make: Callable[..., RedisStorage]) -> None:
        server.client.rpush(KEY, "a list")
        for call in (make().load, lambda: make().save(record(1)), lambda: make().clear("sign-in-1")):
            with pytest.raises(StorageError, match="WRONGTYPE"):
                call()
        assert server.client.lrange(KEY, 0, -1) == ["a list"]

    def test_clear_leaves_a_tombstone_that_ends(self, server: Server, make: Callable[..., RedisStorage]) -> None:
        storage = make(tombstone=1000.0)
        storage.clear("sign-in-1")
        assert storage.load() is None
        storage.save(record(4, account="mary", spending=7.0))
        assert server.client.pttl(KEY) == -1, "a record stays"
        storage.clear("sign-in-2")
        assert storage.load() == record(4, account="mary", spending=7.0)
        storage.clear("sign-in-1")
        assert make().load() == replace(record(4, account="mary"), tokens=None)
        assert 900_000 < server.client.pttl(KEY) <= 1_000_000
        server.client.pexpire(KEY, 5000)
        storage.clear("sign-in-1")
        assert server.client.pttl(KEY) <= 5000, "it has been cleared before"
        storage.save(record(1, "sign-in-2"))
        assert server.client.pttl(KEY) == -1

    @pytest.mark.parametrize("options", [{"lease": 0}, {"timeout": -1.0}, {"tombstone": float("inf")}, {"key": ""}])
    def test_options_that_make_no_sense_are_refused(self, server: Server, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            RedisStorage(server.url, **options)

    @pytest.mark.parametrize("key", ["mine", "{user7}:tokens", "a{b}c", "a{b"])
    def test_all_names_are_in_the_slot_of_the_record(self, key: str) -> None:
        from redis.crc import key_slot

        names = redis_lease.Keys.of(key)
        assert names.record == key
        assert len(set(names)) == 5
        assert len({key_slot(name.encode()) for name in names}) == 1

    @pytest.mark.parametrize("key", ["a}b", "a{}b"])
    def test_a_name_that_can_not_share_its_slot_is_refused(self, key: str) -> None:
        with pytest.raises(ValueError, match="hash tag"):
            redis_lease.Keys.of(key)


class TestTakingTurns:
    @every_client
    def test_one_at_a_time(self, make: Callable[..., RedisStorage], how: str) -> None:
        ours, theirs = make(how), make("url")
        with ours.exclusive(1.0):
            begun = time.monotonic()
            with pytest.raises(TimeoutError, match=r"0\.4 s"), theirs.exclusive(0.4):
                pass
            assert 0.4 <= time.monotonic() - begun < 3.0
            with pytest.raises(TimeoutError), ours.exclusive(0.0):
                pass
            assert ours.save(record(1))
            assert theirs.save(record(2), ("sign-in-1", 1)), "a login needs no section"
        with theirs.exclusive(1.0):
            pass

    def test_it_may_be_left_by_another_thread(self, make: Callable[..., RedisStorage]) -> None:
        section = make().exclusive(1.0)
        in_threads([section.__enter__])
        with pytest.raises(TimeoutError), make().exclusive(0.0):
            pass
        in_threads([lambda: section.__exit__(None, None, None)])
        with make().exclusive(0.0):
            pass

    def test_one_who_waits_is_told_when_it_is_free(
        self, make: Callable[..., RedisStorage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_lease, "SHORTEST_LOOK", 60.0)
        monkeypatch.setattr(redis_lease, "LONGEST_LOOK", 60.0)
        ours, theirs = make(), make("asyncio", timeout=200.0)
        entered = threading.Event()

        def wait() -> None:
            with theirs.exclusive(50.0):
                entered.set()

        with ours.exclusive(1.0):
            waiting = threading.Thread(target=wait)
            waiting.start()
            until(lambda: blocked(ours) == 1, "the other one waits for a notice")
            assert not entered.is_set()
        assert entered.wait(10.0)
        waiting.join()

    def test_waiting_is_no_busy_loop(self, server: Server, make: Callable[..., RedisStorage]) -> None:
        with make().exclusive(1.0):
            server.client.config_resetstat()
            with pytest.raises(TimeoutError), make().exclusive(1.5):
                pass
        looks = server.client.info("commandstats")["cmdstat_eval"]["calls"]
        assert 3 <= looks <= 12

    def test_a_lease_that_nobody_gives_back_ends(self, make: Callable[..., RedisStorage]) -> None:
        forgotten = make(lease=0.5).exclusive(1.0)
        forgotten.__enter__()
        begun = time.monotonic()
        with make().exclusive(20.0):
            assert 0.3 < time.monotonic() - begun < 10.0
        forgotten.__exit__(None, None, None)

    def test_a_holder_that_stalled_can_not_write_any_more(self, make: Callable[..., RedisStorage]) -> None:
        stalled, next_one = make(lease=0.2), make()
        stalled.save(record(1))
        late = stalled.exclusive(1.0)
        late.__enter__()
        with next_one.exclusive(20.0):
            for replaces in (("sign-in-1", 1), None):
                with pytest.raises(StorageError, match="number 1, and number 2 has entered"):
                    stalled.save(record(2), replaces)
            assert next_one.load() == record(1)
            assert next_one.save(record(2, spending=5.0), ("sign-in-1", 1))
            late.__exit__(None, None, None)
            with pytest.raises(TimeoutError), make().exclusive(0.0):
                pass  # the one that was late has not given the other's lock back
            assert not stalled.save(record(2), ("sign-in-1", 1)), "outside, it is the generation that counts"
        assert stalled.save(record(3), ("sign-in-1", 2))

    def test_a_holder_whose_lease_nobody_took_may_write(self, make: Callable[..., RedisStorage]) -> None:
        storage = make(lease=0.05)
        with storage.exclusive(1.0):
            time.sleep(0.1)
            assert storage.save(record(1))

    def test_a_logout_counts_also_of_a_holder_that_stalled(self, make: Callable[..., RedisStorage]) -> None:
        stalled = make(lease=0.1)
        stalled.save(record(1))
        with stalled.exclusive(1.0), make().exclusive(20.0):
            stalled.clear("sign-in-1")
            loaded = stalled.load()
        assert loaded is not None
        assert loaded.tokens is None

    def test_a_server_that_forgot_the_count_gives_no_old_token_twice(
        self, server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        before, after = make(), make()
        with before.exclusive(1.0):
            server.client.flushall()
            assert before.save(record(1)), "nobody else has entered"
            with after.exclusive(1.0), pytest.raises(StorageError, match="number 1, and number 1"):
                before.save(record(2), ("sign-in-1", 1))

    def test_ten_processes_lose_no_step(self, server: Server, make: Callable[..., RedisStorage]) -> None:
        storage = make()
        storage.save(record(0))
        children = [child("count", server.url, 20) for _ in range(10)]
        for counting in children:
            counting.communicate(timeout=120)
        assert [counting.returncode for counting in children] == [0] * 10
        stored = storage.load()
        assert stored is not None
        assert stored.generation == 200

    def test_a_killed_holder_keeps_the_others_out_for_its_lease_only(
        self, server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        holder = child("hold", server.url, 2.0)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(TimeoutError), make().exclusive(0.0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=10)
        with make().exclusive(20.0):
            pass


class TestHearingOfTheOthers:
    @every_client
    def test_changes_of_others_are_told(self, make: Callable[..., RedisStorage], how: str) -> None:
        ours, theirs, told = make(how), make("url"), Told()
        stop = ours.watch(told)
        theirs.save(record(1))
        until(lambda: told.times >= 1, "the save of another one is told")
        until(lambda: listeners(ours) == 1, "it listens")
        before = told.times
        assert ours.save(record(2), ("sign-in-1", 1))
        ours.clear("sign-in-2")
        theirs.clear("sign-in-1")
        until(lambda: told.times > before, "the logout of another one is told")
        assert told.times == before + 1, "and nothing of one's own"
        assert told.names == {"rxauth-redis-watch"}
        stop()
        until(lambda: listeners(ours) == 0, "it has stopped to listen")
        theirs.save(record(3))
        assert told.times == before + 1

    def test_a_change_before_it_listens_is_not_missed(self, make: Callable[..., RedisStorage]) -> None:
        ours, told = make(), Told()
        assert ours.load() is None
        make().save(record(1))
        ours.watch(told)
        until(lambda: told.times == 1, "what was changed since the load is told")

    def test_what_is_known_is_not_told(self, make: Callable[..., RedisStorage]) -> None:
        ours, told = make(), Told()
        ours.save(record(1))
        ours.save(record(2))
        ours.watch(told)
        until(lambda: listeners(ours) == 1, "it listens")
        make().save(record(3))
        until(lambda: told.times > 0, "another one's change is told")
        assert told.times == 1

    def test_an_error_of_the_callback_is_logged_and_the_next_change_told(
        self, make: Callable[..., RedisStorage], caplog: pytest.LogCaptureFixture
    ) -> None:
        told = Told(error=ValueError("access-1"))
        ours = make()
        ours.watch(told)
        until(lambda: listeners(ours) == 1, "it listens")
        for generation in (1, 2):
            make().save(record(generation))
            until(lambda: told.times == generation, "the change is told")  # noqa: B023
        assert "ValueError" in caplog.text
        assert "access-1" not in caplog.text


class TestClients:
    def test_an_asyncio_client_blocks_no_loop_and_stays_its_owners(self, server: Server) -> None:
        async def main() -> tuple[int, list[bool]]:
            theirs = redis.asyncio.Redis(host="127.0.0.1", port=server.port)
            await theirs.flushall()
            storage = RedisStorage(theirs)
            stop = storage.watch(lambda: None)
            ticks, done = 0, asyncio.Event()

            async def tick() -> None:
                nonlocal ticks
                while not done.is_set():
                    ticks += 1
                    await asyncio.sleep(0.01)

            ticking = asyncio.create_task(tick())
            await theirs.client_pause(500)
            saves = [asyncio.to_thread(storage.save, record(number)) for number in range(4)]
            saved = await asyncio.gather(*saves)
            during = ticks
            done.set()
            await ticking
            assert await theirs.get(KEY)
            stop()
            storage.close()
            await theirs.connection_pool.disconnect()
            return during, saved

        ticks, saved = asyncio.run(main())
        assert saved == [True] * 4
        assert ticks >= 15, "in the half second that the server paused"

    def test_the_clients_own_connections_and_settings_stay_as_they_are(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs = server.client
        with monkeypatch.context() as busy:
            busy.setattr(theirs.connection_pool, "get_connection", lambda *_: pytest.fail("it is the caller's"))
            storage = RedisStorage(theirs)
            assert storage.save(record(1))
            storage.close()
        assert codec.loads(theirs.get(KEY), "here") == record(1), "and it decodes as before"
        theirs.close()

    def test_a_unix_socket(self, tmp_path: Any) -> None:
        path = tmp_path / "redis.sock"
        for unix_server in serve("--unixsocket", str(path)):
            assert unix_server.port
            for how in (f"unix://{path}", redis.asyncio.Redis(unix_socket_path=str(path))):
                storage = RedisStorage(how)
                with storage.exclusive(1.0):
                    assert storage.save(record(1))
                assert str(path) in repr(storage)
                storage.close()

    def test_a_cluster(self) -> None:
        for node in serve("--cluster-enabled", "yes"):
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            until(lambda: node.client.cluster("info")["cluster_state"] == "ok", "the cluster is up")  # noqa: B023
            cluster, told = redis.RedisCluster(host="127.0.0.1", port=node.port), Told()
            ours, theirs = RedisStorage(cluster, "tokens"), RedisStorage(cluster, "tokens")
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


class TestSessions:
    def test_sessions_that_share_it_refresh_once(self, make: Callable[..., RedisStorage]) -> None:
        posts: list[str | None] = []

        def refresh(tokens: Tokens) -> dict[str, Any]:
            posts.append(tokens.refresh)
            time.sleep(0.2)
            return {"access_token": "access-new", "refresh_token": "refresh-new", "expires_in": 300}

        stale = Tokens("access-old", "refresh-old", time.time() - 1, life=300.0)
        with ExitStack() as closing:
            sessions = [closing.enter_context(Session(refresh, storage=make("asyncio"), tokens=stale))]
            sessions += [closing.enter_context(Session(refresh, storage=make("sync"))) for _ in range(3)]
            fresh: list[str] = []
            in_threads([lambda session=session: fresh.append(session.fresh().run().access) for session in sessions])
            assert fresh == ["access-new"] * 4
            assert posts == ["refresh-old"]
            sessions[0].logout().run()
            for session in sessions:
                until(lambda: is_signed_out(session), "the logout is heard")  # noqa: B023


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


def in_threads(works: list[Callable[[], Any]]) -> None:
    runtime = Runtime()
    pending: list[Pending[Any]] = [runtime.io(work, "test") for work in works]
    for one in pending:
        assert runtime.wait(one.done, 60.0)
        one.result()


def is_signed_out(session: Session[Any]) -> bool:
    return session.auth.status == "signed_out"


def listeners(storage: RedisStorage) -> int:
    channel = storage._keys.changes
    return int(storage._wire.call("PUBSUB", "NUMSUB", channel)[1])


def blocked(storage: RedisStorage) -> int:
    return int(storage._wire.call("INFO", "clients")["blocked_clients"])
