"""Forks and spawned processes: what a child may do with the session that it was born with, and with one of its own."""

from __future__ import annotations

import pytest

from tests.system.trouble.trouble_kit import Stage, stage, until
from tests.system.trouble.trouble_programs import Program


def program(it: Stage, source: str, *, expired: bool = True) -> Program:
    given, more = it.server.issue(expired=expired), it.server.issue(expired=True)
    return Program(source, it.sluice.url, it.server.url, "", given.access, given.refresh, more.access, more.refresh)


def test_a_forked_child_that_signs_in_itself_is_a_session_of_its_own() -> None:
    """It refreshes its own pair and the parent its own; a child of that child is a fork again."""
    source = """
session = make()

def grandchild():
    try:
        session.replace().run()
        say("the grandchild refreshed")
    except ForkedSession:
        say("the grandchild may not")

def child():
    session.sign_in(PAIRS[1]).run()
    with httpx.Client(auth=BearerAuth(session), base_url=API_URL) as client:
        say("child", client.get("/api/me/").status_code, session.auth.status)
    assert fork(grandchild) == 0
    say("child again", session.replace().run() is session.auth.tokens)

say("ended", fork(child))
with httpx.Client(auth=BearerAuth(session), base_url=API_URL) as client:
    say("parent", client.get("/api/me/").status_code)
"""
    with stage(shut=False) as it, program(it, source) as parent:
        for line in ("child 200 signed_in", "the grandchild may not", "child again True", "ended 0", "parent 200"):
            parent.expect(line)
        assert parent.end() == (0, "")
        assert it.asked == (3, 0)


def test_a_child_that_is_forked_during_a_login_does_not_wait_for_it_and_can_sign_in_itself() -> None:
    source = """
session = Session(simplejwt(TOKEN_URL), origins=[API_URL])
login = session.login(username="ada", password="lovelace")
await_turn()

def child():
    try:
        session.fresh().run()
    except NotSignedIn:
        say("child: nobody is signed in")
    session.sign_in(PAIRS[0]).run()
    say("child:", session.fresh().run().access == PAIRS[0].access)

assert fork(child) == 0
say("parent:", session.auth.status)
say("parent:", login.run() is session.auth.tokens, session.fresh().run().access == PAIRS[0].access)
"""
    with stage() as it, program(it, source, expired=False) as parent:
        until(it.sluice.holding.is_set, "the login to be answered")
        parent.go()
        parent.expect("child: nobody is signed in")
        parent.expect("child: True")
        parent.expect("parent: signing_in")
        it.sluice.open()
        parent.expect("parent: True False")
        assert parent.end() == (0, "")
        assert (it.server.logins, *it.asked) == (1, 0, 0)


def test_a_child_that_is_forked_while_the_sessions_store_drains_has_the_new_tokens_and_a_store_that_delivers() -> None:
    """The parent's refresh has landed, and the thread that brought it is held up by a subscriber."""
    source = """
from rxauth.session import TokensRefreshed

session = make()
delivering, go_on = threading.Event(), threading.Event()

def slow(action):
    delivering.set()
    go_on.wait(60)

session.store.actions.of_type(TokensRefreshed).subscribe(slow)
tokens = session.fresh().run()
assert delivering.wait(60)

def child():
    seen = []
    session.store.actions.of_type(str).subscribe(seen.append)
    session.store.dispatch("an action")
    say("child:", seen, session.fresh().run() is tokens)
    try:
        session.replace().run()
    except ForkedSession:
        say("child: may not refresh")

assert fork(child) == 0
session.store.dispatch("an action")
go_on.set()
say("parent:", session.replace().run() is session.auth.tokens)
"""
    with stage(shut=False) as it, program(it, source) as parent:
        for line in ("child: ['an action'] True", "child: may not refresh", "parent: True"):
            parent.expect(line)
        assert parent.end() == (0, "")
        assert it.asked == (2, 0)


def test_the_exit_of_a_forked_child_does_not_wait_for_the_parents_refresh() -> None:
    """It has the parent's list of what to wait for, but not the threads; how long it took is said by its parent."""
    source = """
import rxauth.session.gate
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 dislikes forks of processes with threads
rxauth.session.gate.LINGER = 60.0
session = make(storage=Nowhere())
session.fresh().subscribe(lambda tokens: None)
await_turn()
child = os.fork()
if child == 0:
    sys.exit(0)
began = time.monotonic()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
say("child:", status, time.monotonic() - began < 30)
await_turn()
"""
    with stage() as it, program(it, source) as parent:
        until(it.sluice.holding.is_set, "the refresh to be answered")
        parent.go()
        parent.expect("child: 0 True")
        it.sluice.open()
        parent.go()
        assert parent.end() == (0, "")
        assert it.asked == (1, 0)


@pytest.mark.parametrize("expired", [False, True], ids=["fresh", "expired"])
def test_multiprocessing_by_fork_uses_the_token_while_it_lives_and_never_posts(expired: bool) -> None:
    """The error says how to mend it."""
    source = """
import multiprocessing

session = make()

def child():
    try:
        say("child:", session.fresh().run() is session.auth.tokens)
    except ForkedSession as error:
        text = str(error)
        say("child:", "make the Session after the fork" in text and "fork" in text)

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(60)
say("ended", process.exitcode)
"""
    with stage(shut=False) as it, program(it, source, expired=expired) as parent:
        parent.expect("child: True")
        parent.expect("ended 0")
        assert parent.end() == (0, "")
        assert it.server.requests == []


def test_a_pool_of_forked_workers_never_posts_the_parents_refresh_token() -> None:
    source = """
import multiprocessing
from multiprocessing.pool import Pool

session = make()
together = multiprocessing.get_context("fork").Barrier(4)

def work(number):
    together.wait(60)
    try:
        session.fresh().run()
        return "refreshed"
    except ForkedSession:
        return "may not"

with multiprocessing.get_context("fork").Pool(4) as pool:
    say(pool.map(work, range(4), chunksize=1))
say(session.fresh().run() is session.auth.tokens)
"""
    with stage(shut=False) as it, program(it, source) as parent:
        parent.expect("['may not', 'may not', 'may not', 'may not']")
        parent.expect("True")
        assert parent.end() == (0, "")
        assert it.asked == (1, 0)


def test_multiprocessing_by_spawn_refuses_the_session_and_says_why_and_one_made_in_the_child_works() -> None:
    source = """
import multiprocessing

from tests.system.trouble.trouble_child import use_a_session_of_its_own

spawn = multiprocessing.get_context("spawn")
session = make()
for what in (session, BearerAuth(session)):
    try:
        spawn.Process(target=print, args=(what,)).start()
    except TypeError as error:
        say(str(error))
process = spawn.Process(target=use_a_session_of_its_own, args=(TOKEN_URL, API_URL))
process.start()
process.join(60)
say("ended", process.exitcode)
"""
    with stage(shut=False) as it, program(it, source) as parent:
        for _ in range(2):
            said = parent.line()
            assert "a session can not be pickled" in said
            assert "make one there" in said
        parent.expect("child: 200")
        parent.expect("ended 0")
        assert parent.end() == (0, "")
        assert (it.server.logins, *it.asked) == (1, 0, 0)
