"""Ctrl-C, a real SIGINT, in the middle of a refresh or of a delivery: whatever is in flight lands all the same."""

from __future__ import annotations

from tests.system.trouble.trouble_kit import stage, until
from tests.system.trouble.trouble_programs import Program

#: Waits for one session in every way that a script has, each of which is interrupted and then tried again.
WAITING = """
import trio

session = Session(simplejwt(TOKEN_URL), origins=[API_URL])
client = httpx.Client(auth=BearerAuth(session), base_url=API_URL)
session.store.add_epic(api_epic(httpx.Client(base_url=API_URL), session))

async def fresh():
    return await session.fresh()

async def get():
    async with httpx.AsyncClient(auth=BearerAuth(session), base_url=API_URL) as on_a_loop:
        return await on_a_loop.get("/api/me/")

ways = {
    "run": lambda: session.fresh().run(),
    "piped run": lambda: session.fresh().pipe(ops.map(lambda tokens: tokens.access)).run(),
    "replace": lambda: session.replace().run(),
    "client": lambda: client.get("/api/me/"),
    "gated": lambda: session.store.dispatch(session.gated(lambda dispatch, state: state())).run(),
    "epic": lambda: request(session.store, call(Request.get("/api/me/"))).run(),
    "asyncio": lambda: asyncio.run(fresh()),
    "asyncio client": lambda: asyncio.run(get()),
    "trio": lambda: trio.run(fresh),
    "trio client": lambda: trio.run(get),
}
assert len(PAIRS) == len(ways)
for (name, wait), pair in zip(ways.items(), PAIRS):
    session.sign_in(pair).run()
    say("waiting:", name)
    try:
        wait()
        say("not interrupted")
    except KeyboardInterrupt:
        say("interrupted, and", session.auth.status)
    wait() if name != "replace" else session.fresh().run()
    say("again:", session.auth.status, client.get("/api/me/").status_code)
    await_turn()
"""


def test_ctrl_c_in_a_script_leaves_the_refresh_alone_however_the_script_waits() -> None:
    with stage() as it:
        pairs = [it.server.issue(expired=True) for _ in range(10)]
        given = [token for pair in pairs for token in (pair.access, pair.refresh)]
        with Program(WAITING, it.sluice.url, it.server.url, "", *given) as script:
            for turn in range(len(pairs)):
                name = script.line()
                until(it.sluice.holding.is_set, f"the refresh to be answered ({name})")
                script.interrupt()
                script.expect("interrupted, and refreshing")
                it.sluice.open()
                script.expect("again: signed_in 200")
                assert it.asked == (turn + 1, 0), name
                it.sluice.shut()
                script.go()
            assert script.end() == (0, "")


def test_ctrl_c_during_a_login_leaves_the_login_alone() -> None:
    source = """
session = make()
try:
    say("waiting")
    session.login(username="ada", password="lovelace").run()
except KeyboardInterrupt:
    say("interrupted, and", session.auth.status)
say(session.fresh().run() is session.auth.tokens, session.auth.status)
"""
    with stage() as it, Program(source, it.sluice.url, it.server.url) as script:
        script.expect("waiting")
        until(it.sluice.holding.is_set, "the login to be answered")
        script.interrupt()
        script.expect("interrupted, and signing_in")
        it.sluice.open()
        script.expect("True signed_in")
        assert script.end() == (0, "")
        assert (it.server.logins, *it.asked) == (1, 0, 0)


#: A store whose subscriber, then epic, blocks on the main thread: a Ctrl-C, while others wait in the queue.
DELIVERING = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Block:
    where: str

@dataclass(frozen=True)
class Note:
    text: str

def block(where, action):
    if action.where == where:
        session.store.dispatch(Note(f"from within {where}"))
        other = threading.Thread(target=session.store.dispatch, args=[Note(f"beside {where}")])
        other.start()
        other.join()
        say("blocked in", where)
        while True:
            time.sleep(30)
    return Note(f"answer to {action.where}")

session = make()
store, seen = session.store, []
store.actions.of_type(Block).subscribe(lambda action: block("a subscriber", action))
store.add_epic(lambda actions, state: actions.of_type(Block).pipe(ops.map(lambda action: block("an epic", action))))
store.actions.of_type(Block, Note).subscribe(lambda action: seen.append(getattr(action, "text", action)))
for where in ("a subscriber", "an epic"):
    try:
        store.dispatch(Block(where))
        say("not interrupted")
    except KeyboardInterrupt:
        say("interrupted")
    until(lambda: f"beside {where}" in seen, "the rest to be delivered")
    expected = [Block(where), f"from within {where}", f"beside {where}"]
    if where == "a subscriber":
        until(lambda: f"answer to {where}" in seen, "the epic")
    say([entry for entry in seen if entry in expected] == expected, len(seen))
    seen.clear()
store.dispatch(Block("nobody"))
until(lambda: seen == [Block("nobody"), "answer to nobody"], "the epic to answer again")
from rxauth.session import TokensRefreshed
told = []
store.actions.of_type(TokensRefreshed).subscribe(told.append)
say(session.fresh().run() is session.auth.tokens, session.auth.status)
until(lambda: told, "the subscribers to be told")
"""


def test_ctrl_c_in_a_subscriber_or_an_epic_loses_nothing_and_the_session_goes_on() -> None:
    """Who dispatched is interrupted; what waits in the queue is delivered, in order, by somebody else."""
    with stage(shut=False) as it:
        given = it.server.issue(expired=True)
        with Program(DELIVERING, it.sluice.url, it.server.url, "", given.access, given.refresh) as script:
            for where, delivered in (("a subscriber", 4), ("an epic", 3)):
                script.expect(f"blocked in {where}")
                script.interrupt()
                script.expect("interrupted")
                script.expect(f"True {delivered}")
            script.expect("True signed_in")
            assert script.end() == (0, "")
        assert it.asked == (1, 0)


def test_ctrl_c_in_a_subscriber_while_a_refresh_is_in_flight_lets_it_land() -> None:
    source = """
session = make()
session.fresh().subscribe(lambda tokens: say("landed"))

def block(action):
    say("blocked")
    while True:
        time.sleep(30)

session.store.actions.of_type(str).subscribe(block)
try:
    session.store.dispatch("an action")
except KeyboardInterrupt:
    say("interrupted, and", session.auth.status)
say(session.fresh().run() is session.auth.tokens, session.auth.status)
"""
    with stage() as it:
        given = it.server.issue(expired=True)
        with Program(source, it.sluice.url, it.server.url, "", given.access, given.refresh) as script:
            script.expect("blocked")
            until(it.sluice.holding.is_set, "the refresh to be answered")
            script.interrupt()
            script.expect("interrupted, and refreshing")
            it.sluice.open()
            script.expect("landed")
            script.expect("True signed_in")
            assert script.end() == (0, "")
        assert it.asked == (1, 0)
