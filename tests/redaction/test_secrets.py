"""B83: five secrets, and none of them in a repr, a log, an exception, a traceback's locals or the demo's output."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import httpx
import pytest

from rxauth import ApiCall, AuthState, BearerAuth, Request, Session, Store, Tokens, api_epic, auth_reducer, simplejwt
from rxauth.api import request
from rxauth.errors import RxAuthError
from rxauth.session import Login
from rxauth.testing import TokenServer, faults

PASSWORD, REFRESH, ACCESS, CLIENT_SECRET = "hunter2-secret", "refresh-secret", "access-secret", "client-secret"


def shown(error: BaseException) -> str:
    """All that a notebook could print of an error: its text, its causes, and the locals of every frame of ours."""
    texts: list[str] = []
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        texts += [repr(current), str(current), repr(current.args)]
        texts += [repr(value) for name, value in vars(current).items() if name != "response"]
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if frame.f_globals.get("__name__", "").startswith(("rxauth", "httpx", "httpcore")):
                texts += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
        queue += [current.__cause__, current.__context__]
    return "\n".join(texts)


def failing(server: TokenServer, fault: faults.Fault) -> tuple[Session[Any], list[str]]:
    given = server.issue(expired=True)
    server.always(fault)
    session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh), tries=1)
    return session, [given.access, given.refresh]


@pytest.mark.parametrize(
    "fault",
    [faults.refuse(), faults.unavailable(), faults.html(), faults.empty(), faults.raw(b"[1"), faults.reset_after()],
    ids=["refused", "503", "html", "empty", "no-json", "reset"],
)
def test_nothing_in_what_a_failed_refresh_shows(fault: faults.Fault, caplog: pytest.LogCaptureFixture) -> None:
    with TokenServer() as server, caplog.at_level(logging.DEBUG):
        session, secrets = failing(server, fault)
        client = httpx.Client(auth=BearerAuth(session), base_url=server.url)
        with client, pytest.raises(RxAuthError) as caught:
            client.get("/api/me/")
        text = shown(caught.value) + caplog.text + session.explain() + repr(session.auth) + repr(session)
    assert [secret for secret in secrets if secret in text] == []


def test_nothing_in_what_a_refused_call_shows(caplog: pytest.LogCaptureFixture) -> None:
    with TokenServer() as server, caplog.at_level(logging.DEBUG):
        given = server.issue()
        server.revoke_family()
        session = Session(simplejwt(server.url), tokens=Tokens(given.access, given.refresh))
        store_text: list[str] = []
        session.store.actions.subscribe(lambda action: store_text.append(repr(action)))
        client = httpx.Client(auth=BearerAuth(session), base_url=server.url)
        with client, pytest.raises(RxAuthError) as caught:
            client.get("/api/me/")
        text = shown(caught.value) + caplog.text + "".join(store_text)
    assert given.access not in text
    assert given.refresh not in text


def test_nothing_in_a_failed_login(caplog: pytest.LogCaptureFixture) -> None:
    with TokenServer() as server, caplog.at_level(logging.DEBUG):
        session: Session[Any] = Session(simplejwt(server.url))
        with pytest.raises(Exception, match="the login failed") as caught:
            session.login(username="ada", password=PASSWORD).run()
        text = shown(caught.value) + caplog.text + repr(Login({"password": PASSWORD})) + session.explain()
    assert PASSWORD not in text


def test_nothing_in_reprs_of_what_holds_them() -> None:
    from rxauth.refreshers import oauth2
    from rxauth.storage import Record

    tokens = Tokens(ACCESS, REFRESH)
    refresher = oauth2("https://a.example/token", client_id="app", client_secret=CLIENT_SECRET)
    session = Session(refresher, tokens=tokens, origins=["https://a.example"])
    holders = [tokens, Record("s", 1, tokens), session, session.auth, refresher, session.store, BearerAuth(session)]
    holders += [f"{tokens}", f"{session.auth}", Request.post("/", headers={"X": ACCESS}, json={"p": PASSWORD})]
    text = "".join(map(repr, holders))
    assert [secret for secret in (ACCESS, REFRESH, CLIENT_SECRET, PASSWORD) if secret in text] == []


def test_nothing_in_a_crashing_callable_but_its_own_frames() -> None:
    def refresh(tokens: Tokens) -> Tokens:
        return [][0]  # type: ignore[no-any-return]

    session = Session(refresh, tokens=Tokens(ACCESS, REFRESH, expires_at=1.0))
    with pytest.raises(Exception, match="IndexError") as caught:
        session.fresh().run()
    assert REFRESH not in shown(caught.value)
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__cause__.__traceback__)]  # type: ignore[union-attr]
    assert names == ["refresh"], "the fault can be found"


def test_nothing_in_failed_api_calls(caplog: pytest.LogCaptureFixture) -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Me(ApiCall[Any]):
        def request(self, state: Any) -> Request:
            return Request.get("/nowhere/")

    async def main(server: TokenServer, secrets: list[str]) -> str:
        store = Store(auth_reducer, AuthState())
        session = Session(
            simplejwt(server.url), store=store, select=lambda state: state, tokens=Tokens(secrets[0], secrets[1])
        )
        seen: list[str] = []
        store.actions.subscribe(lambda action: seen.append(repr(action)))
        async with httpx.AsyncClient(base_url=server.url) as client:
            store.add_epic(api_epic(client, session))
            with pytest.raises(Exception, match="404") as caught:
                await request(store, Me())
            server.close()
            with pytest.raises(Exception, match="no answer") as refused:
                await request(store, Me())
        return shown(caught.value) + shown(refused.value) + "".join(seen)

    with TokenServer() as server, caplog.at_level(logging.DEBUG):
        given = server.issue()
        text = asyncio.run(main(server, [given.access, given.refresh])) + caplog.text
    assert given.access not in text
    assert given.refresh not in text
