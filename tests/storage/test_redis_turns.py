"""The section of RedisStorage: one at a time, a lease for each, and nothing written by who has lost his."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import StorageError
from rxauth.storage.redis import RedisStorage
from rxauth.storage.redis import lease as redis_lease
from tests.storage.redis_kit import Server, child, every_client, in_threads, record, until

LOCK = "{rxauth:session}:lock"


@pytest.fixture
def no_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each holder stalled: nobody renews a lease."""
    monkeypatch.setattr(redis_lease, "RENEWALS", 0)


unrenewed = pytest.mark.usefixtures("no_renewals")


class TestTakingTurns:
    @every_client
    def test_one_at_a_time(self, make: Callable[..., RedisStorage], how: str) -> None:
        ours, theirs = make(how), make("url")
        with ours.exclusive(1.0):
            begun = time.monotonic()
            with pytest.raises(TimeoutError, match=r"0\.4 s"), theirs.exclusive(0.4):
                pass
            assert time.monotonic() - begun >= 0.4
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
        assert entered.wait(60)
        waiting.join()

    def test_waiting_is_no_busy_loop(self, redis_server: Server, make: Callable[..., RedisStorage]) -> None:
        with make().exclusive(1.0):
            redis_server.client.config_resetstat()
            with pytest.raises(TimeoutError), make().exclusive(1.5):
                pass
        looks = redis_server.client.info("commandstats")["cmdstat_eval"]["calls"]
        assert looks <= 12

    def test_a_lease_is_renewed_while_its_holder_is_there(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        def left() -> int:
            return int(redis_server.client.pttl(LOCK))

        with make(lease=12.0).exclusive(1.0):
            until(lambda: left() < 9000, "some of it is over")
            until(lambda: left() > 9500, "it is renewed")
        assert left() == -2, "it is gone"
        others = renewing()
        with make(lease=600.0).exclusive(1.0):
            assert renewing() - others
        until(lambda: renewing() <= others, "who would renew it has ended with the section")

    def test_a_try_that_comes_through_when_a_line_is_mended_keeps_nobody_out_who_sent_it(
        self, make: Callable[..., RedisStorage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = make()
        sent: list[str] = []

        def lost(holder: str) -> tuple[int, float]:
            sent.append(holder)
            raise StorageError("the line is cut")

        with monkeypatch.context() as cut:
            cut.setattr(storage._turns, "_try", lost)
            with pytest.raises(StorageError), storage.exclusive(1.0):
                pass
        assert storage._turns._try(sent[0])[0], "it arrives"
        with storage.exclusive(0.0), pytest.raises(TimeoutError), make().exclusive(0.0):
            pass
        with storage.exclusive(0.0):
            assert len(sent) == 1

    def test_a_lease_of_one_who_hangs_is_not_renewed_for_ever(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        others, hanging = renewing(), make(lease=0.1).exclusive(1.0)
        hanging.__enter__()
        until(lambda: renewing() <= others, "the last one was given")
        with make().exclusive(20.0):
            assert redis_server.client.get(LOCK) is not None
            hanging.__exit__(None, None, None)
            assert redis_server.client.get(LOCK) is not None, "the lock is another's"

    def test_where_no_thread_can_be_started_it_works_without_renewals_and_notices(
        self, redis_server: Server, make: Callable[..., RedisStorage], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        storage = make()
        monkeypatch.setattr(threading.Thread, "start", fail)
        stop = storage.watch(lambda: None)
        with storage.exclusive(1.0):
            assert storage.save(record(1))
        assert redis_server.client.get(LOCK) is None
        stop()

    @unrenewed
    def test_a_lease_that_nobody_gives_back_ends(self, make: Callable[..., RedisStorage]) -> None:
        forgotten = make(lease=0.5).exclusive(1.0)
        forgotten.__enter__()
        with make().exclusive(20.0):
            pass
        forgotten.__exit__(None, None, None)

    @unrenewed
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

    @unrenewed
    def test_a_holder_whose_lease_nobody_took_may_write(self, make: Callable[..., RedisStorage]) -> None:
        storage = make(lease=0.05)
        with storage.exclusive(1.0):
            time.sleep(0.1)
            assert storage.save(record(1))

    @unrenewed
    def test_a_logout_counts_also_of_a_holder_that_stalled(self, make: Callable[..., RedisStorage]) -> None:
        stalled = make(lease=0.1)
        stalled.save(record(1))
        with stalled.exclusive(1.0), make().exclusive(20.0):
            stalled.clear("sign-in-1")
            loaded = stalled.load()
        assert loaded is not None
        assert loaded.tokens is None

    def test_a_server_that_forgot_the_count_gives_no_old_token_twice(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        before, after = make(), make()
        with before.exclusive(1.0):
            redis_server.client.flushall()
            assert before.save(record(1)), "nobody else has entered"
            with after.exclusive(1.0), pytest.raises(StorageError, match="number 1, and number 1"):
                before.save(record(2), ("sign-in-1", 1))

    def test_processes_lose_no_step(self, redis_server: Server, make: Callable[..., RedisStorage]) -> None:
        storage = make()
        storage.save(record(0))
        children = [child("count", redis_server.url, 20) for _ in range(3)]
        for counting in children:
            counting.communicate(timeout=120)
        assert [counting.returncode for counting in children] == [0] * 3
        stored = storage.load()
        assert stored is not None
        assert stored.generation == 60

    def test_a_process_that_was_paused_past_its_lease_can_not_write_when_it_wakes(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        storage = make()
        storage.save(record(1))
        paused = child("save-late", redis_server.url, 1.0)
        assert paused.stdout is not None
        assert paused.stdout.readline() == "in\n"
        paused.send_signal(signal.SIGSTOP)
        try:
            with storage.exclusive(60.0):
                assert storage.save(record(1, spending=5.0), ("sign-in-1", 1)), "the same pair: no generation tells"
        finally:
            paused.send_signal(signal.SIGCONT)
        said, _ = paused.communicate("now\n", timeout=60)
        assert "number 1, and number 2 has entered since; nothing was written" in said
        assert storage.load() == record(1, spending=5.0)

    @unrenewed
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_the_child_of_a_fork_in_the_section_is_not_in_it(self, make: Callable[..., RedisStorage]) -> None:
        ours, theirs = make(lease=0.1), make()
        read, write = os.pipe()
        with ours.exclusive(1.0):
            pid = os.fork()
            if pid == 0:
                try:
                    os.close(write)
                    os.read(read, 1)
                    os._exit(0 if ours.save(record(7)) else 1)
                finally:
                    os._exit(2)
            with theirs.exclusive(20.0):
                os.close(write)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "a login of the child's counts"
        os.close(read)
        assert theirs.load() == record(7)

    def test_a_killed_holder_keeps_the_others_out_for_its_lease_only(
        self, redis_server: Server, make: Callable[..., RedisStorage]
    ) -> None:
        holder = child("hold", redis_server.url, 6.0)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(TimeoutError), make().exclusive(0.0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
        with make().exclusive(20.0):
            pass


class TestSessions:
    def test_sessions_that_share_it_refresh_once(self, make: Callable[..., RedisStorage]) -> None:
        posts: list[str | None] = []

        def refresh(tokens: Tokens) -> dict[str, Any]:
            posts.append(tokens.refresh)
            time.sleep(0.2)
            return {"access_token": "access-new", "refresh_token": "refresh-new", "expires_in": 300}

        stale = Tokens("access-old", "refresh-old", time.time() - 1, life=300.0)
        with ExitStack() as closing:

            def session(how: str, **options: Any) -> Session[Any]:
                storage = make(how, lease=300.0)
                return closing.enter_context(Session(refresh, storage=storage, save_timeout=30.0, **options))

            sessions = [session("asyncio", tokens=stale), *(session("sync") for _ in range(3))]
            fresh: list[str] = []
            in_threads([lambda session=session: fresh.append(session.fresh().run().access) for session in sessions])
            assert fresh == ["access-new"] * 4
            assert posts == ["refresh-old"]
            sessions[0].logout().run()
            for session in sessions:
                until(lambda: is_signed_out(session), "the logout is heard")  # noqa: B023


def is_signed_out(session: Session[Any]) -> bool:
    return session.auth.status == "signed_out"


def blocked(storage: RedisStorage) -> int:
    return int(storage._wire.call("INFO", "clients")["blocked_clients"])


def renewing() -> set[threading.Thread]:
    """The threads that renew a lease, those of other tests' sections included."""
    return {thread for thread in threading.enumerate() if thread.name == "rxauth-redis-lease"}
