"""One run, many waiters: the operator, and what a waiter costs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex

from rxauth import Session, Tokens
from rxauth.concurrency import share_replayed
from rxauth.errors import CallCancelled


class Endpoint:
    """A refresh callable that answers when it may, in real time."""

    def __init__(self, *, open: bool = True) -> None:
        self.posts = 0
        self.asked, self.may_answer = threading.Event(), threading.Event()
        if open:
            self.may_answer.set()

    def __call__(self, tokens: Tokens) -> Tokens:
        self.posts += 1
        self.asked.set()
        assert self.may_answer.wait(60)
        return Tokens(f"new-{self.posts}", "r2")


def expired(refresh: Any, **options: Any) -> Session[Any]:
    return Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0), **options)


def test_share_replayed_runs_once_while_it_runs_and_anew_afterwards() -> None:
    from reactivex import Subject

    runs: list[Subject[int]] = []

    def start(*_: Any) -> Subject[int]:
        runs.append(Subject())
        return runs[-1]

    import reactivex

    shared = reactivex.defer(start).pipe(share_replayed())
    got: list[Any] = []
    first = shared.subscribe(got.append)
    shared.subscribe(got.append)
    first.dispose()
    runs[0].on_next(1)
    runs[0].on_completed()
    assert (got, len(runs)) == ([1], 1)
    shared.subscribe(got.append, got.append)
    runs[1].on_error(LookupError("x"))
    assert isinstance(got[-1], LookupError)
    shared.subscribe(got.append)
    assert len(runs) == 3, "an error is not remembered"


def test_share_replayed_of_a_source_that_completes_at_once() -> None:
    import reactivex

    shared = reactivex.of(1, 2).pipe(share_replayed())
    assert shared.run() == 2
    with pytest.raises(Exception, match="no elements"):
        reactivex.empty().pipe(share_replayed()).run()


def test_fifty_thousand_waiters_cost_one_callback_of_their_loop() -> None:
    endpoint = Endpoint(open=False)
    session = expired(endpoint)

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        posted = 0
        plain = loop.call_soon_threadsafe

        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal posted
            posted += 1
            return plain(*args, **kwargs)

        loop.call_soon_threadsafe = counting  # type: ignore[method-assign]
        got: list[Tokens] = []
        done = asyncio.Event()
        for _ in range(50_000):
            session.acquire(lambda tokens, _: got.append(tokens), loop, asked_by="a test")  # type: ignore[arg-type]
        session.acquire(lambda *_: done.set(), loop, asked_by="a test")
        endpoint.may_answer.set()
        await asyncio.wait_for(done.wait(), 60)
        return len(got), posted

    waiters, callbacks = asyncio.run(main())
    assert waiters == 50_000
    assert callbacks == 1


def test_a_run_that_is_interrupted_is_over() -> None:
    """By Ctrl-C in a notebook's cell, in a source that works at once."""
    runs: list[int] = []

    def fetch(observer: Any, scheduler: Any) -> Any:
        runs.append(1)
        if len(runs) == 1:
            raise KeyboardInterrupt
        observer.on_next("value")
        observer.on_completed()

    shared = reactivex.create(fetch).pipe(share_replayed())
    told: list[Exception] = []
    with pytest.raises(KeyboardInterrupt):
        shared.subscribe(on_error=told.append)
    assert [(type(error), str(error)) for error in told] == [(CallCancelled, "the source was interrupted")]
    got: list[str] = []
    shared.subscribe(got.append)
    assert got == ["value"]


def test_the_end_of_a_run_that_is_over_does_not_end_the_next_one() -> None:
    """Its source has completed, and is interrupted while it tidies up; meanwhile somebody has started another run."""
    later: list[Any] = []

    def fetch(observer: Any, scheduler: Any) -> Any:
        later.append(observer)
        if len(later) == 1:
            observer.on_next("value")
            observer.on_completed()
            shared.subscribe(got.append)
            raise KeyboardInterrupt

    shared = reactivex.create(fetch).pipe(share_replayed())
    got: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        shared.subscribe()
    shared.subscribe(got.append)
    assert len(later) == 2, "who comes now joins the run that is under way"
    later[1].on_next("next")
    later[1].on_completed()
    assert got == ["next", "next"]
