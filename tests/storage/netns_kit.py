"""Hosts of their own, as network namespaces of this machine, each with a line to a Redis that can be cut."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.programs import missing, needed
from tests.storage.storage_kit import WITH_A_SESSION, start, until

#: The addresses of both ends of a host's line, inside namespaces that nobody else sees.
STORE, HOST = "10.77.{}.1", "10.77.{}.2"


class Net:
    """A namespace with a redis-server in it, and one for each host. Redis can also be asked from here, by `socket`."""

    def __init__(self, hosts: int) -> None:
        self._binary = needed("redis-server", packages=("redis-server",))
        self._folder = Path(tempfile.mkdtemp(prefix="rxauth-net-"))
        self._names: list[str] = []
        self._redis: subprocess.Popen[bytes] | None = None
        self.socket = self._folder / "redis.sock"
        try:
            self._store = self._space("store")
            for number in range(hosts):
                self._lay(number)
        except (OSError, subprocess.CalledProcessError) as error:
            self.end()
            missing(f"needs network namespaces: run as root, with `ip` of iproute2 ({type(error).__name__})")
        where = [STORE.format(number) for number in range(hosts)]
        options = ["--bind", *where, "--protected-mode", "no", "--save", "", "--unixsocket", str(self.socket)]
        command = ["ip", "netns", "exec", self._store, self._binary, "--dir", str(self._folder), *options]
        self._redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.socket.exists, "redis-server listens")

    def url(self, number: int) -> str:
        """Where the host finds Redis."""
        return f"redis://{STORE.format(number)}:6379/0"

    def cut(self, number: int) -> None:
        """What the host and Redis send to each other is lost from now on."""
        _ip("-n", self._store, "link", "set", f"line{number}", "down")

    def mend(self, number: int) -> None:
        _ip("-n", self._store, "link", "set", f"line{number}", "up")

    def host(self, number: int, server: str, **settings: float) -> Host:
        return Host(["ip", "netns", "exec", self._names[number + 1]], self.url(number), server, settings)

    def end(self) -> None:
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait(60)
        for name in self._names:
            with suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "delete", name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _space(self, what: str) -> str:
        name = f"rxauth-{os.getpid()}-{what}"
        _ip("netns", "add", name)
        self._names.append(name)
        return name

    def _lay(self, number: int) -> None:
        """A host and its line."""
        name, line = self._space(f"host{number}"), f"line{number}"
        _ip("link", "add", line, "netns", self._store, "type", "veth", "peer", "name", "line", "netns", name)
        for space, end, address in ((self._store, line, STORE), (name, "line", HOST)):
            _ip("-n", space, "address", "add", f"{address.format(number)}/24", "dev", end)
            _ip("-n", space, "link", "set", end, "up")


class Host:
    """A process with a session, on a host: see `host` in session_child.py for what it can be told."""

    def __init__(self, inside: list[str], url: str, server: str, settings: dict[str, float]) -> None:
        self._process = start("host", url, server, json.dumps(settings), program=WITH_A_SESSION, inside=inside)

    def tell(self, what: str) -> None:
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)

    def says(self) -> Any:
        """The next thing that it says."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 60.0)
        assert ready, "the host says nothing"
        return json.loads(self._process.stdout.readline())

    def ask(self, what: str) -> Any:
        self.tell(what)
        return self.says()

    def end(self) -> None:
        self._process.communicate(timeout=60)


class Relay:
    """A Unix socket, which every namespace can reach, in front of a loopback port: the line that is not cut."""

    def __init__(self, port: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="rxauth-relay-")
        self.path = str(Path(self._folder) / "server.sock")
        self._port = port
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as far:
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join(60)


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def nets() -> Iterator[Net]:
    """For a fixture: two hosts and their Redis."""
    if sys.platform != "linux":
        missing("needs the network namespaces of Linux")
    needed("ip", packages=("iproute2",))
    net = Net(2)
    try:
        yield net
    finally:
        net.end()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
