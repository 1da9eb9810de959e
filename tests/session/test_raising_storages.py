"""B110: whatever a storage raises, also what is no `Exception`: no pair is lost, and every section is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from raising_kit import Shared, Trap, Trapped, kinds, often, refreshes_go_on

from rxauth import AuthState, Session, Store, auth_reducer
from rxauth.errors import NotSignedIn, RefreshRefused, RefreshUnavailable, SessionExpired
from rxauth.storage import Key, MemoryStorage, Record
from rxauth.testing import VirtualTime
from tests.kit import Caller, FakeRefresher, make, pair


class Slow(Trapped):
    """One that takes 2 s for each save."""

    def __init__(self, time: VirtualTime, **traps: Trap) -> None:
        super().__init__(**traps)
        self._time = time

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        self._time.sleep(2)
        return super().save(record, replaces)


def at(storage: MemoryStorage, trap: Trap | None = None) -> tuple[VirtualTime, FakeRefresher, Session[Any]]:
    """A session on this storage, signed in with a stale pair; the trap is armed afterwards."""
    times, trap = (0, Trap(SystemExit)) if trap is None else (trap.times, trap)
    trap.times = 0
    time, refresher, session = make(storage=storage)
    time.advance(1)
    trap.times = times
    return time, refresher, session


@kinds
@often
@pytest.mark.parametrize("method", ["save", "load"])
@pytest.mark.parametrize("storage", [Trapped, Shared])
def test_a_storage_that_raises_it_loses_no_pair(
    storage: type[Trapped], method: str, times: int, kind: type[BaseException]
) -> None:
    trap = Trap(kind, times)
    kept = storage(**{method: trap})
    time, refresher, session = at(kept, trap)
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    assert [caller.ends for caller in callers] == [1] * 3
    if storage is Shared:
        assert {type(caller.error) for caller in callers} == {RefreshUnavailable}
        assert (refresher.posts, kept.inside) == (0, 0)
        trap.times = 0
        time.advance(7)
        callers = [Caller(session.fresh())]
        time.advance(1)
    assert {caller.access for caller in callers} == {"access-1"}
    assert session.auth.status == "signed_in"
    trap.times = 0
    refreshes_go_on(time, refresher, session)
    assert kept.inside == 0
    record = kept.load()
    assert record is not None
    assert record.tokens is not None
    assert record.tokens.access == f"access-{refresher.posts}"


@kinds
def test_a_pair_that_a_shared_storage_did_not_take_reaches_the_callers(kind: type[BaseException]) -> None:
    """The journal could still be written."""
    trap = Trap(kind, 3)
    kept = Shared(save=trap)
    time, refresher, session = at(kept, trap)
    trap.times = 0
    refresher.script = [lambda tokens: setattr(trap, "times", 3) or {"access": "a", "refresh": "r", "expires_in": 300}]
    caller = Caller(session.fresh())
    time.run_until(lambda: caller.ends == 1)
    assert (caller.access, session.auth.storage, trap.sprung) == ("a", "failing", 1)
    time.advance(30)
    record = kept.load()
    assert record is not None
    assert record.tokens is not None
    assert (record.tokens.access, session.auth.storage, kept.inside) == ("a", "ok", 0)


@kinds
@often
@pytest.mark.parametrize("where", ["exclusive", "enter", "leave"])
def test_a_section_that_raises_it_is_left_and_entered_again(where: str, times: int, kind: type[BaseException]) -> None:
    trap = Trap(kind, times)
    kept = Shared(**{where: trap})
    time, refresher, session = at(kept, trap)
    callers = [Caller(session.fresh()) for _ in range(3)]
    time.advance(1)
    assert [caller.ends for caller in callers] == [1] * 3
    assert kept.inside == 0
    assert refresher.posts == (where == "leave")
    trap.times = 0
    refreshes_go_on(time, refresher, session)
    assert kept.inside == 0


@kinds
@pytest.mark.parametrize("storage", [Trapped, Shared])
def test_a_storage_that_raises_it_when_it_is_read_first_lets_a_session_begin(
    storage: type[Trapped], kind: type[BaseException]
) -> None:
    time = VirtualTime()
    kept = storage(load=Trap(kind))
    session = Session(FakeRefresher(time), storage=kept, time=time)
    assert isinstance(Caller(session.fresh()).error, RefreshUnavailable | NotSignedIn)
    assert session.login().run().access == "access-login-1"

    async def main() -> None:
        again = Session(FakeRefresher(time), storage=storage(load=Trap(kind)), time=time)
        with pytest.raises((RefreshUnavailable, NotSignedIn)):
            await again.fresh()
        assert (await again.login()).access == "access-login-1"

    time.run(main())


@kinds
@pytest.mark.parametrize("storage", [Trapped, Shared])
def test_a_login_and_a_logout_end_whatever_the_storage_raises(
    storage: type[Trapped], kind: type[BaseException]
) -> None:
    time = VirtualTime()
    save, clear = Trap(kind, 3), Trap(kind, 3)
    kept = storage(save=save, clear=clear)
    session = Session(FakeRefresher(time), storage=kept, time=time)
    login = Caller(session.login())
    time.advance(1)
    assert (login.access, session.auth.status) == ("access-login-1", "signed_in")
    save.times = 0
    session.login().run()
    logout = Caller(session.logout())
    time.advance(1)
    assert (logout.ends, logout.error) == (1, None)
    time.advance(60)
    record = kept.load()
    assert record is None or record.tokens is None
    assert clear.sprung == 3


def test_a_login_that_came_too_late_is_removed_although_the_storage_failed_at_first() -> None:
    """The app resets its state while the login stores its pair."""
    time, clear = VirtualTime(), Trap(SystemExit, 2)
    kept = Slow(time, clear=clear)
    store = Store(lambda state, action: AuthState() if action == "reset" else auth_reducer(state, action), AuthState())
    session = Session(FakeRefresher(time), store=store, select=lambda auth: auth, storage=kept, time=time)
    login = Caller(session.login())
    time.advance(1)
    store.dispatch("reset")
    time.advance(120)
    assert (login.ends, session.auth.status) == (1, "signed_out")
    assert (kept.load(), clear.sprung) == (None, 2)


@pytest.mark.parametrize("storage", [Trapped, Shared])
def test_whoever_was_stored_before_is_removed_although_the_storage_failed_at_first(storage: type[Trapped]) -> None:
    """The save of the second sign-in failed, so what is stored at its logout is the first one's."""
    time, save, clear = VirtualTime(), Trap(SystemExit, 0), Trap(SystemExit, 2)
    kept = storage(save=save, clear=clear)
    session = Session(FakeRefresher(time), storage=kept, time=time)
    session.login().run()
    save.times = 10
    session.login().run()
    session.logout().run()
    time.advance(120)
    record = kept.load()
    assert record is None or record.tokens is None
    assert clear.sprung == 2


