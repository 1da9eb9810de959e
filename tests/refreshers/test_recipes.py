"""The recipes of docs/servers.md, as they stand there, against small fakes of those servers."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from recipe_kit import PASSWORD, USER, Allauth, AppBuilder, BetterAuth, Fake, Matrix, served

from rxauth import BearerAuth, Session, SessionExpired, Tokens
from rxauth.errors import LoginFailed, RxAuthError

TEXT = (Path(__file__).parents[2] / "docs" / "servers.md").read_text()


@dataclass(frozen=True)
class Recipe:
    """Where it stands, the fake it is run against, how one signs in with it, and what its refreshes and logouts ask."""

    heading: str
    fake: Callable[[], Fake]
    sign_in: Callable[[dict[str, Any], str], Any]
    refresh: tuple[str, str]
    logout: tuple[str, str] | None
    rotates: bool

    def code(self) -> str:
        section = TEXT[TEXT.index(f"## {self.heading}\n") :]
        found = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert found is not None
        return found[1]


RECIPES = [
    Recipe(
        "Matrix",
        Matrix,
        lambda names, password: names["sign_in_to_matrix"](USER, password),
        ("POST", "/_matrix/client/v3/refresh"),
        ("POST", "/_matrix/client/v3/logout"),
        True,
    ),
    Recipe(
        "django-allauth, headless",
        Allauth,
        lambda names, password: names["session"].login(username=USER, password=password).run(),
        ("POST", "/_allauth/app/v1/tokens/refresh"),
        ("DELETE", "/_allauth/app/v1/auth/session"),
        True,
    ),
    Recipe(
        "Flask-AppBuilder, Superset",
        AppBuilder,
        lambda names, password: names["sign_in_to_superset"](USER, password),
        ("POST", "/api/v1/security/refresh"),
        None,
        False,
    ),
    Recipe(
        "better-auth",
        BetterAuth,
        lambda names, password: names["session"].login(email=f"{USER}@example.com", password=password).run(),
        ("GET", "/api/auth/token"),
        ("POST", "/api/auth/sign-out"),
        False,
    ),
]
each = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.heading.partition(",")[0])


@dataclass
class Running:
    """A recipe that has run, with its names."""

    recipe: Recipe
    fake: Any
    url: str
    names: dict[str, Any]

    @property
    def session(self) -> Session[Any]:
        return self.names["session"]  # type: ignore[no-any-return]

    def sign_in(self, password: str = PASSWORD) -> Tokens:
        return self.recipe.sign_in(self.names, password)  # type: ignore[no-any-return]

    def call(self, number: int = 1) -> list[int]:
        """The statuses of so many calls at once."""
        together = threading.Barrier(number)
        auth = self.names.get("auth") or BearerAuth(self.session)
        with httpx.Client(base_url=self.url, auth=auth, timeout=30) as client, ThreadPoolExecutor(number) as pool:

            def one(_: int) -> int:
                together.wait(60)
                return client.get(self.fake.me).status_code

            return list(pool.map(one, range(number)))

    @property
    def refreshes(self) -> int:
        return sum(asked == self.recipe.refresh for asked in self.fake.asked)


@contextmanager
def running(recipe: Recipe) -> Iterator[Running]:
    fake = recipe.fake()
    with served(fake) as url:
        names: dict[str, Any] = {}
        exec(recipe.code().replace("https://api.example.com", url), names)
        yield Running(recipe, fake, url, names)


@each
def test_its_code_is_short(recipe: Recipe) -> None:
    code = [line for line in recipe.code().splitlines() if line.strip() and "import" not in line]
    assert len(code) <= 30


@each
def test_a_login_brings_both_tokens_and_calls_are_answered(recipe: Recipe) -> None:
    with running(recipe) as run:
        pair = run.sign_in()
        assert (pair.access, pair.refresh) == (run.fake.access, run.fake.refresh)
        assert run.call() == [200]


@each
def test_twenty_calls_with_an_expired_token_are_one_refresh(recipe: Recipe) -> None:
    with running(recipe) as run:
        run.sign_in()
        before = run.refreshes
        run.fake.expire()
        assert run.call(20) == [200] * 20
        assert run.refreshes == before + 1
        assert run.session.auth.tokens is not None
        assert run.session.auth.tokens.refresh == run.fake.refresh
        run.fake.expire()
        assert run.call(2) == [200, 200], "and the next one goes on from there"


@each
def test_a_refresh_token_that_is_revoked_ends_the_sign_in(recipe: Recipe) -> None:
    with running(recipe) as run:
        run.sign_in()
        run.fake.revoke()
        with pytest.raises(SessionExpired):
            run.call()
        assert run.session.auth.status == "signed_out"
        assert run.sign_in()
        assert run.call() == [200]


@each
def test_a_wrong_password_is_a_refusal_of_the_credentials(recipe: Recipe) -> None:
    with running(recipe) as run:
        with pytest.raises(LoginFailed, match="refused the credentials") as caught:
            run.sign_in("hunter2")
        assert not caught.value.transient
        assert "hunter2" not in str(caught.value)


@each
def test_a_logout_reaches_the_server_and_is_confirmed(recipe: Recipe, caplog: pytest.LogCaptureFixture) -> None:
    with running(recipe) as run, caplog.at_level(logging.WARNING, "rxauth"):
        run.sign_in()
        run.session.logout().run()
        with pytest.raises(RxAuthError):
            run.call()
        if recipe.logout is not None:
            assert run.fake.asked[-1] == recipe.logout
            assert run.fake.access == "none is good"
    assert "did not confirm" not in caplog.text


@each
def test_what_it_says_of_rotation_is_true(recipe: Recipe) -> None:
    with running(recipe) as run:
        first = run.sign_in()
        second = run.session.replace(first).run()
        assert (first.refresh != second.refresh) is recipe.rotates
        assert getattr(run.session.refresher, "rotates", True) is recipe.rotates


def test_matrix_says_the_life_in_milliseconds_and_gives_no_refresh_token_unless_it_is_asked_for() -> None:
    with running(RECIPES[0]) as run:
        assert run.sign_in().life == 300
        user = {"type": "m.id.user", "user": USER}
        bare = run.session.login(type="m.login.password", identifier=user, password=PASSWORD).run()
        assert bare.refresh is None


def test_an_allauth_logout_that_is_not_confirmed_is_told_from_one_that_is(caplog: pytest.LogCaptureFixture) -> None:
    with running(RECIPES[1]) as run, caplog.at_level(logging.WARNING, "rxauth"):
        run.sign_in()
        run.fake.nobody = (401, {"detail": "no"})
        run.session.logout().run()
    assert "did not confirm the logout: it answered 401" in caplog.text
    assert "logout_token=" in caplog.text


def test_better_auths_check_of_the_origin_is_told_from_a_wrong_password() -> None:
    with running(RECIPES[3]) as run:
        run.session.refresher.origins = ("https://evil.example",)  # type: ignore[attr-defined]
        with pytest.raises(LoginFailed, match="protection against CSRF"):
            run.sign_in()


def test_flask_jwts_csrf_claim_goes_along_in_a_header() -> None:
    """The second snippet of its section."""
    import jwt

    section = TEXT[TEXT.index("## Flask-JWT-Extended\n") :]
    code = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[:2]
    names: dict[str, Any] = {}
    for part in code:
        exec(part, names)
    refresh = jwt.encode({"csrf": "c-53cret"}, "k" * 32, algorithm="HS256")
    assert names["csrf"](Tokens("a", refresh)) == {"X-CSRF-TOKEN": "c-53cret"}
    assert names["csrf"](None) == {}
    assert names["refresher"]
