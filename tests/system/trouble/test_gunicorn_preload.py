"""A real gunicorn that preloads its app, and with it a session: the workers are forks of where it was made."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.system.trouble.trouble_kit import PATIENCE, ROOT, Stage, stage, until


class Gunicorn:
    """Two workers of the preloaded app, on a port of loopback."""

    def __init__(self, it: Stage, folder: Path) -> None:
        given = it.server.issue()
        known = {"TOKEN_URL": it.sluice.url, "API_URL": it.server.url, "LIFELINE": "stdin"}
        known |= {"ACCESS": given.access, "REFRESH": given.refresh}
        self._log = folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as listener, open(self._log, "wb") as log:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            options = f"--preload --workers 2 --bind fd://{listener.fileno()} --no-control-socket".split()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "tests.system.trouble.preloaded_app:application", *options],
                env={**os.environ, **{f"TROUBLE_{name}": value for name, value in known.items()}},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return httpx.get(f"{self.url}/ready", timeout=PATIENCE).is_success
        except httpx.TransportError:
            return False

    def ask(self, name: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/{name}", timeout=PATIENCE)
        assert answer.status_code == 200, self.log
        content: dict[str, Any] = answer.json()
        return content

    def both(self, name: str) -> list[str]:
        """What both workers say: they meet before they answer."""
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(self.ask, [name, name]))
        pids = {answer["pid"] for answer in answers} | {answers[0]["master"]}
        assert len(pids) == 3, "two workers, neither of which is where the session was made"
        return [answer["said"] for answer in answers]

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


@contextmanager
def gunicorn(it: Stage, folder: Path) -> Iterator[Gunicorn]:
    running = Gunicorn(it, folder)
    process = running.process
    try:
        until(running.is_ready, "gunicorn to answer")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


def test_preloaded_workers_use_the_token_while_it_lives_never_post_and_name_the_fix(tmp_path: Path) -> None:
    """Each then signs in itself: that is one fix, and from there on each refreshes its own pair, once."""
    with stage(shut=False) as it, gunicorn(it, tmp_path) as workers:
        assert workers.both("get") == ["200", "200"]
        workers.ask("expire")
        for said in workers.both("get"):
            assert said.startswith("ForkedSession: this process is a fork")
            assert "make the Session after the fork" in said
        assert it.asked == (0, 0)
        assert workers.both("sign_in") == ["200", "200"]
        workers.ask("expire")
        assert workers.both("get") == ["200", "200"]
        assert (it.server.logins, *it.asked) == (2, 2, 0)


def test_preloaded_workers_whose_token_is_refused_never_post_either(tmp_path: Path) -> None:
    with stage(shut=False) as it, gunicorn(it, tmp_path) as workers:
        it.server.revoke_access()
        for said in workers.both("get"):
            assert said.startswith("ForkedSession: this process is a fork")
        assert (len(it.server.api_calls), it.asked) == (2, (0, 0))
