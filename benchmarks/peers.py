"""Other clients in the storm: each in a process of its own, against the same server, counted at the server."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.scenarios import SCENARIOS, Outcome, Result
from rxauth import Tokens
from rxauth.testing import Pair, TokenServer

#: Name, and how the runner calls it.
PEERS = (
    ("Authlib 1.9.9, async", "authlib-async"),
    ("Authlib 1.9.9, sync", "authlib-sync"),
    ("google-auth 2.62.2", "google-auth"),
    ("requests-oauthlib 2.0.0", "requests-oauthlib"),
    ("httpx-auth 0.23.1", "httpx-auth"),
    ("azure-core 1.41.0, sync", "azure-core-sync"),
    ("azure-core 1.41.0, async", "azure-core-async"),
)

#: How long all calls of one scenario may take, in seconds.
TIME_LIMIT = 60.0
#: The API's tokens live for 5 minutes; some peers call such a token old from the start, so they are told an hour.
TOLD_LIFE = 3600.0


class PeerError(Exception):
    """What a peer raised. Whatever it is, it counts as that peer's word for the failure a scenario asks for."""


class SessionExpired(PeerError):
    pass


class RefreshUnavailable(PeerError):
    pass


class PeerWay:
    """One peer as a way of calling."""

    def __init__(self, python: str, client: str, server: TokenServer, pair: Pair) -> None:
        expires_at = Tokens(pair.access).expires_at or 0.0
        now = time.time()
        told = {
            "url": server.url,
            "token_url": server.token_url,
            "access": pair.access,
            "refresh": pair.refresh,
            "expires_at": expires_at if expires_at < now else now + TOLD_LIFE,
        }
        runner = Path(__file__).with_name("peer_runner.py")
        self._refresh_token: str | None = pair.refresh
        self._process = subprocess.Popen(
            [python, str(runner), client, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @property
    def refresh_token(self) -> str | None:
        return self._refresh_token

    def calls(self, paths: list[str], *, stagger: float = 0.0, cancel_first_after: float | None = None) -> list[Result]:
        order = {"paths": paths, "stagger": stagger, "cancel_first_after": cancel_first_after}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        limit = threading.Timer(TIME_LIMIT, self._process.kill)
        limit.start()
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):  # it hung and was ended, or it crashed
            return [_raised("nothing")] * len(paths)
        finally:
            limit.cancel()
        self._refresh_token = answer["refresh_token"]
        return [result if isinstance(result, int) else _raised(result) for result in answer["results"]]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _raised(name: str) -> PeerError:
    error: PeerError = type(name, (SessionExpired, RefreshUnavailable), {})()
    return error


def measure(python: str, progress: Callable[[], None]) -> Iterator[tuple[str, list[Outcome]]]:
    """(name, an outcome for each scenario) of each peer. `python` is the interpreter of the peers' environment."""
    for name, client in PEERS:

        def make(server: TokenServer, pair: Pair, client: str = client) -> PeerWay:
            return PeerWay(python, client, server, pair)

        outcomes = []
        for scenario in SCENARIOS:
            outcomes.append(scenario(make))
            progress()
        yield name, outcomes
