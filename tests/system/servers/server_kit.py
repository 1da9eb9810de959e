"""The test's side: a server as a process on loopback, and calls to it, many at once."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import httpx

from rxauth import BearerAuth, Session
from rxauth.errors import RxAuthError

USER, PASSWORD = "ada", "lovelace"
ROOT = Path(__file__).parents[3]
#: Made once: to load the certificates takes longer than any call here.
TLS = httpx.create_ssl_context()


def post(url: str, **how: Any) -> httpx.Response:
    """One POST by hand, on a connection of its own."""
    return httpx.post(url, verify=TLS, timeout=30, **how)


class Process:
    """`application` of an app module behind gunicorn with one worker, on a port that is bound here."""

    def __init__(self, module: str, **environment: str) -> None:
        self._secret = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="rxauth-server-"))
        with (
            socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
            open(self._folder / "log", "wb") as log,
        ):
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            known = {"SECRET": self._secret, "FOLDER": str(self._folder), "USER": USER, "PASSWORD": PASSWORD}
            options = f"--bind fd://{listener.fileno()} --workers 1 --threads 32 --log-level warning".split()
            self._gunicorn = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", f"tests.system.servers.{module}:application", *options],
                env={**os.environ, **{f"SERVER_{name}": value for name, value in known.items()}, **environment},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        try:
            until(self._answers, "the server to answer", 60)
        except BaseException:
            self.stop()
            raise

    def obey(self, command: str, **parameters: Any) -> Any:
        headers = {"X-Secret": self._secret}
        answer = post(f"{self.url}/__{command}__/", json=parameters, headers=headers)
        return answer.raise_for_status().json()

    def stop(self) -> None:
        assert self._gunicorn.stdin is not None
        self._gunicorn.stdin.close()
        self._gunicorn.terminate()
        try:
            self._gunicorn.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._gunicorn.pid, signal.SIGKILL)
            self._gunicorn.wait()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        if self._gunicorn.poll() is not None:
            raise RuntimeError((self._folder / "log").read_text(errors="replace")[-3000:])
        try:
            self.obey("reset")
        except httpx.TransportError:
            return False
        return True


class Api(Protocol):
    """What a call needs to know of a server."""

    me: str
    refused: int | tuple[int, ...]


#: What a call brought: its status, or the error instead.
Outcome = int | Exception


def in_threads(server: Api, session: Session[Any], number: int = 1, url: str = "", **auth: Any) -> list[Outcome]:
    """So many calls at once through one `httpx.Client`, each from a thread of its own."""
    together = threading.Barrier(number)
    with httpx.Client(
        auth=BearerAuth(session, **{"refused": server.refused, **auth}), timeout=30, verify=TLS
    ) as client:

        def call(_: int) -> Outcome:
            together.wait(60)
            try:
                return client.get(url or server.me).status_code
            except RxAuthError as error:
                return error

        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(call, range(number)))


def on_a_loop(server: Api, session: Session[Any], number: int = 1, url: str = "", **auth: Any) -> list[Outcome]:
    """So many calls at once through one `httpx.AsyncClient`."""

    async def main() -> list[Outcome]:
        arguments = BearerAuth(session, **{"refused": server.refused, **auth})
        async with httpx.AsyncClient(auth=arguments, timeout=30, verify=TLS) as client:
            calls = (client.get(url or server.me) for _ in range(number))
            answers = await asyncio.gather(*calls, return_exceptions=True)
        return [answer.status_code if isinstance(answer, httpx.Response) else _ours(answer) for answer in answers]

    return asyncio.run(main())


def _ours(error: BaseException) -> Exception:
    if not isinstance(error, RxAuthError):
        raise error
    return error


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for `holds()`, which is asked again and again."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)
