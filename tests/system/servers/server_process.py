"""The server's side: count what is answered, obey the test that started the server, and stop when that test is gone."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

#: A command of the test's: a function of its parameters that returns something for JSON.
Command = Callable[..., Any]


class Counted:
    """A WSGI application whose answers are counted by path, grant and status, and that obeys `/__command__/`."""

    def __init__(self, application: Any, commands: Mapping[str, Command]) -> None:
        self._application = application
        self._commands = {**commands, "counts": self._counts, "reset": self._reset}
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._secret = os.environ["SERVER_SECRET"]
        threading.Thread(target=_stop_with_parent, args=(os.getppid(),), name="stop-with-parent", daemon=True).start()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        path = environ["PATH_INFO"]
        if path.startswith("/__"):
            return self._obey(path.strip("/_"), body, environ.get("HTTP_X_SECRET"), start_response)
        is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        grant = parse_qs(body.decode()).get("grant_type", [""])[0] if is_form else ""

        def started(status: str, headers: Any, error: Any = None) -> Any:
            with self._lock:
                self._answers[path, grant, int(status[:3])] += 1
            return start_response(status, headers, error)

        answer: Iterable[bytes] = self._application(environ, started)
        return answer

    def _obey(self, command: str, body: bytes, secret: str | None, start_response: Any) -> Iterable[bytes]:
        if secret != self._secret:
            start_response("404 Not Found", [])
            return []
        answer = json.dumps(self._commands[command](**json.loads(body))).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]

    def _counts(self) -> list[list[Any]]:
        with self._lock:
            return [[*key, number] for key, number in self._answers.items()]

    def _reset(self) -> None:
        with self._lock:
            self._answers.clear()


def _stop_with_parent(gunicorn: int) -> None:
    """Our standard input ends when the process that started us does, however that ends."""
    os.read(0, 1)
    if os.getppid() == gunicorn:
        os.kill(gunicorn, signal.SIGTERM)
