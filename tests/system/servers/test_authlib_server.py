"""What is special about Authlib's server side: clients and their secrets, grants, scopes, a family that ends."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.errors import LoginFailed, RefreshMisconfigured, SessionExpired
from tests.system.servers.server_kinds import Authlib, Counts
from tests.system.servers.server_kit import PASSWORD, USER, in_threads, on_a_loop

SERVICE = {"client_id": "service", "client_secret": "s3cret", "credentials": {}}
SERVICE_AT = ("/oauth/token", "client_credentials")


@pytest.fixture
def deleted_user(authlib: Authlib) -> Iterator[Tokens]:
    pair = authlib.stale(known=True)
    authlib.obey("forget", user=USER)
    yield pair
    authlib.obey("remember", user=USER, password=PASSWORD)


def expire(authlib: Authlib, session: Session[Any]) -> None:
    """Put the session into the state in which its token's time is over, here and at the server."""
    tokens = session.auth.tokens
    assert tokens is not None
    session.sign_in(Tokens(authlib.expired(tokens.access), tokens.refresh)).run()


@pytest.mark.parametrize("calls", [in_threads, on_a_loop])
def test_client_credentials_are_repeated_once_for_twenty_calls(authlib: Authlib, calls: Any) -> None:
    with authlib.session(options=SERVICE) as session:
        pair = session.login().run()
        assert pair.refresh is None
        assert calls(authlib, session) == [200]
        expire(authlib, session)
        assert calls(authlib, session, 20) == [200] * 20
        assert session.auth.tokens.claims["sub"] == "service"
    assert authlib.seen(*SERVICE_AT) == {200: 2}
    assert authlib.refused_calls() == 0


def test_client_credentials_are_repeated_after_a_revocation(authlib: Authlib) -> None:
    with authlib.session(options=SERVICE) as session:
        authlib.obey("revoke", token=session.login().run().access)
        assert in_threads(authlib, session, 20) == [200] * 20
    assert authlib.seen(*SERVICE_AT) == {200: 2}


def test_without_credentials_a_client_signs_in_but_not_by_itself_again(authlib: Authlib) -> None:
    with authlib.session(options={**SERVICE, "credentials": None}) as session:
        session.login().run()
        expire(authlib, session)
        [error] = in_threads(authlib, session)
        assert isinstance(error, SessionExpired)
        assert error.cause == "no refresh token"
    assert authlib.seen(*SERVICE_AT) == {200: 1}


@pytest.mark.parametrize(("client", "how"), [("web", "basic"), ("mobile", "body")])
def test_a_client_with_a_secret_logs_in_refreshes_and_revokes(authlib: Authlib, client: str, how: Any) -> None:
    options = {"client_id": client, "client_secret": "s3cret", "client_auth": how}
    with authlib.session(options=options) as session:
        first = session.login(username=USER, password=PASSWORD).run()
        assert first.scope == "read"
        second = session.replace().run()
        session.logout().run()
        assert authlib.status(second.access) == 401
    assert authlib.counts() == Counts(refreshes=1, logins=1)
    assert authlib.seen("/oauth/revoke") == {200: 1}


def test_a_wrong_secret_is_the_developers_matter_and_signs_nobody_out(authlib: Authlib) -> None:
    right = {"client_id": "web", "client_secret": "s3cret"}
    with authlib.session(options=right) as session:
        pair = session.login(username=USER, password=PASSWORD).run()
    stale = Tokens(pair.access, pair.refresh, expires_at=1.0)
    authlib.reset()
    with authlib.session(stale, options={**right, "client_secret": "wrong"}) as session:
        outcomes = in_threads(authlib, session, 3) + in_threads(authlib, session)
        assert [type(outcome) for outcome in outcomes] == [RefreshMisconfigured] * 4
        assert session.auth.sign_in
    assert authlib.counts() == Counts(refused_refreshes=1)
    with authlib.session(stale, options=right) as session:
        assert in_threads(authlib, session) == [200]


def test_the_code_grant_with_pkce_signs_in(authlib: Authlib) -> None:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    sent = {
        "code": authlib.obey("authorize", user=USER, challenge=challenge),
        "redirect_uri": "https://app.example.com/back",
    }
    with authlib.session() as session:
        with pytest.raises(LoginFailed):
            session.login(**sent, code_verifier=secrets.token_urlsafe(48)).run()
        session.login(**sent, code_verifier=verifier).run()
        session.replace().run()
        assert in_threads(authlib, session) == [200]
    assert authlib.seen("/oauth/token", "authorization_code") == {400: 1, 200: 1}


def test_a_scope_that_is_missing_is_403_and_costs_no_refresh(authlib: Authlib) -> None:
    with authlib.session(options={"scope": "write"}) as session:
        session.login(username=USER, password=PASSWORD).run()
        assert in_threads(authlib, session, url=f"{authlib.url}/api/reports/") == [403]
    assert authlib.counts() == Counts(logins=1)


def test_when_a_spent_token_comes_back_the_server_ends_the_family_and_the_session_says_so(authlib: Authlib) -> None:
    """Somebody stole the first refresh token, and uses it after we did."""
    with authlib.session() as session:
        first = session.login(username=USER, password=PASSWORD).run()
        session.replace().run()
        assert in_threads(authlib, session) == [200]
        assert authlib.refresh(first.refresh or "").status_code == 400
        [error] = in_threads(authlib, session)
        assert isinstance(error, SessionExpired)
        assert error.response.status_code == 401


def test_a_deleted_user_is_an_invalid_request_to_it_which_ends_no_session_unless_told_to(
    authlib: Authlib, deleted_user: Tokens
) -> None:
    with authlib.session(deleted_user) as session:
        [error] = in_threads(authlib, session)
        assert isinstance(error, RefreshMisconfigured)
        assert session.auth.sign_in
    told = {"final": lambda response: b"no 'user'" in response.content}
    with authlib.session(deleted_user, options=told) as session:
        [error] = in_threads(authlib, session)
        assert isinstance(error, SessionExpired)
