"""B111: the app's state goes back to an earlier one, or loses an event: no pair is spent twice, nobody is revived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from rxauth import AuthState, Session, Store, Tokens, auth_reducer
from rxauth.api import ApiCall, ApiFailed, Request, api_epic
from rxauth.errors import (
    MissingSlice,
    NotSignedIn,
    ReducerError,
    RefreshRefused,
    RefreshUnavailable,
    SessionClosed,
    SessionExpired,
)
from rxauth.session import (
    RefreshEvent,
    RefreshFailed,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SigningIn,
    TokensRefreshed,
)
from rxauth.storage import Record
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, pair, stale


@dataclass(frozen=True)
class App:
    auth: Any = AuthState()
    notes: int = 0


@dataclass(frozen=True)
class Put:
    """The app's state becomes this one: an undo, a reset, a replay, time travel."""

    state: Any


@dataclass(frozen=True)
class Note:
    pass


@dataclass(frozen=True)
class Me(ApiCall[Any]):
    def request(self, state: Any) -> Request:
        return Request.get("https://api.example.com/me")


def reduce(app: App, action: Any) -> App:
    if isinstance(action, Put):
        return action.state if isinstance(action.state, App) else replace(app, auth=action.state)
    if isinstance(action, Note):
        return replace(app, notes=app.notes + 1)
    return replace(app, auth=auth_reducer(app.auth, action))


class Shelf:
    """A storage that outlives the process."""

    def __init__(self) -> None:
        self.record: Record | None = None

    def load(self) -> Record | None:
        return self.record

    def save(self, record: Record, replaces: Any) -> bool:
        self.record = record
        return True

    def clear(self, sign_in: str) -> None:
        if self.record is not None and self.record.sign_in == sign_in:
            self.record = None

    @property
    def refresh(self) -> str | None:
        return self.record.tokens.refresh if self.record is not None and self.record.tokens is not None else None


class World:
    def __init__(
        self, reducer: Callable[[App, Any], App] = reduce, tokens: Callable[[VirtualTime], Tokens] = stale
    ) -> None:
        self.time = VirtualTime()
        self.server = FakeRefresher(self.time)
        self.shelf = Shelf()
        self.store: Store[App] = Store(reducer, App(), report=lambda *_: None)
        self.session = Session(
            self.server,
            store=self.store,
            select=lambda app: app.auth,
            tokens=tokens(self.time),
            storage=self.shelf,
            time=self.time,
        )
        self.actions: list[Any] = []
        self.store.actions.subscribe(self.actions.append)

    def put(self, state: Any) -> None:
        self.store.dispatch(Put(state))

    def refreshed(self) -> App:
        """After one refresh; returns the state of before."""
        before = self.store.state
        assert self.session.fresh().run().access == "access-1"
        return before

    def seen(self, kind: type[Any]) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def is_spent_once(self) -> bool:
        return len(set(self.server.posted)) == len(self.server.posted)


# -- an undo -----------------------------------------------------------------------------------------------------------


def test_after_an_undo_the_newest_pair_is_published_again_and_nothing_is_posted() -> None:
    world = World()
    world.put(world.refreshed())
    assert world.session.fresh().run().access == "access-1"
    assert world.store.state.auth.tokens.access == "access-1"
    assert world.server.posted == ["refresh-0"]
    world.time.advance(300)
    assert world.session.fresh().run().access == "access-2"
    assert world.server.posted == ["refresh-0", "refresh-1"]


def test_what_else_the_app_undoes_stays_undone() -> None:
    world = World()
    before = world.refreshed()
    world.store.dispatch(Note())
    world.put(before)
    assert (world.store.state.notes, world.store.state.auth.generation) == (0, world.session.auth.generation)
    assert world.session.fresh().run().access == "access-1"


def test_many_callers_after_an_undo_cost_nothing() -> None:
    world = World()
    before = world.refreshed()
    for _ in range(5):
        world.put(before)
        callers = [Caller(world.session.fresh()) for _ in range(20)]
        assert {caller.access for caller in callers} == {"access-1"}
    assert world.server.posts == 1


