"""A logout ends, whatever goes wrong on the way out."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.storage import MemoryStorage
from rxauth.testing import VirtualTime


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_logout_ends_whatever_the_refreshers_logout_raises(
    error: type[BaseException], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Refresher:
        def __call__(self, tokens: Tokens) -> Tokens:
            return tokens

        def logout(self, tokens: Tokens) -> Any:
            if kind == "async":
                return self._later()
            raise error

        async def _later(self) -> None:
            raise error

    time = VirtualTime()
    session = Session(Refresher(), tokens=Tokens("old", "r"), time=time)
    ended: list[None] = []
    session.logout().subscribe(ended.append)
    time.advance(1)
    assert ended == [None]
    assert f"did not confirm the logout: {error.__name__}" in caplog.text


def test_a_logout_ends_whatever_the_storage_raises() -> None:
    class Broken(MemoryStorage):
        def clear(self, sign_in: str) -> None:
            raise SystemExit

    time = VirtualTime()
    session = Session(lambda tokens: tokens, tokens=Tokens("old", "r"), storage=Broken(), time=time)
    ended: list[None] = []
    session.logout().subscribe(ended.append)
    with contextlib.suppress(SystemExit):
        time.advance(60)
    assert ended == [None]
