"""What stands still while one event takes place: the store's delivery, the storage, the clock and the refresher."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from rxauth import AuthState, Tokens, auth_reducer
from rxauth.concurrency import Instant, Pending
from rxauth.session import SessionEvent
from tests.system.model.wild_model import FULL


class Step(NamedTuple):
    before: AuthState
    event: SessionEvent
    after: AuthState


class Bench:
    """The store, without its delivery."""

    is_recorded = False

    def __init__(self, auth: AuthState) -> None:
        self.state = auth
        self.steps: list[Step] = []
        self.reports: list[Exception] = []

    def commit(self, event: SessionEvent) -> None:
        before, self.state = self.state, auth_reducer(self.state, event)
        self.steps.append(Step(before, event, self.state))

    def notify(self) -> None:
        pass

    def report(self, error: Exception, where: str, action: Any) -> None:
        self.reports.append(error)


class Shelf:
    """The storage: it takes a pair, or not."""

    is_shared = True
    is_exclusive = False

    def __init__(self) -> None:
        self.is_full = False

    def save(self, tokens: Tokens, wanted: Callable[[], bool]) -> Exception | None:
        return FULL if wanted() and self.is_full else None

    def catch_up(self, tokens: Tokens, wanted: Callable[[], bool]) -> Exception | None:
        return None

    def clear(self, sign_in: str, present: object = None, cause: object = None) -> None:
        pass

    def is_behind(self, tokens: Tokens) -> bool:
        return False

    def renew(self) -> None:
        pass


class StillTime:
    """A moment: nothing passes, and what is started does not run."""

    def __init__(self, now: Instant) -> None:
        self._now = now

    def chance(self) -> float:
        return 0.5

    def now(self) -> Instant:
        return self._now

    def yield_point(self, name: str) -> None:
        pass

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        pass

    def io(self, work: Callable[[], Any], name: str) -> Pending[Any]:
        done: Any = threading.Event()
        pending: Pending[Any] = Pending(done)
        pending.run(work)
        return pending

    def wait(self, done: threading.Event, seconds: float | None = None) -> bool:
        return done.is_set()


class Refresher:
    """A run's answer is an event of the model, so of these only the logout is called."""

    def __init__(self) -> None:
        self.revoked: list[Tokens] = []

    def __call__(self, tokens: Tokens) -> Tokens:
        raise AssertionError

    def login(self) -> Tokens:
        raise AssertionError

    def logout(self, tokens: Tokens) -> None:
        self.revoked.append(tokens)