def test_a_pair_that_was_spent_long_ago_is_known_as_well() -> None:
    world = World()
    first = world.store.state
    for number in range(1, 200):
        assert world.session.fresh().run().access == f"access-{number}"
        world.time.advance(300)
    world.put(first)
    assert world.session.fresh().run().access == "access-200"
    assert world.is_spent_once


def test_a_refused_pair_of_an_undone_state_is_answered_with_the_newest() -> None:
    world = World(tokens=lambda time: pair(time, 300))
    before = world.store.state
    rejected = world.session.auth.tokens
    assert world.session.replace(rejected).run().access == "access-1"
    world.put(before)
    assert world.session.replace(rejected).run().access == "access-1"
    assert world.server.posts == 1


def test_an_undo_while_the_pair_is_being_spent_loses_neither_the_new_pair_nor_who_waits() -> None:
    world = World()
    before = world.refreshed()
    world.time.advance(300)
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    world.put(before)
    world.time.advance(1)
    assert caller.access == "access-2"
    assert world.session.fresh().run().access == "access-2"
    assert (world.shelf.refresh, world.is_spent_once) == ("refresh-2", True)


def test_an_undo_to_the_middle_of_a_refresh() -> None:
    world = World()
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    middle = world.store.state
    assert middle.auth.status == "refreshing"
    world.time.advance(1)
    world.put(middle)
    assert (caller.access, world.session.fresh().run().access) == ("access-1", "access-1")
    assert world.session.auth.status == "signed_in"
    assert world.is_spent_once


def test_an_undo_does_not_forget_that_the_pair_is_in_doubt() -> None:
    world = World()
    before = world.store.state
    world.server.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    world.put(before)
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    assert (world.server.posts, world.session.auth.in_doubt) == (1, True)
    world.server.script = [RefreshRefused(status_code=400)]
    world.time.advance(61)
    with pytest.raises(SessionExpired) as caught:
        world.session.fresh().run()
    assert caught.value.cause == "answer lost"


# -- who is signed in --------------------------------------------------------------------------------------------------


def test_an_undo_does_not_sign_out_who_has_signed_in_since() -> None:
    world = World(tokens=lambda time: pair(time, 300))
    adas = world.store.state
    bobs = world.session.login(username="bob").run()
    world.put(adas)
    assert world.session.fresh().run() == bobs
    assert world.session.auth.sign_in == bobs.sign_in
    assert world.server.posts == 0


def test_an_undo_does_not_revive_who_has_signed_out() -> None:
    world = World(tokens=lambda time: pair(time, 300))
    world.session.fresh().run()
    adas = world.store.state
    world.session.logout().run()
    world.put(adas)
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()
    assert (world.session.auth.status, world.server.posts, world.shelf.record) == ("signed_out", 0, None)


def test_an_undo_does_not_revive_a_session_that_the_server_ended() -> None:
    world = World()
    before = world.store.state
    world.server.script = [RefreshRefused(status_code=400)]
    with pytest.raises(SessionExpired):
        world.session.fresh().run()
    world.put(before)
    with pytest.raises(SessionExpired) as caught:
        world.session.fresh().run()
    assert (caught.value.status_code, world.server.posts) == (400, 1)
    assert [type(ended) for ended in world.seen(SessionEnded)] == [SessionEnded, SessionEnded]


def test_an_undo_while_the_server_ends_it_ends_it_all_the_same() -> None:
    world = World()
    before = world.refreshed()
    world.time.advance(300)
    world.server.script = [RefreshRefused(status_code=400)]
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    world.put(before)
    world.time.advance(1)
    assert isinstance(caller.error, SessionExpired)
    assert (world.session.auth.status, world.shelf.record) == ("signed_out", None)
    assert world.is_spent_once


