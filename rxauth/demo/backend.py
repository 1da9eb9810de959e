"""`backend()`: Django, Django REST Framework and simplejwt behind gunicorn, started by one call and stopped with us."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: How long a start may take, in seconds: it is about one second on an idle machine.
START_TIMEOUT = 60.0


class BackendError(RuntimeError):
    """The demo backend could not be started, or is gone."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the server has seen: API calls and how many of them it answered with success, refreshes and logins."""

    calls: int = 0
    answers: int = 0
    unauthorized: int = 0
    refreshes: int = 0
    refused_refreshes: int = 0
    logins: int = 0


class Backend:
    """A running demo server; made by `backend()`. A context manager."""

    def __init__(
        self, *, life: float, refresh_life: float, latency: float, token_latency: float, user: str, password: str
    ) -> None:
        _check_installed()
        self.user, self.password = user, password
        self._secret = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="rxauth-demo-"))
        read_end, self._write_end = os.pipe()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {
            **os.environ,
            "RXAUTH_DEMO_FOLDER": str(self._folder),
            "RXAUTH_DEMO_SECRET": self._secret,
            "RXAUTH_DEMO_LIFE": str(life),
            "RXAUTH_DEMO_REFRESH_LIFE": str(refresh_life),
            "RXAUTH_DEMO_LATENCY": str(latency),
            "RXAUTH_DEMO_TOKEN_LATENCY": str(token_latency),
            "RXAUTH_DEMO_USER": user,
            "RXAUTH_DEMO_PASSWORD": password,
            "RXAUTH_DEMO_PIPE": str(read_end),
        }
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                _command(listener.fileno(), self._folder),
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno(), read_end],
                start_new_session=True,  # a Ctrl-C in the terminal, or a notebook's interrupt, is for us alone
            )
        listener.close()
        os.close(read_end)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def counts(self) -> Counts:
        """What the server has counted since it started, or since `reset_counts()`."""
        counts: dict[str, int] = dict.fromkeys(Counts.__dataclass_fields__, 0)
        for _, path, status, number in self._ask("counts")["counts"]:
            ok = status < 300
            if path == "/api/token/refresh/":
                counts["refreshes" if ok else "refused_refreshes"] += number
            elif path == "/api/token/":
                counts["logins"] += number if ok else 0
            elif path in ("/api/echo/", "/api/me/", "/api/search/"):
                counts["calls"] += number
                counts["answers"] += number if ok else 0
                counts["unauthorized"] += number if status == 401 else 0
        return Counts(**counts)

    def reset_counts(self) -> None:
        """Begin to count anew."""
        self._ask("reset", "POST")

    def revoke(self) -> None:
        """End every session at the server: no token it has given out is good any more."""
        self._ask("revoke", "POST")

    def stop(self) -> None:
        """Stop the server and remove its files. Idempotent."""
        if self._write_end is None:
            return
        os.close(self._write_end)
        self._write_end = None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its own process group: see start_new_session
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __del__(self) -> None:
        if getattr(self, "_write_end", None) is not None:
            self.stop()

    def __repr__(self) -> str:
        return f"<demo backend at {self.url}, {'running' if self._write_end is not None else 'stopped'}>"

    _write_end: int | None

    def _ask(self, command: str, method: str = "GET") -> Any:
        request = urllib.request.Request(
            f"{self.url}/__{command}__/", method=method, headers={"X-Rxauth-Demo": self._secret}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except OSError as error:
            raise BackendError(f"the demo backend at {self.url} does not answer: {error}") from None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self._process.poll() is not None:
                raise BackendError(f"the demo backend stopped while it started:\n{self._log()}")
            try:
                self._ask("counts")
                return
            except BackendError:
                if time.monotonic() > deadline:
                    raise BackendError(
                        f"the demo backend did not start in {START_TIMEOUT:g} s:\n{self._log()}"
                    ) from None
                time.sleep(0.05)

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]


def backend(
    *,
    life: float = 5.0,
    refresh_life: float = 86400.0,
    latency: float = 0.0,
    token_latency: float = 0.0,
    user: str = "ada",
    password: str = "lovelace",
) -> Backend:
    """Start the demo server in a process of its own, on a free loopback port. It is ready when the call returns.

    All times in seconds: `life` of the access tokens (a JWT's `exp` is in whole seconds, so 5 means 4 to 5),
    `refresh_life`, and the `latency` of the API and of the refresh. The server stops with this process, however that
    ends. It has `POST /api/token/`, `/api/token/refresh/`, `/api/token/blacklist/`, `/api/register/`, `/api/echo/`,
    `GET /api/me/` and `/api/search/?q=`. Raises `BackendError`, or ModuleNotFoundError without `rxauth[demo]`.
    """
    return Backend(
        life=life,
        refresh_life=refresh_life,
        latency=latency,
        token_latency=token_latency,
        user=user,
        password=password,
    )


def _command(fd: int, folder: Path) -> list[str]:
    """One worker, because SQLite and the blacklist want one writer; threads, because 50 calls with latency overlap.

    It keeps an idle connection for longer than httpx does, which is 5 s: else a call may meet one that is being closed.
    """
    options = ["--bind", f"fd://{fd}", "--workers", "1", "--threads", "64", "--worker-tmp-dir", str(folder)]
    options += ["--keep-alive", "30"]
    return [sys.executable, "-m", "gunicorn", "rxauth.demo.site:application", *options, "--log-level", "warning"]


def _check_installed() -> None:
    for module in ("django", "rest_framework", "rest_framework_simplejwt", "gunicorn"):
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"the demo backend needs {module}: pip install 'rxauth[demo]'", name=module)
