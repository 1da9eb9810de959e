"""RedisStorage when its server is down, killed, restarted empty, slow, full, a replica, or refuses."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio

from rxauth.errors import StorageError
from rxauth.runtime import Runtime
from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis_trouble import trouble_of
from tests.storage.redis_kit import CLIENTS, PASSWORD, Server, client_of, every_client, record, serve, storing, until


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(password=PASSWORD)


@pytest.fixture
def lasting() -> Iterator[Server]:
    """A server that keeps its data when it is killed."""
    yield from serve("--appendonly", "yes", "--appendfsync", "always", password=PASSWORD)


def readable(storage: RedisStorage) -> bool:
    try:
        return storage.load() is not None
    except StorageError:
        return False


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
    kept = "".join(str(frame.locals) for frame in frames if frame.filename != __file__)
    for secret in (PASSWORD, "refresh-sign-in"):
        assert secret not in f"{error} {error!r} {error.args} {error.__dict__}"
        assert secret not in kept
    assert error.__cause__ is None
    assert error.__context__ is None


class TestNoServer:
    @every_client
    def test_a_server_that_is_down_is_a_clear_error_in_time(self, server: Server, how: str) -> None:
        server.kill()
        with storing(client_of(server, how), timeout=0.6) as storage:
            for call in calls(storage):
                with pytest.raises(StorageError, match=rf":{server.port}/0 can not be reached") as raised:
                    call()
                assert_no_secret(raised.value)

    def test_a_short_outage_is_sat_out(self, lasting: Server) -> None:
        for how in CLIENTS:
            with storing(client_of(lasting, how), timeout=30.0) as storage:
                storage.save(record(1))
                lasting.kill()
                restart = threading.Timer(0.3, lasting.start)
                restart.start()
                assert storage.save(record(2), ("sign-in-1", 1))
                assert storage.load() == record(2)
                restart.join()

    def test_killed_in_the_middle_of_saves_it_holds_one_of_them(self, lasting: Server) -> None:
        with storing(lasting.url, timeout=0.4) as storage:
            storage.save(record(0))
            saved = [0]
            failed: list[StorageError] = []

            def save_on() -> None:
                try:
                    while True:
                        assert storage.save(record(saved[-1] + 1), ("sign-in-1", saved[-1]))
                        saved.append(saved[-1] + 1)
                except StorageError as error:
                    failed.append(error)

            saving = threading.Thread(target=save_on)
            saving.start()
            until(lambda: len(saved) > 20, "some saves")
            lasting.kill()
            saving.join(30)
            assert len(failed) == 1
            assert_no_secret(failed[0])
            lasting.start()
            stored = storage.load()
        assert stored in (record(saved[-1]), record(saved[-1] + 1)), "the last one, or the one under way"

    def test_restarted_empty_there_is_nothing(self, server: Server) -> None:
        with storing(server.url) as storage:
            storage.save(record(3))
            section = storage.exclusive(1.0)
            section.__enter__()
            server.kill()
            server.start()
            assert storage.load() is None
            assert not storage.save(record(4), ("sign-in-1", 3)), "the pair that it replaces is gone"
            assert storage.save(record(1)), "and the session stores its own again"
            section.__exit__(None, None, None)

    def test_a_lease_that_the_server_forgot_lets_another_one_in(self, server: Server) -> None:
        with storing(server.url) as ours, storing(server.url) as theirs:
            ours.save(record(1))
            section = ours.exclusive(1.0)
            section.__enter__()
            server.kill()
            server.start()
            with theirs.exclusive(1.0):
                theirs.save(record(1))
                with pytest.raises(StorageError, match="has run out"):
                    ours.save(record(2), ("sign-in-1", 1))
            section.__exit__(None, None, None)

    def test_a_server_that_is_killed_while_one_waits_for_the_section_is_a_clear_error(self, server: Server) -> None:
        with storing(server.url) as ours, storing(server.url, timeout=0.4) as theirs, ours.exclusive(1.0):
            waiting = Runtime().io(theirs.exclusive(60.0).__enter__, "waits")
            until(lambda: server.client.info("clients")["blocked_clients"] == 1, "it waits for a notice")
            server.kill()
            assert Runtime().wait(waiting.done, 60.0)
            with pytest.raises(StorageError, match="can not be reached") as raised:
                waiting.result()
            assert_no_secret(raised.value)
            server.start()


class TestSlowServer:
    @every_client
    def test_a_server_that_stops_in_the_middle_of_a_call_is_a_clear_error_in_time(
        self, server: Server, how: str
    ) -> None:
        with storing(client_of(server, how), timeout=0.2) as storage:
            storage.save(record(1))
            server.pause()
            for call in calls(storage):
                with pytest.raises(StorageError, match="does not answer") as raised:
                    call()
                assert_no_secret(raised.value)
            server.go_on()
            until(lambda: readable(storage), "it answers again, also what it was asked while it stood still")
            assert storage.load() in (record(1), replace(record(1), tokens=None)), "a whole record"
            with storage.exclusive(60.0):
                pass

    @every_client
    def test_a_server_that_does_not_answer_is_a_clear_error_in_time(self, server: Server, how: str) -> None:
        with storing(client_of(server, how), timeout=0.2) as storage:
            storage.load()
            server.client.client_pause(5000)
            for call in calls(storage):
                with pytest.raises(StorageError, match="does not answer") as raised:
                    call()
                assert_no_secret(raised.value)

    def test_a_short_pause_is_sat_out(self, server: Server) -> None:
        for how in CLIENTS:
            with storing(client_of(server, how), timeout=30.0) as storage:
                server.client.client_pause(300)
                assert storage.save(record(1))
                assert storage.load() == record(1)

    def test_a_save_whose_answer_was_lost_is_still_a_save(self, server: Server) -> None:
        with storing(server.url) as storage:
            storage.save(record(1))
            with answers_lost(storage, 2):
                assert storage.save(record(2), ("sign-in-1", 1))
            with answers_lost(storage, 1):
                storage.clear("sign-in-1")
            stored = storage.load()
        assert stored is not None
        assert stored.tokens is None

    def test_a_section_whose_answer_was_lost_is_entered_once(self, server: Server) -> None:
        with storing(server.url) as storage, storing(server.url) as other:
            with answers_lost(storage, 2), storage.exclusive(5.0):
                assert storage.save(record(1))
            with other.exclusive(0.0):
                pass

    def test_a_section_that_failed_to_be_entered_is_not_left_locked(self, server: Server) -> None:
        with storing(server.url, timeout=0.1) as storage, storing(server.url) as other:
            with answers_lost(storage, 10), pytest.raises(StorageError), storage.exclusive(5.0):
                pass
            with other.exclusive(0.0):
                pass


class TestRefusals:
    @pytest.mark.parametrize("password", ["wr0ng-password", None])
    def test_a_wrong_password(self, server: Server, password: str | None) -> None:
        settings = {"host": "127.0.0.1", "port": server.port, "password": password}
        for client in (redis.Redis(**settings), redis.asyncio.Redis(**settings)):
            with storing(client) as storage:
                for call in calls(storage):
                    with pytest.raises(StorageError, match="refuses the password, or wants one") as raised:
                        call()
                    assert "wr0ng" not in f"{raised.value!r} {storage!r}"

    def test_a_full_server(self, server: Server) -> None:
        with storing(server.url) as storage:
            storage.save(record(1))
            server.client.config_set("maxmemory-policy", "noeviction")
            server.client.config_set("maxmemory", 1)
            for call in (lambda: storage.save(record(2), ("sign-in-1", 1)), lambda: storage.exclusive(1.0).__enter__()):
                with pytest.raises(StorageError, match="OOM") as raised:
                    call()
                assert_no_secret(raised.value)
            assert storage.load() == record(1)
            storage.clear("sign-in-1")
            stored = storage.load()
        assert stored is not None
        assert stored.tokens is None, "a logout needs no room"

    def test_a_full_server_lets_a_section_be_left(self, server: Server) -> None:
        with storing(server.url) as storage:
            with storage.exclusive(1.0):
                server.client.config_set("maxmemory", 1)
            server.client.config_set("maxmemory", 0)
            with storage.exclusive(0.0):
                pass

    def test_a_failover_is_sat_out_or_named(self, server: Server) -> None:
        with storing(server.url, timeout=0.4) as hasty, storing(server.url, timeout=30.0) as patient:
            patient.save(record(1))
            server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StorageError, match="read-only replica") as raised:
                hasty.save(record(2), ("sign-in-1", 1))
            assert_no_secret(raised.value)
            promoted = threading.Timer(0.3, lambda: server.client.execute_command("REPLICAOF", "NO", "ONE"))
            promoted.start()
            assert patient.save(record(2), ("sign-in-1", 1))
            promoted.join()

    def test_a_user_without_the_permission(self, server: Server) -> None:
        server.client.execute_command("ACL", "SETUSER", "weak", "on", ">weak-pass", "~*", "&*", "+@all", "-eval")
        with storing(f"redis://weak:weak-pass@127.0.0.1:{server.port}") as storage:
            with pytest.raises(StorageError, match="NOPERM") as raised:
                storage.save(record(1))
            assert_no_secret(raised.value)
            assert "weak" not in str(raised.value)

    def test_a_user_who_may_not_publish_still_saves(self, server: Server) -> None:
        commands = "+eval +get +time +set +del +pttl +pexpire +hget +hmget +hset +hincrby +rpush +blpop +publish +ping"
        server.client.execute_command("ACL", "SETUSER", "mute", "on", ">mute-pass", "~*rxauth*", *commands.split())
        with storing(f"redis://mute:mute-pass@127.0.0.1:{server.port}") as storage:
            with storage.exclusive(1.0):
                assert storage.save(record(1))
            storage.clear("sign-in-1")

    def test_the_commands_that_the_docstring_names_are_enough(self, server: Server) -> None:
        doc = " ".join((RedisStorage.__doc__ or "").split())
        named = doc.partition("needs the commands ")[2].partition(". The tokens")[0].replace(" and ", ", ").split(", ")
        words = [f"+{name.lower()}" for name in named]
        server.client.execute_command("ACL", "SETUSER", "app", "on", ">app-pass", "~*rxauth*", "&*rxauth*", *words)
        told = threading.Event()
        with storing(f"redis://app:app-pass@127.0.0.1:{server.port}") as storage, storing(server.url) as other:
            storage.watch(told.set)
            with storage.exclusive(1.0):
                assert storage.save(record(1))
                with pytest.raises(TimeoutError), storage.exclusive(0.3):
                    pass
            other.clear("sign-in-1")
            assert told.wait(20.0)

    @pytest.mark.parametrize("code", ["LOADING", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "WEIRD"])
    def test_a_servers_own_words_are_not_shown(self, code: str) -> None:
        trouble = trouble_of(redis.ResponseError(f"{code} args beginning with: {PASSWORD!r} refresh-1"))
        assert PASSWORD not in trouble.text
        assert "refresh" not in trouble.text

    @pytest.mark.parametrize(
        "url",
        [f"redis://:{PASSWORD}/x@localhost:port", f"redis://:a:{PASSWORD}@[::1", f"{PASSWORD}://here", PASSWORD],
    )
    def test_a_url_that_can_not_be_read_is_not_shown(self, url: str) -> None:
        with pytest.raises(ValueError, match="no Redis URL") as raised:
            RedisStorage(url)
        assert_no_secret(raised.value)

    def test_no_repr_shows_the_password(self, server: Server) -> None:
        for how in CLIENTS:
            with storing(client_of(server, how)) as storage:
                storage.load()
                shown = f"{storage!r} {vars(storage)!r} {vars(storage._wire)!r}"
                assert f":{server.port}/0" in shown
                assert PASSWORD not in shown


@contextmanager
def answers_lost(storage: RedisStorage, times: int) -> Iterator[None]:
    """The server does as it is told by the next scripts, but the connection is lost before its answer."""
    wire: Any = storage._wire
    once = wire.once
    left = [times]

    def losing(*words: Any) -> Any:
        answer = once(*words)
        if words[0] == "EVAL" and left[0] > 0:
            left[0] -= 1
            raise redis.ConnectionError("Connection closed by server.")
        return answer

    wire.once = losing
    try:
        yield
    finally:
        wire.once = once
