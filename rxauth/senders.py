"""Sending calls: on an event loop with an async client, or on a few threads with a blocking one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from rxauth.bearer import EXTENSION, Began, bearer_for
from rxauth.calls import ApiCall, Request, describe
from rxauth.errors import ApiDecodingError, ApiNetworkError, ApiRequestError, ApiStatusError, RxAuthError
from rxauth.flight import Single, stay
from rxauth.refreshers.answers import without_frames
from rxauth.runtime import running_loop
from rxauth.session import Session
from rxauth.tokens import Tokens

#: A blocking client's calls run on at most this many threads.
MAX_THREADS = 16


class Entry:
    """One dispatch of a call, from its acceptance to its one outcome."""

    __slots__ = ("began", "call", "done", "ended", "id", "meta")

    def __init__(self, call: ApiCall[Any], number: int, began: str) -> None:
        self.call = call
        self.id = number
        self.began = began
        self.ended = False
        self.done: Callable[[], None] = stay


class Owner(Protocol):
    """What a sender needs of the epic it sends for."""

    session: Session[Any]

    def newest(self) -> Any: ...

    def succeed(self, entry: Entry, payload: Any, response: Any) -> None: ...

    def fail(self, entry: Entry, error: Exception) -> None: ...


class Sender:
    """What both ways of sending share."""

    def __init__(self, client: Any, owner: Owner) -> None:
        self._client = client
        self._owner = owner
        self._session = owner.session
        self._auth = bearer_for(client, owner.session)

    def start(self, entry: Entry) -> Callable[[], None]:
        """Begin; the result cancels."""
        raise NotImplementedError

    def _needs_token(self, entry: Entry) -> bool:
        auth = entry.call.auth
        if auth == "if_signed_in":
            state = self._session.auth
            return state.tokens is not None or state.status == "signing_in"
        return auth == "required"

    def _tokens_now(self, entry: Entry) -> Tokens | None:
        """Fresh tokens of the sign-in under which the call began, if there is nothing to wait for."""
        tokens = self._session.peek()
        return tokens if tokens is not None and tokens.sign_in == entry.began else None

    def _wait(self, entry: Entry) -> Single[Tokens]:
        return Single(
            lambda settle, loop: self._session.acquire(
                settle, loop, asked_by=f"the call {describe(entry.call)}", began=entry.began or None
            ),
            self._session.runtime,
            self._session,
        )

    def _build(self, entry: Entry, gated: bool) -> tuple[Any, Any]:
        """The request, made after the gate, and the auth to send it with. Raises `ApiRequestError`."""
        try:
            description = entry.call.request(self._owner.newest())
            if not isinstance(description, Request):
                raise TypeError(f"request(state) returned {type(description).__name__}; return Request.get(url), ...")
            request = description.build(self._client)
        except Exception as error:
            raise _caused(
                ApiRequestError(f"{describe(entry.call)} could not be turned into a request: {error}"), error
            ) from None
        if not gated:
            return request, None
        request.extensions[EXTENSION] = Began(entry.began)
        return request, self._auth

    def _conclude(self, entry: Entry, response: Any) -> None:
        call = entry.call
        try:
            ok = call.is_ok(response)
            payload = call.parse(response) if ok else None
        except Exception as error:
            text = f"the answer to {describe(call)} ({response.status_code}) could not be read: {type(error).__name__}"
            self._owner.fail(entry, _caused(ApiDecodingError(text, response=response), error))
            return
        if ok:
            self._owner.succeed(entry, payload, response)
        else:
            text = f"{describe(call)} was answered {response.status_code}"
            self._owner.fail(entry, ApiStatusError(text, response=response, status_code=response.status_code))

    def _fail(self, entry: Entry, error: Exception) -> None:
        if isinstance(error, RxAuthError):
            self._owner.fail(entry, error)
            return
        text = f"{describe(entry.call)} got no answer: {type(error).__name__}: {error}"
        self._owner.fail(entry, _caused(ApiNetworkError(text), without_frames(error)))


class AsyncSender(Sender):
    """A task for each call on the loop on which the epic was added. First the gate, then one of `limit` places.

    In this order, because a call that waits for the token must not hold a place that an anonymous call could use.
    """

    def __init__(self, client: Any, owner: Owner, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(client, owner)
        self._loop = loop
        self._places = asyncio.Semaphore(limit)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, entry: Entry) -> Callable[[], None]:
        task = self._loop.create_task(self._send(entry))
        self._tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._tasks.discard)
        return lambda: self._cancel(task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if self._loop is running_loop():
            task.cancel()  # at once: a call that has not begun yet is then never sent
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(task.cancel)

    async def _send(self, entry: Entry) -> None:
        try:
            gated = self._needs_token(entry)
            if gated and self._tokens_now(entry) is None:
                await self._wait(entry)
            async with self._places:
                request, auth = self._build(entry, gated)
                response = await self._client.send(request, auth=auth)
        except Exception as error:
            self._fail(entry, error)
        else:
            self._conclude(entry, response)


class ThreadSender(Sender):
    """Up to `limit` threads, started when there is something to send and ended when there is not."""

    def __init__(self, client: Any, owner: Owner, limit: int) -> None:
        super().__init__(client, owner)
        self._limit = min(limit, MAX_THREADS)
        self._lock = threading.Lock()
        self._ready: deque[tuple[Entry, bool]] = deque()
        self._threads = 0

    def start(self, entry: Entry) -> Callable[[], None]:
        gated = self._needs_token(entry)
        if not gated or self._tokens_now(entry) is not None:
            self._enqueue(entry, gated)
            return stay

        def settle(tokens: Tokens | None, error: Exception | None) -> None:
            if error is not None:
                self._fail(entry, error)
            else:
                self._enqueue(entry, True)

        asked_by = f"the call {describe(entry.call)}"
        return self._session.acquire(settle, None, asked_by=asked_by, began=entry.began or None)

    def _enqueue(self, entry: Entry, gated: bool) -> None:
        with self._lock:
            self._ready.append((entry, gated))
            if self._threads >= self._limit:
                return
            self._threads += 1
        self._session.runtime.spawn(self._work, "rxauth-call")

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._ready:
                    self._threads -= 1
                    return
                entry, gated = self._ready.popleft()
            if not entry.ended:
                self._send(entry, gated)

    def _send(self, entry: Entry, gated: bool) -> None:
        try:
            request, auth = self._build(entry, gated)
            response = self._client.send(request, auth=auth)
        except Exception as error:
            self._fail(entry, error)
        else:
            self._conclude(entry, response)


def _caused(error: RxAuthError, cause: BaseException) -> RxAuthError:
    error.__cause__ = cause
    return error
