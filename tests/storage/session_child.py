"""What another process does with a session whose tokens are in a file: `python session_child.py <what> ...`."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from rxauth import Session, simplejwt
from rxauth.errors import RxAuthError
from rxauth.session import Refresh
from rxauth.storage import Key, Record
from rxauth.storage.file import FileStorage
from rxauth.storage.redis import RedisStorage
from tests.kit import Caller
from tests.storage.storage_kit import become_nobody, until


def refresh() -> None:
    """For each line of stdin, a step, a path (or a Redis, its key and the lease) and a URL: a process that refreshes
    until it comes to that step, where it says its process id and waits to be killed. "anywhere" is when it begins, and
    that one does not wait."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.alarm(120)  # in case that nobody does
            step, place, url, settings = json.loads(line)
            stop = Stop(step)
            storage: Any = (
                StoppingFile(place)
                if isinstance(place, str)
                else StoppingRedis(*place[:2], lease=place[2], timeout=4.0)
            )
            storage.stop = stop
            session = Session(simplejwt(url, transport=StoppingWire(stop)), storage=storage, **settings)
            stop.is_armed = True
            stop("anywhere", wait=0.0)
            session.fresh().run()
            signal.pause()


class Stop:
    """Stops its process at one step."""

    def __init__(self, step: str) -> None:
        self._step, self.is_armed = step, False

    def __call__(self, step: str, wait: float = 60.0) -> None:
        if self.is_armed and step == self._step:
            print(os.getpid(), flush=True)
            time.sleep(wait)


class Stopping:
    """A storage that stops its process before and after what it does."""

    stop: Stop

    def load(self) -> Record | None:
        found: Record | None = super().load()  # type: ignore[misc]
        self.stop("after reading")
        return found

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        what = "the pair" if record.spending is None else "the journal"
        self.stop(f"before saving {what}")
        original = os.replace

        def replaced(old: Any, new: Any) -> None:
            self.stop(f"in the midst of saving {what}")
            original(old, new)

        os.replace = replaced
        saved: bool = super().save(record, replaces)  # type: ignore[misc]
        os.replace = original
        self.stop(f"after saving {what}")
        return saved

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        self.stop("before the section")
        with super().exclusive(wait):  # type: ignore[misc]
            self.stop("in the section")
            yield
            self.stop("before leaving")


class StoppingFile(Stopping, FileStorage):
    pass


class StoppingRedis(Stopping, RedisStorage):
    pass


class StoppingWire(httpx.HTTPTransport):
    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._stop("before the post")
        response = super().handle_request(request)
        response.read()
        self._stop("with the answer")
        return response


def trouble(kind: str, path: str, url: str) -> None:
    """A session whose file can not be written for a while, first before a post and then after one; one line for what
    it is like at each moment."""
    httpx.get(f"{url}/api/public/")  # has Python load what it may not find as nobody, its library being root's
    if kind == "permission":
        become_nobody()
    spoil, mend = ways_to_spoil(kind, Path(path))
    wire = SpoilingWire()
    session = Session(simplejwt(url, transport=wire), storage=FileStorage(path), cool_down=0.0, backoff=0.02)
    old = session.login(username="ada", password="lovelace").run()
    other = Session(simplejwt(url, transport=wire), storage=FileStorage(path))

    def say(moment: str, **more: str) -> None:
        auth, found = session.auth, FileStorage(path).load()
        facts = {"status": auth.status, "storage": auth.storage, "stored": wire.judge(found), "posts": wire.posts}
        print(json.dumps([moment, {**facts, **more}]))

    spoil()
    session.store.dispatch(Refresh())
    until(lambda: session.auth.status == "degraded", "the refresh has failed")
    say("before the post", session="the old tokens" if session.fresh().run() is old else "others")

    mend()
    new = session.replace().run()
    say("mended")

    wire.afterwards = spoil
    newer = session.replace().run()
    waiting = Caller(other.replace())
    time.sleep(0.1)
    say(
        "after the post",
        session="new tokens" if newer.access != new.access else "the old ones",
        others="nothing yet" if not waiting.ends else "something",
    )
    mend()
    until(lambda: session.auth.storage == "ok" and waiting.ends == 1, "the pair is saved, and the other one has it")
    say("mended again", others="the same tokens" if waiting.access == newer.access else f"{waiting}")


def ways_to_spoil(kind: str, path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """How to make the file one that can not be written, and how to mend that."""
    if kind == "permission":
        return lambda: path.parent.chmod(0o500), lambda: path.parent.chmod(0o700)
    if kind == "limit":
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        return (
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard)),
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)),
        )
    filler = path.parent.with_name("filler")
    return lambda: fill(filler), filler.unlink


def fill(filler: Path) -> None:
    """Leave no room on the disk."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


class SpoilingWire(httpx.HTTPTransport):
    """Remembers the pairs that the server gives out; `afterwards` is called once, after the next answer."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self.afterwards: Callable[[], object] | None = None

    @property
    def posts(self) -> int:
        return len(self.pairs) - 1  # the first is the login's

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        answer = json.loads(response.read())
        self.pairs.append((answer["access"], answer["refresh"]))
        if self.afterwards is not None:
            self.afterwards()
            self.afterwards = None
        return response

    def judge(self, found: Record | None) -> str:
        """Which of the server's pairs is stored."""
        assert found is not None
        assert found.tokens is not None
        number = self.pairs.index((found.tokens.access, found.tokens.refresh or "")) + 1
        return f"pair {number}, generation {found.generation}{', being spent' if found.spending is not None else ''}"


def host(url: str, server: str, settings: str) -> None:
    """A session whose tokens are in Redis, that does what the lines of stdin say, and says how it is after each.

    `server` is a Unix socket. After "refresh and wait" it says "answered" when the server has, and goes on at a line.
    """
    wire = HaltingWire(server)
    session = Session(
        simplejwt("http://localhost", transport=wire), storage=RedisStorage(url, lease=15.0), **json.loads(settings)
    )

    def say(**more: Any) -> None:
        auth = session.auth
        print(json.dumps({"status": auth.status, "storage": auth.storage, **more}), flush=True)

    for line in sys.stdin:
        what, before = line.strip(), session.auth.tokens
        wire.halts = what == "refresh and wait"
        try:
            match what:
                case "log in":
                    tokens = session.login(username="ada", password="lovelace").run()
                case "call":
                    tokens = session.fresh().run()
                case "be refused" | "refresh and wait":
                    tokens = session.replace().run()
                case "explain":
                    print(json.dumps(session.explain()), flush=True)
                    continue
        except RxAuthError as error:
            say(error=type(error).__name__, cause=str(getattr(error, "cause", "")))
        else:
            say(access=tokens.access, new=tokens is not before)


class HaltingWire(httpx.HTTPTransport):
    """To a Unix socket; where it `halts`, it says that there is an answer, and waits for a line."""

    def __init__(self, server: str) -> None:
        super().__init__(uds=server)
        self.halts = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        if self.halts:
            print(json.dumps("answered"), flush=True)
            sys.stdin.readline()
        return response


def forked(path: str, url: str) -> None:
    """A session whose tokens are stale, and its copy in a forked child; each says which new tokens it has."""
    session = Session(simplejwt(url), storage=FileStorage(path))
    child = os.fork()
    print(session.fresh().run().access, flush=True)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    {what.__name__: what for what in (refresh, trouble, host, forked)}[sys.argv[1]](*sys.argv[2:])
