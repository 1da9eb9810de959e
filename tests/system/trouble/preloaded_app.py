"""A WSGI application that makes its session when it is imported, as many do; for gunicorn with `--preload`."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from rxauth import BearerAuth, Session, Tokens, simplejwt
from rxauth.concurrency import Instant, Runtime
from rxauth.errors import ForkedSession

TOKEN_URL, API_URL = os.environ["TROUBLE_TOKEN_URL"], os.environ["TROUBLE_API_URL"]
MASTER = os.getpid()

shared = multiprocessing.get_context("fork")
#: How far the clock of all processes is ahead, in seconds, and where the workers meet.
ahead = shared.Value("d", 0.0)
together = shared.Barrier(2)


class Clock(Runtime):
    def now(self) -> Instant:
        now = super().now()
        return Instant(now.wall + ahead.value, now.mono + ahead.value)


session = Session(
    simplejwt(TOKEN_URL),
    tokens=Tokens(os.environ["TROUBLE_ACCESS"], os.environ["TROUBLE_REFRESH"]),
    origins=[API_URL],
    time=Clock(),
)


def get() -> str:
    try:
        with httpx.Client(auth=BearerAuth(session), base_url=API_URL) as client:
            return str(client.get("/api/me/").status_code)
    except ForkedSession as error:
        return f"ForkedSession: {error}"


def sign_in() -> str:
    session.login(username="ada", password="lovelace").run()
    return get()


def expire() -> str:
    ahead.value += 3600
    return "expired"


WORKS: dict[str, Callable[[], str]] = {"get": get, "sign_in": sign_in}


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """`/expire`, or what both workers shall do at the same time, a request for each."""
    name = environ["PATH_INFO"].strip("/")
    if name == "expire":
        said = expire()
    elif name == "ready":
        said = "ready"
    else:
        together.wait(60)
        said = WORKS[name]()
    answer = json.dumps({"said": said, "pid": os.getpid(), "master": MASTER}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(70)


if __name__ != "__main__" and os.environ.get("TROUBLE_LIFELINE"):
    # In the master; the workers end when they see that it is gone.
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
