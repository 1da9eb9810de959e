"""Twenty threads that begin together, round after round, on one session: the server counts the refreshes."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.errors import NotSignedIn, SessionChanged
from rxauth.session import RefreshStarted, TokensRefreshed
from rxauth.testing import TokenServer, faults
from tests.system.trouble.trouble_kit import PATIENCE, Crew, until

THREADS = 20
ROUNDS = 6
STEPS = 8


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Threads take turns five hundred times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 500)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def pair_of(server: TokenServer, *, expired: bool = False) -> Tokens:
    given = server.issue(expired=expired)
    return Tokens(given.access, given.refresh)


#: One call in one of the threads: the number of its round's first pair comes in, "answered" comes out.
Send = Callable[[Tokens], str]


def senders(session: Session[Any], client: httpx.Client, url: str) -> dict[str, Send]:
    def with_tokens(tokens: Tokens) -> str:
        answer = httpx.Response(0)
        for _ in range(2):
            answer = client.get(f"{url}/api/me/", headers={"Authorization": f"Bearer {tokens.access}"}, auth=None)
            if answer.status_code != 401:
                break
            tokens = session.replace(tokens).run()
        return _words(answer)

    return {
        "client": lambda _: _words(client.get(f"{url}/api/me/")),
        "fresh": lambda _: with_tokens(session.fresh().run()),
        "replace": lambda first: with_tokens(session.replace(first).run()),
    }


def _words(answer: httpx.Response) -> str:
    return "answered" if answer.status_code == 200 else f"status {answer.status_code}"


@pytest.mark.parametrize("trouble", ["expired", "refused"])
@pytest.mark.parametrize("ways", ["client", "fresh", "replace", "client fresh replace"])
def test_twenty_threads_refresh_once_in_each_of_six_rounds(ways: str, trouble: str) -> None:
    """In every second round the answer is there before the last thread has asked."""
    with TokenServer() as server, httpx.Client(timeout=PATIENCE) as client:
        session = Session(simplejwt(server.url), tokens=pair_of(server), origins=[server.url], excess=1000)
        client.auth = BearerAuth(session)
        known = senders(session, client, server.url)
        begin, end = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)
        first: list[Tokens] = []
        outcomes: list[str] = []

        def work(number: int) -> None:
            send = known[ways.split()[number % len(ways.split())]]
            for _ in range(ROUNDS):
                begin.wait(PATIENCE)
                outcomes.append(send(first[-1]))
                end.wait(PATIENCE)

        crew = Crew(*(lambda number=number: work(number) for number in range(THREADS)))
        for turn in range(ROUNDS):
            if trouble == "expired":
                session.sign_in(pair_of(server, expired=True)).run()
            else:
                server.revoke_access()
            assert session.auth.tokens is not None
            first.append(session.auth.tokens)
            server.script(faults.delay(0.02) if turn % 2 else None)
            begin.wait(PATIENCE)
            end.wait(PATIENCE)
            assert (server.posts, server.reuses) == (turn + 1, 0)
        crew.join()
        assert Counter(outcomes) == {"answered": THREADS * ROUNDS}
        session.close()


@pytest.mark.parametrize("seed", range(4))
def test_calls_that_race_with_logins_and_logouts_end_in_order(seed: int) -> None:
    """No pair is spent twice, nobody hangs, nobody gets an error that is not about who is signed in."""
    with TokenServer() as server, httpx.Client(timeout=PATIENCE) as client:
        refresher = simplejwt(server.url, logout_path="/api/token/blacklist/")
        session = Session(refresher, tokens=pair_of(server), origins=[server.url], excess=10_000)
        client.auth = BearerAuth(session)
        spent: list[Any] = []
        brought: list[Any] = []
        session.store.actions.of_type(RefreshStarted).subscribe(spent.append)
        session.store.actions.of_type(TokensRefreshed).subscribe(brought.append)
        barrier = threading.Barrier(THREADS)
        outcomes: list[object] = []
        credentials = {"username": server.user, "password": server.password}
        steps: dict[str, Callable[[], Any]] = {
            "login": lambda: session.login(**credentials).run(),
            "sign_in": lambda: session.sign_in(pair_of(server, expired=True)).run(),
            "logout": lambda: session.logout().run(),
            "fresh": lambda: session.fresh().run(),
            "replace": lambda: session.replace().run(),
            "get": lambda: client.get(f"{server.url}/api/me/").status_code,
        }

        def work(number: int) -> None:
            chance = random.Random(f"{seed} {number}")
            names = chance.choices(list(steps), weights=[2, 2, 1, 4, 3, 6], k=STEPS)
            barrier.wait(PATIENCE)
            for name in names:
                try:
                    result = steps[name]()
                    outcomes.append(result if name == "get" else type(result))
                except (NotSignedIn, SessionChanged) as error:
                    outcomes.append(type(error))

        Crew(*(lambda number=number: work(number) for number in range(THREADS))).join()
        assert set(outcomes) <= {200, 401, Tokens, type(None), NotSignedIn, SessionChanged}
        assert len(outcomes) == THREADS * STEPS
        until(lambda: len(spent) >= server.posts, "the last flight is told, by whoever delivers just then")
        keys = [(action.sign_in, action.generation) for action in spent]
        assert len(keys) == len(set(keys)), "a pair was spent by two flights"
        assert len(brought) <= server.posts
        assert server.reuses == 0
        tokens = session.login(**credentials).run()
        assert client.get(f"{server.url}/api/me/").status_code == 200
        assert (session.auth.status, session.auth.generation) == ("signed_in", tokens.generation)
        # Not by their number: one that nobody waits for any more may still be on its way.
        posted = [seen.body.decode() for seen in server.requests if seen.path == "/api/token/refresh/"]
        assert not any(str(tokens.refresh) in body for body in posted)
        session.close()


def test_the_last_of_twenty_logins_at_once_is_who_is_signed_in() -> None:
    """The others are told; one pair is current, and it is the last one's for the server and for every thread."""
    with TokenServer() as server:
        session = Session(simplejwt(server.url))
        barrier = threading.Barrier(THREADS)
        won: list[Tokens] = []
        lost: list[Exception] = []

        def work() -> None:
            barrier.wait(PATIENCE)
            try:
                won.append(session.login(username=server.user, password=server.password).run())
            except SessionChanged as error:
                lost.append(error)

        Crew(*[work] * THREADS).join()
        assert len(won) + len(lost) == THREADS
        last = max(tokens.generation for tokens in won)
        assert session.auth.generation == last
        assert session.replace().run().generation > last
        until(lambda: server.logins == THREADS, "the logins that were overtaken before they were sent")
        assert (server.posts, server.reuses) == (1, 0)
        session.close()
