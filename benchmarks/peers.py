"""Other clients in the storm: each in a process of its own, against the same server, counted at the server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.scenarios import SCENARIOS, MakeWay, Outcome, Result
from rxauth import Tokens
from rxauth.testing import Pair, TokenServer

#: Name, and how the runner calls it. httpx-auth refreshes only in grants that can sign in anew; here by password.
PEERS = (
    ("Authlib 1.9.9, async", "authlib-async"),
    ("Authlib 1.9.9, threads", "authlib-sync"),
    ("google-auth 2.62.2, threads", "google-auth"),
    ("requests-oauthlib 2.0.0, threads", "requests-oauthlib"),
    ("httpx-auth 0.23.1 with the password, async", "httpx-auth-async"),
    ("httpx-auth 0.23.1 with the password, threads", "httpx-auth-sync"),
    ("azure-core 1.41.0 with a plain credential, async", "azure-core-async"),
    ("azure-core 1.41.0 with a plain credential, threads", "azure-core-sync"),
)

#: How long a runner may take to start, or to make all calls of an order, in seconds.
TIME_LIMIT = 40.0
#: The server's tokens live for 5 minutes; azure-core calls such a token old from the start, so all are told an hour.
TOLD_LIFE = 3600


class PeerError(Exception):
    """What a peer's call ended with, under the name of the peer's own exception."""


class Hang(PeerError):
    """No answer within the time limit."""


class SessionExpired(PeerError):
    pass


class RefreshUnavailable(PeerError):
    pass


class PeerWay:
    """One peer as a way of calling."""

    def __init__(self, python: str, client: str, server: TokenServer, pair: Pair) -> None:
        told = {
            "token_url": server.token_url,
            "access": pair.access,
            "refresh": pair.refresh,
            "expires_at": _expires_at(pair),
            "told_life": TOLD_LIFE,
            "user": server.user,
            "password": server.password,
        }
        runner = Path(__file__).with_name("peer_runner.py")
        self.first_cancelled = threading.Event()
        self._client, self._url = client, server.url
        self._refresh_token: str | None = pair.refresh
        self._hung = False
        self._process = subprocess.Popen(
            [python, str(runner), client, json.dumps(told)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._line()  # so that no scenario counts the time it takes to start

    @property
    def refresh_token(self) -> str | None:
        return self._refresh_token

    def calls(self, paths: list[str], *, cancel_first_after: float | None = None) -> list[Result]:
        order = {"urls": [self._url + path for path in paths], "cancel_first_after": cancel_first_after}
        if cancel_first_after is not None:  # the runner is another process, which does not say when it has done so
            threading.Timer(2 * cancel_first_after, self.first_cancelled.set).start()
        line = None if self._hung else self._line(json.dumps(order))
        if line is None:
            return [Hang()] * len(paths)
        answer = json.loads(line)
        self._refresh_token = answer["refresh_token"]
        return [_result(shown) for shown in answer["results"]]

    def close(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _line(self, order: str | None = None) -> str | None:
        """The runner's next line, after this order; None when it takes too long."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        limit = threading.Timer(TIME_LIMIT, self._end_hung)
        limit.start()
        try:
            if order is not None:
                stdin.write(order + "\n")
                stdin.flush()
            line = stdout.readline()
        finally:
            limit.cancel()
        if not line and not self._hung:  # a fault of ours, not a finding
            raise RuntimeError(f"The runner of {self._client} ended with status {self._process.wait()}")
        return line or None

    def _end_hung(self) -> None:
        self._hung = True
        self._process.kill()


def _expires_at(pair: Pair) -> float:
    """When the peer is to think the access token ends: in the past if it has, and else far from now."""
    expires_at, now = Tokens(pair.access).expires_at or 0.0, time.time()
    return expires_at if expires_at < now else now + TOLD_LIFE


def _result(shown: Any) -> Result:
    """A status, or an exception of that name.

    The peers have no names of ours, so any `Exception` counts as both failures a scenario can ask for; what ended a
    call from outside (cancelled, interrupted, hung) counts as neither.
    """
    if isinstance(shown, int):
        return shown
    bases = (SessionExpired, RefreshUnavailable) if "Exception" in shown else (PeerError,)
    error: PeerError = type(shown[0], bases, {})()
    return error


def measure(python: str, progress: Callable[[], None]) -> Iterator[tuple[str, list[Outcome]]]:
    """(name, an outcome for each scenario) of each peer. `python` is the interpreter of the peers' environment."""
    for name, client in PEERS:
        outcomes = []
        for scenario in SCENARIOS:
            outcomes.append(_outcome(python, client, scenario))
            progress()
        yield name, outcomes


def _outcome(python: str, client: str, scenario: Callable[[MakeWay], Outcome]) -> Outcome:
    """The scenario's outcome, and the logins it had no need of: `posts` are refreshes only."""
    servers: list[TokenServer] = []

    def make(server: TokenServer, pair: Pair) -> PeerWay:
        servers.append(server)
        return PeerWay(python, client, server, pair)

    outcome = scenario(make)
    logins = sum(server.logins for server in servers)
    if not logins:
        return outcome
    ended = f"{logins} login{'' if logins == 1 else 's'}, {outcome.ended}"
    return replace(outcome, ended=ended, wrong=", ".join(filter(None, [outcome.wrong, "not without a login"])))
