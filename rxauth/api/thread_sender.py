"""Sending calls on a few threads, with a blocking client."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from rxauth.api.sender import EVENT_STREAM, Entry, Owner, Sender, endless
from rxauth.http.bearer import BearerFlow

#: A blocking client's calls run on at most this many threads.
MAX_THREADS = 16


class ThreadSender(Sender):
    """Up to `limit` threads, started when there is something to send and ended when there is not."""

    def __init__(self, client: Any, auth: BearerFlow, owner: Owner, limit: int) -> None:
        super().__init__(client, auth, owner, min(limit, MAX_THREADS), None)
        self._threads = 0
        _thread_senders.add(self)

    def renew(self) -> None:
        """In the child of a fork, where the parent's threads do not exist, and neither do the calls they had."""
        self._lock = threading.Lock()
        self._threads = 0
        self._watching = False
        self._parked.clear()
        self._ready.clear()

    def _launch(self) -> None:
        with self._lock:
            new = min(len(self._ready), self._limit - self._threads)
            self._threads += new
        for started in range(new):
            try:
                self._session.runtime.spawn(self._work, "rxauth-call")
            except RuntimeError as error:
                self._do_without(new - started, error)
                return

    def _do_without(self, threads: int, error: RuntimeError) -> None:
        """So many can not be started. Those that run do the rest; if there are none, nobody ever would."""
        with self._lock:
            self._threads -= threads
            lost = [] if self._threads else list(self._ready)
            if lost:
                self._ready.clear()
        for entry in lost:
            self._fail(entry, error)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._ready:
                    self._threads -= 1
                    return
                entry = self._ready.popleft()
            if not entry.ended:
                self._send(entry)

    def _send(self, entry: Entry) -> None:
        try:
            try:
                request, auth = self._build(entry)
                response = self._client.send(request, auth=auth, stream=True)
                try:
                    if response.headers.get("content-type", "").lower().startswith(EVENT_STREAM):
                        raise endless(entry.call, response)
                    response.read()
                except BaseException:
                    response.close()
                    raise
            except Exception as error:
                self._fail(entry, error)
            else:
                self._conclude(entry, response)
        except BaseException:  # the call's own code wants to exit, and so this thread ends: others need its place
            with self._lock:
                self._threads -= 1
            self._owner.cancel(entry)
            self._launch()
            raise


_thread_senders: weakref.WeakSet[ThreadSender] = weakref.WeakSet()


def _renew_after_fork() -> None:
    for sender in list(_thread_senders):
        sender.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
