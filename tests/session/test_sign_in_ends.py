"""`SignInEnded` comes once for each end of a sign-in, whoever ended it: an app's login page hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import rxauth.api.calls
import rxauth.session.actions
from rxauth import AuthState, Session, Store, auth_reducer, combine_reducers
from rxauth.api import ApiCall, ApiEvent
from rxauth.errors import NotSignedIn, RefreshRefused, SessionExpired
from rxauth.session import Logout, SessionAction, SessionEnded, SignedIn, SignedOut, SignInEnded
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher
from tests.storage.turns_kit import Board

PAGE = (Path(__file__).parents[2] / "docs" / "actions.md").read_text()


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    notes: tuple[str, ...] = ()


def notes(state: tuple[str, ...], action: object) -> tuple[str, ...]:
    match action:
        case SignInEnded() | SignedIn():
            return ()
        case str():
            return (*state, action)
    return state


class Signed:
    """A session of ada's in a store with a note, and the ends that the store saw."""

    def __init__(self, time: VirtualTime, storage: Any = None) -> None:
        self.time, self.server = time, FakeRefresher(time)
        self.store = Store(combine_reducers(App, auth=auth_reducer, notes=notes), App())
        self.ends: list[SignInEnded] = []
        self.statuses: list[tuple[str, tuple[str, ...]]] = []
        self.store.actions.of_type(SignInEnded).subscribe(self.note)
        self.session = Session(
            self.server, store=self.store, select=lambda app: app.auth, time=time, storage=storage or MemoryStorage()
        )
        if self.session.auth.tokens is None:
            self.session.login(username="ada").run()
        self.store.dispatch("a note")
        self.ends.clear()

    def note(self, ended: SignInEnded) -> None:
        self.ends.append(ended)
        self.statuses.append((self.store.state.auth.status, self.store.state.notes))

    def is_refused(self) -> None:
        self.server.script.append(RefreshRefused("no such token"))
        self.time.advance(3600)
        with pytest.raises(SessionExpired):
            self.session.fresh().run()


def test_a_logout_and_the_end_by_the_server_are_one_action_each() -> None:
    for end, kind in (
        (lambda app: app.session.logout().run(), SignedOut),
        (lambda app: app.store.dispatch(Logout()), SignedOut),
        (Signed.is_refused, SessionEnded),
    ):
        app = Signed(VirtualTime())
        sign_in = app.session.auth.sign_in
        end(app)
        app.time.advance(10)
        assert [type(ended) for ended in app.ends] == [kind]
        assert app.ends[0].sign_in == sign_in
        assert app.statuses == [("signed_out", ())], "when it comes, the state is signed out and the data is gone"
        app.session.logout().run()
        app.session.close()
        assert len(app.ends) == 1, "it was over already"


def test_why_is_none_for_a_logout_and_the_error_of_the_calls_for_the_server() -> None:
    app = Signed(VirtualTime())
    app.session.logout().run()
    assert app.ends[0].cause is None
    app = Signed(VirtualTime())
    app.is_refused()
    assert isinstance(app.ends[0].cause, SessionExpired)
    match app.ends[0]:
        case SignInEnded(cause=cause):
            assert cause is app.session.auth.error


def test_the_ends_in_another_process_come_as_here() -> None:
    for end, kind in ((lambda app: app.session.logout().run(), SignedOut), (Signed.is_refused, SessionEnded)):
        time = VirtualTime()
        board = Board(time)
        here = Signed(time, board)
        elsewhere = Signed(time, board)
        assert here.session.auth.sign_in == elsewhere.session.auth.sign_in
        end(elsewhere)
        time.advance(3600)
        with pytest.raises(NotSignedIn, match=r"signed out|expired|ended|no such token"):
            here.session.fresh().run()
        assert [type(ended) for ended in here.ends] == [kind]
        assert here.store.state.notes == ()


def test_a_login_of_another_user_drops_the_data_and_ends_nothing() -> None:
    app = Signed(VirtualTime())
    app.session.login(username="bob").run()
    assert app.ends == []
    assert app.store.state.notes == ()


def test_a_failed_login_keeps_the_user_and_the_data() -> None:
    app = Signed(VirtualTime())
    app.server.login_script.append(RefreshRefused("wrong password"))
    with pytest.raises(Exception, match="wrong password"):
        app.session.login(username="bob").run()
    assert (app.ends, app.store.state.notes) == ([], ("a note",))


def test_the_servers_end_during_a_login_comes_once_and_the_login_goes_on() -> None:
    app = Signed(VirtualTime())
    app.server.script.append(RefreshRefused("no such token"))
    app.time.advance(3600)
    app.session.fresh().subscribe(on_error=lambda error: None)
    login = app.session.login(username="bob")
    app.time.advance(5)
    assert [type(ended) for ended in app.ends] == [SessionEnded]
    assert login.run().access == app.session.fresh().run().access


def test_a_login_that_is_called_off_shows_the_login_page() -> None:
    app = Signed(VirtualTime())
    app.session.logout().run()
    app.session.login(username="ada").subscribe(on_error=lambda error: None)
    app.session.logout().run()
    assert [type(ended) for ended in app.ends] == [SignedOut, SignedOut]


def test_a_logout_ends_a_sign_in_and_a_login_in_its_place_at_once() -> None:
    app = Signed(VirtualTime())
    app.session.login(username="bob").subscribe(on_error=lambda error: None)
    app.session.logout().run()
    app.time.advance(5)
    assert [type(ended) for ended in app.ends] == [SignedOut]


def test_closing_does_not_end_a_sign_in() -> None:
    app = Signed(VirtualTime())
    app.session.close()
    assert app.ends == []


def test_the_selector_of_the_page_tells_every_end_and_every_user() -> None:
    app = Signed(VirtualTime())
    seen: list[str] = []
    app.store.select(lambda state: state.auth.sign_in).subscribe(seen.append)
    app.session.login(username="bob").run()
    app.session.logout().run()
    app.session.login(username="ada").run()
    app.is_refused()
    assert [bool(sign_in) for sign_in in seen] == [True, True, False, True, False]
    assert len(set(seen)) == 4


def public_actions() -> list[type[Any]]:
    """The classes of the library's own actions."""
    return [
        value
        for room in (rxauth.session, rxauth.api)
        for name, value in vars(room).items()
        if isinstance(value, type)
        and issubclass(value, SessionAction | ApiEvent | ApiCall)
        and not name.startswith("_")
        and value.__module__.startswith(room.__name__)
    ]


def test_the_page_lists_every_action_with_its_fields() -> None:
    kinds = public_actions()
    assert len(kinds) > 20
    described = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    bases = {"SessionAction", "SessionEvent", "RefreshEvent", "ApiEvent"}
    assert {kind.__name__ for kind in kinds} == set(described) | bases
    for kind in kinds:
        assert f"`{kind.__name__}`" in PAGE
        inherited = {name for base in kind.__bases__ if is_dataclass(base) for name in base.__annotations__}
        own = [field.name for field in fields(kind) if field.name in kind.__annotations__] if is_dataclass(kind) else []
        for name in set(own) - inherited:
            assert f"`{name}`" in (described.get(kind.__name__) or PAGE), f"{kind.__name__}.{name}"


def test_signed_in_is_not_an_end() -> None:
    assert issubclass(SignedOut, SignInEnded)
    assert issubclass(SessionEnded, SignInEnded)
    assert not issubclass(SignedIn, SignInEnded)
