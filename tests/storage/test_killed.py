"""A process that refreshes is killed at any step, and the others that share its sign-in go on."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from rxauth import Session, simplejwt
from rxauth.errors import SessionExpired
from rxauth.storage.file import FileStorage
from rxauth.storage.redis import RedisStorage
from rxauth.testing import TokenServer
from rxauth.testing.server.faults import never
from tests.kit import Caller
from tests.storage.sign_in_kit import (
    AT_ONCE,
    PATIENT,
    ended_within,
    expired,
    stored,
    there_is,
    there_is_a_whole_pair,
    works,
)
from tests.storage.storage_kit import WITH_A_SESSION, names_in, start, until

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


@pytest.fixture
def lenient() -> Iterator[TokenServer]:
    """A server with a grace period: a refresh token that was spent brings a pair once more."""
    with TokenServer(reuse="allow") as server:
        yield server


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
