"""What a storage can not use, damaged, of a later version or of another token endpoint, is refused and left as it is,
whatever a session does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest

from rxauth import Session, oauth2, simplejwt
from rxauth.errors import ForeignRecord, InvalidRecord, RefreshUnavailable, StorageError
from rxauth.session.jobs.ownership import check_endpoint
from rxauth.storage import Record, codec
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, pair, stale
from tests.storage.kinds import Place
from tests.storage.storage_kit import record, shown

OURS, ANOTHERS = "https://auth.example/token", "https://other.example/token"
FOREIGN = codec.dumps(record(endpoint=ANOTHERS))
TEXTS = {
    "damaged": '{"rxauth": 1, "access": "secret-',
    "emptied": "",
    "of a later version": '{"rxauth": 2, "access": "secret-"}',
    "of another endpoint": FOREIGN,
}


class World:
    """A session on a place, with a refresher that has an endpoint; `reported` is what its store was told."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.time = VirtualTime()
        self.refresher = FakeRefresher(self.time)
        self.refresher.endpoint = OURS  # type: ignore[attr-defined]
        self.reported: list[Exception] = []
        self._closing = ExitStack()

    def start(self, **how: Any) -> Session[Any]:
        session = Session(self.refresher, storage=self.place.make(), time=self.time, **how)
        self._closing.callback(session.close)
        return session

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def world(place: Place) -> Iterator[World]:
    world = World(place)
    yield world
    world.close()


@pytest.fixture(params=sorted(TEXTS))
def alien(request: pytest.FixtureRequest) -> str:
    return TEXTS[request.param]