def test_an_undo_to_the_middle_of_the_login() -> None:
    world = World()
    login = world.session.login(username="bob")
    world.time.advance(0.1)
    middle = world.store.state
    bobs = login.run()
    world.put(middle)
    assert world.session.fresh().run() == bobs
    assert world.session.auth.status == "signed_in"


def test_a_login_goes_on_through_an_undo() -> None:
    world = World()
    before = world.refreshed()
    login = Caller(world.session.login(username="bob"))
    world.put(replace(before, auth=replace(before.auth, status="signing_in", pending=world.session.auth.pending)))
    world.time.advance(1)
    assert login.access == "access-login-1"
    assert world.session.fresh().run().access == "access-login-1"
    assert world.is_spent_once


# -- a replayed recording ----------------------------------------------------------------------------------------------


def test_a_recording_that_is_replayed_spends_nothing_again() -> None:
    world = World()
    world.session.login(username="bob").run()
    world.time.advance(300)
    world.session.fresh().run()
    world.time.advance(300)
    world.session.fresh().run()
    posted = list(world.server.posted)
    newest = world.session.auth.tokens
    for action in list(world.actions):
        if isinstance(action, SigningIn | SignedIn | RefreshEvent):
            world.store.dispatch(action)
    assert world.session.fresh().run() == newest
    assert world.server.posted == posted


def test_a_recording_whose_secrets_are_hidden_is_not_posted_either() -> None:
    world = World()
    world.refreshed()
    auth = world.session.auth
    hidden = replace(auth.tokens, access="hidden", refresh="hidden")
    world.put(replace(auth, tokens=hidden))
    assert world.session.fresh().run().access == "access-1"
    assert world.session.replace().run().access == "access-2"
    assert world.server.posted == ["refresh-0", "refresh-1"]


def test_a_state_that_is_new_here_is_taken_over() -> None:
    """As an app does that keeps its own state, at its start."""
    time = VirtualTime()
    server = FakeRefresher(time)
    store: Store[App] = Store(reduce, App())
    session = Session(server, store=store, select=lambda app: app.auth, time=time)
    kept = stale(time)
    store.dispatch(Put(AuthState(status="signed_in", sign_in="ada", tokens=replace(kept, sign_in="ada"))))
    assert session.fresh().run().access == "access-1"
    store.dispatch(Put(AuthState(status="signed_in", sign_in="ada", tokens=replace(kept, sign_in="ada"))))
    assert session.fresh().run().access == "access-1"
    assert server.posts == 1


# -- a reset -----------------------------------------------------------------------------------------------------------


def test_a_reset_ends_the_sign_in_in_the_storage_and_at_the_server() -> None:
    world = World()
    world.refreshed()
    assert world.shelf.refresh == "refresh-1"
    world.put(App())
    world.time.advance(1)
    assert world.shelf.record is None
    assert [tokens.refresh for tokens in world.server.logouts] == ["refresh-1"]
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()


def test_a_logout_after_a_reset_waits_until_the_storage_is_clear() -> None:
    world = World()
    world.refreshed()
    world.put(App())
    world.session.logout().run()
    assert world.shelf.record is None
    assert [tokens.refresh for tokens in world.server.logouts] == ["refresh-1"]


def test_a_reset_while_a_refresh_is_in_flight_leaves_nothing_in_the_storage() -> None:
    world = World()
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    world.put(App())
    assert isinstance(caller.error, NotSignedIn)
    world.time.advance(5)
    assert (world.shelf.record, world.session.auth.status) == (None, "signed_out")
    assert {tokens.refresh for tokens in world.server.logouts} == {"refresh-0", "refresh-1"}


def test_a_reset_while_the_pair_is_in_doubt_leaves_nothing_in_the_storage() -> None:
    world = World()
    world.server.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    world.put(App())
    world.session.logout().run()
    assert world.shelf.record is None


def test_what_a_reset_ended_is_not_revived_by_an_undo() -> None:
    world = World()
    world.refreshed()
    before = world.store.state
    world.put(App())
    world.put(before)
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()
    assert world.seen(SignedOut)
    assert world.server.posts == 1


