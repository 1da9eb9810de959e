"""The end of a process while a refresh, a login or a logout is under way: what the server answered is stored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rxauth.concurrency.runtime import LINGER
from tests.system.trouble.trouble_kit import PATIENCE, Stage, stage, until
from tests.system.trouble.trouble_programs import Program

#: `begin` starts something and says so, then the program ends; "at exit" is said when only rxauth holds it up.
PROGRAM = """
atexit.register(lambda: say("at exit"))
session = make(storage=FileStorage(PLACE))
{begin}
await_turn()
{end}
"""

FRESH = "session.fresh().subscribe(lambda tokens: None)"

ASYNC_REFRESHER = """
async def refresh(tokens):
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{TOKEN_URL}/api/token/refresh/", json={"refresh": tokens.refresh})
        return answer.json()

session = Session(refresh, tokens=PAIRS[0], storage=FileStorage(PLACE))
session.fresh().subscribe(lambda tokens: None)
"""

WITH_A_SCHEDULER = """
from reactivex.scheduler import EventLoopScheduler
from rxauth import AuthState, auth_reducer

store = Store(auth_reducer, AuthState(), scheduler=EventLoopScheduler())
session = Session(simplejwt(TOKEN_URL), store=store, tokens=PAIRS[0], storage=FileStorage(PLACE))
session.fresh().subscribe(lambda tokens: None)
"""

ON_A_LOOP = """
async def main():
    async with httpx.AsyncClient(auth=BearerAuth(session), base_url=API_URL) as client:
        task = asyncio.create_task(client.get("/api/me/"))
        while session.auth.status != "refreshing":
            await asyncio.sleep(0)
        task.cancel()

asyncio.run(main())
"""

#: What begins, how the program ends, its exit code, and the last line of its complaints.
ENDS = {
    "the end of main": (FRESH, "", 0, ""),
    "sys.exit": (FRESH, "sys.exit(3)", 3, ""),
    "an exception": (FRESH, "raise ValueError('unhandled')", 1, "ValueError: unhandled"),
    "sys.exit in an async main": (ON_A_LOOP, "sys.exit(4)", 4, ""),
    "an async refresher": (ASYNC_REFRESHER, "", 0, ""),
    "a store with a scheduler": (WITH_A_SCHEDULER, "", 0, ""),
}


def start(it: Stage, place: Path, source: str, *, expired: bool = True) -> Program:
    given = it.server.issue(expired=expired)
    return Program(source, it.sluice.url, it.server.url, place, given.access, given.refresh)


def stored_in(place: Path) -> dict[str, object]:
    record: dict[str, object] = json.loads(place.read_text())
    return record


def test_the_rotated_token_is_stored_however_the_program_ends(tmp_path: Path) -> None:
    with ExitStack() as stack:
        running = {}
        for number, (name, (begin, end, _, _)) in enumerate(ENDS.items()):
            it, place = stack.enter_context(stage()), tmp_path / str(number)
            program = stack.enter_context(start(it, place, PROGRAM.format(begin=begin, end=end)))
            running[name] = (it, place, program)
        for name, (it, place, program) in running.items():
            *_, code, complaint = ENDS[name]
            until(it.sluice.holding.is_set, f"the refresh to be answered ({name})")
            program.go()
            program.expect("at exit")
            assert program.process.poll() is None, name
            it.sluice.open()
            ended, complained = program.end()
            assert (ended, complained.strip().rpartition("\n")[2]) == (code, complaint), complained
            assert stored_in(place)["refresh"] == it.server.current_refresh, name
            assert it.asked == (1, 0), name


def test_ctrl_c_that_ends_a_script_leaves_the_rotated_token_stored(tmp_path: Path) -> None:
    source = """
atexit.register(lambda: say("at exit"))
make(storage=FileStorage(PLACE)).fresh().run()
"""
    with stage() as it, start(it, tmp_path / "tokens", source) as program:
        until(it.sluice.holding.is_set, "the refresh to be answered")
        program.interrupt()
        program.expect("at exit")
        it.sluice.open()
        code, complained = program.end()
        assert (code, complained.strip().rpartition("\n")[2]) == (-2, "KeyboardInterrupt")
        assert stored_in(tmp_path / "tokens")["refresh"] == it.server.current_refresh
        assert it.asked == (1, 0)


def test_a_login_that_is_answered_after_the_end_of_main_is_stored_and_the_next_start_is_signed_in(
    tmp_path: Path,
) -> None:
    login = """
