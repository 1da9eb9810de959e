"""Programs of others that the tests start. In a container of Debian's, root installs those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

#: How long the installation of one program may take, in seconds; another test process may be at one of its own.
PATIENCE = 900.0


def needed(*names: str, packages: Collection[str]) -> str:
    """The path of the program that has one of these names. Without it the test is `missing` it."""
    found = find(*names, packages=packages)
    return found or missing(f"needs the program {' or '.join(names)}: apt-get install {' '.join(packages)}")


def find(*names: str, packages: Collection[str]) -> str | None:
    """The path of the program that has one of these names, from these packages of Debian if it is not there yet."""
    if _path(names) is None and _may_install():
        _install(names, tuple(packages))
    return _path(names)


def missing(what: str) -> NoReturn:
    """Skip the test that asks for this, but in continuous integration (CI is set), where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def _may_install() -> bool:
    """Not where systemd runs: it would start the servers among them, for good."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return is_root and Path("/etc/debian_version").exists() and not Path("/run/systemd/system").exists()


@cache  # once in each test process, also if it fails
def _install(names: tuple[str, ...], packages: tuple[str, ...]) -> None:
    # apt has a lock of its own, but fails where it is taken: the test processes wait for each other here.
    with FileLock(Path(tempfile.gettempdir()) / "rxauth-tests-apt.lock", timeout=PATIENCE):
        if _path(names) is not None:
            return
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # 1: starts no service
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(["apt-get", *command], capture_output=True, check=False, timeout=300, env=environment)


def _path(names: tuple[str, ...]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)
