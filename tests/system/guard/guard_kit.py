"""Counts of what the library does for one item: the steps that a profiler is told of, without a clock."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

import rxauth
from rxauth import Session, Tokens
from rxauth.concurrency import Instant, Runtime

LIBRARY = str(Path(rxauth.__file__).parent)
URL = "https://api.example.com"


def steps(work: Callable[[], object]) -> Counter[str]:
    """How often each function of rxauth is called by `work` in this thread; a generator counts each time it goes on."""
    counted: Counter[str] = Counter()

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(LIBRARY):
            counted[f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def per_item(work: Callable[[int], object], few: int = 10, many: int = 110) -> float:
    """How many functions of rxauth one item more calls; the first ones fill the caches."""
    work(few)
    return (steps(lambda: work(many)).total() - steps(lambda: work(few)).total()) / (many - few)


class CountingRuntime(Runtime):
    """The real one, which counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def now(self) -> Instant:
        self.asked["now"] += 1
        return super().now()

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        self.asked["spawn"] += 1
        super().spawn(work, name, linger=linger)


def signed_in(**options: Any) -> Session[Any]:
    """A session whose token stays fresh."""
    return Session(_never, tokens=Tokens("access", "refresh", expires_at=4e9), origins=[URL], **options)


def _never(tokens: Tokens) -> Tokens:
    raise AssertionError("the token is fresh, so nobody may refresh it")


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"{}")


async def answer_async(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"{}")
