"""Where tokens live between runs: the `TokenStorage` protocol and the memory kind."""

from rxauth.storage.memory import MemoryStorage
from rxauth.storage.naming import name_for
from rxauth.storage.protocol import Key, Record, SharedStorage, TokenStorage, WatchedStorage

__all__ = ["Key", "MemoryStorage", "Record", "SharedStorage", "TokenStorage", "WatchedStorage", "name_for"]
