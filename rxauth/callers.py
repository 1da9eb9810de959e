"""What may stand between a caller and the flight that he waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxauth.errors import RxAuthError
from rxauth.flight import Flight, Leave, Loop, Settle
from rxauth.tokens import Tokens


class AfterLogin:
    """A call that waits for somebody else's login to end, and then asks again."""

    def __init__(self, login: Flight[Tokens], loop: Loop | None, again: Callable[[], Leave]) -> None:
        self._again = again
        self._left = False
        self._leave = login.join(self._ask, loop)

    def _ask(self, tokens: Tokens | None, error: Exception | None) -> None:
        if not self._left:
            self._leave = self._again()

    def leave(self) -> None:
        self._left = True
        self._leave()


def with_response(settle: Settle[Tokens], response: Any) -> Settle[Tokens]:
    """`settle`, whose errors carry the refusal that the caller came with."""

    def settle_with_response(tokens: Tokens | None, error: Exception | None) -> None:
        if isinstance(error, RxAuthError):
            error.response = response
        settle(tokens, error)

    return settle_with_response
