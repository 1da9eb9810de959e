"""Tokens that live as long as the process."""

from __future__ import annotations

import threading

from rxauth.storage.protocol import Key, Record, may_replace


class MemoryStorage:
    """Keeps the record in this object; safe from any thread. Two sessions may share one, one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._record: Record | None = None

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
