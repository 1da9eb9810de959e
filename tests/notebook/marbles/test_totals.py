"""What a picture adds up to is what the callers got: nothing is left out, and nothing counted twice."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import httpx
import pytest
from marble_kit import API, Stage, ended, recorded, released, sent, waits, words

from rxauth import BearerAuth, Request, api_epic, call
from rxauth.api import request
from rxauth.errors import CallCancelled, NotSignedIn, RefreshUnavailable
from rxauth.notebook import marbles
from rxauth.notebook.live import Live
from rxauth.recording import Recording, record
from rxauth.session import CallRefused
from rxauth.store.tap import SESSION
from rxauth.testing import faults

WAYS = ["BearerAuth", "ApiCall", "fresh()"]


def refused(at: float, caller: int, error: Exception | None = None, name: str = "GET /api/me/") -> tuple[Any, ...]:
    error = error or RefreshUnavailable("down")
    return at, CallRefused(session="default", caller=caller, asked_by=name, error=error), SESSION


def said(text: str) -> dict[str, int]:
    """The totals in a text."""
    told = re.findall(r"(\d+) (calls?|answered|failed|got tokens|cancelled|turned away|waited)\b", text)
    return {word.replace("calls", "call"): int(number) for number, word in told}


def outage(way: str, *, seconds: int = 60) -> tuple[Recording, Counter[str]]:
    """A call a second while the token endpoint is down for half a minute, and what each of them got."""
    stage = Stage()

    async def one(client: httpx.AsyncClient, number: int) -> str:
        await asyncio.sleep(number)
        try:
            match way:
                case "BearerAuth":
                    await client.get("/api/me/")
                case "ApiCall":
                    await request(stage.store, call(Request.get("/api/me/")))
                case _:
                    await stage.session.fresh()
        except RefreshUnavailable:
            return "failed"
        return "answered"

    async def main() -> list[str]:
        auth = BearerAuth(stage.session) if way == "BearerAuth" else None
        async with httpx.AsyncClient(base_url=API, transport=stage.server.transport, auth=auth) as client:
            epic = stage.store.add_epic(api_epic(client, stage.session))
            results = await asyncio.gather(*(one(client, number) for number in range(seconds)))
            epic.dispose()
            return results

    stage.expire()
    stage.server.always(faults.unavailable(503))
    stage.time.call_later(30, lambda: stage.server.always(None))
    with record(stage.store, time=stage.time) as recording:
        results = Counter(stage.time.run(main()))
    assert results == {"answered": 20, "failed": 40}, "the outage is as it is meant to be"
    return recording, results


@pytest.mark.parametrize("way", WAYS)
def test_calls_that_fail_inside_a_cool_down_are_counted_in_every_picture(way: str) -> None:
    recording, results = outage(way)
    shown = marbles(recording)
    for text in (shown.sentence, " ".join(shown.text.split()), " ".join(words(shown.svg))):
        assert said(text)["failed"] == results["failed"]
        assert said(text)["turned away"] == 35
    assert said(repr(Live(recording)))["failed"] == results["failed"]
    if way != "fresh()":  # tokens that are fresh are given without a trace
        assert (said(shown.sentence)["call"], said(shown.sentence)["answered"]) == (60, results["answered"])
        assert said(repr(Live(recording)))["answered"] == results["answered"]


def test_a_call_that_is_turned_away_is_a_row_with_its_error() -> None:
    shown = marbles(recorded(sent(0, 1), ended(1, 1), refused(2, 2)))
    assert "failed: RefreshUnavailable" in words(shown.svg)
    (row,) = [line for line in shown.text.splitlines() if line.endswith("RefreshUnavailable")]
    assert row.split() == ["GET", "/api/me/", "x", "RefreshUnavailable"]


def test_a_call_counts_once_whatever_it_went_through() -> None:
    again = [sent(0, 1), ended(1, 1, 401), refused(1, 1)]
    waited = [waits(0, 2), released(1, 2, NotSignedIn("nobody"))]
    left = [waits(0, 3), released(1, 3, CallCancelled("left"))]
    recording = recorded(*again, *waited, *left, sent(2, 4), ended(3, 4))
    for text in (marbles(recording).sentence, repr(Live(recording))):
        assert (said(text)["answered"], said(text)["failed"], said(text)["cancelled"]) == (1, 2, 1)


def test_tokens_are_no_answer() -> None:
    recording = recorded(waits(0, 1, "fresh()"), released(1, 1), waits(0, 2), released(1, 2), sent(1, 2), ended(2, 2))
    sentence = marbles(recording).sentence
    assert "2 calls in 2 s: 2 waited" in sentence
    assert sentence.endswith("1 answered, 1 got tokens, 0 failed.")
    assert "1 answered" in repr(Live(recording))
    assert marbles(recorded(waits(0, 1, "fresh()"), released(1, 1))).sentence.endswith("; 1 got tokens, 0 failed.")


def test_the_reasons_add_up_however_many_there_are() -> None:
    statuses = [500] * 5 + [501] * 4 + [502] * 3 + [503, 504, 505, 506]
    events = [event for n, status in enumerate(statuses) for event in (sent(0, n), ended(1, n, status))]
    assert "16 failed (5 × 500, 4 × 501, 3 × 502, 4 others)" in marbles(recorded(*events)).sentence
    four = [event for n in range(4) for event in (sent(0, n), ended(1, n, 500 + n))]
    assert "4 failed (1 × 500, 1 × 501, 1 × 502, 1 × 503)" in marbles(recorded(*four)).sentence
