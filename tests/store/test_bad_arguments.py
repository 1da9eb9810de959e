"""What is no argument is refused where it is written, and the text says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import reactivex

from rxauth import BearerAuth, Session, Store, api_epic, combine_epics, combine_reducers
from rxauth.errors import InvalidEpic, InvalidState
from rxauth.recording import record
from rxauth.session import Sessions


async def later(*_: Any) -> Any:
    pass


@dataclass(frozen=True)
class App:
    count: int = 0


def keep(state: Any, action: Any) -> Any:
    return state


def echo(actions: Any, state: Any) -> Any:
    return actions


STORE: Any = Store(keep, App())
SESSION: Any = Session(lambda tokens: tokens)
CLIENT = httpx.Client()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: Store(later, App()),
            TypeError,
            "a reducer is a sync function of .state, action., got function: what takes time is for an epic",
        ),
        (lambda: combine_reducers(App, count=later), InvalidState, "of App.count must be a sync function"),
        (lambda: STORE.select(later), TypeError, "a selector is a sync function of the state, got function"),
        (
            lambda: BearerAuth(SESSION, refused=later),
            TypeError,
            "refused must be a sync function: ",
        ),
        (lambda: Store(keep, App(), epics=echo), TypeError, r"a list of epics, got function: epics=\[search\]"),  # type: ignore[arg-type]
        (lambda: Store(keep, App(), report=3), TypeError, r"a function of \(error, where, action\), got int"),  # type: ignore[arg-type]
        (lambda: Store(keep, App(), scheduler=3), TypeError, "scheduler must be one of reactivex, got int"),  # type: ignore[arg-type]
        (lambda: STORE.add_epic([echo]), InvalidEpic, r"got list; give them one by one: add_epic\(\*epics\)"),
        (lambda: STORE.add_epic(None), InvalidEpic, r"an epic is a function of \(actions, state\), got NoneType$"),
        (lambda: combine_epics(echo, None), InvalidEpic, "got NoneType"),  # type: ignore[arg-type]
        (lambda: STORE.select("count"), TypeError, r"got str: select\(lambda app: app.auth\)"),
        (lambda: combine_reducers(App, count=3), InvalidState, r"of App.count must be a sync function .*, got int"),  # type: ignore[arg-type]
        (
            lambda: SESSION.gate(reactivex.of(1)),
            TypeError,
            r"function of \(item, tokens\), got Observable: source.pipe",
        ),
        (lambda: api_epic(CLIENT, SESSION, max_in_flight="9"), ValueError, "must be 1 or more, and whole; got '9'"),  # type: ignore[arg-type]
        (lambda: api_epic(CLIENT, SESSION, max_in_flight=float("nan")), ValueError, "and whole; got nan"),  # type: ignore[arg-type]
        (lambda: Sessions(lambda key: SESSION, limit=None), ValueError, "limit must be 1 or more .* got None"),  # type: ignore[arg-type]
        (lambda: Sessions(lambda key: SESSION, idle=float("nan")), ValueError, "idle 0 or more, got 1000 and nan"),
        (lambda: record(STORE, limit="9"), ValueError, "limit must be 1 or more, got '9'"),  # type: ignore[arg-type]
    ],
)
def test_it_says_what_to_write_instead(make: Callable[[], Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()
