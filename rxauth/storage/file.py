"""Tokens in a file of the user's own, for the processes of one machine. The extra `rxauth[file]`."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rxauth.errors import UnsafeStorage
from rxauth.redaction.tracebacks import concealed
from rxauth.storage import codec
from rxauth.storage.protocol import Key, Record, may_replace, tombstone

try:
    from filelock import FileLock, Timeout
except ImportError as missing:
    raise ImportError("FileStorage needs the package filelock: pip install 'rxauth[file]'") from missing

#: The names of the files beside the record: the lock of one change, the lock of the section, and the next content.
CHANGE, SECTION, NEXT = ".lock", ".refresh.lock", ".next"

#: How often a lock that another one holds is looked at, in seconds.
POLL: Final = 0.02

#: Windows has neither owners nor modes that Python could read: there, the directory's access list protects the file.
_HAS_MODES: Final = hasattr(os, "geteuid")
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class FileStorage:
    """Keeps the record in a file that only its owner can read, for any number of processes on one machine.

    `path` may begin with `~`. The directory is made when something is saved, for the owner alone (0700), the file with
    mode 0600. Beside it stand two lock files, which stay, and for a moment the next content: `FileStorage("tokens")`
    makes `tokens`, `tokens.lock`, `tokens.refresh.lock` and `tokens.next`. Delete the lock files only when no process
    uses them. The tokens are stored in the clear; for the operating system's secret store see `KeyringStorage`.

    A new record takes the place of the old one as a whole: after a crash or a power cut the file holds the one or the
    other, and the locks are free. `lock_timeout` is how many seconds a change waits for the change of another process,
    which takes some milliseconds.

    Any method may be called from any thread; each blocks it. They raise

    * `UnsafeStorage` when others could read or change the file: its mode, its owner, a symbolic link in its place, or a
      directory in which others can write; the text names the command that mends it;
    * `InvalidRecord` when the file is damaged or of a newer version; it is not overwritten;
    * `OSError` as it comes, for a full disk, a read-only directory and the like, and `TimeoutError`, which is one, when
      a lock is not free in time. The old record is whole, and no other file is left behind.

    Not for a network drive whose locks are not those of all its machines, nor for one without locks, which is an
    OSError: share a sign-in between machines with `RedisStorage`. On Windows the modes are those of the directory.
    """

    def __init__(self, path: str | os.PathLike[str], *, lock_timeout: float = 1.5) -> None:
        if not 0 < lock_timeout < 1e9:
            raise ValueError(f"lock_timeout must be a positive number of seconds, got {lock_timeout!r}")
        self._path = Path(os.path.abspath(Path(path).expanduser()))
        self._lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"FileStorage({str(self._path)!r})"

    @concealed
    def load(self) -> Record | None:
        """The stored record, if there is one; without tokens it is a tombstone."""
        try:
            _check_directory(self._path.parent)
        except FileNotFoundError:
            return None
        return self._read()

    @concealed
    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and anything but that pair is stored."""
        text = codec.dumps(record)
        with self._change():
            if not may_replace(self._read(), replaces):
                return False
            self._write(text)
            return True

    @concealed
    def clear(self, sign_in: str) -> None:
        """Put a tombstone in the place of the record, if it is this sign-in's."""
        if self.load() is None:
            return
        with self._change():
            over = tombstone(self._read(), sign_in)
            if over is not None:
                self._write(codec.dumps(over))

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        """A section in which no other process, session or thread is. The operating system ends it for who dies in it.

        Raises TimeoutError when it is not free within `wait` seconds. May be left by another thread than entered.
        """
        make_directory(self._path.parent)
        with locked(self._beside(SECTION), wait, f"the section of {self._path}"):
            yield

    @contextmanager
    def _change(self) -> Iterator[None]:
        make_directory(self._path.parent)
        with locked(self._beside(CHANGE), self._lock_timeout, str(self._path)):
            yield

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def _read(self) -> Record | None:
        content = _content(self._path)
        return None if content is None else codec.loads(_decoded(content), str(self._path))

    def _write(self, text: str) -> None:
        """Put a new file in the place of the old one. Only who holds the lock does this, so that one name is enough,
        and what a crash has left under it is no other's."""
        following = self._beside(NEXT)
        following.unlink(missing_ok=True)
        try:
            _create(following, text.encode())
            os.replace(following, self._path)
        except BaseException:
            with suppress(OSError):
                following.unlink(missing_ok=True)
            raise
        # Else a power cut could bring back the old record, whose refresh token is spent.
        _sync_directory(self._path.parent)


