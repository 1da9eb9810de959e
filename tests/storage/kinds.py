"""A place for the storages of one test, of each kind, and what stands there as text."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, Protocol

import keyrings.alt.file as alternatives

from rxauth.storage import SharedStorage
from rxauth.storage.file import FileStorage
from rxauth.storage.keyring import KeyringStorage
from rxauth.storage.redis import RedisStorage

_numbers = count()


class Place(Protocol):
    def make(self) -> SharedStorage:
        """One more storage object for this place."""

    def plant(self, text: str) -> None:
        """Put this text there, as it is."""

    def text(self) -> str | None:
        """What stands there."""

    def remove(self) -> None:
        """Take away what stands there."""

    def leave(self) -> None:
        """Close what `make` has made."""


class InAFile:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "tokens"

    def make(self) -> SharedStorage:
        return FileStorage(self.path, lock_timeout=60.0)

    def plant(self, text: str) -> None:
        self.path.touch(0o600)
        self.path.write_text(text)

    def text(self) -> str | None:
        return self.path.read_text() if self.path.exists() else None

    def remove(self) -> None:
        self.path.unlink()

    def leave(self) -> None:
        pass


class InAKeyring:
    """In the backend that is given, or else in one that keeps its passwords in a file, in the clear."""

    def __init__(self, directory: Path, backend: Any = None) -> None:
        self.directory = directory
        self.account = f"account-{next(_numbers)}"
        self.backend = backend or self._plain()

    def make(self) -> SharedStorage:
        return KeyringStorage(
            "rxauth-tests",
            self.account,
            backend=self.backend,
            plain_text=True,
            lock_directory=self.directory / "locks",
            lock_timeout=60.0,
        )

    def plant(self, text: str) -> None:
        self.backend.set_password("rxauth-tests", self.account, text)

    def text(self) -> str | None:
        found: str | None = self.backend.get_password("rxauth-tests", self.account)
        return found

    def remove(self) -> None:
        self.backend.delete_password("rxauth-tests", self.account)

    def leave(self) -> None:
        pass

    def _plain(self) -> Any:
        backend = alternatives.PlaintextKeyring()
        backend.file_path = str(self.directory / "passwords")
        return backend


class OnRedis:
    """On a server of `redis_kit`, under a key of its own."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.key = f"key-{next(_numbers)}"
        self.made: list[RedisStorage] = []

    def make(self) -> SharedStorage:
        self.made.append(RedisStorage(self.server.url, self.key, lease=300.0, timeout=60.0))
        return self.made[-1]

    def plant(self, text: str) -> None:
        with self.server.client as client:
            client.set(self.key, text)

    def text(self) -> str | None:
        with self.server.client as client:
            found: str | None = client.get(self.key)
        return found

    def remove(self) -> None:
        with self.server.client as client:
            client.delete(self.key)

    def leave(self) -> None:
        for storage in self.made:
            storage.close()
