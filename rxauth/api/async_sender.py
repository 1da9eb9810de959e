"""Sending calls on an event loop, with an async client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rxauth.api.sender import EVENT_STREAM, Entry, Owner, Sender, endless
from rxauth.concurrency.runtime import running_loop
from rxauth.http.bearer import BearerFlow


class AsyncSender(Sender):
    """A task for each call that is being sent, on the loop on which the epic was added."""

    def __init__(
        self, client: Any, auth: BearerFlow, owner: Owner, limit: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(client, auth, owner, limit, loop)
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
                response = await self._client.send(request, auth=auth, stream=True)
                try:
                    if response.headers.get("content-type", "").lower().startswith(EVENT_STREAM):
                        raise endless(entry.call, response)
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
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
