"""`BearerAuth`: the session as an `httpx.Auth`. Attaching the token, the 401 and the second send live here alone."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Generator
from typing import Any, ClassVar, Literal, Self

import httpx

from rxauth.concurrency.single import Single, is_fetching
from rxauth.errors import RefreshTimeout
from rxauth.http.bodies import aread, is_replayable, not_replayable, read
from rxauth.http.marks import EXTENSION, Began, caller_of
from rxauth.http.refusals import Refusals, Refused
from rxauth.http.trace import traced_async_flow, traced_flow
from rxauth.session.session import Session
from rxauth.session.settings import is_number
from rxauth.session.state import refusal
from rxauth.tokens.pair import Tokens
from rxauth.tokens.wire_names import AUTHORIZATION, BEARER, check_sendable

Elsewhere = Literal["refuse", "bare"]


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
        wait: float | None = None,
    ) -> None:
        if not isinstance(session, Session):
            raise TypeError(
                f"BearerAuth() needs a Session, got {type(session).__name__}: BearerAuth(Session(simplejwt(...)))"
            )
        if elsewhere not in ("refuse", "bare"):
            raise ValueError(f"elsewhere must be 'refuse' or 'bare', got {elsewhere!r}")
        check_sendable("header", header, empty=False)
        check_sendable("scheme", scheme)
        if wait is not None and not (is_number(wait) and wait >= 0):
            raise ValueError(f"wait must be a number of seconds from 0, or None for no limit; got {wait!r}")
        self._session = session
        self._origins = session.origins
        self._elsewhere = elsewhere
        self._wait = wait
        #: The sign-in that all requests are for, or "" for whoever is signed in.
        self._pin = ""
        self._header = header
        self._raw_header = header.lower().encode("ascii")
        self._prefix = f"{scheme} " if scheme else ""
        self._refusals = Refusals(refused)
        #: The pair that was attached last, with its header, and the header before.
        self._issued: tuple[Tokens | None, str | None, str | None] = (None, None, None)

    def __repr__(self) -> str:
        pinned = ".pinned()" if self._pin else ""
        return f"{type(self).__module__.replace('.bearer', '')}.BearerAuth({self._session!r}){pinned}"

    def pinned(self) -> Self:
        """This auth, with all its options, for whoever is signed in now, or is signing in.

        Once another user is signed in its requests raise `SessionChanged`, and while nobody is, `NotSignedIn` or
        `SessionExpired`: they never get another user's token. Raises the latter two here too.
        """
        auth = self._session.auth
        if not self._pin and not auth.pending and auth.tokens is None:
            raise refusal(auth)
        pinned = copy.copy(self)
        pinned._pin = self._pin or auth.pending or auth.sign_in
        return pinned

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        store = self._session.store
        if not store.is_recorded:
            return self._flow(request)
        caller = caller_of(request)
        return traced_flow(self._flow(request, caller), store, self._session.name, caller, request)

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        store = self._session.store
        if not store.is_recorded:
            return self._async_flow(request)
        caller = caller_of(request)
        return traced_async_flow(self._async_flow(request, caller), store, self._session.name, caller, request)

    def _flow(self, request: Any, caller: int = 0) -> Generator[Any, Any, None]:
        waiting = self._begin(request, caller)
        while waiting is not None:
            waiting = self._attach_current(request, waiting.run(), caller)
        response = yield request
        if self._refusals.is_plain(response):
            return
        steps = self._after(request, response, caller)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Single):
                    step = steps.send(step.run())
                elif step is response:
                    self._read(response)
                    step = next(steps)
                else:
                    response = yield step
                    step = steps.send(response)
        except StopIteration:
            return

    async def _async_flow(self, request: Any, caller: int = 0) -> AsyncGenerator[Any, Any]:
        waiting = self._begin(request, caller)
        while waiting is not None:
            waiting = self._attach_current(request, await waiting, caller)
        response = yield request
        if self._refusals.is_plain(response):
            return
        steps = self._after(request, response, caller)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Single):
                    step = steps.send(await step)
                elif step is response:
                    await self._aread(response)
                    step = next(steps)
                else:
                    response = yield step
                    step = steps.send(response)
        except StopIteration:
            return

    def _after(self, request: Any, response: Any, caller: int) -> Generator[Any, Any, None]:
        """What follows an answer that may be a refusal.

        Yields the answer to have it read, `Single`s to wait for and requests to send, and gets what came of them.
        """
        is_replaced = False
        while True:
            hop, tokens = response.request, self._sent_with(response)
            is_bare = tokens is None
            if is_bare:
                tokens = self._lost_on_the_way(request, response)
            if tokens is None or (is_replaced and not is_bare) or not (yield from self._is_refused(response, is_bare)):
                return
            if not is_bare:
                is_replaced = True
                tokens = yield self._replace(response, tokens, caller)
            if not is_replayable(hop, self.byte_stream):
                response.extensions[EXTENSION] = not_replayable(response, is_bare)
                return
            request, waiting = hop, self._attach_current(hop, tokens, caller)
            while waiting is not None:
                waiting = self._attach_current(hop, (yield waiting), caller)
            response = yield hop

    def _is_refused(self, response: Any, is_bare: bool) -> Generator[Any, Any, bool]:
        """Is this answer a refusal, of the token or of a request without one? Its body is read then."""
        if is_bare and response.status_code == 401:
            yield response
            return True
        if not self._refusals.may_hold(response):
            return False
        yield response
        return self._refusals.hold(response)

    def _begin(self, request: Any, caller: int) -> Single[Tokens] | None:
        """Attach the token, or say what to wait for to do so. Nothing happens to a request that is not ours."""
        if not self._is_ours(request):
            return None
        began = request.extensions.get(EXTENSION)
        sign_in = self._pin or (began.sign_in if type(began) is Began else None)
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
        if self._session.is_current(tokens):
            self._attach(request, tokens)
            return None
        return self._single(f"{request.method} {request.url.path}", caller=caller, began=tokens.sign_in)

    def _single(self, asked_by: str, **how: Any) -> Single[Tokens]:
        session, seconds = self._session, self._wait
        limit = None if seconds is None else (seconds, lambda: too_long(seconds, how.get("response")))
        return Single(
            lambda settle, loop: session.acquire(settle, loop, asked_by=asked_by, **how),
            session.runtime,
            session,
            limit=limit,
        )

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
        return self._carried(request) if self._origins.allow(request.url) else None

    def _carried(self, request: Any) -> Tokens | None:
        """The tokens in the header of this request, if that is ours."""
        tokens = request.extensions.get(EXTENSION)
        is_ours = type(tokens) is Tokens and request.headers.get(self._header) == self._prefix + tokens.access
        return tokens if is_ours else None

    def _lost_on_the_way(self, request: Any, response: Any) -> Tokens | None:
        """The tokens of `request` that its redirect to another of our origins went without, if they may go there.

        httpx drops the header at each change of the origin, and an auth sees only the answer of the last hop.
        """
        hop = response.request
        if hop is request or self._header in hop.headers:
            return None
        chain = [*(earlier.request.url for earlier in response.history), hop.url]
        return self._carried(request) if self._origins.allow_chain(chain) else None

    def _read(self, response: Any) -> None:
        if self._refusals.by is None:
            read(response, self.byte_stream, self._session.runtime)
        else:
            response.read()

    async def _aread(self, response: Any) -> None:
        await (aread(response, self.byte_stream) if self._refusals.by is None else response.aread())


class BearerAuth(BearerFlow, httpx.Auth):
    """`httpx.Client(auth=BearerAuth(session))`, and the same for `AsyncClient`: the token is always fresh.

    Before a call it waits, if it has to, for the one refresh of all calls. When the API refuses the token, it is
    replaced and that request is sent once more; a second refusal is the caller's to see. Only requests to the
    session's origins get the header, never one that has an `Authorization` of its own. A one-shot body (a generator, a
    file given as `content`) is not sent again: the 401 is returned, with a `NotReplayable` in
    `response.extensions["rxauth"]`.

    httpx drops the header when it follows a redirect to another origin. If that is one of the session's own, and
    answers with a 401, the redirected request is sent again with the header; never after a hop through another origin,
    or from https to http.

    `refused`: the answers that mean "this token is no good": a status, several, or a function of a 4xx response, whose
    body is read for it. By status, a 401 with `insufficient_user_authentication` (RFC 9470) and a 403 with
    `insufficient_scope` (RFC 6750 section 3.1) are not refusals: a new token would not help.
    `wait`: the most seconds for which a call waits for a token, before it is sent and again after a refusal. Then it
    raises `RefreshTimeout`, and the refresh goes on for others. The client's `timeout=` does not limit this wait.
    `elsewhere="bare"` sends requests to other origins without the token instead of raising `OriginNotAllowed`.
    `header` and `scheme`: where the token goes (`scheme=""` for the token alone). With another header than
    `Authorization` do not let the client follow redirects: httpx takes along every header but that one to any origin.

    A response hook of the client's that raises for a status comes first: its 401 is not seen here, and no token is
    replaced.

    Raises the errors of `Session.fresh`, which are no `httpx.HTTPError`s; those of a refusal have the 401 as
    `.response`.
    """


def too_long(seconds: float, response: Any = None) -> RefreshTimeout:
    """The error of a call that has waited at the gate for as long as `wait=` lets it; `response` is the refusal."""
    error = RefreshTimeout(
        f"no token came within wait={seconds:g} s, so the call was not sent; the refresh, or the login, goes on for "
        "later calls",
        cause="wait",
    )
    error.response = response
    return error
