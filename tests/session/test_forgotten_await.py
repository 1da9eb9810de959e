"""A `Single` that is taken for its value says what was forgotten, instead of hanging."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from reactivex import operators as ops

from rxauth import Session, Tokens
from rxauth.concurrency import Single
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher

HINT = r"not awaited: `await` it or `\.run\(\)`"


def session(**options: Any) -> Session:
    time = VirtualTime()
    return Session(FakeRefresher(time), tokens=Tokens("a", "r"), time=time, **options)


SINGLES: dict[str, Callable[[Session], Single[Any]]] = {
    "fresh": lambda session: session.fresh(),
    "replace": lambda session: session.replace(),
    "login": lambda session: session.login(username="ada"),
    "sign_in": lambda session: session.sign_in(Tokens("b", "s")),
    "logout": lambda session: session.logout(),
}

MISTAKES: dict[str, Callable[[Any], Any]] = {
    "index": lambda single: single[0],
    "key": lambda single: single["access"],
    "slice": lambda single: single[:1],
    "list": list,
    "tuple": tuple,
    "for": lambda single: next(value for value in single),
    "unpacked": lambda single: (lambda access, refresh: access)(*single),
    "in": lambda single: "a" in single,
}


@pytest.mark.parametrize("way", SINGLES)
def test_its_repr_says_that_it_is_not_awaited(way: str) -> None:
    single = SINGLES[way](session())
    for shown in (repr(single), str(single), f"Bearer {single}"):
        assert "not awaited: `await` it or `.run()`" in shown


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("way", SINGLES)
def test_it_is_neither_indexed_nor_iterated(way: str, mistake: str) -> None:
    with pytest.raises(TypeError, match=HINT):
        MISTAKES[mistake](SINGLES[way](session()))


def test_an_attribute_of_the_value_is_an_attribute_error_that_says_so() -> None:
    single: Any = session().fresh()
    with pytest.raises(AttributeError, match=rf"'Single' object has no attribute 'access'; it is {HINT}") as caught:
        single.access  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("access", single)
    assert not hasattr(single, "access")
    assert getattr(single, "refresh", None) is None


def test_what_takes_an_observable_or_an_iterable_takes_it_for_an_observable() -> None:
    one = session()
    assert not isinstance(one.fresh(), Iterable)
    assert one.fresh().pipe(ops.sequence_equal(one.fresh())).run() is True


def test_it_is_awaited_piped_run_and_copied_as_before() -> None:
    one = session()

    async def awaited() -> list[Any]:
        piped = await one.fresh().pipe(ops.map(lambda tokens: tokens.access))
        return [await one.fresh(), piped, *await asyncio.gather(one.fresh(), asyncio.wait_for(one.fresh(), 5))]

    tokens = one.fresh().run()
    assert asyncio.run(awaited()) == [tokens, "a", tokens, tokens]
    assert copy.copy(one.fresh()).run() == tokens


def test_credentials_by_position_are_told_the_keywords() -> None:
    class Mine(FakeRefresher):
        def login(self, *, email: str, pin: str = "", **more: Any) -> Any:
            return super().login(email=email)

    time = VirtualTime()
    server = Mine(time)
    for one, keywords in (
        (Session(FakeRefresher(time), time=time), r"session\.login\(username=\.\.\., password=\.\.\.\)"),
        (Session(server, time=time), r"session\.login\(email=\.\.\., pin=\.\.\.\)"),
    ):
        for positional in (("ada", "lovelace"), ({"username": "ada", "password": "lovelace"},)):
            with pytest.raises(TypeError, match=rf"^the credentials are keywords: {keywords}$") as caught:
                one.login(*positional)  # type: ignore[arg-type]
            assert "lovelace" not in str(caught.value)
        assert one.auth.status == "signed_out"
    assert server.logins == []


def test_a_login_without_a_signature_still_gets_the_hint() -> None:
    class Mine(FakeRefresher):
        login = property(lambda self: type)  # type: ignore[assignment]

    time = VirtualTime()
    with pytest.raises(TypeError, match=r"session\.login\("):
        Session(Mine(time), time=time).login("ada")  # type: ignore[arg-type]
