"""What is noted on a request of httpx or httpx2, in its `extensions`: who began it, and with which tokens it went."""

from __future__ import annotations

from typing import Any

from rxauth.concurrency.runtime import Instant
from rxauth.session.state import AuthState
from rxauth.session.trace import next_caller
from rxauth.tokens.pair import Tokens

#: The key of ours in the `extensions` of httpx's requests and responses.
EXTENSION = "rxauth"


class Began:
    """Marks a request with the sign-in under which its call began, the tokens that it has waited for, and its number
    in recordings."""

    __slots__ = ("caller", "sign_in", "tokens")

    def __init__(self, sign_in: str, tokens: Tokens | None, caller: int) -> None:
        self.sign_in, self.tokens, self.caller = sign_in, tokens, caller

    def has_still(self, auth: AuthState, now: Instant) -> bool:
        """May these tokens be used without asking again? They are the current ones, and live, or arrived stale."""
        tokens = self.tokens
        if tokens is None or tokens.generation != auth.generation or auth.refused:
            return False
        remaining = tokens.remaining(now)
        return remaining is None or remaining > 0 or tokens.life == 0


def caller_of(request: Any) -> int:
    """The number under which a request is recorded: that of its `ApiCall`, or one of its own."""
    began = request.extensions.get(EXTENSION)
    return began.caller if type(began) is Began else next_caller()
