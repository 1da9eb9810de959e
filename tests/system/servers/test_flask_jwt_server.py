"""What is special about Flask-JWT-Extended: 422, fresh tokens, no rotation by default, cookies, its way to log out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rxauth import Session, Tokens, simplejwt
from rxauth.errors import RefreshMisconfigured, RefreshUnavailable, RxAuthError, SessionExpired
from tests.system.servers.server_kinds import Counts, FlaskJWT
from tests.system.servers.server_kit import PASSWORD, USER, in_threads


@pytest.fixture
def other_key(flask_jwt: FlaskJWT) -> Iterator[Tokens]:
    """The pair of a user who was signed in when the server got a new key, the client believes it to be fresh."""
    pair = flask_jwt.log_in()
    before = flask_jwt.obey("configure", JWT_SECRET_KEY="another key" * 6)
    yield pair
    flask_jwt.obey("configure", **before)


@pytest.fixture
def deleted_user(flask_jwt: FlaskJWT) -> Iterator[Tokens]:
    """The stale pair of a user who is gone."""
    pair = flask_jwt.stale(known=True)
    flask_jwt.obey("forget", user=USER)
    yield pair
    flask_jwt.obey("remember", user=USER, password=PASSWORD)


def error_of(session: Session[Any]) -> RxAuthError:
    with pytest.raises(RxAuthError) as raised:
        session.fresh().run()
    return raised.value


def test_a_malformed_token_is_answered_422_and_costs_no_refresh(flask_jwt: FlaskJWT) -> None:
    with flask_jwt.session(Tokens("not.a.token", flask_jwt.log_in().refresh)) as session:
        flask_jwt.reset()
        assert in_threads(flask_jwt, session) == [422]
    assert flask_jwt.counts() == Counts()


def test_a_refresh_token_of_another_key_is_misconfiguration_unless_422_is_final(
    flask_jwt: FlaskJWT, other_key: Tokens
) -> None:
    stale = Tokens(other_key.access, other_key.refresh, expires_at=1.0)
    with flask_jwt.session(stale) as session:
        error = error_of(session)
        assert isinstance(error, RefreshMisconfigured)
        assert error.status_code == 422
        assert session.auth.sign_in
    with flask_jwt.session(stale, options={"final": [422]}) as session:
        assert isinstance(error_of(session), SessionExpired)


def test_after_a_change_of_key_users_sign_in_again_when_422_means_refused(
    flask_jwt: FlaskJWT, other_key: Tokens
) -> None:
    with flask_jwt.session(other_key, options={"final": [401, 422]}) as session:
        assert in_threads(flask_jwt, session) == [422]
        flask_jwt.reset()
        [error] = in_threads(flask_jwt, session, refused=(401, 422))
        assert isinstance(error, SessionExpired)
        assert error.response.status_code == 422
        assert flask_jwt.counts() == Counts(refused_refreshes=1)
        session.login(username=USER, password=PASSWORD).run()
        assert in_threads(flask_jwt, session, refused=(401, 422)) == [200]


def test_a_deleted_user_stays_signed_in_unless_401_is_final(flask_jwt: FlaskJWT, deleted_user: Tokens) -> None:
    """The server says "Error loading the user", which names no token."""
    with flask_jwt.session(deleted_user) as session:
        error = error_of(session)
        assert isinstance(error, RefreshUnavailable)
        assert "final=[401]" in str(error)
        assert session.auth.sign_in
    with flask_jwt.session(deleted_user, options={"final": [401, 422]}) as session:
        assert isinstance(error_of(session), SessionExpired)


def test_an_answer_without_a_refresh_token_leaves_the_one_we_have_in_use(flask_jwt: FlaskJWT) -> None:
    """As in the documentation of Flask-JWT-Extended, which does not rotate."""
    stale = flask_jwt.stale(known=True)
    with flask_jwt.session(stale, options={"refresh_path": "/refresh/access"}) as session:
        first, second = session.fresh().run(), session.replace().run()
        assert first.access != second.access
        assert first.refresh == second.refresh == stale.refresh
        assert in_threads(flask_jwt, session) == [200]
    assert flask_jwt.seen("/refresh/access") == {200: 2}


def test_a_view_for_fresh_tokens_only_is_told_apart_by_a_function(flask_jwt: FlaskJWT) -> None:
    """A refresh brings a token that is not fresh in the server's sense, so that another one would not help."""
    only_fresh = f"{flask_jwt.url}/api/fresh/"
    with flask_jwt.session() as session:
        session.login(username=USER, password=PASSWORD).run()
        assert in_threads(flask_jwt, session, url=only_fresh) == [200]
        session.replace().run()
        flask_jwt.reset()

        def refused(response: Any) -> bool:
            return response.status_code == 401 and b"Fresh token required" not in response.content

        assert in_threads(flask_jwt, session, 3, url=only_fresh, refused=refused) == [401] * 3
        assert flask_jwt.counts() == Counts()
        assert in_threads(flask_jwt, session, 1, url=only_fresh) == [401]
        assert flask_jwt.counts() == Counts(refreshes=1)