def make_directory(directory: Path) -> None:
    """Make the directory, and those above it, for the owner alone. Raises `UnsafeStorage` if others can write in it."""
    try:
        _check_directory(directory)
    except FileNotFoundError:
        _make(directory)
        _check_directory(directory)


@contextmanager
def locked(path: Path, wait: float, what: str) -> Iterator[None]:
    """Hold the lock file. Raises TimeoutError, saying `what` is in use, if it is not free within `wait` seconds.

    Each time with a lock object of its own: one that is shared would let its second user in. Where the file system has
    no locks, filelock would take the mere existence of a file for one, which stays when its holder dies: an OSError.
    """
    lock = FileLock(path, max(0.0, wait), 0o600, thread_local=False, poll_interval=POLL, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        what = f"{what} is in use by another process or session, and was not free within {wait:g} s"
        raise TimeoutError(what) from None
    try:
        yield
    finally:
        lock.release()


def _make(directory: Path) -> None:
    with suppress(FileExistsError):  # another process was quicker
        try:
            directory.mkdir(0o700)
        except FileNotFoundError:
            _make(directory.parent)
            directory.mkdir(0o700)


def _check_directory(directory: Path) -> None:
    """Raise `UnsafeStorage` if others can put files in the place of ours there."""
    found = directory.stat()
    if not _HAS_MODES:
        return
    name = shlex.quote(str(directory))
    if found.st_uid not in (os.geteuid(), 0):
        raise UnsafeStorage(
            f"the directory {directory} belongs to another user, who can put another file there: chown {os.geteuid()} "
            f"{name}, or give a path in a directory of your own"
        )
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise UnsafeStorage(
            f"others can write in the directory {directory}, and put another file there: chmod go-w {name}, or give a "
            "path one directory deeper, which is then made for you alone"
        )


def _content(path: Path) -> bytes | None:
    """What the file holds, if there is one. Raises `UnsafeStorage` if others could read or change it."""
    try:
        file = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
        file = -1
    if file < 0:
        raise UnsafeStorage(f"{path} is a symbolic link: give the path that it points to, {os.path.realpath(path)}")
    try:
        _check_file(path, os.fstat(file))
        with open(file, "rb", closefd=False) as opened:
            return opened.read()
    finally:
        os.close(file)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeStorage(f"{path} is no regular file: give another path")
    if not _HAS_MODES:
        return
    name = shlex.quote(str(path))
    if found.st_uid != os.geteuid():
        raise UnsafeStorage(
            f"{path} belongs to another user: chown {os.geteuid()} {name}, or move it away and sign in again"
        )
    if found.st_mode & 0o077:
        raise UnsafeStorage(
            f"others can read or write {path} (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600 {name}; and sign in "
            "again, if somebody may have read it"
        )


def _decoded(content: bytes) -> str:
    """The text, or one that is refused as well."""
    try:
        return content.decode()
    except UnicodeDecodeError:  # which holds the content, and so does not leave this function
        return ""


def _create(path: Path, content: bytes) -> None:
    """Make the file with this content, and have it on the disk."""
    file = os.open(path, _CREATE, 0o600)
    try:
        while content:
            content = content[os.write(file, content) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_directory(directory: Path) -> None:
    if not _HAS_MODES:
        return  # Windows can not open a directory
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have nothing to sync there
            raise
    finally:
        os.close(file)
