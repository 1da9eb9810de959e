"""Bad input gets an error of a type, whose text says what was received and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rxauth import AuthState, Session, Store, Tokens, auth_reducer, simplejwt
from rxauth.errors import InvalidTokens, MissingSlice, OriginNotAllowed, SessionClosed
from rxauth.storage import MemoryStorage


@dataclass(frozen=True)
class App:
    auth: int = 0
    login: AuthState = AuthState(session="other")


def refresh(tokens: Tokens) -> Tokens:
    return tokens


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (lambda app: app.auth, "is int, not AuthState; give the state a field"),
        (lambda app: app.nothing, "select\\(\\) failed on the store's state \\(AttributeError"),
        (lambda app: app.login, "belongs to the session 'other'"),
        (None, "is App, not AuthState"),
    ],
)
def test_a_store_without_an_auth_slice(select: Any, says: str) -> None:
    store: Store[App] = Store(lambda state, action: state, App())
    with pytest.raises(MissingSlice, match=says):
        Session(refresh, store=store, select=select)


def test_a_slice_in_which_another_session_lives() -> None:
    """As when a notebook's cell is run again: two of them would spend one refresh token twice."""
    store = Store(auth_reducer, AuthState())
    first = Session(refresh, store=store, select=lambda state: state, tokens=Tokens("a", "r"))
    says = r"belongs to a session 'default' that is open; close\(\) that one first, .* and a name of its own$"
    with pytest.raises(MissingSlice, match=says):
        Session(refresh, store=store, select=lambda state: state)
    first.close()
    second = Session(refresh, store=store, select=lambda state: state)
    assert second.fresh().run().access == "a", "the sign-in is in the store, and goes on"
    second.close()


def test_a_session_that_was_refused_its_tokens_leaves_nothing_behind() -> None:
    store = Store(auth_reducer, AuthState())
    with pytest.raises(InvalidTokens):
        Session(refresh, store=store, select=lambda state: state, tokens={"token": "x"})
    with Session(refresh, store=store, select=lambda state: state, tokens=Tokens("a", "r")) as session:
        assert session.fresh().run().access == "a"


def test_a_session_that_is_closed_says_so() -> None:
    session = Session(refresh, tokens=Tokens("a", "r"))
    session.close()
    begin: list[Callable[[], Any]] = [session.logout, lambda: session.sign_in(Tokens("b", "r"))]
    for closed in (*begin, session.fresh().run, session.replace().run):
        with pytest.raises(SessionClosed, match="make a new Session"):
            closed()
    assert "is closed" in session.explain()


def test_a_refresher_that_is_none() -> None:
    with pytest.raises(TypeError, match="refresh must be simplejwt"):
        Session("https://api.example.com")  # type: ignore[arg-type]


@pytest.mark.parametrize("storage", ["~/tokens", Path("tokens"), MemoryStorage])
def test_what_is_no_storage(storage: Any) -> None:
    says = r"got (str|PosixPath|the class MemoryStorage); for a path say storage=FileStorage\(path\)"
    with pytest.raises(TypeError, match=says):
        Session(refresh, storage=storage)


def test_a_clock_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"time must be a clock such as VirtualTime\(\), got float"):
        Session(refresh, time=3.0)  # type: ignore[arg-type]


def test_a_token_s_text_is_no_tokens() -> None:
    with pytest.raises(TypeError, match=r"replace\(\) takes the Tokens that were refused, got str"):
        Session(refresh).replace("abc")  # type: ignore[arg-type]


def test_the_server_s_json_is_read_as_the_refresher_reads_it() -> None:
    refresher = simplejwt("https://a.example", under="data", refresh_key="rt", expiry="milliseconds")
    answer = {"data": {"access": "a", "rt": "r", "expires_in": 300_000}}
    for session in (Session(refresher, tokens=answer), Session(refresher)):
        if session.auth.tokens is None:
            session.sign_in(answer).run()
        assert session.auth.tokens is not None
        assert (session.auth.tokens.refresh, session.auth.tokens.life) == ("r", 300)


