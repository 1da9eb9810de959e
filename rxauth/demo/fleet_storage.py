"""The storage that a fleet shares, from its place as text: what the workers are told on their command line."""

from __future__ import annotations

from rxauth.storage import SharedStorage


def open_storage(place: str) -> SharedStorage:
    """`file:<path>`, or the URL of a Redis."""
    if place.startswith("file:"):
        from rxauth.storage.file import FileStorage

        return FileStorage(place.removeprefix("file:"))
    from rxauth.storage.redis import RedisStorage

    return RedisStorage(place, key="rxauth:fleet")
