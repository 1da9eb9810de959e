"""RedisStorage when its server is down, killed, restarted empty, slow, full, a replica, or refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio

from rxauth.concurrency import Runtime
from rxauth.errors import StorageError
from rxauth.storage.redis import RedisStorage
from tests.storage.redis_kit import (
    CLIENTS,
    PASSWORD,
    Server,
    assert_no_secret,
    calls,
    client_of,
    every_client,
    giving_up_soon,
    record,
    serve,
    storing,
    until,
)


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


def can_enter(storage: RedisStorage) -> bool:
    try:
        with storage.exclusive(60.0):
            return True
    except StorageError:
        return False


class TestNoServer:
    @every_client
    def test_a_server_that_is_down_is_a_clear_error_in_time(self, server: Server, how: str) -> None:
        server.kill()
        with giving_up_soon(client_of(server, how)) as storage:
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
        with giving_up_soon(lasting.url) as storage:
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
            saving.join(60)
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
        with storing(server.url) as ours, giving_up_soon(server.url) as theirs, ours.exclusive(1.0):
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
        with storing(client_of(server, how), timeout=0.2, lease=5.0) as storage, storing(server.url) as patient:
            patient.save(record(1))
            until(lambda: readable(storage), "it is connected, in so short a time")
            server.pause()
            for call in calls(storage):
                with pytest.raises(StorageError, match="does not answer") as raised:
                    call()
                assert_no_secret(raised.value)
            server.go_on()
            until(lambda: readable(storage), "it answers again, also what it was asked while it stood still")
            assert patient.load() in (record(1), replace(record(1), tokens=None)), "a whole record"
            until(lambda: can_enter(storage), "its own try of before keeps it out for no longer than a lease")

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
        with giving_up_soon(server.url) as storage, storing(server.url) as other:
            with answers_lost(storage, 1000), pytest.raises(StorageError), storage.exclusive(5.0):
                pass
            with other.exclusive(0.0):
                pass


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
