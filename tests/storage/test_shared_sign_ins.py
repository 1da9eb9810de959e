"""Sessions of several processes on one storage: one refresh for all, also when the disk is full."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rxauth import Session, simplejwt
from rxauth.storage.file import FileStorage
from rxauth.storage.redis import RedisStorage
from rxauth.testing import TokenServer
from tests.kit import Caller
from tests.storage import fleet
from tests.storage.redis_kit import Server
from tests.storage.sign_in_kit import (
    AT_ONCE,
    PATIENT,
    ended_within,
    expired,
    stored,
    there_is,
    works,
)
from tests.storage.storage_kit import WITH_A_SESSION, mounted, nobodys, output, until

nobodys_directory = pytest.fixture(nobodys)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "64k")


@pytest.mark.parametrize("storage", ["file", "redis"])
def test_a_fleet_refreshes_once_for_each_generation(storage: str) -> None:
    plan = fleet.Plan(storage, processes=4, generations=4, leeway=0.75)  # the three quarters are for slow machines
    outcome = fleet.run(plan)
    assert outcome.is_good(plan), (str(outcome), outcome.whys)


class TestAFileThatCanNotBeWritten:
    """See `trouble` in session_child.py for what such a process does, and says of itself."""

    def test_a_full_disk(self, disk: Path) -> None:
        self.goes_on_in_memory("disk", disk / "app" / "tokens")

    def test_a_limit_for_files(self, path: Path) -> None:
        self.goes_on_in_memory("limit", path)

    def test_a_directory_in_which_one_may_not_write_any_more(self, nobodys_directory: Path) -> None:
        self.goes_on_in_memory("permission", nobodys_directory / "app" / "tokens")

    def goes_on_in_memory(self, kind: str, path: Path) -> None:
        with TokenServer() as server:
            lines = dict(
                json.loads(line)
                for line in output("trouble", kind, path, server.url, program=WITH_A_SESSION).splitlines()
            )
            assert (server.posts, server.reuses) == (2, 0)
        assert lines["before the post"] == {
            "session": "the old tokens",
            "status": "degraded",
            "storage": "failing",
            "stored": "pair 1, generation 1",
            "posts": 0,
        }
        assert lines["mended"] == {
            "status": "signed_in",
            "storage": "ok",
            "stored": "pair 2, generation 2",
            "posts": 1,
        }
        assert lines["after the post"] == {
            "session": "new tokens",
            "others": "nothing yet",
            "status": "signed_in",
            "storage": "failing",
            "stored": "pair 2, generation 2, being spent",
            "posts": 2,
        }
        assert lines["mended again"] == {
            "others": "the same tokens",
            "status": "signed_in",
            "storage": "ok",
            "stored": "pair 3, generation 3",
            "posts": 2,
        }

    def test_a_directory_that_was_removed_is_made_anew(self, path: Path) -> None:
        with TokenServer() as server:
            known = {"tokens": server.issue().tokens, **PATIENT}
            session = Session(simplejwt(server.url), storage=FileStorage(path), **known)
            shutil.rmtree(path.parent)
            with session:
                tokens = session.replace().run()
                assert works(server, tokens.access)
                assert (session.auth.storage, server.posts) == ("ok", 1)
            there_is(path, tokens.refresh)
        assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path)] == [0o700, 0o600]


def test_a_process_that_ends_in_the_midst_of_a_refresh_saves_the_pair_and_leaves_the_section(
    redis_server: Server,
) -> None:
    """Else the others would wait for its lease."""
    program = """
import atexit, sys
from rxauth import Session, simplejwt
from rxauth.storage.redis import RedisStorage
Session(simplejwt(sys.argv[1]), storage=RedisStorage(sys.argv[2], "ending")).fresh().subscribe()
atexit.register(print, "ending", flush=True)
sys.stdin.readline()
"""
    storage = RedisStorage(redis_server.url, "ending", lease=300.0, timeout=60.0)
    with TokenServer() as server:
        Session(simplejwt(server.url), storage=storage, tokens=expired(server), save_timeout=30.0).close()
        ended: list[int] = []  # the answer waits until then
        server.hold("/api/token/refresh/", until=lambda: ended)
        command = [sys.executable, "-c", program, server.url, redis_server.url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            until(lambda: server.posts == 1, "it refreshes")
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            ended.append(len(process.stdout.readline()))  # it has begun to end when the answer comes
        with storage.exclusive(0.5):
            record = storage.load()
    storage.close()
    assert record is not None
    assert (record.generation, record.spending, process.returncode) == (2, None, 0)


class TestInOneProcess:
    def test_a_forked_child_and_its_parent_take_turns(self, path: Path) -> None:
        with TokenServer() as server:
            Session(simplejwt(server.url), storage=FileStorage(path), tokens=expired(server), **PATIENT).close()
            said = output("forked", path, server.url, program=WITH_A_SESSION).split()
            assert (server.posts, server.reuses) == (1, 0)
        assert len(said) == 2
        assert len(set(said)) == 1, "both have the same new tokens"

    @pytest.mark.parametrize("shared", [True, False])
    def test_two_sessions_on_threads_take_turns(self, path: Path, shared: bool) -> None:
        storage = FileStorage(path)
        with (
            TokenServer(token_latency=0.05) as server,
            Session(simplejwt(server.url), storage=storage, tokens=expired(server), **PATIENT) as first,
            Session(simplejwt(server.url), storage=storage if shared else FileStorage(path), **PATIENT) as second,
        ):
            callers = [Caller(session.fresh()) for session in (first, second) * 8]
            ended_within(AT_ONCE, *callers)
            assert {caller.access for caller in callers} == {stored(path).tokens.access}
            assert (server.posts, server.reuses) == (1, 0)
