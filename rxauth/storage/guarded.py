"""A session's way to its storage: every call in a time limit, no error lost, nothing saved out of turn."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from rxauth.runtime import Runtime
from rxauth.storage.memory import MemoryStorage
from rxauth.storage.protocol import Key, Record, TokenStorage
from rxauth.tokens import Tokens

T = TypeVar("T")

log = logging.getLogger("rxauth")


class GuardedStorage:
    """Calls a storage on a thread of its own and waits `timeout` seconds at most.

    Used by one thread at a time: the session's refresh, login or logout.
    """

    def __init__(self, storage: TokenStorage, runtime: Runtime, timeout: float) -> None:
        self._storage = storage
        self._runtime = runtime
        self._timeout = timeout
        self._stored: Key | None = None
        self._unsaved: Tokens | None = None

    @property
    def is_shared(self) -> bool:
        """True when the tokens outlive this process."""
        return not isinstance(self._storage, MemoryStorage)

    def load(self) -> Record | None:
        """The stored record. Raises what the storage raises."""
        record = self._limited(self._storage.load)
        self._stored = record.key if record is not None else None
        return record

    def save(self, tokens: Tokens, *, takes_over: bool = False) -> Exception | None:
        """Store the pair in the place of the one stored last, or of whatever there is (`takes_over`: a new sign-in).

        Returns the error, if it failed. The pair is then saved by the next `catch_up()`. A pair whose predecessor is
        gone from the storage (a logout was quicker) is not saved, which is no error.
        """
        record = Record(tokens.sign_in, tokens.generation, tokens)
        replaces = None if takes_over else self._stored
        try:
            stored = self._limited(lambda: self._storage.save(record, replaces))
        except Exception as error:
            log.warning("rxauth: the tokens could not be saved: %s: %s", type(error).__name__, error)
            self._unsaved = tokens
            return error
        self._unsaved = None
        if stored:
            self._stored = record.key
        return None

    def catch_up(self) -> Exception | None:
        """Save what could not be saved: before a post, because afterwards the stored refresh token is a spent one."""
        return self.save(self._unsaved, takes_over=self._stored is None) if self._unsaved is not None else None

    @property
    def is_behind(self) -> bool:
        return self._unsaved is not None

    def clear(self, sign_in: str) -> Exception | None:
        """Remove the sign-in's record. Returns the error, if it failed."""
        self._unsaved = None
        try:
            self._limited(lambda: self._storage.clear(sign_in))
        except Exception as error:
            log.error("rxauth: the tokens of a session that is over are still stored: %s", type(error).__name__)
            return error
        return None

    def _limited(self, work: Callable[[], T]) -> T:
        pending = self._runtime.io(work, "rxauth-storage")
        if not self._runtime.wait(pending.done, self._timeout):
            raise TimeoutError(f"the token storage did not answer in {self._timeout:g} s")
        return pending.result()
