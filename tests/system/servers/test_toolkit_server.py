"""What is special about django-oauth-toolkit: opaque tokens, 403 without a body, reuse protection, a grace period."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rxauth import Tokens
from rxauth.errors import RefreshMisconfigured, RefreshUnavailable, SessionExpired, TooManyRefreshes
from tests.system.servers.server_kinds import Counts, Toolkit
from tests.system.servers.server_kit import PASSWORD, TLS, USER, in_threads, on_a_loop, post

SERVICE = {"client_id": "service", "client_secret": "s3cret", "credentials": {}}


@pytest.fixture
def configure(toolkit: Toolkit) -> Iterator[Callable[..., None]]:
    """Set options of the server for one test."""
    undo: list[dict[str, Any]] = []

    def change(**options: Any) -> None:
        undo.append(toolkit.obey("configure", **options))

    yield change
    for before in reversed(undo):
        toolkit.obey("configure", **before)


class Lossy(httpx.HTTPTransport):
    """Loses the server's first answer, which it has given by then."""

    lost = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if not self.lost:
            self.lost = True
            response.read()
            response.close()
            raise httpx.ReadError("connection reset")
        return response


def not_for_want_of_a_permission(response: Any) -> bool:
    """The toolkit's own refusal has no body; Django's page for a permission that is missing has one."""
    return response.status_code == 401 or (response.status_code == 403 and not response.content)


def test_its_own_view_refuses_with_a_403_that_says_nothing(toolkit: Toolkit) -> None:
    """And so, without `refused=`, the call gets that 403 and no refresh."""
    stale = toolkit.stale(known=False)
    answer = httpx.get(toolkit.me, verify=TLS, headers={"Authorization": f"Bearer {stale.access}"})
    assert (answer.status_code, answer.content, answer.headers["content-type"][:9]) == (403, b"", "text/html")
    assert "www-authenticate" not in answer.headers
    with toolkit.session(stale) as session:
        assert in_threads(toolkit, session, refused=401) == [403]
        assert toolkit.counts() == Counts(logins=1)
        assert in_threads(toolkit, session, refused=not_for_want_of_a_permission) == [200]
    assert toolkit.counts() == Counts(refreshes=1, logins=1)


def test_a_permission_that_is_missing_is_told_apart_by_the_body(toolkit: Toolkit) -> None:
    admin = f"{toolkit.url}/api/admin/"
    with toolkit.session(toolkit.log_in()) as session:
        toolkit.reset()
        assert in_threads(toolkit, session, 3, url=admin, refused=not_for_want_of_a_permission) == [403] * 3
        assert toolkit.counts() == Counts()
        assert in_threads(toolkit, session, url=admin, refused=(401, 403)) == [403]
        assert toolkit.counts() == Counts(refreshes=1)


def test_a_scope_that_is_missing_looks_like_an_expired_token_and_brings_too_many_refreshes(toolkit: Toolkit) -> None:
    write = f"{toolkit.url}/api/write/"
    with toolkit.session(toolkit.log_in()) as session:
        toolkit.reset()
        for _ in range(5):
            assert in_threads(toolkit, session, url=write, refused=not_for_want_of_a_permission) == [403]
        [error] = in_threads(toolkit, session, url=write, refused=not_for_want_of_a_permission)
        assert isinstance(error, TooManyRefreshes)
        assert in_threads(toolkit, session) == [200]  # the others go on with the token that they have
    assert toolkit.counts() == Counts(refreshes=5)


def test_its_metadata_views_answer_401_for_the_token_and_403_for_the_scope_and_need_no_keyword(
    toolkit: Toolkit,
) -> None:
    metadata = f"{toolkit.url}/api/metadata/"
    with toolkit.session(toolkit.stale(known=False), options={"scope": "read"}) as session:
        toolkit.reset()
        assert in_threads(toolkit, session, url=metadata, refused=401) == [403]
        assert in_threads(toolkit, session, url=metadata, refused=401) == [403]
    assert toolkit.seen("/api/metadata/") == {401: 1, 403: 2}
    assert toolkit.counts() == Counts(refreshes=1)


def test_the_views_of_django_rest_framework_answer_401_and_need_no_keyword(toolkit: Toolkit) -> None:
    with toolkit.session(toolkit.stale(known=False)) as session:
        toolkit.reset()
        assert on_a_loop(toolkit, session, 5, url=f"{toolkit.url}/rest/me/", refused=401) == [200] * 5
    assert toolkit.counts() == Counts(refreshes=1)


