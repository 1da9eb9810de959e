"""Sessions of several processes on one storage: one refresh for all, whoever is killed, and when the disk is full."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from rxauth import Session, simplejwt
from rxauth.errors import SessionExpired
from rxauth.storage import Record
from rxauth.storage.file import FileStorage
from rxauth.storage.redis import RedisStorage
from rxauth.testing import TokenServer
from rxauth.testing.faults import never
from tests.kit import Caller
from tests.storage import fleet
from tests.storage.redis_kit import Server
from tests.storage.storage_kit import WITH_A_SESSION, mounted, names_in, nobodys, output, start, until

#: A process that is stopped at one of these has not posted yet, and whoever comes after it spends the same pair.
BEFORE_THE_POST = (
    "before the section",
    "in the section",
    "after reading",
    "in the midst of saving the journal",
    "after saving the journal",
    "before the post",
)
#: Here the server has answered, and the new pair is nowhere but in the memory of that process.
WITH_THE_ANSWER = ("with the answer", "before saving the pair", "in the midst of saving the pair")
#: And here everybody can have it.
SAVED = ("after saving the pair", "before leaving")
#: For a disk that is busy with something else: a save is not given up, so that what is stored is what is expected.
PATIENT = {"save_timeout": 60.0, "deadline": 120.0}
#: In seconds; less than any time limit takes, and more than a busy machine does.
AT_ONCE = 30.0

nobodys_directory = pytest.fixture(nobodys)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "64k")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app" / "tokens"


@pytest.fixture
def lenient() -> Iterator[TokenServer]:
    """A server with a grace period: a refresh token that was spent brings a pair once more."""
    with TokenServer(reuse="allow") as server:
        yield server


@pytest.mark.parametrize("storage", ["file", "redis"])
def test_a_fleet_refreshes_once_for_each_generation(storage: str) -> None:
    plan = fleet.Plan(storage, processes=4, generations=4, leeway=0.75)  # the three quarters are for slow machines
    outcome = fleet.run(plan)
    assert outcome.is_good(plan), (str(outcome), outcome.whys)


class Doomed:
    """Processes that refresh, stop where they are told to, and wait there to be killed."""

    def __init__(self) -> None:
        self._process = start("refresh", program=WITH_A_SESSION)

    def stop(self, step: str, place: Path | tuple[str, str, float], url: str, **settings: float) -> int:
        """Have one that is about to be at this step; returns its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        where = str(place) if isinstance(place, Path) else place
        print(json.dumps([step, where, url, PATIENT | settings]), file=self._process.stdin, flush=True)
        said, _, _ = select.select([self._process.stdout], [], [], 60.0)
        assert said, f"no process came to this: {step}"
        return int(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def doomed() -> Iterator[Doomed]:
    doomed = Doomed()
    yield doomed
    doomed.end()


class TestKilledInTheMidstOfARefresh:
    """A process is killed with kill -9, and another one, which has been there all the time, needs new tokens."""

    @pytest.mark.parametrize("step", [*BEFORE_THE_POST, *WITH_THE_ANSWER, *SAVED])
    def test_the_other_process_goes_on_at_once(
        self, doomed: Doomed, lenient: TokenServer, path: Path, step: str
    ) -> None:
        with Session(simplejwt(lenient.url), storage=FileStorage(path), tokens=expired(lenient), **PATIENT) as other:
            before = stored(path)
            process = doomed.stop(step, path, lenient.url)
            there_is_a_whole_pair(path, before, lenient)
            waiting = Caller(other.fresh())
            if step != "before the section":
                time.sleep(0.05)
                assert waiting.ends == 0, "it waits while the first one may refresh"
            os.kill(process, signal.SIGKILL)
            ended_within(AT_ONCE, waiting)
            assert waiting.error is None
            assert works(lenient, waiting.access)
            posted = 2 if step in WITH_THE_ANSWER else 1
            assert (lenient.posts, lenient.reuses) == (posted, posted - 1)
            there_is(path, waiting.value.refresh, generation=2)
        assert names_in(path.parent) == ["tokens", "tokens.lock", "tokens.refresh.lock"]

    def test_while_it_waits_for_the_answer(self, doomed: Doomed, lenient: TokenServer, path: Path) -> None:
        lenient.script(never())
        with Session(simplejwt(lenient.url), storage=FileStorage(path), tokens=expired(lenient), **PATIENT) as other:
            process = doomed.stop("anywhere", path, lenient.url)
            until(lambda: lenient.posts == 1, "the server has read the request")
            waiting = Caller(other.fresh())
            os.kill(process, signal.SIGKILL)
            ended_within(AT_ONCE, waiting)
            assert works(lenient, waiting.access)
            assert (lenient.posts, lenient.reuses) == (2, 0)

    def test_a_strict_server_ends_the_sign_in_and_everybody_is_told_why(self, doomed: Doomed, path: Path) -> None:
        """Nobody can have the answer that died with its process; what it cost is known, and tried once only."""
        with (
            TokenServer(reuse="revoke_family") as server,
            Session(simplejwt(server.url), storage=FileStorage(path), tokens=expired(server), **PATIENT) as other,
            Session(simplejwt(server.url), storage=FileStorage(path), **PATIENT) as third,
        ):
            os.kill(doomed.stop("with the answer", path, server.url), signal.SIGKILL)
            with pytest.raises(SessionExpired, match="spent by an earlier refresh whose answer was lost") as raised:
                other.fresh().run()
            assert raised.value.cause == "answer lost"
            assert server.posts == 2
            assert stored(path).tokens is None
            waiting = Caller(third.fresh())
            ended_within(AT_ONCE, waiting)
            assert waiting.error is not None
            assert (third.auth.status, server.posts) == ("signed_out", 2)


def test_on_redis_the_others_go_on_when_the_lease_of_who_was_killed_has_ended(
    doomed: Doomed, redis_server: Any, tmp_path: Path
) -> None:
    """All steps at once, each with a sign-in and a server of its own, for each waits for a lease."""
    lease, numbers = 12.0, {"deadline": 4.0, "save_timeout": 2.0}
    steps = [step for step in (*BEFORE_THE_POST, *WITH_THE_ANSWER, *SAVED) if "midst" not in step]
    with ExitStack() as open_:
        runs = []
        for number, step in enumerate(steps):
            key = f"{tmp_path.name}-{number}"
            server = open_.enter_context(TokenServer(reuse="allow"))
            storage = open_.enter_context(closing(RedisStorage(redis_server.url, key, lease=lease, timeout=4.0)))
            how = {"storage": storage, "tokens": expired(server), **numbers}
            other = open_.enter_context(Session(simplejwt(server.url), **how))
            process = doomed.stop(step, (redis_server.url, key, lease), server.url, **numbers)
            os.kill(process, signal.SIGKILL)
            runs.append((step, server, storage, other, Insistent(other)))
        until(lambda: all(caller.has_tokens() for *_, caller in runs), "all go on", 8 * lease)
        for step, server, storage, other, _ in runs:
            posted = 2 if step in WITH_THE_ANSWER else 1
            assert (step, server.posts, server.reuses) == (step, posted, posted - 1)
            record = storage.load()
            assert record is not None
            assert record.tokens is not None
            tokens = other.fresh().run()
            assert (step, record.generation, record.spending) == (step, 2, None)
            assert (record.tokens.access, record.tokens.refresh) == (tokens.access, server.current_refresh)


class Insistent:
    """Asks until it has tokens: who waits for longer than its deadline is told so."""

    def __init__(self, session: Session[Any]) -> None:
        self._session, self._caller = session, Caller(session.fresh())

    def has_tokens(self) -> bool:
        if self._caller.error is not None:
            self._caller = Caller(self._session.fresh())
        return self._caller.value is not None


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


def expired(server: TokenServer) -> Any:
    return server.issue(expired=True).tokens


def stored(path: Path) -> Any:
    record = FileStorage(path).load()
    assert record is not None
    return record


def there_is(path: Path, refresh: str | None, generation: int | None = None) -> None:
    """This pair is stored, and nobody is spending it."""
    record = stored(path)
    assert (record.tokens.refresh, record.spending) == (refresh, None)
    assert record.generation == generation or generation is None


def there_is_a_whole_pair(path: Path, before: Record, server: TokenServer) -> None:
    """The pair of before is stored, or the one that the server has given out since: both its tokens."""
    record = stored(path)
    if record.generation != before.generation:
        assert record.tokens.refresh == server.current_refresh
        assert works(server, record.tokens.access)
    else:
        assert record.tokens == before.tokens


def works(server: TokenServer, access: str | None) -> bool:
    """Is this the access token that the server gave out last?"""
    answer = httpx.get(f"{server.url}/api/me/", headers={"Authorization": f"Bearer {access}"})
    return answer.status_code == 200 and server.api_calls[-1].token == "current"


def ended_within(seconds: float, *callers: Caller) -> None:
    """A machine that is busy with something else is given more, but not as much as any lease or time limit takes."""
    until(lambda: all(caller.ends for caller in callers), "everybody who waits is told", seconds)