def test_a_session_that_starts_there_is_signed_out_and_its_users_are_not_lost(
    world: World, alien: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.place.plant(alien)
    session = world.start()
    assert session.auth.status == "signed_out"
    assert "loading its tokens" in caplog.text
    assert "It is left as it is" in caplog.text
    assert "secret-" not in caplog.text
    session.logout().run()
    assert world.place.text() == alien


@pytest.mark.parametrize("how", ["sign_in", "login", "tokens"])
def test_a_login_there_lives_in_memory_and_says_so(world: World, alien: str, how: str) -> None:
    world.place.plant(alien)
    if how == "tokens":
        session = world.start(tokens=pair(world.time))
    else:
        session = world.start()
        (session.sign_in(pair(world.time)) if how == "sign_in" else session.login(username="mary")).run()
    assert session.auth.status == "signed_in"
    assert session.auth.storage == "failing"
    assert session.fresh().run().access
    session.logout().run()
    assert world.place.text() == alien


def test_a_refresh_there_posts_nothing_and_says_why(world: World, alien: str) -> None:
    session = world.start(tokens=stale(world.time))
    world.place.plant(alien)
    with pytest.raises(RefreshUnavailable, match="nothing was posted") as raised:
        session.fresh().run()
    assert raised.value.cause == "storage"
    assert ("ForeignRecord: " if alien == FOREIGN else "InvalidRecord: ") in str(raised.value)
    assert "secret-" not in shown(raised.value)
    assert world.refresher.posted == []
    assert world.place.text() == alien


def test_a_pair_that_comes_while_it_appears_is_used_and_saved_when_it_is_gone(world: World, alien: str) -> None:
    session = world.start(tokens=stale(world.time))

    def plant(tokens: object) -> dict[str, Any]:
        world.place.plant(alien)
        return {"access_token": "access-new", "refresh_token": "refresh-new", "expires_in": 300}

    world.refresher.script = [plant]
    assert session.fresh().run().access == "access-new"
    world.time.advance(20)
    assert session.auth.storage == "failing"
    assert world.place.text() == alien
    world.time.advance(300)
    with pytest.raises(RefreshUnavailable):
        session.fresh().run()
    world.place.remove()
    world.time.advance(60)
    world.refresher.script = [lambda tokens: saved.append(world.place.make().load()) or answer()]
    saved: list[Record | None] = []
    assert session.fresh().run().access == answer()["access_token"]
    assert world.refresher.posted == ["refresh-0", "refresh-new"]
    assert [each and each.tokens and each.tokens.refresh for each in saved] == ["refresh-new"]
    assert session.auth.storage == "ok"


def test_a_session_that_is_told_of_it_goes_on(world: World, alien: str, caplog: pytest.LogCaptureFixture) -> None:
    session = world.start(tokens=pair(world.time))
    world.place.plant(alien)
    session._look()
    assert session.auth.status == "signed_in"
    assert "It is left as it is" in caplog.text
    session.logout().run()
    assert session.auth.status == "signed_out"
    assert world.place.text() == alien


def test_a_lost_record_is_not_written_back_over_it(world: World, alien: str) -> None:
    """It appears between the look that missed the record and the one in the section."""
    session = world.start(tokens=pair(world.time))
    storage, looks = session.storage._storage, [0]
    load = storage.load

    def late() -> Record | None:
        looks[0] += 1
        if looks[0] == 1:
            return None
        world.place.plant(alien)
        return load()

    storage.load = late  # type: ignore[method-assign]
    session._look()
    assert looks[0] > 1
    assert world.place.text() == alien


class TestWhatIsStoredBesideTheTokens:
    def test_the_endpoint_of_the_refresher_and_the_user_that_the_token_names(self, world: World) -> None:
        session = world.start(tokens=pair(world.time))
        stored = world.place.make().load()
        assert stored is not None
        assert (stored.endpoint, stored.account) == (OURS, "")
        for claims, account in (({"sub": "mary"}, "mary"), ({"user_id": 7}, "7"), ({"sub": ""}, ""), ({"sub": []}, "")):
            session.sign_in({"access": jwt_with(claims), "refresh": "refresh"}).run()
            stored = world.place.make().load()
            assert stored is not None
            assert (stored.endpoint, stored.account) == (OURS, account)

    def test_it_stays_through_journal_refresh_and_logout(self, world: World) -> None:
        session = world.start(tokens=stale(world.time))
        seen: list[Record | None] = []
        world.refresher.script = [lambda tokens: seen.append(world.place.make().load()) or answer(sub="mary")]
        session.fresh().run()
        session.logout().run()
        seen.append(world.place.make().load())
        assert [(each.endpoint, each.account) for each in seen if each] == [(OURS, ""), (OURS, "mary")]
        assert [each.tokens is None for each in seen if each] == [False, True]

    def test_a_record_of_the_same_endpoint_or_of_an_unknown_one_is_taken_up(self, world: World) -> None:
        for endpoint in (OURS, ""):
            world.place.plant(codec.dumps(record(endpoint=endpoint)))
            assert world.start().auth.status == "signed_in"

    def test_a_refresher_without_an_endpoint_takes_up_any(self, world: World) -> None:
        world.place.plant(FOREIGN)
        with Session(lambda tokens: {}, storage=world.place.make(), time=world.time) as session:
            assert session.auth.status == "signed_in"

    def test_a_tombstone_of_another_endpoint_keeps_nobody_out(self, world: World) -> None:
        world.place.plant(codec.dumps(Record("mine", 1, None, endpoint=ANOTHERS)))
        session = world.start()
        session.sign_in(pair(world.time)).run()
        assert session.auth.storage == "ok"

    def test_the_refreshers_name_theirs_without_a_password(self) -> None:
        assert oauth2("https://me:s3cret@auth.example/token?p=1").endpoint == "https://auth.example/token?p=1"
        assert simplejwt("https://api.example/").endpoint == "https://api.example/api/token/refresh/"

    def test_the_errors_are_of_one_family_and_name_the_fix(self) -> None:
        assert issubclass(ForeignRecord, StorageError)
        assert issubclass(InvalidRecord, StorageError)
        with pytest.raises(ForeignRecord, match=r"a sign-in at https://other\.example/token, .* a storage of its own"):
            check_endpoint(record(endpoint=f"{ANOTHERS}?key=s3cret"), OURS)


def answer(**claims: Any) -> dict[str, Any]:
    return {"access_token": jwt_with(claims), "refresh_token": "refresh-new", "expires_in": 300}


def jwt_with(claims: dict[str, Any]) -> str:
    """Of any claims, also those that are wrong."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), "a key that is long enough for this test", "HS256")