def test_a_login_after_a_reset_is_stored() -> None:
    world = World()
    world.refreshed()
    world.put(App())
    assert world.session.login(username="bob").run().access == "access-login-1"
    world.time.advance(5)
    assert world.shelf.refresh == "refresh-login-1"
    assert world.session.fresh().run().access == "access-login-1"


def test_a_reset_signs_out_the_others_on_the_storage(tmp_path: Path) -> None:
    time = VirtualTime()
    server = FakeRefresher(time)
    store: Store[App] = Store(reduce, App())
    session = Session(
        server,
        store=store,
        select=lambda app: app.auth,
        tokens=stale(time),
        storage=FileStorage(tmp_path / "tokens"),
        time=time,
    )
    session.fresh().run()
    sibling = Session(server, storage=FileStorage(tmp_path / "tokens"), time=time)
    assert sibling.fresh().run().access == "access-1"
    store.dispatch(Put(App()))
    session.logout().run()
    time.advance(300)
    with pytest.raises(NotSignedIn):
        sibling.fresh().run()
    with pytest.raises(NotSignedIn):
        Session(server, storage=FileStorage(tmp_path / "tokens"), time=time).fresh().run()
    assert server.posts == 1


def test_a_session_with_a_name_says_how_to_reset_its_slice() -> None:
    time = VirtualTime()
    store: Store[App] = Store(reduce, App(auth=AuthState(session="billing")))
    session = Session(
        FakeRefresher(time), store=store, select=lambda app: app.auth, name="billing", tokens=pair(time), time=time
    )
    store.dispatch(Put(AuthState()))
    with pytest.raises(MissingSlice, match=r"AuthState\(session='billing'\)"):
        session.fresh().run()


# -- a reducer that drops the slice, or an event -----------------------------------------------------------------------


def without(*kinds: type[Any]) -> Callable[[App, Any], App]:
    return lambda app, action: app if isinstance(action, kinds) else reduce(app, action)


def test_a_reducer_that_ignores_the_new_tokens_gets_an_error_that_says_so() -> None:
    world = World(without(TokensRefreshed))
    for _ in range(3):
        with pytest.raises(ReducerError, match=r"does not take TokensRefreshed.*have auth_reducer reduce"):
            world.session.fresh().run()
        world.time.advance(100)
    assert world.server.posted == ["refresh-0"]
    assert world.shelf.refresh == "refresh-1", "the new pair is kept"


def test_when_the_reducer_is_mended_the_new_tokens_are_there() -> None:
    broken = [True]

    def reducer(app: App, action: Any) -> App:
        return app if broken[0] and isinstance(action, TokensRefreshed) else reduce(app, action)

    world = World(reducer)
    with pytest.raises(ReducerError):
        world.session.fresh().run()
    broken.clear()
    broken.append(False)
    assert world.session.fresh().run().access == "access-1"
    assert world.server.posts == 1


def test_a_login_helps_where_the_reducer_does_not_take_the_new_tokens() -> None:
    world = World(without(TokensRefreshed))
    with pytest.raises(ReducerError):
        world.session.fresh().run()
    assert world.session.login(username="bob").run().access == "access-login-1"
    assert world.session.fresh().run().access == "access-login-1"


def test_a_logout_ends_what_the_reducer_did_not_take() -> None:
    world = World(without(TokensRefreshed))
    with pytest.raises(ReducerError):
        world.session.fresh().run()
    world.session.logout().run()
    assert (world.session.auth.status, world.shelf.record) == ("signed_out", None)
    assert [tokens.refresh for tokens in world.server.logouts] == ["refresh-1"]


def test_a_reducer_that_does_not_take_failures_is_no_reason_to_post_what_is_spent() -> None:
    world = World(without(RefreshFailed))
    world.server.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    world.time.advance(5)
    assert world.session.auth.tokens is not None


