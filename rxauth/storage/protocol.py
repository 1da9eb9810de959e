"""What a session asks of a token storage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

from rxauth.tokens.pair import Tokens

#: (sign_in, generation): which pair of whose.
Key: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """One stored pair, with the sign-in and the generation that it belongs to; without tokens it is a tombstone: that
    sign-in is over, for everybody who shares the storage.

    `account` and `endpoint` say whose tokens these are and where they are refreshed. `spending` is the journal: since
    when, in seconds since the epoch, somebody has been spending this pair's refresh token. It stands there before the
    post, and whoever finds it after a crash knows that the pair is in doubt.

    `cause` and `status_code` are those of the `SessionExpired` with which the server ended the sign-in, in a tombstone;
    a tombstone without a cause is a logout.

    `origins` and `recent` are the fingerprints of the pairs that were here before: see `rxauth.storage.lineage`.
    """

    sign_in: str
    generation: int
    tokens: Tokens | None
    account: str = ""
    endpoint: str = ""
    spending: float | None = None
    cause: str = ""
    status_code: int | None = None
    origins: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.sign_in, self.generation


def check_storage(storage: object) -> None:
    """Raise a TypeError for what is no `TokenStorage`."""
    kind = f"the class {storage.__name__}" if isinstance(storage, type) else type(storage).__name__
    if isinstance(storage, type) or not all(
        callable(getattr(storage, name, None)) for name in ("load", "save", "clear")
    ):
        raise TypeError(
            f"storage must be an object with load, save and clear, got {kind}; for a path say "
            "storage=FileStorage(path), from rxauth.storage.file"
        )


def may_replace(stored: Record | None, replaces: Key | None) -> bool:
    """The rule of `TokenStorage.save`: may a record that is to replace this pair take the place of what is stored?"""
    return replaces is None or (stored is not None and stored.tokens is not None and stored.key == replaces)


def tombstone(stored: Record | None, sign_in: str) -> Record | None:
    """What `SharedStorage.clear` leaves in the place of what is stored; None where that stays."""
    if stored is None or stored.tokens is None or stored.sign_in != sign_in:
        return None
    return replace(stored, tokens=None, spending=None)


class TokenStorage(Protocol):
    """A place for one record.

    A session calls these methods from threads of its own, never from an event loop, one at a time, and waits 2 s for
    each. They may raise anything: the session then goes on in memory and says so.
    """

    def load(self) -> Record | None:
        """The stored record, if there is one."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and anything but that pair is stored: another
        one, nothing, or a tombstone, also of this sign-in (compare-and-set). The record may be a tombstone itself."""

    def clear(self, sign_in: str) -> None:
        """Remove the record if it is this sign-in's."""


@runtime_checkable
class SharedStorage(TokenStorage, Protocol):
    """A storage that several processes may use at once. `clear` leaves a tombstone, so that the others hear of it."""

    def exclusive(self, wait: float) -> AbstractContextManager[None]:
        """A section in which no other process, session or thread is: for reloading, refreshing and saving.

        Waits for `wait` seconds at most, and raises TimeoutError when another one does not leave it in that time.
        Whoever dies in it has left it, at once or when its lease ends. It may be left by another thread than entered.
        """


@runtime_checkable
class WatchedStorage(SharedStorage, Protocol):
    """A storage that says when another process has changed the record."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called, on a thread of the storage's, after each change by others; returns how to stop."""
