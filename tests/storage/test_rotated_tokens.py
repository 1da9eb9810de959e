"""What users of other clients reported about rotated tokens and their storage, on a real file, keyring and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.errors import SessionChanged
from rxauth.storage import Record, SharedStorage
from rxauth.testing import TokenServer
from tests.storage.kinds import Place
from tests.storage.storage_kit import until

Open = Callable[[], Any]

#: Of a session: on a machine that is busy with something else a save is not given up.
PATIENT = {"save_timeout": 30.0}


@pytest.fixture
def opened(place: Place) -> Open:
    """Opens the storage, each time as another process would."""
    return place.make


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


def test_a_write_of_the_rotated_token_that_fails_once(server: TokenServer, opened: Open) -> None:
    """B30: it is told, the write repeated before any new post, and the old token never posted again."""
    storage = opened()
    with Session(
        simplejwt(server.url), storage=storage, tokens=server.issue(expired=True).tokens, **PATIENT
    ) as session:
        save, failures = storage.save, [OSError(28, "No space left on device")]

        def fail_once(record: Record, replaces: Any = None) -> Any:
            if record.generation == 2 and failures:
                raise failures.pop()
            return save(record, replaces)

        storage.save = fail_once
        seen: list[str] = []
        session.store.select(lambda auth: auth.storage).subscribe(seen.append)
        tokens = session.fresh().run()
        until(lambda: seen[-1] == "ok" and len(seen) == 3, "the write was repeated")
        assert seen == ["ok", "failing", "ok"]
        assert stored(opened()).tokens.refresh == tokens.refresh
        session.replace().run()
    assert (server.posts, server.reuses) == (2, 0)


def test_an_answer_without_a_refresh_token(opened: Open) -> None:
    """B32: the one that is stored stays."""
    with TokenServer(rotate=False) as server:
        old = server.issue(expired=True).tokens
        with Session(simplejwt(server.url), storage=opened(), tokens=old, **PATIENT) as session:
            tokens = session.fresh().run()
        record = stored(opened())
        assert (record.generation, record.tokens.access) == (2, tokens.access)
        assert record.tokens.refresh == old.refresh


def test_a_caller_that_is_cancelled_half_way_through_the_post(opened: Open) -> None:
    """B33: the flight completes, and is stored."""

    async def cancel() -> None:
        call = asyncio.ensure_future(_ask(session))
        await asyncio.to_thread(until, lambda: server.posts == 1, "it is posted")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        cancelled.append(True)

    with (
        TokenServer() as server,
        Session(
            simplejwt(server.url), storage=opened(), tokens=server.issue(expired=True).tokens, **PATIENT
        ) as session,
    ):
        cancelled: list[bool] = []  # the answer waits until then
        server.hold("/api/token/refresh/", until=lambda: cancelled, at_most=60.0)
        asyncio.run(cancel())
        until(lambda: stored(opened()).generation == 2, "it is stored")
        assert stored(opened()).tokens.refresh == server.current_refresh
        assert (session.fresh().run().refresh, server.posts) == (server.current_refresh, 1)


def test_a_refusal_of_a_pair_whose_successor_is_stored_by_now(opened: Open) -> None:
    """B34: somebody refreshed without taking a turn; his pair is adopted, and nobody signed out."""

    class Overtaken(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            spent = stored(opened())
            answer = httpx.post(str(request.url), json={"refresh": spent.tokens.refresh}).json()
            theirs = Tokens.from_response(answer)
            assert opened().save(Record(spent.sign_in, spent.generation + 1, theirs), spent.key)
            return super().handle_request(request)

    with (
        TokenServer(reuse="reject") as server,
        Overtaken() as wire,
        Session(
            simplejwt(server.url, transport=wire),
            storage=opened(),
            tokens=server.issue(expired=True).tokens,
            **PATIENT,
        ) as session,
    ):
        tokens = session.fresh().run()
        assert tokens.refresh == server.current_refresh
        assert (session.auth.status, session.auth.storage) == ("signed_in", "ok")
        assert stored(opened()).tokens.refresh == tokens.refresh


def test_a_refusal_when_somebody_else_has_signed_in_by_now(opened: Open) -> None:
    """B34: a user switch."""

    class Switched(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            opened().save(Record("bobs", 1, Tokens("bobs-access", "bobs-refresh", 2e9)))
            return httpx.Response(401, json={"code": "token_not_valid", "detail": "Token is invalid"})

    with (
        TokenServer() as server,
        Switched() as wire,
        Session(
            simplejwt(server.url, transport=wire),
            storage=opened(),
            tokens=server.issue(expired=True).tokens,
            **PATIENT,
        ) as session,
    ):
        with pytest.raises(SessionChanged):
            session.fresh().run()
        assert session.auth.sign_in == "bobs"
        assert session.fresh().run().access == stored(opened()).tokens.access


def test_two_hours_later(server: TokenServer, opened: Open) -> None:
    """B37: a stored sign-in whose access token has expired: one refresh, no login."""
    Session(simplejwt(server.url), storage=opened(), tokens=server.issue(expired=True).tokens, **PATIENT).close()
    with (
        Session(simplejwt(server.url), storage=opened(), **PATIENT) as session,
        httpx.Client(base_url=server.url, auth=BearerAuth(session)) as client,
    ):
        assert [client.get("/api/me/").status_code for _ in range(3)] == [200] * 3
    assert (server.posts, server.logins, server.reuses) == (1, 0, 0)


def test_calls_with_a_fresh_token_touch_no_storage(server: TokenServer, opened: Open) -> None:
    storage, calls = opened(), []
    with (
        Session(simplejwt(server.url), storage=storage, tokens=server.issue().tokens, **PATIENT) as session,
        httpx.Client(base_url=server.url, auth=BearerAuth(session)) as client,
    ):
        for name in ("load", "save", "clear", "exclusive"):
            setattr(storage, name, lambda *how, name=name: calls.append(name))
        assert [client.get("/api/me/").status_code for _ in range(20)] == [200] * 20
        assert [session.fresh().run().access for _ in range(20)]
    assert calls == []


def stored(storage: SharedStorage) -> Any:
    record = storage.load()
    assert record is not None
    assert record.tokens is not None
    return record


async def _ask(session: Session[Any]) -> Any:
    return await session.fresh()
