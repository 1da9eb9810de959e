"""Tokens that live as long as the process."""

from __future__ import annotations

import gc
import threading
import weakref

from rxauth.errors import StorageInUse
from rxauth.storage.protocol import Key, Record, may_replace


class MemoryStorage:
    """Keeps the record in this object; safe from any thread.

    Two sessions may have one, one after the other: `StorageInUse` is raised for the second while the first is neither
    closed nor forgotten, because both would spend one refresh token.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record: Record | None = None
        self._owner: weakref.ref[object] | None = None

    def claim(self, owner: object) -> None:
        """`owner`, a session, has this storage until it is released. Raises `StorageInUse` while another one has it."""
        if self._is_claimed():
            gc.collect()  # one that nobody holds any more may be waiting for this
        with self._lock:
            if self._is_claimed():
                raise StorageInUse(
                    "this MemoryStorage belongs to a session that is open, and two would spend one refresh token: "
                    "share that session, close() it first, or give each a FileStorage(path), which is made for sharing"
                )
            self._owner = weakref.ref(owner)

    def release(self, owner: object) -> None:
        """`owner` is closed."""
        with self._lock:
            if self._owner is not None and self._owner() is owner:
                self._owner = None

    def _is_claimed(self) -> bool:
        return self._owner is not None and self._owner() is not None

    def load(self) -> Record | None:
        """The stored record, if there is one."""
        return self._record

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and anything but that pair is stored."""
        with self._lock:
            if not may_replace(self._record, replaces):
                return False
            self._record = record
            return True

    def clear(self, sign_in: str) -> None:
        """Remove the record if it is this sign-in's."""
        with self._lock:
            if self._record is not None and self._record.sign_in == sign_in:
                self._record = None
