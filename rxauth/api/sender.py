"""Sending calls: what the two ways have in common, with an async client and with a blocking one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import CoroutineType
from typing import Any, Protocol

from rxauth.api.calls import AUTHS, ApiCall, Request, check_not_async, describe, wrong_auth
from rxauth.concurrency.flight import Anywhere
from rxauth.concurrency.runtime import Latch
from rxauth.concurrency.single import Leave, stay
from rxauth.errors import (
    ApiDecodingError,
    ApiNetworkError,
    ApiRequestError,
    ApiStatusError,
    InvalidCall,
    RefreshUnavailable,
    RxAuthError,
)
from rxauth.http.bearer import BearerFlow, too_long
from rxauth.http.marks import EXTENSION, Began
from rxauth.http.trace import sent
from rxauth.redaction.tracebacks import own_frames, without_frames
from rxauth.refreshers.failures import httpx_kinds
from rxauth.session.session import Session
from rxauth.tokens.pair import Tokens

#: The type of an answer without an end; it is looked at before the body is read.
EVENT_STREAM = "text/event-stream"


class Entry:
    """One dispatch of a call, from its acceptance to its one outcome."""

    __slots__ = ("began", "call", "done", "ended", "gated", "id", "leave", "ready", "tokens", "until")

    def __init__(self, call: ApiCall[Any], number: int, began: str) -> None:
        self.call = call
        self.id = number
        self.began = began
        self.ended = False
        self.gated = True
        self.ready = False
        self.tokens: Tokens | None = None
        self.until = 0.0
        self.done: Callable[[], None] = stay
        self.leave: Leave = stay


class _Waiter(Anywhere):
    """Waits for the tokens of one entry."""

    __slots__ = ("_entry", "_sender")

    def __init__(self, sender: Sender, entry: Entry) -> None:
        self._sender, self._entry = sender, entry

    def __call__(self, tokens: Tokens | None, error: Exception | None) -> None:
        self._sender.settle(self._entry, tokens, error)


class Owner(Protocol):
    """What a sender needs of the epic it sends for."""

    session: Session[Any]

    def newest(self) -> Any: ...

    def succeed(self, entry: Entry, payload: Any, response: Any) -> None: ...

    def fail(self, entry: Entry, error: Exception) -> None: ...

    def cancel(self, entry: Entry) -> None: ...


class Sender:
    """What both ways of sending share: first the gate, then a queue of what may be sent, `limit` at a time.

    In this order, because a call that waits for the token must not hold a place that an anonymous call could use.
    """

    def __init__(
        self, client: Any, auth: BearerFlow, owner: Owner, limit: int, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._client = client
        self._owner = owner
        self._session = owner.session
        self._auth = auth
        self._limit = limit
        self._loop = loop
        self._lock = threading.Lock()
        self._parked: dict[int, Entry] = {}
        self._ready: deque[Entry] = deque()
        #: Is there a thread that looks how long parked calls have waited? It ends when this is set.
        self._watching = False
        self._all_released: Latch | None = None

    def start(self, entry: Entry) -> None:
        """Send the call as soon as it may be sent, and not before those that were dispatched before it and wait."""
        try:
            entry.gated = self._needs_token(entry)
        except InvalidCall as error:
            self._fail(entry, error)
            return
        entry.began = self._auth._pin or entry.began
        if not entry.gated or (not self._parked and self._has_tokens(entry)):
            self._ready.append(entry)
            self._launch()
            return
        with self._lock:
            self._parked[entry.id] = entry
        asked_by = f"the call {describe(entry.call)}"
        waiter = _Waiter(self, entry)
        entry.leave = self._session.acquire(
            waiter, self._loop, asked_by=asked_by, began=entry.began or None, caller=entry.id
        )
        if self._auth._wait is not None and not (entry.ready or entry.ended):
            self._bound(entry, self._auth._wait)

    def _bound(self, entry: Entry, seconds: float) -> None:
        """Let a parked call wait for so long and no longer."""
        entry.until = self._session.runtime.now().mono + seconds
        with self._lock:
            starts, self._watching = not self._watching, True
        if starts:
            try:
                self._session.runtime.spawn(lambda: self._watch(seconds), "rxauth-wait")
            except RuntimeError as error:
                self._watching = False
                self.settle(entry, None, RefreshUnavailable(f"no thread can be started: {error}", cause="no thread"))

    def _watch(self, seconds: float) -> None:
        """Fail the parked calls that have waited too long. As each may wait for `seconds`, they are due in the order in
        which they came; this ends when none is parked."""
        runtime = self._session.runtime
        while True:
            with self._lock:
                first = next((one for one in self._parked.values() if one.until and not one.ready), None)
                if first is None:
                    self._watching = False
                    return
                woken = self._all_released = runtime.latch()
            remaining = first.until - runtime.now().mono
            if remaining > 0:
                runtime.wait(woken, remaining)
            else:
                first.until = 0.0
                self._at_home(self._give_up, first, seconds)

    def _give_up(self, entry: Entry, seconds: float) -> None:
        if not (entry.ready or entry.ended):
            entry.leave()
            self.settle(entry, None, too_long(seconds))

    def _at_home(self, step: Callable[..., None], *args: Any) -> None:
        """Call it where the calls are sent from, if that matters."""
        step(*args)

    def settle(self, entry: Entry, tokens: Tokens | None, error: Exception | None) -> None:
        """A parked call has its tokens, or the error that it fails with."""
        if error is None:
            entry.ready, entry.tokens = True, tokens
        else:
            self._fail(entry, error)
        self._release()

    def stop(self, entry: Entry) -> None:
        """Cancel the call, wherever it is; its outcome is said already."""
        entry.leave()
        self._release()

    def _release(self) -> None:
        """Let go of those at the head of the parked calls that have their tokens, or that are over."""
        with self._lock:
            while self._parked:
                head = next(iter(self._parked.values()))
                if not (head.ready or head.ended):
                    break
                del self._parked[head.id]
                if not head.ended:
                    self._ready.append(head)
            if self._watching and not self._parked and self._all_released is not None:
                self._all_released.set()
        self._launch()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """Those that send a call just now, if it is tasks that do."""
        return []

    def _launch(self) -> None:
        """Send what is ready, as far as there are places."""
        raise NotImplementedError

    def _needs_token(self, entry: Entry) -> bool:
        auth = entry.call.auth
        if auth not in AUTHS:  # of a field: the class's own was looked at when it was made
            raise wrong_auth(type(entry.call), auth)
        if auth == "if_signed_in":
            state = self._session.auth
            return state.tokens is not None or state.status == "signing_in"
        return auth == "required"

    def _has_tokens(self, entry: Entry) -> bool:
        """Are there fresh tokens of the sign-in under which the call began?"""
        tokens = self._session.peek()
        return tokens is not None and tokens.sign_in == entry.began

    def _build(self, entry: Entry) -> tuple[Any, Any]:
        """The request, made after the gate, and the auth to send it with. Raises `ApiRequestError`."""
        try:
            description = entry.call.request(self._owner.newest())
            if not isinstance(description, Request):
                check_not_async(description, "request")
                raise TypeError(f"request(state) returned {type(description).__name__}; return Request.get(url), ...")
            request = description.build(self._client)
        except Exception as error:
            text = f"{describe(entry.call)} could not be turned into a request: {error}"
            raise ApiRequestError(text) from own_frames(error)
        if not entry.gated:
            if self._session.store.is_recorded:
                sent(self._session.store, self._session.name, entry.id, request)
            return request, None
        request.extensions[EXTENSION] = Began(entry.began, entry.tokens, entry.id)
        return request, self._auth

    def _conclude(self, entry: Entry, response: Any) -> None:
        call = entry.call
        try:
            ok = call.is_ok(response)
            if ok is not True:
                check_not_async(ok, "is_ok")
            payload = call.parse(response) if ok else None
            if type(payload) is CoroutineType:
                check_not_async(payload, "parse")
        except Exception as error:
            text = f"the answer to {describe(call)} ({response.status_code}) could not be read: {type(error).__name__}"
            self._owner.fail(entry, _caused(ApiDecodingError(text, response=response), error))
            return
        if ok:
            self._owner.succeed(entry, payload, response)
        else:
            failed = _answered(call, response)
            failed.__cause__ = response.extensions.get(EXTENSION)  # why it was not sent again, if it could not be
            self._owner.fail(entry, failed)

    def _fail(self, entry: Entry, error: Exception) -> None:
        if isinstance(error, RxAuthError):
            self._owner.fail(entry, error)
            return
        if "HTTPStatusError" in httpx_kinds(error):  # raised by a hook of the client's
            self._owner.fail(entry, _caused(_answered(entry.call, error.response), without_frames(error)))  # type: ignore[attr-defined]
            return
        text = f"{describe(entry.call)} got no answer: {type(error).__name__}: {error}"
        self._owner.fail(entry, _caused(ApiNetworkError(text), without_frames(error)))


def endless(call: ApiCall[Any], response: Any) -> ApiDecodingError:
    """The error of a call that is answered with an event stream."""
    return ApiDecodingError(
        f"{describe(call)} was answered {response.status_code} with an event stream: an endless answer is not an "
        "ApiCall; use rxauth.feeds.events for it",
        response=response,
    )


def _answered(call: ApiCall[Any], response: Any) -> ApiStatusError:
    text = f"{describe(call)} was answered {response.status_code}"
    return ApiStatusError(text, response=response, status_code=response.status_code)


def _caused(error: RxAuthError, cause: BaseException) -> RxAuthError:
    error.__cause__ = cause
    return error
