"""One process of the fleet, `python -m rxauth.demo.fleet_worker URL PLACE SECONDS`: it calls, and tells what came."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from rxauth.actions import SessionEnded, TokensRefreshed
from rxauth.bearer import BearerAuth
from rxauth.demo.fleet_storage import open_storage
from rxauth.refreshers import simplejwt
from rxauth.session import Session

#: Between two calls of one process, and between two words of it, in seconds.
PAUSE, SAY_EVERY = 0.02, 0.5


@dataclass
class Tally:
    """What became of one process: of the `pairs` that it got, it has fetched `posts` itself."""

    calls: int = 0
    answered: int = 0
    pairs: int = 0
    posts: int = 0
    ended: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Calls that were not answered with success."""
        return self.calls - self.answered

    def note(self, status: int) -> None:
        if status == 200:
            self.answered += 1
        else:
            self.errors.append(f"status {status}")

    def note_error(self, error: Exception) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")


class Counting(httpx.HTTPTransport):
    """Counts what the refresher posts."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._tally.posts += request.url.path.endswith("/refresh/")
        return super().handle_request(request)


def member(url: str, place: str, tally: Tally) -> Session[Any]:
    """A session that shares the fleet's sign-in, counted."""
    session: Session[Any] = Session(simplejwt(url, transport=Counting(tally)), storage=open_storage(place))
    session.store.actions.of_type(TokensRefreshed).subscribe(lambda _: setattr(tally, "pairs", tally.pairs + 1))
    session.store.actions.of_type(SessionEnded).subscribe(lambda _: setattr(tally, "ended", tally.ended + 1))
    return session


def main(url: str, place: str, seconds: float) -> None:
    tally = Tally()
    now = said = time.monotonic()
    end = now + seconds
    with (
        member(url, place, tally) as session,
        httpx.Client(base_url=url, auth=BearerAuth(session), timeout=30) as client,
    ):
        while now < end:
            tally.calls += 1
            try:
                tally.note(client.get("/api/me/").status_code)
            except Exception as error:
                tally.note_error(error)
            time.sleep(PAUSE)
            now = time.monotonic()
            if now - said > SAY_EVERY:  # whoever is killed has said how far he came
                said = now
                print(json.dumps(asdict(tally)), flush=True)
    print(json.dumps(asdict(tally)), flush=True)


if __name__ == "__main__":
    logging.getLogger("rxauth").addHandler(logging.NullHandler())
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
