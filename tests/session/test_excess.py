"""An API that refuses every token, and when refreshing would not help."""

from __future__ import annotations

from rxauth.errors import (
    TooManyRefreshes,
)
from tests.kit import Caller, make


def test_an_api_that_refuses_every_token_stops_the_refreshes() -> None:
    """B21: 50 calls over 30 s: 5 posts, then TooManyRefreshes."""
    time, refresher, session = make(life=300)
    errors: list[Exception] = []
    for _ in range(50):
        caller = Caller(session.replace())
        time.advance(0.55)
        if caller.error is not None:
            errors.append(caller.error)
    assert refresher.posts == 5
    assert errors
    assert all(isinstance(error, TooManyRefreshes) for error in errors)
    assert session.auth.status == "degraded"
    time.advance(31)
    assert session.replace().run().access == "access-6"


def test_refreshes_due_to_expiry_never_count_as_excess() -> None:
    time, refresher, session = make(life=2)
    refresher.life = 2
    for _ in range(100):
        time.advance(1.9)
        session.fresh().run()
    assert refresher.posts >= 80
    assert session.auth.status == "signed_in"


def test_tokens_born_stale_stop_after_five() -> None:
    time, refresher, session = make()
    refresher.life = -1
    posts = []
    for _ in range(20):
        Caller(session.fresh())
        time.advance(0.5)
        posts.append(refresher.posts)
    assert posts[-1] <= 6
    assert isinstance(session.auth.error, TooManyRefreshes)
