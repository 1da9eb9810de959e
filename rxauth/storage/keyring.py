"""Tokens in the operating system's secret store. The extra `rxauth[keyring]`."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rxauth.errors import StorageError, UnsafeStorage
from rxauth.redaction.tracebacks import concealed
from rxauth.storage import codec
from rxauth.storage.protocol import Key, Record, may_replace, tombstone

try:
    import filelock  # noqa: F401  # which the locks below need
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.backends import chainer, fail, null
except ImportError as missing:
    raise ImportError("KeyringStorage needs keyring and filelock: pip install 'rxauth[keyring]'") from missing

from rxauth.storage.file import locked, make_directory

T = TypeVar("T")

_NO_BACKEND = (
    "there is no secret store that the package keyring could use here: on Linux start a Secret Service (gnome-keyring, "
    "KWallet, KeePassXC) in this session and see that DBUS_SESSION_BUS_ADDRESS is set, or keep the tokens in a "
    "FileStorage; `keyring --list-backends` says what there is"
)


class KeyringStorage:
    """Keeps the record as one password of the operating system's secret store: Secret Service or KWallet on Linux, the
    Keychain of macOS, the Credential Manager of Windows.

    `service` and `account` are its name there. `backend` is a `keyring` backend, by default the one that `keyring`
    finds or is configured for; of a chain of backends only the first is used. One that is known to store in plain text
    is refused, unless `plain_text` is true. All this is looked at once, when the storage is made; that may ask D-Bus.

    A secret store has no locks. So these are files, in a directory of the user's own (`lock_directory`; by default
    `~/.local/state/rxauth`, on macOS in `~/Library/Application Support`, on Windows in `%LOCALAPPDATA%`), which must be
    the same for all processes that share the record. `lock_timeout` is how many seconds a call waits for that of
    another process; all records of a user take turns, because a store may keep them all in one file.

    Any method may be called from any thread; each blocks it, for as long as a prompt to unlock the store is open: a
    session waits 2 s and then goes on in memory, so unlock it first. They raise `StorageError` when the store refuses,
    is locked or gone; `InvalidRecord`, a kind of it, when what is stored is damaged or of a newer version, which is not
    overwritten; `TimeoutError` when a lock is not free in time; `OSError` and `UnsafeStorage` for the lock files.

    The Credential Manager takes no more than 1,280 characters under one name, less than many pairs of JWTs need: then
    use `FileStorage`. The Keychain has no replacing: keyring deletes the old password and adds the new one, so that a
    process that is killed in between leaves none.
    """

    @concealed
    def __init__(
        self,
        service: str,
        account: str,
        *,
        backend: KeyringBackend | None = None,
        plain_text: bool = False,
        lock_directory: str | os.PathLike[str] | None = None,
        lock_timeout: float = 1.5,
    ) -> None:
        for name, text in (("service", service), ("account", account)):
            if not isinstance(text, str) or not text:
                raise ValueError(f"{name} must be a text that is not empty, got {text!r}")
        if not 0 < lock_timeout < 1e9:
            raise ValueError(f"lock_timeout must be a positive number of seconds, got {lock_timeout!r}")
        self._service, self._account = service, account
        self._backend = _usable(backend or _found(), plain_text)
        self._locks = Path(os.path.abspath(Path(lock_directory or _state_directory()).expanduser()))
        self._lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"KeyringStorage({self._service!r}, {self._account!r}, backend=<{_name(self._backend)}>)"

    @concealed
    def load(self) -> Record | None:
        """The stored record, if there is one; without tokens it is a tombstone."""
        with self._turn():
            return self._read()

    @concealed
    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and anything but that pair is stored."""
        text = codec.dumps(record)
        with self._turn():
            if not may_replace(self._read(), replaces):
                return False
            self._write(text)
            return True

    @concealed
    def clear(self, sign_in: str) -> None:
        """Put a tombstone in the place of the record, if it is this sign-in's."""
        with self._turn():
            over = tombstone(self._read(), sign_in)
            if over is not None:
                self._write(codec.dumps(over))

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        """A section in which no other process, session or thread is. The operating system ends it for who dies in it.

        Raises TimeoutError when it is not free within `wait` seconds. May be left by another thread than entered.
        """
        named = hashlib.sha256(f"{self._service}\0{self._account}".encode(errors="surrogatepass")).hexdigest()[:32]
        make_directory(self._locks)
        with locked(self._locks / f"keyring-{named}.refresh.lock", wait, f"the section of {self._where}"):
            yield

    @contextmanager
    def _turn(self) -> Iterator[None]:
        make_directory(self._locks)
        with locked(self._locks / "keyring.lock", self._lock_timeout, "the keyring"):
            yield

    def _read(self) -> Record | None:
        text = self._ask("read", lambda: self._backend.get_password(self._service, self._account))
        return None if text is None else codec.loads(text, self._where)

    def _write(self, text: str) -> None:
        how = f"store {len(text):,} characters in"
        self._ask(how, lambda: self._backend.set_password(self._service, self._account, text))

    def _ask(self, how: str, call: Callable[[], T]) -> T:
        """What the backend answers. Its own errors are of many kinds, and may hold what was to be stored."""
        try:
            return call()
        except Exception as error:
            kind = type(error).__name__
            why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise StorageError(
            f"could not {how} {self._where} ({kind}{why}): is the store running and unlocked, and does it permit this?"
        )

    @property
    def _where(self) -> str:
        return f"the entry {self._account!r} of {self._service!r} in the keyring ({_name(self._backend)})"


def _found() -> KeyringBackend:
    """The backend that the package keyring finds, or is configured for."""
    try:
        return keyring.get_keyring()
    except Exception as error:
        raise StorageError(
            f"the backend that the package keyring is configured for can not be used ({error}): see its configuration "
            "file and PYTHON_KEYRING_BACKEND, or give a backend="
        ) from error


def _usable(backend: KeyringBackend, plain_text: bool) -> KeyringBackend:
    """The backend, or the first of a chain. Raises `StorageError` if it stores nothing, or anything for all to read."""
    if isinstance(backend, chainer.ChainerBackend):
        backends = list(backend.backends)
        if not backends:
            raise StorageError(_NO_BACKEND)
        backend = backends[0]
    if isinstance(backend, fail.Keyring):
        raise StorageError(_NO_BACKEND)
    if isinstance(backend, null.Keyring):
        raise StorageError(
            "the package keyring is switched off here, by its configuration or PYTHON_KEYRING_BACKEND: switch it on, "
            "give a backend=, or keep the tokens in a FileStorage"
        )
    if not plain_text and _is_plain(backend):
        raise UnsafeStorage(
            f"the keyring's backend {_name(backend)} stores in plain text: use a real secret store, or a FileStorage, "
            "which sees to it that others can not read it; if you accept this one, say plain_text=True"
        )
    return backend


def _is_plain(backend: KeyringBackend) -> bool:
    """Is it one of those that are known to encrypt nothing?"""
    return any("plaintext" in kind.__name__.lower() for kind in type(backend).__mro__)


def _name(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _state_directory() -> Path:
    """The same for all processes of a user, also for those without a desktop, whose XDG variables are not set."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "rxauth"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "rxauth"
    return Path.home() / ".local" / "state" / "rxauth"