@pytest.mark.parametrize("dropped", [None, "nothing", 7], ids=repr)
def test_without_the_slice_calls_get_an_error_that_names_the_fix(dropped: Any) -> None:
    world = World()
    before = world.refreshed()
    world.put(dropped)
    for ask in (world.session.fresh, world.session.replace):
        with pytest.raises(MissingSlice, match="give the state a field `auth"):
            ask().run()
    with pytest.raises(MissingSlice):
        world.session.login(username="ada")
    assert (world.server.posts, world.server.logins) == (1, [])
    world.put(before)
    assert world.session.fresh().run().access == "access-1"
    assert world.server.posts == 1


@pytest.mark.parametrize("back", ["the old state", "an empty one"])
def test_a_slice_that_is_dropped_while_the_pair_is_spent(back: str) -> None:
    world = World()
    before = world.store.state
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    world.put(None)
    world.time.advance(1)
    assert caller.access == "access-1", "who waited has the new pair"
    assert world.shelf.refresh == "refresh-1", "the new pair is kept"
    world.put(before.auth if back == "the old state" else AuthState())
    if back == "the old state":
        assert world.session.fresh().run().access == "access-1"
    else:
        with pytest.raises(NotSignedIn):
            world.session.fresh().run()
        world.session.logout().run()
        assert world.shelf.record is None
    assert world.server.posted == ["refresh-0"]


def test_a_slice_that_is_dropped_while_the_server_ends_the_sign_in() -> None:
    world = World()
    before = world.store.state
    world.server.script = [RefreshRefused(status_code=400)]
    caller = Caller(world.session.fresh())
    world.time.advance(0.1)
    world.put(None)
    world.time.advance(1)
    assert isinstance(caller.error, SessionExpired)
    assert world.shelf.record is None
    world.put(before)
    with pytest.raises(SessionExpired):
        world.session.fresh().run()
    assert world.server.posts == 1


def test_a_logout_without_the_slice_clears_the_storage() -> None:
    world = World()
    world.refreshed()
    world.put(None)
    world.session.logout().run()
    assert world.shelf.record is None
    assert [tokens.refresh for tokens in world.server.logouts] == ["refresh-1"]
    world.put(AuthState())
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()


# -- two sessions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Two:
    auth: AuthState = AuthState()
    billing: AuthState = AuthState(session="billing")


def test_an_undo_in_a_store_of_two_sessions_undoes_neither() -> None:
    def both(state: Two, action: Any) -> Two:
        if isinstance(action, Put):
            return action.state
        return Two(auth_reducer(state.auth, action), auth_reducer(state.billing, action))

    time = VirtualTime()
    store: Store[Two] = Store(both, Two())
    servers = [FakeRefresher(time), FakeRefresher(time)]
    one = Session(servers[0], store=store, select=lambda two: two.auth, tokens=stale(time), time=time)
    two = Session(
        servers[1], store=store, select=lambda two: two.billing, name="billing", tokens=stale(time, "b"), time=time
    )
    before = store.state
    pairs = [session.fresh().run() for session in (one, two)]
    store.dispatch(Put(before))
    assert [session.fresh().run() for session in (one, two)] == pairs
    store.dispatch(Put(Two()))
    for session in (one, two):
        with pytest.raises(NotSignedIn):
            session.fresh().run()
    assert [server.posts for server in servers] == [1, 1]


def test_a_later_session_in_the_slice_knows_what_it_found() -> None:
    world = World()
    before = world.refreshed()
    world.session.close()
    later = Session(world.server, store=world.store, select=lambda app: app.auth, time=world.time)
    world.put(before)
    assert later.fresh().run().access == "access-1"
    assert world.server.posts == 1


# -- what the simulation has found -------------------------------------------------------------------------------------


def test_an_undo_to_the_middle_of_its_login_does_not_forget_that_the_pair_is_in_doubt() -> None:
    world = World()
    login = world.session.login(username="bob")
    world.time.advance(0.1)
    middle = world.store.state
    login.run()
    world.time.advance(300)
    world.server.script = [httpx.ReadError("reset")]
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    world.put(middle)
    with pytest.raises(RefreshUnavailable):
        world.session.fresh().run()
    assert (world.server.posts, world.session.auth.in_doubt) == (1, True)


