"""Hearing of what others change in Redis, and of what may have been missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis import watch as redis_watch
from tests.storage.redis_kit import (
    CLIENTS,
    PASSWORD,
    WATCH,
    Server,
    Told,
    client_of,
    every_client,
    listening,
    record,
    serve,
    storing,
    until,
    watching,
)


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(password=PASSWORD)


class TestHearingOfTheOthers:
    @every_client
    def test_changes_of_others_are_told(
        self, redis_server: Server, make: Callable[..., RedisStorage], how: str
    ) -> None:
        ours, theirs, told = make(how), make("url"), Told()
        stop = ours.watch(told)
        theirs.save(record(1))
        until(lambda: told.times >= 1, "the save of another one is told")
        until(lambda: listening(redis_server) == 1, "it listens")
        before = told.times
        assert ours.save(record(2), ("sign-in-1", 1))
        ours.clear("sign-in-2")
        theirs.clear("sign-in-1")
        until(lambda: told.times > before, "the logout of another one is told")
        assert told.times == before + 1, "and nothing of one's own"
        assert told.names == {"rxauth-redis-watch"}
        stop()
        until(lambda: listening(redis_server) == 0, "it has stopped to listen")
        theirs.save(record(3))
        assert told.times == before + 1

    def test_a_change_before_it_listens_is_not_missed(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        ours, told = make(), Told()
        assert ours.load() is None
        make().save(record(1))
        ours.watch(told)
        until(lambda: told.times == 1, "what was changed since the load is told")

    def test_what_is_known_is_not_told(self, redis_server: Server, make: Callable[..., RedisStorage]) -> None:
        ours, told = make(), Told()
        ours.save(record(1))
        ours.save(record(2))
        ours.watch(told)
        until(lambda: listening(redis_server) == 1, "it listens")
        make().save(record(3))
        until(lambda: told.times > 0, "another one's change is told")
        assert told.times == 1

    def test_an_error_of_the_callback_is_logged_and_the_next_change_told(
        self, redis_server: Server, make: Callable[..., RedisStorage], caplog: pytest.LogCaptureFixture
    ) -> None:
        told = Told(error=ValueError("access-1"))
        ours = make()
        ours.watch(told)
        until(lambda: listening(redis_server) == 1, "it listens")
        for generation in (1, 2):
            make().save(record(generation))
            until(lambda: told.times == generation, "the change is told")  # noqa: B023
        assert "ValueError" in caplog.text
        assert "access-1" not in caplog.text


class TestWatchingThroughTrouble:
    @every_client
    def test_a_restart_is_told_once_and_then_each_change(self, server: Server, how: str) -> None:
        told: list[float] = []
        with storing(client_of(server, how)) as ours, storing(server.url) as theirs:
            stop = ours.watch(lambda: told.append(time.monotonic()))
            until(lambda: listening(server), "it listens")
            server.kill()
            server.start()
            until(lambda: len(told) == 1, "something may have been missed")
            until(lambda: listening(server), "it listens again")
            theirs.save(record(1))
            until(lambda: len(told) == 2, "and the next change is told")
            stop()
            assert len(told) == 2

    def test_a_watch_may_begin_while_the_server_is_down(self, server: Server) -> None:
        server.kill()
        told = threading.Event()
        with storing(server.url) as ours:
            ours.watch(told.set)
            server.start()
            assert told.wait(60)

    def test_a_connection_that_fell_silent_is_noticed(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, told = [0.0], threading.Event()
        monkeypatch.setattr(redis_watch, "LOOK", 0.02)
        monkeypatch.setattr(redis_watch, "LAST_PAUSE", 0.2)
        monkeypatch.setattr(redis_watch, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        with storing(server.url) as ours:
            heard, lost = heard_by(ours, monkeypatch)
            ours.watch(told.set)
            for answers in (2, 3):  # after the one to the subscription
                clock[0] += redis_watch.SILENCE + 1
                until(lambda: len(heard) == answers, "it was asked whether it is there, and has answered")  # noqa: B023
            assert not told.is_set()
            server.pause()
            clock[0] += 2 * redis_watch.SILENCE + 1
            until(lambda: len(lost) > 0, "it has hung up")
            server.go_on()
            assert told.wait(60.0)

    def test_a_watch_ends_when_its_storage_is_closed_at_any_moment(
        self, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Closed under its reader, a connection of redis-py's failed in there with a ValueError."""
        others = watching()
        for how in CLIENTS:
            for delay in (0.0, 0.001, 0.01, 0.05):
                with storing(client_of(server, how)) as ours:
                    ours.watch(lambda: None)
                    time.sleep(delay)
        until(lambda: watching() <= others, "all have ended")
        asking = server.client
        until(lambda: len(asking.client_list()) == 1, "no connection is left but the test's")
        before = {thread.ident for thread in others}
        said = [said for said in caplog.records if said.threadName == WATCH and said.thread not in before]
        assert said == []


def heard_by(storage: RedisStorage, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """What its watch hears, and the connections that it hangs up; others' watches may be about to end meanwhile."""
    heard: list[Any] = []
    lost: list[Any] = []
    wire, hear, hang_up = storage._wire, redis_watch.Watch._hear, storage._wire.hang_up

    def noted(watch: redis_watch.Watch, notice: dict[str, Any]) -> None:
        hear(watch, notice)
        if watch._wire is wire:
            heard.append(notice)

    def hung_up(notices: Any) -> None:
        lost.append(notices)
        hang_up(notices)

    monkeypatch.setattr(redis_watch.Watch, "_hear", noted)
    monkeypatch.setattr(wire, "hang_up", hung_up)
    return heard, lost
