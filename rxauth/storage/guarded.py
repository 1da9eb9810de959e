"""A session's way to its storage: every call in a time limit, no error lost, nothing saved out of turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rxauth.runtime import Latch, Runtime
from rxauth.storage.memory import MemoryStorage
from rxauth.storage.protocol import Key, Record, TokenStorage
from rxauth.tokens import Tokens

T = TypeVar("T")

log = logging.getLogger("rxauth")


class GuardedStorage:
    """Calls a storage on a thread of its own and waits `timeout` seconds at most, one call after the other.

    A refresh, a login and a logout may want to write at once. Each waits for the one before it, so that the write of a
    login that was overtaken can not land on top of the one that overtook it.
    """

    def __init__(self, storage: TokenStorage, runtime: Runtime, timeout: float) -> None:
        self._storage = storage
        self._runtime = runtime
        self._timeout = timeout
        self._lock = threading.Lock()
        self._last: Latch | None = None
        self._stored: Key | None = None
        self._unsaved: Tokens | None = None
        #: The generation saved last: what was made before it comes too late, whosever it is.
        self._newest = 0
        #: The sign-in of which nothing has been stored yet, because its first save failed.
        self._owed = ""

    @property
    def is_shared(self) -> bool:
        """True when the tokens outlive this process."""
        return not isinstance(self._storage, MemoryStorage)

    def renew(self) -> None:
        """For the child of a fork, where nobody ends a call that was under way."""
        self._lock, self._last = threading.Lock(), None

    def load(self) -> Record | None:
        """The stored record. Raises what the storage raises."""
        with self._turn():
            record = self._limited(self._storage.load)
            self._stored = record.key if record is not None else None
            return record

    def save(self, tokens: Tokens, *, takes_over: bool = False) -> Exception | None:
        """Store the pair in the place of the one stored last, or of whatever there is (`takes_over`: a new sign-in).

        Returns the error, if it failed. The pair is then saved by the next `catch_up()`. A pair whose predecessor is
        gone from the storage (a logout was quicker), or one older than what is stored, is not saved, which is no error.
        """
        with self._turn():
            if tokens.generation < self._newest:
                return None
            record = Record(tokens.sign_in, tokens.generation, tokens)
            first = takes_over or self._owed == tokens.sign_in
            replaces = None if first else self._stored or (tokens.sign_in, -1)
            try:
                stored = self._limited(lambda: self._storage.save(record, replaces))
            except Exception as error:
                log.warning("rxauth: the tokens could not be saved: %s: %s", type(error).__name__, error)
                self._unsaved = tokens
                self._owed = tokens.sign_in if first else self._owed
                return error
            self._unsaved, self._owed = None, ""
            if stored:
                self._stored, self._newest = record.key, record.generation
            return None

    def catch_up(self) -> Exception | None:
        """Save what could not be saved: before a post, because afterwards the stored refresh token is a spent one."""
        return self.save(self._unsaved) if self._unsaved is not None else None

    @property
    def is_behind(self) -> bool:
        return self._unsaved is not None

    def clear(self, sign_in: str) -> Exception | None:
        """Remove the sign-in's record. Returns the error, if it failed."""
        with self._turn():
            if self._unsaved is not None and self._unsaved.sign_in == sign_in:
                self._unsaved = None
            if self._owed == sign_in:
                self._owed = ""
            if self._stored is not None and self._stored[0] == sign_in:
                self._stored, self._newest = None, 0
            try:
                self._limited(lambda: self._storage.clear(sign_in))
            except Exception as error:
                log.error("rxauth: the tokens of a session that is over are still stored: %s", type(error).__name__)
                return error
            return None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        mine = self._runtime.latch()
        with self._lock:
            before, self._last = self._last, mine
        if before is not None:
            self._runtime.wait(before, self._timeout)
        try:
            yield
        finally:
            mine.set()

    def _limited(self, work: Callable[[], T]) -> T:
        pending = self._runtime.io(work, "rxauth-storage")
        if not self._runtime.wait(pending.done, self._timeout):
            raise TimeoutError(f"the token storage did not answer in {self._timeout:g} s")
        return pending.result()
