"""Which answers refuse an access token, by their status, their challenges or a function of the user's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection
from typing import Any

#: Which answers mean that the access token was refused: a status, several, or a function of a 4xx response, read.
Refused = int | Collection[int] | Callable[[Any], bool]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
#: In a challenge (RFC 9110 section 11.6.1) a parameter, or the scheme, which has no value. Quoted text is skipped as a
#: whole, and what has matched is kept, so that a long header costs no more than its length.
_PARAMETER = re.compile(rf'({_TOKEN})(?:[ \t]*+=[ \t]*+("(?:\\.|[^"\\])*+"|{_TOKEN}))?')

#: The token is good, but its user has to sign in more strongly (RFC 9470 section 3).
STEP_UP = "insufficient_user_authentication"
#: The token is good, but not for this (RFC 6750 section 3.1).
SCOPE = "insufficient_scope"


class Refusals:
    """Decides which answers refuse the token. `by` is the user's function, None where the status decides."""

    def __init__(self, refused: Refused) -> None:
        if inspect.iscoroutinefunction(refused):
            raise TypeError("refused must be a sync function: an async one would refuse every 4xx response")
        self.by = refused if callable(refused) else None
        self._statuses = () if callable(refused) else _statuses(refused)
        self._not_plain = {401, *self._statuses}

    def is_plain(self, response: Any) -> bool:
        """Is this an answer to pass on without another look?"""
        status: int = response.status_code
        return status not in self._not_plain if self.by is None else not 400 <= status < 500

    def may_hold(self, response: Any) -> bool:
        """Is this a refusal, as far as it can be told before its body is read?"""
        status: int = response.status_code
        if self.by is not None:
            return 400 <= status < 500
        return status in self._statuses and not asks_for_more(response)

    def hold(self, response: Any) -> bool:
        """Is this a refusal, now that its body is read?"""
        return self.by is None or self.by(response)


def asks_for_more(response: Any) -> bool:
    """Does this answer accept the token, but ask for another sign-in or scope, which no refresh brings?

    A 401 with `insufficient_scope` does not: by RFC 6750 that comes with a 403.
    """
    if response.status_code not in (401, 403):
        return False
    errors = {error for text in response.headers.get_list("www-authenticate") for error in _errors(text)}
    return bool(errors) and errors <= ({STEP_UP} if response.status_code == 401 else {STEP_UP, SCOPE})


def _errors(text: str) -> list[str]:
    """The `error` parameters of all challenges in a header's value, in lower case."""
    return [
        re.sub(r"\\(.)", r"\1", value).strip('"').lower()
        for name, value in _PARAMETER.findall(text)
        if value and name.lower() == "error"
    ]


def _statuses(refused: Any) -> tuple[int, ...]:
    statuses = (refused,) if isinstance(refused, int) else refused
    if isinstance(statuses, str | bytes) or not isinstance(statuses, Collection):
        statuses = (None,)
    if not all(type(status) is int for status in statuses):
        raise TypeError(f"refused must be a status such as 401, several, or a function of a response; got {refused!r}")
    return tuple(statuses)
