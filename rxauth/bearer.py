"""`BearerAuth`: the session as an `httpx.Auth`. Attaching the token, the 401 and the second send live here alone."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from typing import Any, ClassVar, Literal

import httpx

from rxauth.bodies import aread, is_replayable, read
from rxauth.errors import NotReplayable
from rxauth.names import AUTHORIZATION, BEARER, check_sendable
from rxauth.refreshers.endpoint import origin_of
from rxauth.runtime import Instant
from rxauth.session import Session
from rxauth.single import Single, is_fetching
from rxauth.state import AuthState
from rxauth.tokens import Tokens
from rxauth.trace import next_caller, traced_async_flow, traced_flow

Elsewhere = Literal["refuse", "bare"]
#: Which answers mean that the access token was refused: a status, several, or a function of a 4xx response, read.
Refused = int | Collection[int] | Callable[[Any], bool]

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


class BearerFlow:
    """The flow for any client whose `Auth` has httpx's two methods; see `BearerAuth`."""

    requires_request_body = False
    requires_response_body = False
    byte_stream: ClassVar[Any] = httpx.ByteStream

    def __init__(
        self,
        session: Session[Any],
        *,
        refused: Refused = 401,
        elsewhere: Elsewhere = "refuse",
        header: str = AUTHORIZATION,
        scheme: str = BEARER,
    ) -> None:
        if not isinstance(session, Session):
            raise TypeError(
                f"BearerAuth() needs a Session, got {type(session).__name__}: BearerAuth(Session(simplejwt(...)))"
            )
        if elsewhere not in ("refuse", "bare"):
            raise ValueError(f"elsewhere must be 'refuse' or 'bare', got {elsewhere!r}")
        check_sendable("header", header, empty=False)
        check_sendable("scheme", scheme)
        self._session = session
        self._origins = session.origins
        self._elsewhere = elsewhere
        self._header = header
        self._raw_header = header.lower().encode("ascii")
        self._prefix = f"{scheme} " if scheme else ""
        if inspect.iscoroutinefunction(refused):
            raise TypeError("refused must be a sync function: an async one would refuse every 4xx response")
        self._refused_by = refused if callable(refused) else None
        self._statuses = () if callable(refused) else _statuses(refused)
        #: The pair that was attached last, with its header, and the header before.
        self._issued: tuple[Tokens | None, str | None, str | None] = (None, None, None)

    def __repr__(self) -> str:
        return f"{type(self).__module__.replace('.bearer', '')}.BearerAuth({self._session!r})"

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        store = self._session.store
        if not store.is_recorded:
            return self._flow(request)
        caller = _caller(request)
        return traced_flow(self._flow(request, caller), store, self._session.name, caller, request)

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        store = self._session.store
        if not store.is_recorded:
            return self._async_flow(request)
        caller = _caller(request)
        return traced_async_flow(self._async_flow(request, caller), store, self._session.name, caller, request)

    def _flow(self, request: Any, caller: int = 0) -> Generator[Any, Any, None]:
        waiting = self._begin(request, caller)
        while waiting is not None:
            waiting = self._attach_current(request, waiting.run(), caller)
        response = yield request
        if not self._may_be_refusal(response) or (sent := self._sent_with(response)) is None:
            return
        if self._refused_by is None:
            read(response, self.byte_stream, self._session.runtime)
        else:
            response.read()
        if self._is_refusal(response):
            again, waiting = None, self._replace(response, sent, caller)
            while waiting is not None:
                again, waiting = self._again(response, waiting.run(), caller)
            if again is not None:
                yield again

    async def _async_flow(self, request: Any, caller: int = 0) -> AsyncGenerator[Any, Any]:
        waiting = self._begin(request, caller)
        while waiting is not None:
            waiting = self._attach_current(request, await waiting, caller)
        response = yield request
        if not self._may_be_refusal(response) or (sent := self._sent_with(response)) is None:
            return
        await (aread(response, self.byte_stream) if self._refused_by is None else response.aread())
        if self._is_refusal(response):
            again, waiting = None, self._replace(response, sent, caller)
            while waiting is not None:
                again, waiting = self._again(response, await waiting, caller)
            if again is not None:
                yield again

    def _begin(self, request: Any, caller: int) -> Single[Tokens] | None:
        """Attach the token, or say what to wait for to do so. Nothing happens to a request that is not ours."""
        if not self._is_ours(request):
            return None
        began = request.extensions.get(EXTENSION)
        sign_in = began.sign_in if type(began) is Began else None
        tokens = self._session.peek()
        if tokens is None and type(began) is Began and began.has_still(self._session.auth, self._session.runtime.now()):
            tokens = began.tokens
        if tokens is None or (sign_in is not None and sign_in != tokens.sign_in):
            return self._single(f"{request.method} {request.url.path}", caller=caller, began=sign_in)
        self._attach(request, tokens)
        return None

    def _replace(self, response: Any, sent: Tokens, caller: int) -> Single[Tokens]:
        request = response.request
        asked_by = f"{request.method} {request.url.path}, answered {response.status_code}"
        return self._single(asked_by, caller=caller, rejected=sent, response=response)

    def _attach_current(self, request: Any, tokens: Tokens, caller: int) -> Single[Tokens] | None:
        """Attach the tokens that were waited for; or say what to wait for instead, if they are current no more.

        Their waiter may go on long after they came: somebody blocked his loop, and meanwhile the user signed out.
        """
        if self._session.auth.generation == tokens.generation:
            self._attach(request, tokens)
            return None
        return self._single(f"{request.method} {request.url.path}", caller=caller, began=tokens.sign_in)

    def _single(self, asked_by: str, **how: Any) -> Single[Tokens]:
        session = self._session
        return Single(
            lambda settle, loop: session.acquire(settle, loop, asked_by=asked_by, **how), session.runtime, session
        )

    def _again(self, response: Any, tokens: Tokens, caller: int) -> tuple[Any | None, Single[Tokens] | None]:
        """The hop that was refused, with the new token (after a redirect that is not the request we were given), and
        what to wait for before it is sent."""
        refused = response.request
        if not is_replayable(refused, self.byte_stream):
            response.extensions[EXTENSION] = NotReplayable(
                f"{refused.method} {refused.url.path} was answered {response.status_code}; the token has been "
                "refreshed, but the body can be read only once: call again with a new body, or give it as bytes"
            )
            return None, None
        return refused, self._attach_current(refused, tokens, caller)

    def _is_ours(self, request: Any) -> bool:
        """Does this request get our header? Raises `OriginNotAllowed`."""
        if is_fetching(self._session):
            return False  # the refresher uses this very client: it must not wait for what it is to bring
        if not self._origins.allow(request.url):
            if self._elsewhere == "bare" or not request.url.host:  # without a host httpx itself says what is missing
                return False
            raise self._origins.refuse(request.url)
        wanted, length = self._raw_header, len(self._raw_header)
        for name, value in request.headers.raw:  # a lookup by name would first guess the encoding of all headers
            if len(name) == length and name.lower() == wanted:
                return self._is_own(request, value.decode("latin-1"))
        return True

    def _is_own(self, request: Any, value: str) -> bool:
        """Is this header one that we set earlier, on a request that is sent again or copied?"""
        earlier = request.extensions.get(EXTENSION)
        if type(earlier) is Tokens and value == self._prefix + earlier.access:
            return True
        current = self._session.auth.tokens
        return value in self._issued[1:] or (current is not None and value == self._prefix + current.access)

    def _attach(self, request: Any, tokens: Tokens) -> None:
        issued = self._issued  # read once: another thread may put in what it attaches, another user's by then
        if tokens is not issued[0]:
            issued = self._issued = (tokens, self._prefix + tokens.access, issued[1])
        request.headers[self._header] = issued[1]
        request.extensions[EXTENSION] = tokens

    def _sent_with(self, response: Any) -> Tokens | None:
        """The tokens in the header of the request that got this answer, if that was ours and went to our origins."""
        request = response.request
        tokens = request.extensions.get(EXTENSION)
        if type(tokens) is not Tokens or request.headers.get(self._header) != self._prefix + tokens.access:
            return None
        return tokens if self._origins.allow(request.url) else None

    def _may_be_refusal(self, response: Any) -> bool:
        status: int = response.status_code
        return status in self._statuses if self._refused_by is None else 400 <= status < 500

    def _is_refusal(self, response: Any) -> bool:
        return self._refused_by is None or self._refused_by(response)


