"""What the simulation found: two things that cross each other's way. Each is told here in its smallest form."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from reactivex import Subject

from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer
from rxauth.errors import (
    NotSignedIn,
    RefresherError,
    RefreshRefused,
    RefreshUnavailable,
    RxAuthError,
    SessionChanged,
    SessionExpired,
    StoreClosed,
)
from rxauth.session import Refresh
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.store import combine_reducers
from rxauth.testing import VirtualTime
from tests.kit import Caller, make

URL = "https://api.example.com"


def answer(name: str, life: float = 60.0) -> dict[str, Any]:
    return {"access_token": f"access-{name}", "refresh_token": f"refresh-{name}", "expires_in": life}


class Refresher:
    def __init__(self, time: VirtualTime, login_takes: float = 20.0) -> None:
        self.time, self.login_takes = time, login_takes

    refreshes = 0

    def __call__(self, tokens: Tokens) -> Any:
        self.time.sleep(0.2)
        self.refreshes += 1
        return answer(f"new-{self.refreshes}")

    def login(self, user: str) -> Any:
        self.time.sleep(self.login_takes)
        return answer(user)


class Disk(MemoryStorage):
    """A storage that is full, or slow, when a test says so."""

    full = False
    before_save: Callable[[], None] = staticmethod(lambda: None)

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self.before_save()
        if self.full:
            raise OSError("disk full")
        return super().save(record, replaces)


def test_an_effect_is_cancelled_on_its_own_loop_and_at_once() -> None:
    async def main() -> bool:
        session = Session(lambda tokens: answer("x"), tokens=answer("ada"))
        items: Subject[int] = Subject()
        cancelled = asyncio.Event()

        async def effect(item: int, tokens: Tokens) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        subscription = items.pipe(session.gate(effect, policy="latest")).subscribe()
        items.on_next(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        other = threading.Thread(target=subscription.dispose)
        other.start()
        await asyncio.wait_for(cancelled.wait(), 60)  # a loop that nobody wakes would sleep for the whole hour
        other.join()
        session.close()
        return True

    assert asyncio.run(main())


def test_an_effect_cancelled_before_its_first_step_leaves_no_warning() -> None:
    async def main() -> None:
        session = Session(lambda tokens: answer("x"), tokens=answer("ada"))
        items: Subject[int] = Subject()

        async def effect(item: int, tokens: Tokens) -> None:
            pass

        items.pipe(session.gate(effect, policy="latest")).subscribe()
        items.on_next(1)
        items.on_next(2)
        await asyncio.sleep(0.01)
        session.close()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_logout_leaves_no_earlier_user_in_the_storage() -> None:
    """Bob's save failed, so what is stored is Ada's: the next start would sign her in."""
    time, disk = VirtualTime(), Disk()
    session = Session(lambda tokens: answer("x"), storage=disk, time=time)
    session.sign_in(answer("ada")).run()
    disk.full = True
    session.sign_in(answer("bob")).run()
    disk.full = False
    session.logout().run()
    assert disk.load() is None


def test_a_login_in_a_closed_store_strands_nobody() -> None:
    time = VirtualTime()
    session = Session(Refresher(time), time=time)
    session.login(user="ada")
    time.advance(1)
    session.store.close()
    with pytest.raises(StoreClosed):
        session.login(user="bob")
    told: list[Any] = []
    session.fresh().subscribe(told.append, told.append)
    with pytest.raises(StoreClosed):
        session.login(user="eve")
    time.advance(1000)
    assert len(told) == 1


def test_an_overtaken_login_does_not_put_back_the_pair_of_before() -> None:
    class Slow(VirtualTime):
        slow = False

        def yield_point(self, name: str) -> None:
            if self.slow and name == "an outcome is concluded":
                self.slow = False
                self.sleep(0.2)

    time, disk = Slow(), Disk()
    disk.before_save = lambda: time.sleep(0.5)  # type: ignore[method-assign]
    session = Session(Refresher(time, login_takes=0.3), storage=disk, time=time)
    session.sign_in(answer("ada")).run()
    time.slow = True
    session.login(user="eve")
    time.advance(0.1)
    session.sign_in(answer("bob"))
    time.advance(10)
    stored = disk.load()
    assert session.auth.tokens is not None
    assert stored is not None
    assert session.auth.tokens.refresh == stored.tokens.refresh == "refresh-bob"


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()


@dataclass(frozen=True)
class Reset:
    pass


def test_a_reset_of_the_app_releases_who_waits_for_a_login() -> None:
    time = VirtualTime()
    whole = combine_reducers(App, auth=auth_reducer)
    store: Store[App] = Store(lambda state, action: App() if isinstance(action, Reset) else whole(state, action), App())
    session = Session(Refresher(time), store=store, select=lambda app: app.auth, time=time)
    session.login(user="ada")
    time.advance(1)
    told: list[Any] = []
    session.fresh().subscribe(told.append, told.append)
    store.dispatch(Reset())
    time.advance(0.1)
    assert len(told) == 1


@pytest.mark.parametrize("leaves", [True, False], ids=["the user signs out", "the pair is replaced"])
def test_a_call_that_goes_on_late_is_not_sent_with_tokens_of_before(leaves: bool) -> None:
    """A blocked loop: the refresh lands, something happens, and only then the call that waited goes on."""
    time = VirtualTime()
    sent: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(200)

    async def main() -> None:
        session = Session(Refresher(time), tokens=answer("ada", life=1.0), time=time, origins=[URL])
        await asyncio.sleep(2)
        transport = httpx.MockTransport(api)
        async with httpx.AsyncClient(transport=transport, base_url=URL, auth=BearerAuth(session)) as client:
            call = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0.1)
            time.call_later(1.0, session.logout if leaves else lambda: session.store.dispatch(Refresh()))
            time.sleep(3.0)  # the loop's thread is busy with something else
            if leaves:
                with pytest.raises(RxAuthError):
                    await call
                assert sent == []
            else:
                await call
                assert session.auth.tokens is not None
                assert session.auth.tokens.access == "access-new-2"
                assert sent == [f"Bearer {session.auth.tokens.access}"]

    time.run(main())


def test_a_first_pair_that_could_not_be_saved_shows_in_the_state() -> None:
    disk = Disk()
    disk.full = True
    session = Session(lambda tokens: answer("x"), tokens=answer("ada"), storage=disk, time=VirtualTime())
    assert session.auth.storage == "failing"


def test_two_answers_for_one_pair_sign_nobody_out_and_revoke_nothing() -> None:
    """The first try answers at last while its probe is on the wire, and both bring a pair, or one a refusal."""
    for second in (300.0, RefreshRefused(status_code=400)):
        time, refresher, session = make()
        refresher.latency = 95
        Caller(session.fresh())
        time.advance(91)
        refresher.latency, refresher.script = 10, [300.0, second]
        probe = Caller(session.fresh())
        time.advance(20)
        assert refresher.posts == 2
        assert probe.access == "access-2"
        assert session.auth.status == "signed_in"
        assert refresher.logouts == []


def test_a_callable_that_crashes_does_not_settle_what_is_in_doubt() -> None:
    time, refresher, session = make()
    refresher.script = [httpx.ReadError("reset"), KeyError("x"), RefreshRefused(status_code=400)]
    errors = []
    for _ in range(3):
        caller = Caller(session.fresh())
        time.advance(62)
        errors.append(caller.error)
    assert [type(error) for error in errors] == [RefreshUnavailable, RefresherError, SessionExpired]
    assert errors[-1].cause == "answer lost"  # type: ignore[union-attr]
    assert refresher.posts == 3


def test_one_refresh_too_many_joins_the_one_that_runs() -> None:
    time, _, session = make(life=300, excess=1)
    assert Caller(session.replace()).ends == 0
    time.advance(1)
    session.store.dispatch(Refresh())
    caller = Caller(session.replace())
    assert caller.ends == 0
    assert session.auth.status == "refreshing"
    time.advance(1)
    assert caller.access == "access-2"


def test_a_gated_function_never_sees_the_state_of_who_signed_in_meanwhile() -> None:
    time = VirtualTime()

    async def main() -> None:
        session = Session(Refresher(time), tokens=answer("ada", life=1.0), time=time)
        await asyncio.sleep(2)
        result = session.store.dispatch(session.gated(lambda dispatch, get_state: get_state().tokens.access))
        time.advance(0.5)  # the loop is busy: Ada's refresh lands, and Bob signs in
        session.sign_in(answer("bob"))
        time.advance(0.5)
        with pytest.raises(SessionChanged):
            await result

    time.run(main())


def test_an_effect_at_the_gate_never_gets_the_tokens_of_who_has_left() -> None:
    time = VirtualTime()
    got: list[Tokens] = []

    async def main() -> None:
        session = Session(Refresher(time), tokens=answer("ada", life=1.0), time=time)
        await asyncio.sleep(2)

        async def effect(item: int, tokens: Tokens) -> None:
            got.append(tokens)

        items: Subject[int] = Subject()
        failed: list[Exception] = []
        gate = session.gate(effect, failed=lambda item, error: failed.append(error))
        items.pipe(gate).subscribe()
        items.on_next(1)
        time.advance(0.5)  # the loop is busy: the refresh lands, and Ada signs out
        session.logout()
        await asyncio.sleep(1)
        assert [type(error) for error in failed] == [NotSignedIn]

    time.run(main())
    assert got == []


@dataclass(frozen=True)
class Me(ApiCall[None]):
    def request(self, state: Any) -> Request:
        return Request.get("/")


def test_the_calls_of_an_epic_that_is_disposed_of_end() -> None:
    time = VirtualTime()
    session = Session(lambda tokens: answer("x"), tokens=answer("ada"), time=time)

    def slow(request: httpx.Request) -> httpx.Response:
        time.sleep(5)
        return httpx.Response(200)

    client = httpx.Client(transport=httpx.MockTransport(slow), base_url=URL)
    epic = session.store.add_epic(api_epic(client, session))
    seen: list[str] = []
    session.store.actions.subscribe(lambda action: seen.append(type(action).__name__))
    session.store.dispatch(Me())
    time.advance(1)
    epic.dispose()
    time.advance(10)
    assert seen == ["Me", "ApiStarted", "ApiCancelled"]
