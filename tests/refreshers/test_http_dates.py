"""`Retry-After` and `Date`, as servers write them and as they should."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from rxauth import RefreshUnavailable, Session, Tokens
from rxauth.refreshers.failures import parse_date, parse_retry_after
from rxauth.testing import VirtualTime

NOON = "Sun, 06 Nov 1994 12:00:00 GMT"
NOON_SECONDS = 784_123_200.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("9" * 5000, 999_999_999_999.0),
        (None, None),
        ("", None),
        (" ", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("30s", None),
        ("soon", None),
        ("²", None),
        ("٣", None),
        ("Sun, 99 Nov 1994 12:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 12:00:30 GMT", 30.0),
        (NOON, 0.0),
        ("Sun, 06 Nov 1994 11:59:00 GMT", 0.0),
        ("Sun, 06 Nov 1994 13:00:00 +0000", 3600.0),
        ("Sun, 06 Nov 1994 13:00:30 +0100", 30.0),
        ("Sunday, 06-Nov-94 12:00:30 GMT", 30.0),  # RFC 850, which RFC 9110 says a recipient must accept
    ],
)
def test_a_retry_after_that_is_a_date_is_compared_with_the_servers_own_clock(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOON) == seconds


@pytest.mark.parametrize("date", [None, "", "noon"])
def test_without_a_usable_date_our_clock_must_do(date: str | None) -> None:
    assert parse_retry_after(NOON, date) == 0.0
    later = parse_retry_after("Fri, 31 Dec 2100 12:00:00 GMT", date)
    assert later == pytest.approx(4_133_937_600.0 - time.time(), abs=60)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (NOON, NOON_SECONDS),
        ("Sun, 06 Nov 1994 12:00:00 -0000", NOON_SECONDS),  # what Python reads as a time without a zone
        ("Sun, 06 Nov 1994 12:00:00", NOON_SECONDS),
        ("Sun Nov  6 12:00:00 1994", NOON_SECONDS),  # asctime, the third of RFC 9110's formats
        ("06 Nov 1994 14:00:00 +0200", NOON_SECONDS),
        (None, None),
        ("", None),
        ("noon", None),
        ("1994-11-06T12:00:00Z", None),
        ("Sun, 06 Nov 1994 25:00:00 GMT", None),
        ("Sun, 06 Nov 99999 12:00:00 GMT", None),
        (",,,,", None),
        ("a" * 10_000, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_parse_date(value: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # a time without a zone is Greenwich's, wherever we are
    time.tzset()
    try:
        assert parse_date(value) == seconds
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *((30, 30.0), (0, 0.0), (1.5, 1.5), ("30", 30.0), (" 30 ", 30.0), ("1.5", 1.5)),
        *((None, None), ("", None), ("soon", None), (NOON, None), ([30], None), (-1, None), ("-1", None)),
        *((math.nan, None), ("nan", None), (math.inf, None), pytest.param(10**400, None, id="huge")),
    ],
)
def test_a_refresh_callable_may_hand_on_the_text_of_the_header(stated: Any, seconds: float | None) -> None:
    error = RefreshUnavailable(retry_after=stated)
    assert (error.retry_after, error.again().retry_after) == (seconds, seconds)


@pytest.mark.parametrize("stated", ["30", math.nan, []])
def test_a_wait_of_any_shape_begins_a_cool_down(stated: Any) -> None:
    def refresh(tokens: Tokens) -> Tokens:
        asked.append(tokens)
        raise RefreshUnavailable(retry_after=stated, repeat=False)

    time_, asked = VirtualTime(), list[Tokens]()
    session = Session(refresh, tokens=Tokens("stale", "r", expires_at=1.0), time=time_)
    for _ in range(3):
        with pytest.raises(RefreshUnavailable) as caught:
            session.fresh().run()
        assert math.isfinite(caught.value.retry_at or math.nan)
    assert len(asked) == 1
