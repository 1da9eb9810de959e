"""`Session(refresh, tokens=..., storage=...)` at every start: what became of the pair given wins, and the pair that was
spent is never posted again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.errors import NotSignedIn, RefreshRefused, RefreshUnavailable, SessionExpired
from rxauth.storage import MemoryStorage, Record, codec
from rxauth.testing import TokenServer, VirtualTime
from tests.kit import Caller, FakeRefresher, pair, stale
from tests.session.test_same_account import pair_of
from tests.storage.kinds import Place
from tests.storage.sign_in_kit import expired, works
from tests.storage.turns_kit import Board, Watched

PATIENT = {"save_timeout": 30.0}


class Starts:
    """Processes on one board, each of which is given what the configuration says."""

    def __init__(self, given: Callable[[VirtualTime], Tokens] = stale, board: type[Board] = Board) -> None:
        self.time = VirtualTime()
        self.board = board(self.time)
        self.server = FakeRefresher(self.time)
        self.given = given(self.time)
        self.fails: list[Any] = []

    def start(self, given: Tokens | None = None, **how: Any) -> Session[Any]:
        return Session(self.server, storage=self.board, time=self.time, tokens=given or self.given, **how)

    def fresh(self, session: Session[Any]) -> Caller:
        caller = Caller(session.fresh())
        self.time.advance(20)
        return caller


@pytest.mark.parametrize("board", [Board, Watched])
def test_the_second_start_goes_on_with_what_the_first_has_made_of_the_pair(board: type[Board]) -> None:
    starts = Starts(board=board)
    first = starts.start()
    assert starts.fresh(first).access == "access-1"
    second = starts.start()
    assert second.auth.sign_in == first.auth.sign_in
    assert starts.fresh(second).access == "access-1"
    starts.time.advance(300)
    assert [starts.fresh(session).access for session in (second, first)] == ["access-2"] * 2
    assert starts.server.posted == ["refresh-0", "refresh-1"]


def test_a_hundred_refreshes_later_it_is_still_the_same_sign_in() -> None:
    starts = Starts()
    first = starts.start()
    for _ in range(100):
        starts.fresh(first)
        starts.time.advance(300)
    assert starts.start().auth.sign_in == first.auth.sign_in
    assert starts.server.posted == [f"refresh-{number}" for number in range(100)]


@pytest.mark.parametrize("ago", [0, 1, 5])
def test_a_pair_that_came_in_between_is_of_that_sign_in_too(ago: int) -> None:
    starts = Starts()
    first, pairs = starts.start(), []
    for _ in range(10):
        pairs.append(starts.fresh(first).value)
        starts.time.advance(300)
    given = Tokens(pairs[-1 - ago].access, pairs[-1 - ago].refresh)
    second = starts.start(given)
    assert second.auth.tokens is not None
    assert second.auth.tokens.refresh == pairs[-1].refresh


def test_a_login_s_own_pair_is_of_its_sign_in() -> None:
    starts = Starts()
    first = starts.start()
    login = Caller(first.login())
    starts.time.advance(5)
    given = Tokens(login.value.access, login.value.refresh)
    for _ in range(20):
        starts.time.advance(300)
        starts.fresh(first)
    assert starts.start(given).auth.sign_in == first.auth.sign_in


def test_another_pair_takes_the_place_of_what_is_stored() -> None:
    starts = Starts()
    first = starts.start()
    starts.fresh(first)
    other = pair(starts.time, 300, name="bob")
    second = starts.start(other)
    assert starts.fresh(second).access == "access-bob"
    assert starts.board._record is not None
    assert starts.board._record.sign_in == second.auth.sign_in != first.auth.sign_in


def test_a_pair_that_was_replaced_before_it_was_spent_may_come_back() -> None:
    starts = Starts()
    starts.start()
    bob = pair(starts.time, 300, name="bob")
    starts.start(bob)
    back = starts.start()
    assert starts.fresh(back).access == "access-1"
    assert starts.server.posted == ["refresh-0"]


def test_a_pair_that_was_spent_does_not_come_back_after_a_login() -> None:
    """The configuration still names the first one, and the app has logged in since."""
    starts = Starts()
    first = starts.start()
    starts.fresh(first)
    Caller(first.login())
    starts.time.advance(5)
    for _ in range(30):
        starts.time.advance(300)
        starts.fresh(first)
    posted = list(starts.server.posted)
    second = starts.start()
    assert second.auth.sign_in == first.auth.sign_in
    assert starts.fresh(second).access == starts.fresh(first).access
    assert starts.server.posted == posted


def test_the_pair_given_is_remembered_over_any_number_of_logins_and_starts() -> None:
    starts = Starts()
    starts.fresh(starts.start())
    for _ in range(20):
        session = starts.start()
        Caller(session.login())
        starts.time.advance(305)
        starts.fresh(session)
    assert "refresh-0" not in starts.server.posted[1:]
    assert starts.start().auth.sign_in == session.auth.sign_in


def test_a_spent_pair_of_a_known_user_is_not_answered_with_another_user_s_sign_in() -> None:
    starts = Starts(lambda time: pair_of(time, "0", age=301, sub="ada"))
    first = starts.start()
    starts.fresh(first)
    bobs = pair_of(starts.time, "bob", life=3000, sub="bob")
    first.sign_in(bobs).run()
    second = starts.start()
    for _ in range(2):
        assert isinstance(starts.fresh(second).error, SessionExpired)
    assert starts.server.posts == 1
    assert starts.board._record is not None
    assert starts.board._record.tokens is not None
    assert starts.board._record.tokens.access == bobs.access


class TestTheSignInIsOver:
    @pytest.mark.parametrize("refreshes", [0, 1, 30])
    def test_after_a_logout_the_pair_is_not_used_again(self, refreshes: int) -> None:
        starts = Starts()
        first = starts.start()
        for _ in range(refreshes):
            starts.fresh(first)
            starts.time.advance(300)
        first.logout().run()
        second = starts.start()
        assert second.auth.status == "signed_out"
        error = starts.fresh(second).error
        assert isinstance(error, SessionExpired)
        assert error.cause == "signed out elsewhere"
        assert "tokens given" in str(error)
        assert "tokens given" in second.explain()
        assert starts.server.posts == refreshes

    def test_after_the_server_ended_it_the_cause_is_told(self) -> None:
        starts = Starts()
        starts.server.script = [RefreshRefused(status_code=401)]
        starts.fresh(starts.start())
        for _ in range(2):
            error = starts.fresh(starts.start()).error
            assert isinstance(error, SessionExpired)
            assert (error.cause, error.status_code) == ("refused", 401)
        assert starts.server.posts == 1

    def test_a_new_pair_begins_anew(self) -> None:
        starts = Starts()
        starts.start().logout().run()
        assert starts.fresh(starts.start(pair(starts.time, 300, name="new"))).access == "access-new"

    def test_a_login_is_possible_and_the_next_start_goes_on_with_it(self) -> None:
        starts = Starts()
        starts.start().logout().run()
        second = starts.start()
        login = Caller(second.login())
        starts.time.advance(5)
        assert login.access == "access-login-1"
        third = starts.start()
        assert third.auth.sign_in == second.auth.sign_in
        assert starts.server.posts == 0


class Slow(Board):
    """Takes a while to answer: `load` number n as many seconds as `pauses[n]`."""

    pauses: tuple[float, ...] = ()

    def load(self) -> Record | None:
        found = super().load()
        number = self.calls.count("load") - 1
        self.time.sleep(self.pauses[number] if number < len(self.pauses) else 0.01)
        return found


class TestAtOnce:
    @pytest.mark.parametrize("size", [2, 10])
    def test_processes_that_start_with_one_pair_share_one_sign_in(self, size: int) -> None:
        starts = Starts(board=Slow)
        callers: list[Caller] = []

        def run() -> None:
            session = starts.start()
            callers.append(Caller(session.fresh()))

        for _ in range(size):
            starts.time.spawn(run, "a process")
        starts.time.advance(60)
        assert [caller.access for caller in callers] == ["access-1"] * size
        assert len({caller.value.sign_in for caller in callers}) == 1
        assert starts.server.posted == ["refresh-0"]

    @pytest.mark.parametrize("slow", [0, 1], ids=["before the section", "in the section"])
    def test_one_that_is_slow_between_looking_and_storing_does_not_undo_a_refresh(self, slow: int) -> None:
        starts = Starts(board=Slow)
        assert isinstance(starts.board, Slow)
        starts.board.pauses = (*[0.01] * slow, 1.5)
        callers: list[Caller] = []

        def run() -> None:
            session = starts.start()
            callers.append(Caller(session.fresh()))

        starts.time.spawn(run, "a slow process")
        starts.time.advance(0.1)
        starts.time.spawn(run, "a quick one")
        starts.time.advance(60)
        assert {caller.access for caller in callers} == {"access-1"}
        assert len({caller.value.sign_in for caller in callers}) == 1
        assert starts.server.posted == ["refresh-0"]


class TestTheStorageIsNotWell:
    @pytest.mark.parametrize("broken", ["load", "exclusive", "save"])
    def test_the_session_goes_on_in_memory_and_posts_nothing(self, broken: str) -> None:
        starts = Starts(lambda time: pair(time, 300))
        starts.board.broken = {broken}
        session = starts.start()
        assert starts.fresh(session).access == "access-0"
        assert session.auth.storage == "failing"
        refused = Caller(session.replace())
        starts.time.advance(60)
        assert isinstance(refused.error, RefreshUnavailable)
        assert starts.server.posts == 0
        starts.board.broken = set()
        starts.time.advance(60)
        mended = Caller(session.replace())
        starts.time.advance(20)
        assert mended.access == "access-1"
        assert starts.board._record is not None
        assert session.auth.storage == "ok"

    def test_when_it_can_be_read_again_what_became_of_the_pair_wins(self) -> None:
        starts = Starts()
        first = starts.start()
        starts.fresh(first)
        starts.board.broken = {"load"}
        second = starts.start()
        waiting = Caller(second.fresh())
        starts.time.advance(20)
        assert isinstance(waiting.error, RefreshUnavailable)
        starts.board.broken = set()
        starts.time.advance(60)
        assert starts.fresh(second).access == "access-1"
        assert second.auth.sign_in == first.auth.sign_in
        assert starts.server.posted == ["refresh-0"]

    def test_when_it_can_be_read_again_a_tombstone_holds(self) -> None:
        starts = Starts()
        starts.start().logout().run()
        starts.board.broken = {"load"}
        second = starts.start()
        starts.board.broken = set()
        starts.time.advance(2)
        assert isinstance(starts.fresh(second).error, NotSignedIn)
        assert starts.server.posts == 0

    def test_a_section_that_is_held_does_not_hold_up_the_start(self) -> None:
        starts = Starts(lambda time: pair(time, 300))
        starts.board.held = True
        before = starts.time.now().mono
        session = starts.start()
        assert starts.time.now().mono - before < 5
        assert starts.fresh(session).access == "access-0"
        starts.board.held = False
        renewed = Caller(session.replace())
        starts.time.advance(60)
        assert renewed.access == "access-1"


def test_a_record_of_an_earlier_release_is_read_and_its_current_pair_is_known() -> None:
    starts = Starts(lambda time: pair(time, 300))
    text = codec.dumps(Record("old", 7, starts.given))
    assert "origins" not in text
    starts.board.put(codec.loads(text, "here"))
    assert starts.start().auth.sign_in == "old"


def test_no_token_is_in_a_fingerprint() -> None:
    starts = Starts()
    starts.fresh(starts.start())
    record = starts.board._record
    assert record is not None
    assert (len(record.origins), len(record.recent)) == (1, 2)
    text = codec.dumps(replace(record, tokens=None))
    assert "refresh-" not in text
    assert "access-" not in text


def test_what_is_remembered_does_not_grow() -> None:
    starts = Starts()
    session = starts.start()
    for number in range(40):
        starts.fresh(session)
        starts.time.advance(300)
        if number % 2:
            Caller(session.login())
            starts.time.advance(5)
    record = starts.board._record
    assert record is not None
    assert (len(record.origins), len(record.recent)) == (8, 8)


def test_a_memory_storage_that_is_used_again() -> None:
    time, storage = VirtualTime(), MemoryStorage()
    server = FakeRefresher(time)
    given = stale(time)
    for _ in range(3):
        with Session(server, storage=storage, time=time, tokens=given) as session:
            assert session.fresh().run().access == "access-1"
    assert server.posted == ["refresh-0"]


def test_without_a_refresh_token_the_access_token_names_the_pair() -> None:
    time = VirtualTime()
    board, server = Board(time), FakeRefresher(time)
    first = Session(server, storage=board, time=time, tokens=Tokens("one"))
    assert Session(server, storage=board, time=time, tokens=Tokens("one")).auth.sign_in == first.auth.sign_in
    assert Session(server, storage=board, time=time, tokens=Tokens("two")).auth.sign_in != first.auth.sign_in


class TestOnALoop:
    def test_calls_wait_for_the_storage_and_go_on_with_what_became_of_the_pair(self, place: Place) -> None:
        with TokenServer() as server:
            given = expired(server)
            with Session(simplejwt(server.url), storage=place.make(), tokens=given, **PATIENT) as first:
                first.fresh().run()

            async def start_again() -> Tokens:
                async with Session(simplejwt(server.url), storage=place.make(), tokens=given, **PATIENT) as second:
                    return await second.fresh()

            assert works(server, asyncio.run(start_again()).access)
            assert (server.posts, server.reuses) == (1, 0)

    def test_a_login_meanwhile_wins(self) -> None:
        storage = MemoryStorageThatWaits()

        async def run() -> str:
            async with Session(lambda tokens: tokens, storage=storage, tokens=Tokens("given", "g")) as session:
                bobs = session.sign_in(Tokens("bob", "b"))
                storage.may_answer.set()
                await bobs
                return (await session.fresh()).access

        assert asyncio.run(run()) == "bob"
        record = storage.load()
        assert record is not None
        assert record.tokens is not None
        assert record.tokens.access == "bob"

    def test_a_storage_that_cannot_be_read_leaves_the_pair_given(self) -> None:
        class Broken(MemoryStorageThatWaits):
            def load(self) -> Record | None:
                raise OSError(5, "Input/output error")

        async def run() -> str:
            async with Session(lambda tokens: tokens, storage=Broken(), tokens=Tokens("given", "g")) as session:
                access = (await session.fresh()).access
                assert session.auth.storage == "failing"
                return access

        assert asyncio.run(run()) == "given"


class MemoryStorageThatWaits:
    """A storage that outlives the process, as it seems, and does not answer at once."""

    def __init__(self) -> None:
        self._inner = MemoryStorage()
        self.may_answer = threading.Event()

    def load(self) -> Record | None:
        self.may_answer.wait(60)
        return self._inner.load()

    def save(self, record: Record, replaces: Any = None) -> bool:
        return self._inner.save(record, replaces)

    def clear(self, sign_in: str) -> None:
        self._inner.clear(sign_in)


def test_every_start_on_a_real_storage_of_each_kind(place: Place) -> None:
    with TokenServer() as server:
        given = expired(server)
        sessions = [
            Session(simplejwt(server.url), storage=place.make(), tokens=given, refresh_ahead=0.0, **PATIENT)
            for _ in range(3)
        ]
        for session in sessions:
            assert works(server, session.fresh().run().access)
        assert works(server, sessions[1].replace().run().access)
        for session in sessions:
            session.close()
        with Session(simplejwt(server.url), storage=place.make(), tokens=given, **PATIENT) as last:
            assert works(server, last.fresh().run().access)
            last.logout().run()
        over = Session(simplejwt(server.url), storage=place.make(), tokens=given, **PATIENT)
        with over, pytest.raises(SessionExpired, match="tokens given"):
            over.fresh().run()
        assert (server.posts, server.reuses) == (2, 0)
