"""What another process does with the storage: `python redis_child.py <what> <url> ...`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from rxauth.errors import StorageError
from rxauth.storage.redis import RedisStorage


def count(url: str, times: str) -> None:
    """Put the next generation in the place of the stored one, so many times."""
    storage = RedisStorage(url)
    for _ in range(int(times)):
        with storage.exclusive(60.0):
            stored = storage.load()
            assert stored is not None
            assert storage.save(replace(stored, generation=stored.generation + 1), stored.key)


def hold(url: str, lease: str) -> None:
    """Enter the section, say so, and never leave it."""
    storage = RedisStorage(url, lease=float(lease))
    with storage.exclusive(10.0):
        print("in", flush=True)
        time.sleep(600)


def save_late(url: str, lease: str) -> None:
    """Enter the section, say so, save when told to, and say what comes of it."""
    storage = RedisStorage(url, lease=float(lease))
    with storage.exclusive(10.0):
        stored = storage.load()
        assert stored is not None
        print("in", flush=True)
        sys.stdin.readline()
        try:
            print(storage.save(replace(stored, generation=stored.generation + 1), stored.key))
        except StorageError as error:
            print(error)


if __name__ == "__main__":
    {"count": count, "hold": hold, "save-late": save_late}[sys.argv[1]](*sys.argv[2:])
