"""`Retry-After` and HTTP dates (RFC 9110 sections 5.6.7 and 10.2.3): a sensible wait or none, never an exception."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxauth.errors import RefreshUnavailable
from rxauth.refreshers.failures import failure_of, judge, parse_date, parse_retry_after
from rxauth.session import Settings

#: No date and no number of seconds that is understood is further away than this.
LONGEST = 1e12
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
FORMATS = {
    "IMF-fixdate": lambda moment: format_datetime(moment, usegmt=True),
    "RFC 850": lambda moment: f"{DAYS[moment.weekday()]}, " + moment.strftime("%d-%b-%y %H:%M:%S GMT"),
    "asctime": lambda moment: time.asctime(moment.timetuple()),
}
PIECES = ["Sun", "Sunday", ",", " ", "06", "6", "Nov", "11", "-", "94", "1994", "99999999999", "08:49:37", "25:61:61",
          ":", ".", "GMT", "+0000", "+9999999", "-2400", "EST", "(", ")", "é", "\ud800", "٣", "1e3", "0x10", "+", "T",
          "Z"]  # fmt: skip
GARBAGE = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    st.floats().map(str),
    st.integers().map(str),
    st.integers(1, 6000).map(lambda length: "9" * length),
)


@pytest.fixture(autouse=True, scope="module")
def _far_from_greenwich() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@given(value=st.none() | GARBAGE, date=st.none() | GARBAGE)
def test_no_header_makes_the_wait_anything_but_sensible(value: str | None, date: str | None) -> None:
    wait = parse_retry_after(value, date)
    assert wait is None or (type(wait) is float and 0 <= wait <= LONGEST)
    moment = parse_date(value)
    assert moment is None or -LONGEST <= moment <= LONGEST


@given(value=GARBAGE, failures=st.integers(0, 5000))
def test_no_header_makes_a_session_wait_for_longer_than_an_hour(value: str, failures: int) -> None:
    pause = Settings.of().cool_down_after(failures, parse_retry_after(value), 0.5)
    assert 5.0 <= pause <= 3600.0


@given(seconds=st.integers(0, 10**11), around=st.sampled_from(["", " ", "\t"]))
def test_seconds_are_seconds(seconds: int, around: str) -> None:
    assert parse_retry_after(f"{around}{seconds}{around}") == seconds


@given(
    value=st.floats(-1e6, 1e6).map(repr)
    | st.integers(max_value=-1).map(str)
    | st.sampled_from(["+5", "5s", "", "1e3", "５"])
)
def test_what_rfc_9110_does_not_know_is_no_wait(value: str) -> None:
    assert parse_retry_after(value, "Sun, 06 Nov 1994 08:49:37 GMT") is None


@given(moment=MOMENTS, written=st.sampled_from(sorted(FORMATS)))
def test_a_date_is_read_in_all_its_formats(moment: datetime, written: str) -> None:
    assert parse_date(FORMATS[written](moment)) == moment.timestamp()


@given(moment=MOMENTS, now=MOMENTS, written=st.sampled_from(sorted(FORMATS)), clock=st.sampled_from(sorted(FORMATS)))
def test_a_date_is_a_wait_by_the_servers_own_clock(moment: datetime, now: datetime, written: str, clock: str) -> None:
    wait = parse_retry_after(FORMATS[written](moment), FORMATS[clock](now))
    assert wait == max(0.0, (moment - now).total_seconds())


@given(
    value=st.binary(max_size=30).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")),
    date=st.binary(max_size=30),
    status=st.sampled_from([429, 503, 403]),
)
def test_bytes_of_any_charset_in_the_header_are_no_reason_to_fail(value: bytes, date: bytes, status: int) -> None:
    response = httpx.Response(status, headers=[(b"Retry-After", value), (b"Date", date), (b"Retry-After", value)])
    with pytest.raises(RefreshUnavailable) as caught:
        judge(response)
    wait = caught.value.retry_after
    assert wait is None or 0 <= wait <= LONGEST
    assert failure_of(caught.value).retry_after == wait