class BearerAuth(BearerFlow, httpx.Auth):
    """`httpx.Client(auth=BearerAuth(session))`, and the same for `AsyncClient`: the token is always fresh.

    Before a call it waits, if it has to, for the one refresh of all calls. When the API refuses the token, it is
    replaced and that request is sent once more; a second refusal is the caller's to see. Only requests to the
    session's origins get the header, never one that has an `Authorization` of its own. A one-shot body (a generator, a
    file given as `content`) is not sent again: the 401 is returned, with a `NotReplayable` in
    `response.extensions["rxauth"]`.

    `refused`: the answers that mean "this token is no good": a status, several, or a function of a 4xx response, whose
    body is read for it.
    `elsewhere="bare"` sends requests to other origins without the token instead of raising `OriginNotAllowed`.
    `header` and `scheme`: where the token goes (`scheme=""` for the token alone). With another header than
    `Authorization` do not let the client follow redirects: httpx takes along every header but that one to any origin.

    A response hook of the client's that raises for a status comes first: its 401 is not seen here, and no token is
    replaced.

    Raises the errors of `Session.fresh`, which are no `httpx.HTTPError`s; those of a refusal have the 401 as
    `.response`.
    """


def _caller(request: Any) -> int:
    """The number under which a request is recorded: that of its `ApiCall`, or one of its own."""
    began = request.extensions.get(EXTENSION)
    return began.caller if type(began) is Began else next_caller()


def bearer_for(client: Any, session: Session[Any]) -> BearerFlow:
    """The flow on the base class of this client's library; the client's `base_url` is one more origin."""
    base = str(client.base_url)
    origins = session.origins.including(*([origin_of(base)] if client.base_url.host else []))
    flow: BearerFlow
    if isinstance(client, httpx.Client | httpx.AsyncClient):
        flow = BearerAuth(session)
    else:
        from rxauth import httpx2

        flow = httpx2.BearerAuth(session)
    flow._origins = origins
    return flow


def _statuses(refused: Any) -> tuple[int, ...]:
    statuses = (refused,) if isinstance(refused, int) else refused
    if isinstance(statuses, str | bytes) or not isinstance(statuses, Collection):
        statuses = (None,)
    if not all(type(status) is int for status in statuses):
        raise TypeError(f"refused must be a status such as 401, several, or a function of a response; got {refused!r}")
    return tuple(statuses)
