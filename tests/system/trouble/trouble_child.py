"""What the programs of these tests begin with: imported by a process that a test started, and by nobody else."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from reactivex import operators as ops

from rxauth import BearerAuth, Request, Session, Store, Tokens, api_epic, call, request, simplejwt
from rxauth.errors import ForkedSession, NotSignedIn, RxAuthError
from rxauth.storage import Record

__all__ = [
    "API_URL",
    "PAIRS",
    "PLACE",
    "TOKEN_URL",
    "BearerAuth",
    "FileStorage",
    "ForkedSession",
    "NotSignedIn",
    "Nowhere",
    "Path",
    "Request",
    "RxAuthError",
    "Session",
    "Store",
    "Tokens",
    "api_epic",
    "asyncio",
    "atexit",
    "await_turn",
    "call",
    "fork",
    "httpx",
    "make",
    "ops",
    "os",
    "request",
    "say",
    "signal",
    "simplejwt",
    "sys",
    "threading",
    "time",
    "until",
]


def until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.005)


def say(*words: object) -> None:
    # One write, so that two processes do not mix their lines.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class FileStorage:
    """Keeps the tokens in a file, which is never half written."""

    def __init__(self, place: str) -> None:
        self._place = Path(place)

    def load(self) -> Record | None:
        try:
            stored = json.loads(self._place.read_text())
        except FileNotFoundError:
            return None
        return Record(stored["sign_in"], stored["generation"], Tokens(stored["access"], stored["refresh"]))

    def save(self, record: Record, replaces: Any = None) -> bool:
        tokens = record.tokens
        kept = {"sign_in": record.sign_in, "generation": record.generation}
        beside = self._place.with_suffix(".new")
        beside.write_text(json.dumps({**kept, "access": tokens.access, "refresh": tokens.refresh}))
        beside.replace(self._place)
        return True

    def clear(self, sign_in: str) -> None:
        self._place.unlink(missing_ok=True)


class Nowhere:
    """A storage that is worth waiting for, and keeps nothing."""

    def load(self) -> Record | None:
        return None

    def save(self, record: Record, replaces: Any = None) -> bool:
        return True

    def clear(self, sign_in: str) -> None:
        pass


def use_a_session_of_its_own(token_url: str, api_url: str) -> None:
    """What a spawned process does."""
    with Session(simplejwt(token_url), origins=[api_url]) as session:
        session.login(username="ada", password="lovelace").run()
        with httpx.Client(auth=BearerAuth(session), base_url=api_url) as client:
            say("child:", client.get("/api/me/").status_code)


#: Where the token endpoint and the API are, a file's place, and pairs of tokens as access and refresh.
TOKEN_URL, API_URL, PLACE, *_given = [*sys.argv[1:], "", "", ""][: max(3, len(sys.argv) - 1)]
PAIRS = [Tokens(*pair) for pair in zip(_given[::2], _given[1::2], strict=True)]


def make(pair: Tokens | None = None, **options: Any) -> Session[Any]:
    """The session of a program."""
    tokens = pair or (PAIRS[0] if PAIRS else None)
    return Session(simplejwt(TOKEN_URL), tokens=tokens, origins=[API_URL], **options)


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a forked child, which dies of SIGALRM if it hangs; the child's exit code."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            say("the child raised", type(error).__name__, error)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_turns = threading.Semaphore(0)


def await_turn() -> None:
    """Wait for the test to say that it is our turn."""
    assert _turns.acquire(timeout=60), "the test did not say go"


def _obey_and_end_with_parent() -> None:
    while os.read(0, 1):
        _turns.release()
    os._exit(70)


if "-c" in sys.argv[:1]:  # not in what a spawned child imports again
    threading.Thread(target=_obey_and_end_with_parent, name="obey", daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
