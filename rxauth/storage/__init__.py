"""Where tokens live between runs: the `TokenStorage` protocol and the memory kind."""

from rxauth.storage.memory import MemoryStorage
from rxauth.storage.protocol import Key, Record, TokenStorage

__all__ = ["Key", "MemoryStorage", "Record", "TokenStorage"]
