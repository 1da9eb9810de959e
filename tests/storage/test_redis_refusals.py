"""What a Redis server refuses: a password, a command, room. And what nobody may read of it: passwords, in any text."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from rxauth.errors import StorageError
from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis.failures import trouble_of
from tests.storage.redis_kit import (
    CLIENTS,
    PASSWORD,
    Server,
    assert_no_secret,
    calls,
    client_of,
    giving_up_soon,
    record,
    serve,
    storing,
)


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(password=PASSWORD)


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
        with giving_up_soon(server.url) as hasty, storing(server.url) as patient:
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
            assert told.wait(60)

    def test_a_certificate_that_is_not_trusted_is_named(self) -> None:
        error = redis.ConnectionError("Error 1 connecting to here:1. [SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
        assert "ssl_ca_certs" in trouble_of(error).text

    def test_what_a_script_may_not_do_is_a_refusal_too(self, server: Server) -> None:
        commands = "+eval +get +time +hmget +ping"
        server.client.execute_command("ACL", "SETUSER", "reader", "on", ">reader-pass", "~*rxauth*", *commands.split())
        with storing(f"redis://reader:reader-pass@127.0.0.1:{server.port}") as storage:
            assert storage.load() is None
            with pytest.raises(StorageError, match="does not permit this user"):
                storage.save(record(1))

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
