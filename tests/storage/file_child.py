"""What another process does with a file or a keyring: `python file_child.py <what> <path> ...`."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rxauth.storage import SharedStorage
from rxauth.storage.file import FileStorage
from tests.storage.storage_kit import become_nobody, names_in, record

#: The calls to the operating system that a save is made of.
CALLS = ("open", "write", "fsync", "close", "replace", "unlink")


def made(place: str) -> SharedStorage:
    """The storage at a path, or of an account in the keyring with its locks in a directory: `keyring:account:locks`."""
    if place.startswith("keyring:"):
        from rxauth.storage.keyring import KeyringStorage

        _, account, locks = place.split(":")
        return KeyringStorage("rxauth-tests", account, lock_directory=locks, lock_timeout=30.0)
    return FileStorage(place, lock_timeout=30.0)


def count(place: str, times: str) -> None:
    """Put the next generation in the place of the stored one, so many times."""
    storage = made(place)
    for _ in range(int(times)):
        with storage.exclusive(60.0):
            stored = storage.load()
            assert stored is not None
            assert storage.save(record(stored.generation + 1), stored.key)


def show(place: str) -> None:
    """Say which access token is stored."""
    stored = made(place).load()
    print(stored and stored.tokens and stored.tokens.access)


def hold(place: str) -> None:
    """Enter the section, say so, and never leave it."""
    with made(place).exclusive(10.0):
        print("in", flush=True)
        time.sleep(600)


def fork(path: str) -> None:
    """Enter the section, have a child that outlives it, leave it, and say whether it can be entered again."""
    read, write = os.pipe()
    with FileStorage(path).exclusive(1.0):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent closes its end
            os._exit(0)
    with FileStorage(path).exclusive(1.0):
        print("free")
    os.close(write)
    os.waitpid(child, 0)


def orphan(path: str) -> None:
    """Have a child that dies in the section (kill -9) and leaves one of its own; say whether it is free then."""
    read, write = os.pipe()
    dying = os.fork()
    if dying == 0:
        with FileStorage(path).exclusive(1.0):
            if os.fork() == 0:
                os.close(write)
                os.read(read, 1)  # until the first of us closes its end
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(dying, 0)
    with FileStorage(path).exclusive(1.0):
        print("free")


def threads(path: str) -> None:
    """Count on two threads and, meanwhile, in forks of this process; say how far."""
    FileStorage(path).save(record(0))
    counting = [threading.Thread(target=count, args=(path, "30")) for _ in range(2)]
    for thread in counting:
        thread.start()
    children = []
    for _ in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            count(path, "5")
            os._exit(0)
    for thread in counting:
        thread.join()
    statuses = [os.waitpid(child, 0)[1] for child in children]
    stored = FileStorage(path).load()
    print(*statuses, stored and stored.generation)


def readonly(path: str) -> None:
    """As a user who is not root, say what comes of a save in a directory of his own in which he may not write."""
    become_nobody()
    storage = FileStorage(path)
    storage.save(record())
    os.chmod(Path(path).parent, 0o500)
    try:
        storage.save(record(2))
    except OSError as error:
        print(type(error).__name__, storage.load() == record(), *names_in(Path(path).parent))
    os.chmod(Path(path).parent, 0o700)


def full(path: str) -> None:
    """Save a record that is longer than a file may be, and say how that fails and what is there afterwards."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    try:
        FileStorage(path).save(record(2, account="a" * 1000))
    except OSError as error:
        print(error.errno, *names_in(Path(path).parent))


def crash(path: str) -> None:
    """For each step of a save, and before, in the midst and after it: a process that is killed there (kill -9), and one
    line that says what the file holds then."""
    directory = Path(path).parent
    for number, name in enumerate(_steps(path)):
        for moment in ("before", "half", "after") if name == "write" else ("before", "after"):
            # Each of these finds what the one before has left behind.
            FileStorage(path).save(record(1))
            child = os.fork()
            if child == 0:
                _die(number, moment)
                FileStorage(path).save(record(2), record(1).key)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            found = FileStorage(path).load()
            whole = found is not None and found == record(found.generation)
            print(json.dumps([name, moment, status, found.generation if whole else None, names_in(directory)]))
    FileStorage(path).save(replace(record(3), account="the end"))


def _steps(path: str) -> list[str]:
    steps: list[str] = []
    FileStorage(path).save(record(1))
    originals = {name: getattr(os, name) for name in CALLS}
    for name in CALLS:
        setattr(os, name, _noted(name, originals[name], steps))
    FileStorage(path).save(record(2), record(1).key)
    for name, original in originals.items():
        setattr(os, name, original)
    return steps


def _noted(name: str, call: Callable[..., Any], steps: list[str]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        steps.append(name)
        return call(*args, **kwargs)

    return noted


def _die(number: int, moment: str) -> None:
    """Have this process killed at the step of that number."""
    steps = 0

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps != number + 1:
                return call(*args, **kwargs)
            try:
                if moment == "half":
                    call(args[0], args[1][: len(args[1]) // 2])
                if moment == "after":
                    call(*args, **kwargs)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
            return None

        return called

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


if __name__ == "__main__":
    whats = (count, show, hold, fork, orphan, threads, readonly, full, crash)
    {what.__name__: what for what in whats}[sys.argv[1]](*sys.argv[2:])
