"""The place that a fleet shares, found or made: a file, or a Redis that runs here already or is started for it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rxauth.demo.backend import BackendError
from rxauth.storage import SharedStorage

Kind = Literal["redis", "file"]

#: Where a Redis usually listens; it is asked when there is no redis-server to start.
USUAL_REDIS = "redis://127.0.0.1:6379/0"
INSTALL = "apt-get install redis-server (brew install redis)"

#: How long redis-server may take to start, in seconds.
START_TIMEOUT = 20.0

# redis-server in the background, until our end of the pipe is closed, by us or because we are gone.
_UNTIL_WE_ARE_GONE = '"$@" & read -r _; kill $!; wait $!'


@dataclass(frozen=True, slots=True)
class Place:
    """Where the record is: a path, or a key at a URL. `note` is what a user should know of how it was chosen."""

    kind: Kind
    at: str
    key: str = ""
    note: str = ""

    def open(self) -> SharedStorage:
        """A storage object of the caller's own."""
        if self.kind == "file":
            from rxauth.storage.file import FileStorage

            return FileStorage(self.at)
        from rxauth.storage.redis.storage import RedisStorage

        return RedisStorage(self.at, self.key)

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@contextmanager
def place(kind: Kind | None, redis: str | None) -> Iterator[Place]:
    """A place of the fleet's own: of this kind, or (None) in Redis where there is one, else in a file.

    `redis` is the URL of one that runs. Raises `BackendError` when Redis was asked for and there is none, ImportError
    without the extras.
    """
    folder = Path(tempfile.mkdtemp(prefix="rxauth-fleet-"))
    try:
        if kind == "file":
            yield _in_file(folder)
        elif redis is not None:
            with _key_at(redis) as found:
                yield found
        elif server := shutil.which("redis-server"):
            with _started(server, folder) as url, _key_at(url) as found:
                yield found
        elif _answers(USUAL_REDIS):
            with _key_at(USUAL_REDIS) as found:
                yield found
        elif kind is None:
            yield _in_file(folder, f"there is no Redis here, so they share a file. For Redis: {INSTALL}")
        else:
            raise BackendError(
                f"there is no redis-server here: {INSTALL}, give the --redis URL of one, or share a file"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_file(folder: Path, note: str = "") -> Place:
    return Place("file", str(folder / "app" / "tokens"), note=note)


@contextmanager
def _key_at(url: str) -> Iterator[Place]:
    """A key that nobody else has, and of which nothing is left afterwards."""
    import redis

    from rxauth.storage.redis.lease import Keys

    found = Place("redis", url, f"rxauth:fleet:{secrets.token_hex(4)}")
    keys = Keys.of(found.key)
    with redis.Redis.from_url(url) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            kind = type(error).__name__
        else:
            kind = ""
        if kind:  # out of the except clause: the error's frames hold the password
            raise BackendError(f"the Redis that was given can not be used ({kind})")
        try:
            yield found
        finally:
            client.delete(keys.record, keys.lock, keys.fence, keys.turn)


def _answers(url: str) -> bool:
    import redis

    with redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def _started(server: str, folder: Path) -> Iterator[str]:
    """A redis-server on a socket that only we can open, which ends with us, however we end."""
    socket = folder / "redis.sock"
    options = {"port": "0", "unixsocket": str(socket), "save": "", "dir": str(folder)}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(
        ["/bin/sh", "-c", _UNTIL_WE_ARE_GONE, "sh", server, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is for us alone
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not socket.exists():
            if time.monotonic() > deadline:
                raise BackendError(f"{server} did not start: try {' '.join([server, '--port', '0'])}")
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