atexit.register(lambda: say("at exit"))
session = Session(simplejwt(TOKEN_URL), storage=FileStorage(PLACE))
session.login(username="ada", password="lovelace")
"""
    again = """
session = Session(simplejwt(TOKEN_URL), storage=FileStorage(PLACE), origins=[API_URL])
say(session.auth.status, httpx.get(f"{API_URL}/api/me/", auth=BearerAuth(session)).status_code)
"""
    place = tmp_path / "tokens"
    with stage() as it:
        with Program(login, it.sluice.url, it.server.url, place) as program:
            program.expect("at exit")
            until(it.sluice.holding.is_set, "the login to be answered")
            it.sluice.open()
            assert program.end() == (0, "")
        assert stored_in(place)["refresh"] == it.server.current_refresh
        with Program(again, it.sluice.url, it.server.url, place) as program:
            program.expect("signed_in 200")
            assert program.end() == (0, "")
        assert (it.server.logins, *it.asked) == (1, 0, 0)


def test_a_logout_at_the_end_of_main_is_finished_in_the_storage_and_at_the_server(tmp_path: Path) -> None:
    source = """
atexit.register(lambda: say("at exit"))
session = Session(
    simplejwt(TOKEN_URL, logout_path="/api/token/blacklist/"), tokens=PAIRS[0], storage=FileStorage(PLACE)
)
session.logout()
"""
    place = tmp_path / "tokens"
    with stage() as it, start(it, place, source, expired=False) as program:
        program.expect("at exit")
        until(it.sluice.holding.is_set, "the logout to arrive")
        it.sluice.open()
        assert program.end() == (0, "")
        assert not place.exists()
        assert [seen.path for seen in it.server.requests] == ["/api/token/blacklist/"]


TWO_FLIGHTS = """
sessions = [make(pair, storage=FileStorage(PLACE + str(number))) for number, pair in enumerate(PAIRS[:1] * 2)]
for session in sessions:
    session.fresh().subscribe(lambda tokens: None)
"""
CALLS = """
session = make(PAIRS[1])
session.store.add_epic(api_epic(httpx.Client(base_url=API_URL), session))
session.store.dispatch(call(Request.get("/api/slow/?seconds=60")))
"""
#: An exit that waits for these would take a minute, however slow the machine is.
WITH_PATIENCE = """
import rxauth.session.gate
rxauth.session.gate.LINGER = rxauth.session.session.LINGER = 60.0
"""
LITTLE = 30.0
NOTHING = """
session = make(storage=FileStorage(PLACE))
session.logout().run()
"""
MEMORY = """
session = make()
session.fresh().subscribe(lambda tokens: None)
"""
#: At least and at most how long after the end of its main each of them ends.
WAITS = {
    "two flights that hang": (TWO_FLIGHTS, LINGER, LINGER * 1.9),
    "nothing": (WITH_PATIENCE + NOTHING, 0.0, LITTLE),
    "nothing but memory": (WITH_PATIENCE + MEMORY, 0.0, LITTLE),
    "calls on threads": (WITH_PATIENCE + CALLS, 0.0, LITTLE),
}


@pytest.fixture(scope="module", autouse=True)
def endings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Stage, Program]]]:
    """Programs with nobody who answers. They run while the other tests do."""
    folder = tmp_path_factory.mktemp("endings")
    with ExitStack() as stack:
        running = {}
        for number, (name, (source, _, _)) in enumerate(WAITS.items()):
            it = stack.enter_context(stage(shut=name != "nothing"))
            stale, good = it.server.issue(expired=True), it.server.issue()
            given = [stale.access, stale.refresh, good.access, good.refresh]
            source = f"{source}\nawait_turn()\nsay(time.monotonic())"
            program = stack.enter_context(Program(source, it.sluice.url, it.server.url, folder / str(number), *given))
            running[name] = (it, program)
        for name, (it, program) in running.items():
            if name != "nothing":
                until(lambda: it.server.requests, f"a request ({name})")  # noqa: B023
            program.go()
        yield running


@pytest.mark.parametrize("name", WAITS)
def test_an_exit_waits_for_what_is_in_flight_five_seconds_at_most_and_for_nothing_else(
    name: str, endings: dict[str, tuple[Stage, Program]]
) -> None:
    """All flights together five seconds; those whose tokens would be lost with the process anyway, not at all."""
    _, least, most = WAITS[name]
    _, program = endings[name]
    began = float(program.line())
    assert program.end() == (0, "")
    assert least <= program.ended - began < most
    assert time.monotonic() - began < PATIENCE * 2