def test_a_policy_that_is_none() -> None:
    with pytest.raises(ValueError, match="policy must be one of merge, latest, first, in_order; got 'switch'"):
        Session(refresh).gate(lambda item, tokens: item, policy="switch")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"leway": 5}, TypeError, "no keyword 'leway'; its numbers are leeway, refresh_ahead"),
        ({"deadline": -1}, ValueError, "deadline must be a number of seconds or a count, from 0 to a century; got -1"),
        ({"deadline": None}, ValueError, "deadline must be a number"),
        ({"tries": 0}, ValueError, "tries must be 1 or more"),
        ({"tries": 2.5}, ValueError, "tries must be a whole number; got 2.5"),
        ({"excess": 0}, ValueError, "excess must be 1 or more: .* excess_window=0"),
        ({"excess": 5.0}, ValueError, "excess must be a whole number; got 5.0"),
        ({"cool_down": "5"}, ValueError, "got '5'"),
        ({"leeway": "5"}, ValueError, "a century, or less than 0; got '5'"),
    ],
)
def test_numbers_out_of_range(settings: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Session(refresh, **settings)


@pytest.mark.parametrize(
    ("origins", "says"),
    [
        ("https://a.example", "origins must be a list"),
        (["a.example"], "expected an origin such as"),
        (["https://a.example/api"], "an origin has no path: write 'https://a.example'"),
        (["ftp://a.example"], "expected an origin such as"),
        ([5], "expected an origin such as"),
    ],
)
def test_origins_that_are_none(origins: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Session(refresh, origins=origins)


def test_a_token_endpoint_in_the_clear() -> None:
    """B84"""
    from rxauth import simplejwt

    with pytest.raises(OriginNotAllowed, match="accept that with origins="):
        Session(simplejwt("http://auth.example.com"))
    assert Session(simplejwt("http://auth.example.com"), origins=["http://auth.example.com"])
    assert Session(simplejwt("http://127.0.0.1:8000"))


@pytest.mark.parametrize("tokens", ["a.b.c", 5, {"token": "x"}, ["a"]])
def test_tokens_of_the_wrong_shape(tokens: Any) -> None:
    with pytest.raises(InvalidTokens):
        Session(refresh, tokens=tokens)


def test_login_without_a_login() -> None:
    session: Session[AuthState] = Session(refresh)
    with pytest.raises(TypeError, match=r"has no login; fetch the tokens yourself and call session.sign_in"):
        session.login(username="ada")


def test_a_reducer_of_the_app_that_fails_on_new_tokens_loses_nothing() -> None:
    broken = True
    reported: list[Any] = []

    def reducer(state: AuthState, action: Any) -> AuthState:
        from rxauth.session import TokensRefreshed

        if broken and isinstance(action, TokensRefreshed):
            raise LookupError("a bug in the app")
        return auth_reducer(state, action)

    from rxauth.errors import ReducerError
    from tests.kit import FakeRefresher, VirtualTime, stale

    time = VirtualTime()
    store = Store(reducer, AuthState(), report=lambda *what: reported.append(what[0]))
    refresher = FakeRefresher(time)
    session = Session(refresher, store=store, select=lambda state: state, tokens=stale(time), time=time)
    assert session.fresh().run().access == "access-1"
    assert any(isinstance(error, LookupError) for error in reported)
    with pytest.raises(ReducerError, match="they are kept"):
        session.replace(session.fresh().run()).run()
    broken = False
    assert session.fresh().run().access == "access-1"
    assert refresher.posts == 1


def test_a_platform_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from rxauth.errors import RxAuthError

    monkeypatch.setattr("sys.platform", "emscripten")
    with pytest.raises(RxAuthError, match="refreshes on a thread of its own, and this platform has none"):
        Session(refresh)
