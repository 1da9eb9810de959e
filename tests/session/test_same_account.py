"""The same account signs in anew: what waits goes on with the new pair. Another one, or an unknown one, is a switch."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from reactivex import Subject

from rxauth import BearerAuth, Session, Tokens
from rxauth.errors import SessionChanged
from rxauth.storage import Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher
from tests.storage.turns_kit import Board, Watched


def jwt(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


def pair_of(time: VirtualTime, name: str, *, life: float = 300.0, age: float = 0.0, **claims: Any) -> Tokens:
    """A pair whose access token names its user, as `claims` say."""
    now = time.now()
    return Tokens(jwt(n=name, **claims), f"refresh-{name}", now.wall + life - age, life=life)


ADA: dict[str, Any] = {"sub": "ada"}


def signed_in(**claims: Any) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    """A session whose access token is stale, and whose refreshes take a second."""
    time = VirtualTime()
    refresher = FakeRefresher(time, latency=1.0)
    return time, refresher, Session(refresher, tokens=pair_of(time, "0", age=301, **claims), time=time)


@pytest.mark.parametrize("claims", [{"sub": "ada"}, {"user_id": 7}, {"sub": "ada", "iss": "https://one.example"}])
def test_a_waiting_call_goes_on_when_the_same_account_signs_in_anew(claims: dict[str, Any]) -> None:
    """B117"""
    time, refresher, session = signed_in(**claims)
    waiting = Caller(session.fresh())
    time.advance(0.5)
    anew = pair_of(time, "anew", **claims)
    session.sign_in(anew).run()
    assert waiting.access == anew.access
    time.advance(5)
    assert (waiting.ends, refresher.posts) == (1, 1)
    assert session.fresh().run().access == anew.access, "and the refresh of the pair before is dropped"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"sub": "ada"}, {"sub": "bob"}),
        ({"sub": "ada"}, {}),
        ({}, {"sub": "ada"}),
        ({}, {}),
        ({"sub": ""}, {"sub": ""}),
        ({"user_id": 7}, {"user_id": 8}),
        ({"sub": "ada", "iss": "https://one.example"}, {"sub": "ada", "iss": "https://two.example"}),
    ],
)
def test_another_account_or_an_unknown_one_is_a_switch(before: dict[str, Any], after: dict[str, Any]) -> None:
    time, _, session = signed_in(**before)
    refused = session.auth.tokens
    waiting = Caller(session.fresh())
    time.advance(0.5)
    session.sign_in(pair_of(time, "after", **after)).run()
    assert isinstance(waiting.error, SessionChanged)
    with pytest.raises(SessionChanged):
        session.replace(refused).run()


def test_a_refusal_under_the_sign_in_before_is_answered_with_the_new_pair() -> None:
    time, refresher, session = signed_in(**ADA)
    refused = session.auth.tokens
    for name in ("anew", "and again"):
        anew = pair_of(time, name, **ADA)
        session.sign_in(anew).run()
    assert session.replace(refused).run().access == anew.access
    assert refresher.posts == 0


def test_a_call_that_waits_for_a_login_of_its_own_account_goes_on() -> None:
    time, refresher, session = signed_in(**ADA)
    refused = session.auth.tokens
    refresher.login_script = [lambda _: {"access_token": jwt(n="login", **ADA), "expires_in": 300}]
    session.login()
    waiting = Caller(session.replace(refused))
    time.advance(2)
    assert waiting.access == jwt(n="login", **ADA)


def test_a_call_stays_over_when_its_user_comes_back_after_another_one() -> None:
    time, _, session = signed_in(**ADA)
    adas = session.auth.tokens
    session.sign_in(pair_of(time, "bob", sub="bob")).run()
    session.sign_in(pair_of(time, "ada", **ADA)).run()
    with pytest.raises(SessionChanged):
        session.replace(adas).run()


def test_a_logout_in_between_ends_what_began_before() -> None:
    time, _, session = signed_in(**ADA)
    before = session.auth.tokens
    assert before is not None
    session.logout().run()
    session.sign_in(pair_of(time, "anew", **ADA)).run()
    with pytest.raises(SessionChanged):
        session.replace(before).run()
    assert not session.is_present(before.sign_in)


def test_a_request_that_was_refused_is_sent_again_with_the_pair_of_the_new_sign_in() -> None:
    time, _, session = signed_in(**ADA)
    first, anew = pair_of(time, "first", **ADA), pair_of(time, "anew", **ADA)
    session.sign_in(first).run()
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"].removeprefix("Bearer "))
        if len(sent) > 1:
            return httpx.Response(200)
        session.sign_in(anew).run()
        return httpx.Response(401)

    session.origins = session.origins.including("https://api.example")
    with httpx.Client(transport=httpx.MockTransport(answer), auth=BearerAuth(session)) as client:
        assert client.get("https://api.example/").status_code == 200
    assert sent == [first.access, anew.access]


def test_what_began_goes_on_over_refreshes_and_sign_ins_of_the_same_account() -> None:
    time, refresher, session = signed_in(**ADA)
    began = session.auth.sign_in
    refresher.script = [lambda _: {"access_token": jwt(n="1", **ADA), "refresh_token": "r", "expires_in": 300}]
    session.fresh().run()
    for name in ("anew", "and again"):
        session.sign_in(pair_of(time, name, **ADA)).run()
        assert session.is_present(began)
    session.sign_in(pair_of(time, "bob", sub="bob")).run()
    assert not session.is_present(began)


def test_there_is_no_moment_in_which_what_goes_on_is_over() -> None:
    time, _, session = signed_in(**ADA)
    began, present = session.auth.sign_in, []
    session.store.actions.subscribe(lambda _: present.append(session.is_present(began)))
    before = session.store.commit

    def commit(action: Any) -> Any:
        committed = before(action)
        present.append(session._continuity.counts(began, session.auth.sign_in))
        return committed

    session.store.commit = commit  # type: ignore[method-assign]
    session.sign_in(pair_of(time, "anew", **ADA)).run()
    session.sign_in(pair_of(time, "and again", **ADA)).run()
    assert len(present) >= 4
    assert all(present)


class TestInAnotherProcess:
    @pytest.mark.parametrize("age", [0.0, 301.0], ids=["fresh", "stale"])
    @pytest.mark.parametrize("board", [Board, Watched])
    def test_calls_that_wait_for_their_turn_go_on(self, board: type[Board], age: float) -> None:
        """B117"""
        time = VirtualTime()
        shelf, server = board(time), FakeRefresher(time)
        first = Session(server, storage=shelf, time=time, tokens=pair_of(time, "0", age=301, **ADA))
        second = Session(server, storage=shelf, time=time)
        began = second.auth.sign_in
        shelf.held = True  # by a third one
        waiting = [Caller(second.fresh()) for _ in range(3)]
        time.advance(1)
        anew = pair_of(time, "anew", age=age, **ADA)
        first.sign_in(anew).run()
        time.advance(1)
        shelf.held = False
        time.advance(5)
        wanted = "access-1" if age else anew.access
        assert [caller.access for caller in waiting] == [wanted] * 3
        assert server.posted == (["refresh-anew"] if age else [])
        assert second.is_present(began)

    def test_another_user_is_a_switch(self) -> None:
        time = VirtualTime()
        shelf, server = Board(time), FakeRefresher(time)
        first = Session(server, storage=shelf, time=time, tokens=pair_of(time, "0", age=301, **ADA))
        second = Session(server, storage=shelf, time=time)
        first.sign_in(pair_of(time, "bob", sub="bob")).run()
        with pytest.raises(SessionChanged):
            second.fresh().run()

    def test_a_record_of_another_endpoint_is_not_taken_over_whatever_its_account(self) -> None:
        time = VirtualTime()
        shelf, server = Board(time), FakeRefresher(time)
        server.endpoint = "https://auth.example/token"  # type: ignore[attr-defined]
        session = Session(server, storage=shelf, time=time, tokens=pair_of(time, "0", life=300, age=299, **ADA))
        began = session.auth.sign_in
        shelf.put(Record("elsewhere", 1, pair_of(time, "e", **ADA), "ada", "https://other.example/token"))
        time.advance(2)
        Caller(session.fresh())
        time.advance(5)
        assert session.auth.sign_in == began
        assert server.posts == 0


def test_an_effect_behind_the_gate_goes_on_when_the_same_account_signs_in_anew() -> None:
    time, _, session = signed_in(**ADA)
    source: Subject[str] = Subject()
    values: Subject[str] = Subject()
    seen: list[Any] = []
    source.pipe(session.gate(lambda item, tokens: values, failed=lambda item, error: type(error))).subscribe(
        seen.append
    )
    source.on_next("item")
    session.sign_in(pair_of(time, "anew", **ADA)).run()
    values.on_next("still ada's")
    session.sign_in(pair_of(time, "bob", sub="bob")).run()
    values.on_next("nobody's")
    assert seen == ["still ada's", SessionChanged]
