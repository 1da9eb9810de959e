"""What a session needs of that which fetches tokens."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from rxauth.concurrency.runtime import Instant, current_runtime
from rxauth.errors import InvalidTokens, RefresherError
from rxauth.tokens.pair import Tokens, names_in
from rxauth.tokens.wire_names import ACCESS_TOKEN, SIMPLEJWT_ACCESS

#: Tokens, or the decoded answer of a token endpoint that `Tokens.from_response` understands.
Answer: TypeAlias = Tokens | Mapping[str, Any]

#: A function of the pair to spend, sync or async. It runs on a thread of the session's (an async one on a loop of its
#: own there), so it needs an HTTP client of its own, with a timeout. It may have more to offer, as attributes:
#: `login(**credentials) -> Answer`; `logout(tokens)`, which tells the server; `unattended`, true when `login()` needs
#: nobody's credentials; `rotates`, false when a refresh does not spend the refresh token, so that a repeat is safe;
#: `origins`, where its access tokens may go; `endpoint`, the one URL that may be sent the refresh tokens, which a
#: storage keeps beside them.
Refresher: TypeAlias = Callable[[Tokens], Answer | Awaitable[Answer]]


def rotates(refresher: Refresher) -> bool:
    """May a post spend the refresh token? Then one without an answer leaves the pair in doubt."""
    return getattr(refresher, "rotates", True) is not False


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a sync or an async function from a thread without a running loop, and return its result.

    Raises `NotCalled` when the function does not take these arguments, so that not a line of it has run.
    """
    try:
        result = function(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None or _takes(function, args, kwargs):
            raise
        raise NotCalled(str(error), cause="not called") from error
    if inspect.isawaitable(result):

        async def wait() -> Any:
            return await result

        return current_runtime().run(wait())
    return result


class NotCalled(RefresherError):
    """A function of the user's that does not take what it has to be called with: nothing has been sent."""


def _takes(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Could the function have begun? Where that is not known, it could."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # one of an extension, which does not say
        return True
    return True


def keywords_of(login: Callable[..., Any]) -> str:
    """The keywords of a refresher's login, to show in an error: `username=..., password=...`."""
    try:
        parameters = [*inspect.signature(login).parameters.values()]
    except (TypeError, ValueError):  # a callable of C, or one whose signature is broken
        parameters = []
    takes = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [parameter.name for parameter in parameters if parameter.kind in takes] or ["username", "password"]
    return ", ".join(f"{name}=..." for name in names)


def tokens_of(answer: object, sent: Instant, now: Instant, keep: Tokens | None = None) -> Tokens:
    """The pair that a refresher returned, its life counted from `now`. Raises `InvalidTokens`."""
    if isinstance(answer, Tokens):
        return answer.just_received(now)
    if isinstance(answer, Mapping):
        if all(answer.get(name) is None for name in (ACCESS_TOKEN, SIMPLEJWT_ACCESS)):
            raise InvalidTokens(
                f"the refresh callable returned an object without {ACCESS_TOKEN!r}: its fields are {names_in(answer)}; "
                "return Tokens(access, refresh) made of them"
            )
        return Tokens.from_response(answer, received=now, sent=sent, keep=keep)
    hint = "; await it, or make the refresh callable async" if inspect.iscoroutine(answer) else ""
    raise InvalidTokens(
        f"the refresh callable returned {type(answer).__name__}; "
        f"return Tokens(access, refresh) or the token endpoint's JSON object{hint}"
    )
