"""`rotates=False`: the server keeps its refresh tokens, so a try without an answer is repeated and is not in doubt."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from rxauth import Session, Tokens, oauth2, simplejwt
from rxauth.errors import RefreshTimeout, RefreshUnavailable
from rxauth.storage import Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, stale


def keeping(**options: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    time = VirtualTime()
    refresher = FakeRefresher(time)
    refresher.rotates = False  # type: ignore[attr-defined]
    return time, refresher, Session(refresher, tokens=stale(time), time=time, **options)


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), lambda tokens: []])
def test_an_unanswered_try_is_repeated(lost: Any) -> None:
    _, refresher, session = keeping()
    refresher.script = [lost, lost]
    assert session.fresh().run().access == "access-3"
    assert refresher.posted == ["refresh-0"] * 3


def test_it_is_repeated_within_the_tries_and_is_then_not_in_doubt() -> None:
    time, refresher, session = keeping()
    refresher.script = [httpx.ReadError("reset")] * 3
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    assert (refresher.posts, session.auth.status, session.auth.in_doubt) == (3, "degraded", False)
    time.advance(10)
    assert session.fresh().run().access == "access-4"


def test_nobody_listens_for_a_minute_after_the_deadline() -> None:
    time, refresher, session = keeping()
    refresher.latency = 1e6
    caller = Caller(session.fresh())
    time.advance(30.1)
    assert isinstance(caller.error, RefreshTimeout)
    assert (caller.error.cause, session.auth.in_doubt) == ("no answer", False)
    refresher.latency = 0.1
    time.advance(10)
    assert session.fresh().run().access == "access-2"


def test_an_answer_that_comes_late_counts_all_the_same() -> None:
    time, refresher, session = keeping()
    refresher.latency = 31
    Caller(session.fresh())
    time.advance(32)
    assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1


def test_a_pair_that_a_crashed_process_began_to_spend_is_not_in_doubt() -> None:
    class Shelf:
        def load(self) -> Record:
            return Record("ada", 3, Tokens("a", "r", 1.0), "", "", 5.0)

        def save(self, record: Record, replaces: Any) -> bool:
            return True

        def clear(self, sign_in: str) -> None: ...

    time = VirtualTime()
    refresher = FakeRefresher(time)
    refresher.rotates = False  # type: ignore[attr-defined]
    session = Session(refresher, storage=Shelf(), time=time)
    assert (session.auth.status, session.auth.in_doubt) == ("signed_in", False)
    refresher.script = [httpx.ReadError("reset")]
    assert session.fresh().run().access == "access-2"


def test_by_default_a_server_is_taken_to_rotate() -> None:
    _, refresher, session = make()
    refresher.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    assert (refresher.posts, session.auth.in_doubt) == (1, True)


@pytest.mark.parametrize("maker", [simplejwt, oauth2])
def test_it_is_a_keyword_of_the_built_in_refreshers(maker: Any) -> None:
    tries: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request.content)
        if len(tries) < 3:
            raise httpx.ReadTimeout("slow", request=request)
        return httpx.Response(200, json={"access_token": "a2", "expires_in": 300})

    time = VirtualTime()
    refresher = maker("https://auth.example", rotates=False, transport=httpx.MockTransport(answer))
    session = Session(refresher, tokens=stale(time), time=time)
    assert session.fresh().run().access == "a2"
    assert len(tries) == 3
    assert len(set(tries)) == 1


@pytest.mark.parametrize("wrong", [None, 0, "no"])
def test_what_is_neither_true_nor_false_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="rotates must be True or False"):
        simplejwt("https://auth.example", rotates=wrong)
