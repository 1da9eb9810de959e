"""Processes that share a file or a keyring, disks that are full, and a Secret Service of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rxauth.storage import Record, TokenStorage
from rxauth.tokens import Tokens
from tests.programs import missing, needed

CHILD = Path(__file__).with_name("file_child.py")
WITH_A_SESSION = Path(__file__).with_name("session_child.py")

#: The user and group that own nothing.
NOBODY = 65534

BUS = """<busconfig><type>session</type><listen>unix:path={path}</listen><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"""


def record(generation: int = 1, sign_in: str = "mine", **how: Any) -> Record:
    tokens = Tokens(f"secret-access-{sign_in}-{generation}", f"secret-refresh-{sign_in}-{generation}", expires_at=2e9)
    return Record(sign_in, generation, tokens, **how)


def start(
    *words: object, program: Path = CHILD, inside: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """Another process: see file_child.py and session_child.py for what it can do. `inside`: a command that runs it."""
    command = [*inside, sys.executable, str(program), *map(str, words)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def output(*words: object, program: Path = CHILD, **environment: str) -> str:
    """What another process says until its end."""
    process = start(*words, program=program, **environment)
    try:
        text, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    return text


def shown(error: BaseException) -> str:
    """All that a notebook could print of an error: its text, its causes, and the locals of every frame but a test's."""
    texts = ["".join(traceback.format_exception(error))]
    link: BaseException | None = error
    while link is not None:
        texts += [repr(link), repr(link.args), repr(vars(link))]
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if not frame.f_globals.get("__name__", "").startswith("test"):
                texts += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)


def calls(storage: TokenStorage) -> list[Callable[[], object]]:
    """load, and the two that write."""
    return [storage.load, lambda: storage.save(record(2)), lambda: storage.clear("mine")]


def become_nobody() -> None:
    """For a process of its own: root may write everywhere, so be somebody else from now on."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def nobodys() -> Iterator[Path]:
    """For a fixture: a directory for a process that is not root; where the tests are not either, their own."""
    place = Path(tempfile.mkdtemp(prefix="rxauth-nobody-"))  # pytest's are in one that root alone can enter
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def mounted(place: Path, size: str) -> Iterator[Path]:
    """For a fixture: a disk of this size, where the tests may mount one."""
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "rxauth", place], check=True)
    except (OSError, subprocess.CalledProcessError):
        missing("needs to mount a small disk: run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def secret_service() -> Iterator[str]:
    """For a fixture: the address of a D-Bus with an unlocked Secret Service, both of the test's own."""
    if sys.platform != "linux":
        pytest.skip("only Linux has a Secret Service")
    for program in ("dbus-daemon", "gnome-keyring-daemon"):
        needed(program, packages=("dbus", "gnome-keyring"))
    home = Path(tempfile.mkdtemp(prefix="rxauth-bus-"))
    (home / "bus.conf").write_text(BUS.format(path=home / "bus"))
    address = f"unix:path={home / 'bus'}"
    folders = ("HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    how: dict[str, Any] = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    how["env"] = {**os.environ, **dict.fromkeys(folders, str(home)), "DBUS_SESSION_BUS_ADDRESS": address}
    processes = [subprocess.Popen(["dbus-daemon", "--nofork", f"--config-file={home / 'bus.conf'}"], **how)]
    try:
        until((home / "bus").exists, "the bus listens")
        command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, **how))
        assert processes[1].stdin is not None
        processes[1].stdin.write(b"the password of the store")
        processes[1].stdin.close()
        until(lambda: _is_unlocked(address), "the store is unlocked")
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


class Desktop:
    """A Secret Service for many tests. gnome-keyring was seen to end in the midst of them: then there is a new one."""

    def __init__(self, services: ExitStack) -> None:
        self._services = services
        self._address = ""

    def address(self) -> str:
        """Of the bus of one that is there, and unlocked."""
        if not self._address or not _is_unlocked(self._address):
            self._address = self._services.enter_context(contextmanager(secret_service)())
        return self._address


@contextmanager
def collection(address: str) -> Iterator[Any]:
    """The store's default collection."""
    import secretstorage
    from jeepney.io.blocking import open_dbus_connection

    with closing(open_dbus_connection(address, auth_timeout=60.0)) as connection:
        yield secretstorage.get_default_collection(connection)


def until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


def _is_unlocked(address: str) -> bool:
    try:
        with collection(address) as found:
            return not found.is_locked()
    except Exception:  # it is not there yet
        return False
