"""Twenty real threads on a barrier, in every way that blocks (behaviours, B03)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2
import pytest

from rxauth import BearerAuth, Request, Session, Tokens, api_epic, call, request, simplejwt
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.testing import TokenServer

THREADS = 20
GET = "/api/me/"

#: Makes one call, in whatever thread it is called, and brings the status.
Send = Callable[[], int]


@contextmanager
def through_httpx(session: Session[Any], url: str) -> Iterator[Send]:
    with httpx.Client(timeout=60, base_url=url, auth=BearerAuth(session)) as client:
        yield lambda: client.get(GET).status_code


@contextmanager
def through_httpx2(session: Session[Any], url: str) -> Iterator[Send]:
    with httpx2.Client(base_url=url, auth=BearerAuth2(session)) as client:
        yield lambda: int(client.get(GET).status_code)


@contextmanager
def through_a_client_each(session: Session[Any], url: str) -> Iterator[Send]:
    def send() -> int:
        with httpx.Client(timeout=60, base_url=url, auth=BearerAuth(session), verify=False) as client:
            return client.get(GET).status_code

    yield send


@contextmanager
def through_the_epic(session: Session[Any], url: str) -> Iterator[Send]:
    with httpx.Client(timeout=60, base_url=url) as client:
        session.store.add_epic(api_epic(client, session))

        def send() -> int:
            assert request(session.store, call(Request.get(GET))).run() == {"user": "ada"}
            return 200

        yield send


@contextmanager
def by_hand(session: Session[Any], url: str) -> Iterator[Send]:
    with httpx.Client(timeout=60, base_url=url) as client:

        def get(tokens: Tokens) -> int:
            return client.get(GET, headers={"Authorization": f"Bearer {tokens.access}"}).status_code

        def send() -> int:
            tokens = session.fresh().run()
            status = get(tokens)
            return get(session.replace(tokens).run()) if status == 401 else status

        yield send


@contextmanager
def through_a_gated_function(session: Session[Any], url: str) -> Iterator[Send]:
    with httpx.Client(timeout=60, base_url=url) as client:

        def get(tokens: Tokens) -> int:
            return client.get(GET, headers={"Authorization": f"Bearer {tokens.access}"}).status_code

        def send() -> int:
            tokens = session.store.dispatch(session.gated(lambda dispatch, get_state: get_state().tokens)).run()
            status = get(tokens)
            return get(session.replace(tokens).run()) if status == 401 else status

        yield send


WAYS = (through_httpx, through_httpx2, through_a_client_each, through_the_epic, by_hand, through_a_gated_function)


@pytest.mark.parametrize("trouble", ["expired", "refused"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_twenty_threads_that_begin_together_refresh_once(way: Any, trouble: str) -> None:
    """B03"""
    with TokenServer(token_latency=0.05) as server:
        pair = server.issue(expired=trouble == "expired")
        if trouble == "refused":
            server.revoke_access()
        session = Session(simplejwt(server.url), tokens=Tokens(pair.access, pair.refresh))
        barrier = threading.Barrier(THREADS)
        statuses: list[int] = []
        with way(session, server.url) as send:

            def run() -> None:
                barrier.wait(60)
                statuses.append(send())

            threads = [threading.Thread(target=run, daemon=True) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        session.close()
        assert statuses == [200] * THREADS
        assert (server.posts, server.reuses) == (1, 0)