def test_an_opaque_token_without_an_expiry_is_used_until_the_api_refuses_it(toolkit: Toolkit) -> None:
    pair = toolkit.log_in()
    with toolkit.session(Tokens(pair.access, pair.refresh)) as session:
        toolkit.reset()
        assert session.auth.tokens.remaining(session.runtime.now()) is None
        assert in_threads(toolkit, session) == [200]
        assert toolkit.counts() == Counts()
        toolkit.expired(pair.access)
        assert in_threads(toolkit, session, 5) == [200] * 5
        assert 3500 < session.auth.tokens.remaining(session.runtime.now()) <= 3600
    assert toolkit.counts() == Counts(refreshes=1)


@pytest.mark.parametrize("protected", [True, False])
def test_a_spent_token_that_comes_back_ends_the_session_where_reuse_is_protected(
    toolkit: Toolkit, configure: Callable[..., None], protected: bool
) -> None:
    configure(REFRESH_TOKEN_REUSE_PROTECTION=protected)
    with toolkit.session() as session:
        first = session.login(username=USER, password=PASSWORD).run()
        session.replace().run()
        assert toolkit.refresh(first.refresh or "").status_code == 400
        [outcome] = in_threads(toolkit, session)
        assert isinstance(outcome, SessionExpired) if protected else outcome == 200


@pytest.mark.parametrize("grace", [0, 60])
def test_an_answer_that_was_lost_is_made_up_for_within_the_grace_period_only(
    toolkit: Toolkit, configure: Callable[..., None], grace: int
) -> None:
    configure(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=grace)
    stale = toolkit.stale(known=True)
    toolkit.reset()
    with (
        Lossy(verify=False) as transport,
        toolkit.session(stale, options={"transport": transport}, cool_down=0) as session,
    ):
        [first] = in_threads(toolkit, session)
        assert isinstance(first, RefreshUnavailable)
        assert (session.auth.status, toolkit.counts()) == ("degraded", Counts(refreshes=1))
        [second] = in_threads(toolkit, session)
        if grace:
            assert second == 200
            assert session.replace().run().refresh != stale.refresh
        else:
            assert isinstance(second, SessionExpired)
            assert second.cause == "answer lost"


def test_within_the_grace_period_two_clients_with_one_pair_live_on(
    toolkit: Toolkit, configure: Callable[..., None]
) -> None:
    configure(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=60)
    stale = toolkit.stale(known=True)
    with toolkit.session(stale) as ours, toolkit.session(stale) as theirs:
        assert in_threads(toolkit, ours, 10) == in_threads(toolkit, theirs, 10) == [200] * 10
        assert ours.auth.tokens.access == theirs.auth.tokens.access
    assert toolkit.counts() == Counts(refreshes=2, logins=1)


def test_its_revocation_of_an_access_token_ends_the_refresh_token_as_well(toolkit: Toolkit) -> None:
    with toolkit.session() as session:
        pair = session.login(username=USER, password=PASSWORD).run()
        form = {"token": pair.access, "token_type_hint": "access_token", "client_id": "app"}
        assert post(toolkit.url + toolkit.revoke_path, data=form).status_code == 200
        [error] = in_threads(toolkit, session)
        assert isinstance(error, SessionExpired)
        assert error.response.status_code == 403


def test_client_credentials_are_repeated_once_for_twenty_calls(toolkit: Toolkit) -> None:
    with toolkit.session(options=SERVICE) as session:
        toolkit.expired(session.login().run().access)
        assert in_threads(toolkit, session, 20) == [200] * 20
    assert toolkit.seen("/o/token/", "client_credentials") == {200: 2}


@pytest.mark.parametrize("how", ["basic", "body"])
def test_a_client_with_a_secret_refreshes_and_with_a_wrong_one_signs_nobody_out(toolkit: Toolkit, how: Any) -> None:
    right = {"client_id": "web", "client_secret": "s3cret", "client_auth": how}
    with toolkit.session(options=right) as session:
        session.login(username=USER, password=PASSWORD).run()
        pair = session.replace().run()
    stale = Tokens(pair.access, pair.refresh, expires_at=1.0)
    with toolkit.session(stale, options={**right, "client_secret": "wrong"}) as session:
        [error] = in_threads(toolkit, session)
        assert isinstance(error, RefreshMisconfigured)
        assert session.auth.sign_in
    with toolkit.session(stale, options=right) as session:
        assert in_threads(toolkit, session) == [200]
        session.logout().run()
        assert toolkit.refresh(pair.refresh or "").status_code == 400


def test_the_life_of_an_opaque_token_is_what_the_answer_says(toolkit: Toolkit) -> None:
    toolkit.live(120)
    try:
        with toolkit.session() as session:
            pair = session.login(username=USER, password=PASSWORD).run()
    finally:
        toolkit.live(3600)
    assert pair.life == 120
    assert pair.expires_at is not None
    assert 110 < pair.expires_at - time.time() <= 120