def test_json_instead_of_the_header_is_a_missing_header_to_the_server(flask_jwt: FlaskJWT) -> None:
    with flask_jwt.session(flask_jwt.stale(known=True), options={"send": "json"}) as session:
        flask_jwt.reset()
        error = error_of(session)
        assert isinstance(error, RefreshUnavailable)
        assert session.auth.sign_in
    assert flask_jwt.counts() == Counts(refused_refreshes=1)


def test_its_documented_logout_is_a_delete_which_is_logged_as_not_confirmed(
    flask_jwt: FlaskJWT, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"logout_path": "/documented/logout"}
    with flask_jwt.session(options=options) as session, caplog.at_level(logging.WARNING, "rxauth"):
        pair = session.login(username=USER, password=PASSWORD).run()
        session.logout().run()
    assert "did not confirm the logout: it answered 405" in caplog.text
    assert flask_jwt.refresh(pair.refresh or "").status_code == 200


def test_the_refresh_token_may_travel_in_its_cookie(flask_jwt: FlaskJWT) -> None:
    refresher = simplejwt(
        flask_jwt.url,
        login_path="/cookie/login",
        refresh_path="/cookie/refresh",
        send="cookie",
        refresh_field="refresh_token_cookie",
    )
    with Session(refresher) as session:
        pairs = [session.login(username=USER).run(), session.replace().run(), session.replace().run()]
        assert len({pair.refresh for pair in pairs}) == 3
        assert in_threads(flask_jwt, session, 2) == [200, 200]
    assert flask_jwt.seen("/cookie/refresh") == {200: 2}


def test_a_cookie_that_wants_a_csrf_token_is_no_end_of_the_session(flask_jwt: FlaskJWT) -> None:
    """The double submit of a browser's page is not for us; the server's refusal does not speak of the user."""
    refresher = simplejwt(
        flask_jwt.url, refresh_path="/cookie/refresh", send="cookie", refresh_field="refresh_token_cookie"
    )
    stale = flask_jwt.stale(known=True)
    before = flask_jwt.obey("configure", JWT_COOKIE_CSRF_PROTECT=True)
    try:
        with Session(refresher, tokens=stale) as session:
            assert isinstance(error_of(session), RefreshUnavailable)
            assert session.auth.sign_in
    finally:
        flask_jwt.obey("configure", **before)
    assert flask_jwt.seen("/cookie/refresh") == {401: 1}


def test_the_life_of_its_tokens_is_read_from_the_token(flask_jwt: FlaskJWT) -> None:
    """There is no `expires_in` in the answer."""
    with flask_jwt.session() as session:
        pair = session.login(username=USER, password=PASSWORD).run()
        assert pair.life == 3600
        assert pair.refresh_expires_at is not None
        assert 29 < (pair.refresh_expires_at - time.time()) / 86400 <= 30
