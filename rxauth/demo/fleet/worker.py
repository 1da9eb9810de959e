"""One process of the fleet, `python -m rxauth.demo.fleet.worker`: it calls, and says what came of it.

The first line of its stdin says where to call, which storage to share and for how long; it ends when its stdin does.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from rxauth.demo.fleet.storage import Place
from rxauth.http.bearer import BearerAuth
from rxauth.refreshers import simplejwt
from rxauth.session.actions import SessionEnded, TokensRefreshed
from rxauth.session.session import Session

#: Between two calls of one process, and between two words of it, in seconds.
PAUSE, SAY_EVERY = 0.05, 0.2

#: For how long one call may take, in seconds: longer than a session waits for its turn.
CALL_TIMEOUT = 60.0

READY = "ready"


@dataclass
class Tally:
    """What became of one process.

    `fetched` and `taken` are when it got new tokens, in seconds since the epoch: by a refresh of its own, or from the
    storage, where another one had put them. `errors` counts what the lost calls met.
    """

    answered: int = 0
    ended: int = 0
    fetched: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Calls that were not answered with success."""
        return sum(self.errors.values())

    def note(self, outcome: httpx.Response | Exception) -> None:
        if isinstance(outcome, Exception):
            self._note_error(f"{type(outcome).__name__}: {outcome}")
        elif outcome.is_success:
            self.answered += 1
        else:
            self._note_error(f"status {outcome.status_code}")

    def _note_error(self, what: str) -> None:
        self.errors[what] = self.errors.get(what, 0) + 1


class Posts(httpx.HTTPTransport):
    """Knows whether the refresher has posted since it was asked last."""

    _any = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._any |= request.url.path.endswith("/refresh/")
        return super().handle_request(request)

    def any_since(self) -> bool:
        had, self._any = self._any, False
        return had


@contextmanager
def member(url: str, place: Place, tally: Tally) -> Iterator[Session[Any]]:
    """A session that shares the fleet's sign-in, counted."""

    def note_pair(_: TokensRefreshed) -> None:
        (tally.fetched if posts.any_since() else tally.taken).append(time.time())

    def note_end(_: SessionEnded) -> None:
        tally.ended += 1

    with Posts() as posts:
        session: Session[Any] = Session(simplejwt(url, transport=posts), storage=place.open())
        with session:
            session.store.actions.of_type(TokensRefreshed).subscribe(note_pair)
            session.store.actions.of_type(SessionEnded).subscribe(note_end)
            yield session


def main() -> None:
    print(READY, flush=True)
    orders = sys.stdin.readline()
    if not orders:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(**json.loads(orders))


def work(url: str, place: dict[str, Any], seconds: float) -> None:
    tally = Tally()
    now = said = time.monotonic()
    end = now + seconds
    with (
        member(url, Place(**place), tally) as session,
        httpx.Client(base_url=url, auth=BearerAuth(session), timeout=CALL_TIMEOUT) as client,
    ):
        while now < end:
            try:
                tally.note(client.get("/api/me/"))
            except Exception as error:
                tally.note(error)
            time.sleep(PAUSE)
            now = time.monotonic()
            if now - said > SAY_EVERY:  # whoever is killed has said how far he came
                said = now
                _say(tally)
        while session.is_busy:  # a refresh in the background is seen to its end, and counted
            time.sleep(PAUSE)
    _say(tally)


def _say(tally: Tally) -> None:
    print(json.dumps(asdict(tally)), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    logging.getLogger("rxauth").addHandler(logging.NullHandler())
    main()
