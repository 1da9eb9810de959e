"""Sending calls: what both ways have in common, and the one on an event loop, with an async client."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import CoroutineType
from typing import Any, Protocol

from rxauth.bearer import EXTENSION, Began, bearer_for
from rxauth.calls import AUTHS, ApiCall, Request, check_not_async, describe, wrong_auth
from rxauth.errors import ApiDecodingError, ApiNetworkError, ApiRequestError, ApiStatusError, InvalidCall, RxAuthError
from rxauth.flight import Anywhere
from rxauth.frames import own_frames, without_frames
from rxauth.refreshers.answers import httpx_kinds
from rxauth.runtime import running_loop
from rxauth.session import Session
from rxauth.single import Leave, stay
from rxauth.tokens import Tokens
from rxauth.trace import sent


class Entry:
    """One dispatch of a call, from its acceptance to its one outcome."""

    __slots__ = ("began", "call", "done", "ended", "gated", "id", "leave", "ready", "tokens")

    def __init__(self, call: ApiCall[Any], number: int, began: str) -> None:
        self.call = call
        self.id = number
        self.began = began
        self.ended = False
        self.gated = True
        self.ready = False
        self.tokens: Tokens | None = None
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

    def __init__(self, client: Any, owner: Owner, limit: int, loop: asyncio.AbstractEventLoop | None) -> None:
        self._client = client
        self._owner = owner
        self._session = owner.session
        self._auth = bearer_for(client, owner.session)
        self._limit = limit
        self._loop = loop
        self._lock = threading.Lock()
        self._parked: dict[int, Entry] = {}
        self._ready: deque[Entry] = deque()

    def start(self, entry: Entry) -> None:
        """Send the call as soon as it may be sent, and not before those that were dispatched before it and wait."""
        try:
            entry.gated = self._needs_token(entry)
        except InvalidCall as error:
            self._fail(entry, error)
            return
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


class AsyncSender(Sender):
    """A task for each call that is being sent, on the loop on which the epic was added."""

    def __init__(self, client: Any, owner: Owner, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(client, owner, limit, loop)
        self._home = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._tasks.values())

    def stop(self, entry: Entry) -> None:
        self._at_home(self._cancel, entry)  # at once, if possible: a call that has not begun yet is then never sent
        super().stop(entry)

    def _cancel(self, entry: Entry) -> None:
        task = self._tasks.pop(entry.id, None)
        if task is not None:
            task.cancel()
            self._start_tasks()

    def _launch(self) -> None:
        # Where there is no place, whoever makes one looks for the next call. (He makes it first, then looks: none is
        # overlooked, though this may be another thread.)
        if len(self._tasks) < self._limit:
            self._at_home(self._start_tasks)

    def _at_home(self, step: Callable[..., None], *args: Any) -> None:
        if self._home is running_loop():
            step(*args)
            return
        try:
            self._home.call_soon_threadsafe(step, *args)
        except RuntimeError:  # the loop is closed, so what would be sent there never is
            while self._ready:
                self._owner.cancel(self._ready.popleft())

    def _start_tasks(self) -> None:
        while self._ready and len(self._tasks) < self._limit:
            entry = self._ready.popleft()
            if not entry.ended:
                self._tasks[entry.id] = self._home.create_task(self._send(entry))

    async def _send(self, entry: Entry) -> None:
        try:
            try:
                request, auth = self._build(entry)
                response = await self._client.send(request, auth=auth)
            except Exception as error:
                self._fail(entry, error)
            else:
                self._conclude(entry, response)
        except BaseException:  # cancelled, by us, by the loop's end or from inside; or the call's code wants to exit
            self._owner.cancel(entry)
            raise
        finally:
            if self._tasks.pop(entry.id, None) is not None:
                self._start_tasks()


def _answered(call: ApiCall[Any], response: Any) -> ApiStatusError:
    text = f"{describe(call)} was answered {response.status_code}"
    return ApiStatusError(text, response=response, status_code=response.status_code)


def _caused(error: RxAuthError, cause: BaseException) -> RxAuthError:
    error.__cause__ = cause
    return error
