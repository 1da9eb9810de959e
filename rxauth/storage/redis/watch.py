"""Hearing of what others change in the Redis storage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from rxauth.concurrency.runtime import CHANCE, running_loop
from rxauth.errors import StorageError
from rxauth.storage.redis.connection import Wire
from rxauth.storage.redis.failures import ERRORS

log = logging.getLogger("rxauth")

#: How soon a stopped watch ends, in seconds.
LOOK = 0.5

#: A server that has said nothing for this many seconds is asked whether it is there, and has as many to answer.
SILENCE = 15.0

#: The pause before the first new connection, in seconds; it doubles up to the last one.
FIRST_PAUSE, LAST_PAUSE = 0.1, 10.0


class Watch:
    """Calls `changed` on a thread of its own, until `stop`; `missed` says whether one was missed before it began."""

    def __init__(
        self, wire: Wire, channel: str, me: Callable[[], str], changed: Callable[[], None], missed: Callable[[], bool]
    ) -> None:
        self._wire = wire
        self._channel = channel
        self._me = me
        self._changed = changed
        self._missed = missed
        self._stopped = threading.Event()
        self._tried = threading.Event()
        self._interrupted = False
        self._pause = FIRST_PAUSE

    def start(self, patience: float) -> None:
        """Begin, and wait until it listens, or can not, for so many seconds; an event loop does not wait."""
        try:
            threading.Thread(target=self._run, name="rxauth-redis-watch", daemon=True).start()
        except RuntimeError:  # out of threads: what others do is found out at the next refresh
            log.warning("rxauth: a token storage can not be watched: no thread can be started")
            return
        if running_loop() is None:
            self._tried.wait(patience)

    def stop(self) -> None:
        """No call begins after this one, which does not wait for one that is under way."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except (*ERRORS, StorageError):
                pass
            except (
                BaseException
            ) as error:  # of the caller's client, if it was closed meanwhile: who hears of that here?
                log.warning("rxauth: watching a token storage: the client raised %s", type(error).__name__)
            self._interrupted = True
            self._tried.set()
            self._stopped.wait(self._pause * CHANCE.uniform(0.5, 1.0))
            self._pause = min(2 * self._pause, LAST_PAUSE)

    def _listen(self) -> None:
        """Hear notices until the connection is lost, or the watch stopped."""
        run = self._wire.run
        notices = run(lambda client: client.pubsub())
        try:
            run(lambda _: notices.subscribe(self._channel))
            heard, asked = time.monotonic(), False
            while not self._stopped.is_set():
                notice = run(lambda _: notices.get_message(timeout=LOOK))
                if notice is not None:
                    heard, asked = time.monotonic(), False
                    self._hear(notice)
                elif time.monotonic() - heard > (2 * SILENCE if asked else SILENCE):
                    if asked:
                        return
                    run(lambda _: notices.ping())
                    asked = True
        finally:
            self._wire.hang_up(notices)

    def _hear(self, notice: dict[str, Any]) -> None:
        if notice["type"] == "subscribe":
            # Also where the client has connected again by itself: nobody knows what was said in between.
            self._pause = FIRST_PAUSE
            if self._interrupted or self._missed():
                self._tell()
            self._interrupted = True
            self._tried.set()
        elif notice["type"] == "message" and _text(notice["data"]) != self._me():
            self._tell()

    def _tell(self) -> None:
        if self._stopped.is_set():
            return
        try:
            self._changed()
        except BaseException as error:  # of the caller's: the next notice is still to be heard
            log.error("rxauth: watching a token storage: the callback raised %s", type(error).__name__)


def _text(data: str | bytes) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else data