@kinds
def test_the_end_of_a_sign_in_is_told_whatever_the_storage_raises(kind: type[BaseException]) -> None:
    _, refresher, session = at(Trapped(clear=Trap(kind)))
    refresher.script = [RefreshRefused()]
    with pytest.raises(SessionExpired):
        session.fresh().run()
    assert session.auth.status == "signed_out"


@kinds
def test_a_session_closes_whatever_the_end_of_a_watch_raises(kind: type[BaseException]) -> None:
    class Watching(Shared):
        def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
            return Trap(kind)

    time, _, session = make(storage=Watching())
    caller = Caller(session.fresh())
    with pytest.raises(kind):
        session.close()
    assert (caller.ends, session.is_closed, session.store.is_closed) == (1, True, True)
    time.advance(1)


@kinds
def test_what_a_watch_tells_raises_nothing_into_the_storages_thread(kind: type[BaseException]) -> None:
    told: list[Callable[[], None]] = []

    class Watching(Shared):
        def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
            told.append(changed)
            return lambda: None

    load = Trap(kind, 0)
    time, _, session = make(storage=Watching(load=load), life=300)
    reported: list[Exception] = []
    session.store._reporter = lambda error, where, action: reported.append(error)
    load.times = 1
    time.spawn(told[0], "a storage's")
    time.advance(1)
    assert len(reported) == 1
    assert session.fresh().run().access == pair(time).access