def test_a_login_that_was_ended_by_a_logout_does_not_count_after_an_undo_to_its_middle() -> None:
    world = World()
    login = Caller(world.session.login(username="bob"))
    world.time.advance(0.1)
    middle = world.store.state
    world.session.logout()
    world.put(middle)
    world.time.advance(5)
    assert isinstance(login.error, NotSignedIn)
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()
    assert world.shelf.record is None


class Losing:
    """A reducer that loses the session's events as long as `loses` is true."""

    def __init__(self) -> None:
        self.loses = False

    def __call__(self, app: App, action: Any) -> App:
        return app if self.loses and isinstance(action, SessionEvent) else reduce(app, action)


def test_a_store_that_is_closed_with_a_spent_pair_in_its_state_has_nothing_posted() -> None:
    reducer = Losing()
    world = World(reducer)
    reducer.loses = True
    with pytest.raises(ReducerError):
        world.session.fresh().run()
    world.store.close()
    with pytest.raises(SessionClosed):
        world.session.fresh().run()
    assert world.server.posted == ["refresh-0"]


def test_a_reducer_that_loses_the_failure_of_a_refresh_has_nothing_posted_again_in_its_cool_down() -> None:
    reducer = Losing()
    world = World(reducer)
    world.server.script = [httpx.ReadError("reset")]
    reducer.loses = True
    for _ in range(5):
        with pytest.raises(RefreshUnavailable):
            world.session.fresh().run()
    assert world.server.posts == 1


def test_a_reducer_that_loses_a_logout_lets_no_login_revive_it() -> None:
    reducer = Losing()
    world = World(reducer)
    login = Caller(world.session.login(username="bob"))
    world.time.advance(0.1)
    reducer.loses = True
    world.session.logout()
    world.time.advance(5)
    reducer.loses = False
    assert isinstance(login.error, NotSignedIn | ReducerError)
    with pytest.raises(NotSignedIn):
        world.session.fresh().run()


def test_a_refresh_is_not_begun_again_while_a_reducer_loses_events_and_the_state_goes_back() -> None:
    reducer = Losing()
    world = World(reducer, tokens=lambda time: pair(time, 300))
    login = world.session.login(username="bob")
    world.time.advance(0.1)
    middle = world.store.state
    login.run()
    world.time.advance(300)
    first = Caller(world.session.fresh())
    world.time.advance(0.1)
    reducer.loses = True
    world.put(middle)
    reducer.loses = False
    second = Caller(world.session.fresh())
    world.time.advance(1)
    assert (first.access, second.access, world.server.posts) == ("access-1", "access-1", 1)


def test_a_login_without_the_slice_is_kept_until_it_is_there_again() -> None:
    world = World(tokens=lambda time: pair(time, 300))
    login = Caller(world.session.login(username="bob"))
    world.time.advance(0.1)
    before = world.store.state
    world.put(replace(before, auth=None))
    world.time.advance(5)
    world.put(before)
    assert login.access == "access-login-1"
    assert world.session.fresh().run().access == "access-login-1"
    assert world.shelf.refresh == "refresh-login-1"


def test_a_slice_that_is_dropped_and_comes_back_empty_ends_the_sign_in_in_the_storage() -> None:
    world = World()
    world.refreshed()
    world.put(App(auth=None))
    world.put(App())
    world.time.advance(1)
    assert world.shelf.record is None


def test_a_call_that_is_dispatched_without_the_slice_is_answered() -> None:
    world = World(tokens=lambda time: pair(time, 300))
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={})))
    world.store.add_epic(api_epic(client, world.session))
    world.put(App(auth=None))
    world.store.dispatch(Me())
    world.time.advance(1)
    (failed,) = world.seen(ApiFailed)
    assert isinstance(failed.error, MissingSlice)
