"""Several accounts: one session for each key, bounded in number, and no token of one user in another's call."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Session, Tokens
from rxauth.errors import SessionClosed, TooManySessions, WouldDeadlock
from rxauth.session import Sessions
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, pair

API = "https://api.example.com"


class Shelf:
    """A storage that outlives its session."""

    def __init__(self) -> None:
        inner = MemoryStorage()
        self.load, self.save, self.clear = inner.load, inner.save, inner.clear


class Family:
    def __init__(self, *, stored: bool = True, signed_in: bool = True, **how: Any) -> None:
        self.time = VirtualTime()
        self.made: list[str] = []
        self.shelves: dict[str, Shelf] = {}
        self.stored, self.signed_in = stored, signed_in
        self.refreshers: dict[str, FakeRefresher] = {}
        self.sessions: Sessions[str] = Sessions(self.make, time=self.time, **how)

    def make(self, user: str) -> Session[Any]:
        self.made.append(user)
        refresher = self.refreshers.setdefault(user, FakeRefresher(self.time))
        known = user in self.shelves
        storage: Any = self.shelves.setdefault(user, Shelf()) if self.stored else None
        tokens = pair(self.time, 300, name=user) if self.signed_in and not known else None
        return Session(refresher, storage=storage, tokens=tokens, time=self.time, name=user, origins=[API])


def test_the_same_key_is_the_same_session() -> None:
    family = Family()
    ada = family.sessions["ada"]
    assert family.sessions["ada"] is ada
    assert family.sessions["bob"] is not ada
    assert family.made == ["ada", "bob"]
    assert (len(family.sessions), list(family.sessions), "ada" in family.sessions) == (2, ["ada", "bob"], True)
    assert "eve" not in family.sessions
    assert family.made == ["ada", "bob"], "asking whether it is there makes none"


def test_many_threads_that_ask_at_once_get_one_session() -> None:
    barrier, got = threading.Barrier(8), []
    begun = threading.Event()

    def make(key: str) -> Session[Any]:
        begun.wait(0.05)
        return Session(lambda tokens: tokens)

    sessions: Sessions[str] = Sessions(make)

    def ask() -> None:
        barrier.wait(60)
        got.append(sessions["ada"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_no_call_goes_out_with_the_token_of_another() -> None:
    family = Family()
    sent: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, request.headers["Authorization"]))
        return httpx.Response(200)

    for _ in range(3):
        for user in ("ada", "bob", "eve"):
            auth = BearerAuth(family.sessions[user])
            with httpx.Client(base_url=API, auth=auth, transport=httpx.MockTransport(answer)) as client:
                client.get(f"/{user}")
        family.time.advance(200)
    for path, header in sent:
        user = path.removeprefix("/")
        tokens = family.refreshers[user].posted
        assert header == f"Bearer access-{user}" or tokens, "its own, or what its own refresh brought"
    assert family.refreshers["ada"].posted == ["refresh-ada"]
    assert family.refreshers["bob"].posted == ["refresh-bob"]


def test_who_was_idle_is_closed_and_comes_back_with_its_stored_tokens() -> None:
    family = Family(idle=60)
    ada = family.sessions["ada"]
    family.time.advance(59)
    assert family.sessions["bob"] is not None
    assert family.sessions["ada"] is ada
    family.time.advance(61)
    assert family.sessions["eve"] is not None
    assert list(family.sessions) == ["eve"]
    with pytest.raises(SessionClosed):
        ada.fresh().run()
    again = family.sessions["ada"]
    assert again is not ada
    assert again.fresh().run().access == "access-ada"


def test_of_too_many_the_one_asked_for_longest_ago_is_closed() -> None:
    family = Family(limit=2)
    ada, bob = family.sessions["ada"], family.sessions["bob"]
    assert family.sessions["ada"] is ada
    assert family.sessions["eve"] is not None
    assert list(family.sessions) == ["ada", "eve"]
    with pytest.raises(SessionClosed):
        bob.fresh().run()
    assert ada.fresh().run().access == "access-ada"


def test_who_refreshes_is_not_closed() -> None:
    family = Family(limit=2, idle=0)
    family.sessions["ada"].replace().subscribe()
    waiting = Caller(family.sessions["ada"].replace())
    assert family.sessions["bob"] is not None
    assert family.sessions["eve"] is not None
    assert list(family.sessions) == ["ada", "eve"]
    family.time.advance(5)
    assert waiting.access == "access-1"


def test_tokens_that_live_in_memory_alone_are_not_thrown_away() -> None:
    family = Family(stored=False, limit=2, idle=0)
    family.sessions["ada"], family.sessions["bob"]
    with pytest.raises(TooManySessions, match=r"give them a storage .* discard\(\) .* limit="):
        family.sessions["eve"]
    family.sessions["bob"].logout().run()
    assert family.sessions["eve"] is not None
    assert list(family.sessions) == ["ada", "eve"]
    family.sessions.discard("ada")
    family.sessions.discard("nobody")
    assert list(family.sessions) == ["eve"]


def test_an_error_in_make_is_raised_and_the_next_one_tries_again() -> None:
    failures = [OSError("disk"), None]

    def make(key: str) -> Session[Any]:
        failure = failures.pop(0)
        if failure is not None:
            raise failure
        return Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

    sessions: Sessions[str] = Sessions(make)
    with pytest.raises(OSError, match="disk"):
        sessions["ada"]
    assert sessions["ada"].auth.status == "signed_in"


@pytest.mark.parametrize("asks", [["ada"], ["team", "ada"]], ids=["for its own", "for one that asks for its own"])
def test_a_make_that_waits_for_itself_is_told_so(asks: list[str]) -> None:
    def make(key: str) -> Session[Any]:
        if asks:
            sessions[asks.pop(0)]
        return Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

    told: list[Any] = []

    def ask() -> None:
        try:
            sessions["ada"]
        except WouldDeadlock as error:
            told.append(str(error))

    sessions: Sessions[str] = Sessions(make)
    thread = threading.Thread(target=ask, daemon=True)  # where it hangs, it does so alone
    thread.start()
    thread.join(10)
    assert told == ["make('ada') asks for the session that it is to make"]
    assert sessions["ada"].auth.status == "signed_in", "and it may be asked for again"


def test_close_closes_all() -> None:
    family = Family()
    with family.sessions as sessions:
        ada = sessions["ada"]
    with pytest.raises(SessionClosed):
        ada.fresh().run()
    with pytest.raises(SessionClosed, match="make new Sessions"):
        family.sessions["ada"]
    assert len(family.sessions) == 0
    assert repr(family.sessions) == "Sessions(0 of at most 1000)"


@pytest.mark.parametrize(
    ("how", "error"),
    [({"make": None}, TypeError), ({"limit": 0}, ValueError), ({"idle": -1}, ValueError)],
)
def test_bad_input(how: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Sessions(**{"make": lambda key: Session(lambda tokens: tokens), **how})


def test_make_has_to_return_a_session() -> None:
    sessions: Sessions[str] = Sessions(lambda key: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="return a Session"):
        sessions["ada"]


def test_there_are_never_more_than_the_limit_however_many_ask_at_once() -> None:
    most: list[int] = []
    sessions: Sessions[int]

    def make(key: int) -> Session[Any]:
        together.wait(60)
        return Session(lambda tokens: tokens, tokens=Tokens("a", "r"))

    sessions = Sessions(make, limit=3)
    together, outcomes = threading.Barrier(3), []

    def ask(key: int) -> None:
        try:
            outcomes.append(sessions[key])
        except TooManySessions as error:
            outcomes.append(error)
        most.append(len(sessions))

    crew = [threading.Thread(target=ask, args=(key,)) for key in range(12)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(60)
    assert (len(outcomes), max(most)) == (12, 3)
    assert sum(isinstance(one, Session) for one in outcomes) == 3
    sessions.close()


def test_nothing_is_kept_of_a_key_whose_session_could_not_be_made() -> None:
    def fail(key: int) -> Session[Any]:
        raise OSError(key)

    sessions = Sessions(fail)
    for key in range(100):
        with pytest.raises(OSError, match=str(key)):
            sessions[key]
    assert (sessions._making, sessions._reserved) == ({}, 0)


def test_one_that_was_closed_by_who_used_it_is_made_anew() -> None:
    family = Family(limit=2)
    with family.sessions["ada"] as ada:
        family.sessions["bob"]
    again = family.sessions["ada"]
    assert again is not ada
    assert again.fresh().run().access == ada.auth.tokens.access
    assert family.made == ["ada", "bob", "ada"]


def test_one_that_was_closed_by_who_used_it_takes_no_place() -> None:
    family = Family(stored=False, limit=1)
    family.sessions["ada"].close()
    assert family.sessions["bob"].name == "bob"
