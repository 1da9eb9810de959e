"""The numbers of a session: refused with a reason, or good for any number of failures."""

from __future__ import annotations

import math
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxauth import Session
from rxauth.session import Settings, SettingsOptions

DEFAULT = Settings()
NAMES = st.sampled_from(sorted(name for name in Settings.__slots__))
NO_NUMBER = st.one_of(
    st.text(), st.binary(), st.lists(st.floats()), st.builds(object), st.builds(complex), st.just("30")
)
BAD = st.one_of(
    NO_NUMBER, st.floats(max_value=-1e-300), st.integers(max_value=-1), st.sampled_from([math.nan, -math.inf])
)
RETRY_AFTER = st.none() | st.floats() | st.floats(0, 1e5)
SECONDS = st.floats(0, 1e6, allow_subnormal=False)
COUNTS = dict.fromkeys(("tries", "excess"), st.integers(1, 1000))
CHANCE = st.floats(0, 1)


def test_the_keywords_that_type_checkers_know_are_the_settings() -> None:
    assert get_type_hints(SettingsOptions) == get_type_hints(Settings)
    assert SettingsOptions.__required_keys__ == frozenset()


def test_every_setting_is_described_once() -> None:
    for name in Settings.__slots__:
        assert (Settings.__doc__ or "").count(f"`{name}`") == 1, name


@given(name=NAMES.filter(lambda name: name != "leeway"), value=BAD)
def test_a_number_out_of_range_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Settings.of(**{name: value})


@given(value=NO_NUMBER)
def test_what_is_no_number_is_no_leeway(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^leeway must be"):
        Settings.of(leeway=value)


@given(name=st.text().filter(lambda name: name not in Settings.__slots__), value=st.none() | st.floats())
def test_an_unknown_name_is_a_type_error(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match="has no keyword"):
        Settings.of(**{name: value})


@given(name=st.sampled_from(["tries", "excess"]), count=st.just(0) | SECONDS)
def test_a_count_is_whole_and_not_0(name: str, count: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Settings.of(**{name: count})


@given(numbers=st.fixed_dictionaries({}, optional=dict.fromkeys(Settings.__slots__, SECONDS) | COUNTS))
def test_numbers_in_range_are_kept(numbers: dict[str, float]) -> None:
    settings = Settings.of(**numbers)
    assert {name: getattr(settings, name) for name in numbers} == numbers
    leeway, ahead = settings.windows.leeway, settings.windows.refresh_ahead
    assert (leeway, ahead) == (numbers.get("leeway"), numbers.get("refresh_ahead"))


@given(name=NAMES.filter(lambda name: name != "leeway"), value=BAD)
def test_a_session_refuses_what_its_settings_refuse(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Session(lambda tokens: tokens, **{name: value})


@given(failures=st.integers(0, 10**9), retry_after=RETRY_AFTER, chance=CHANCE)
def test_the_default_cool_down_is_five_seconds_to_an_hour(
    failures: int, retry_after: float | None, chance: float
) -> None:
    pause = DEFAULT.cool_down_after(failures, retry_after, chance)
    assert 3.75 <= pause <= 3600
    if retry_after is None:
        assert pause == min(60, 5 * 2 ** min(failures, 10)) * (0.75 + chance / 2)


@given(
    cool_down=SECONDS,
    most=SECONDS,
    longest=SECONDS,
    failures=st.integers(0, 10**6),
    retry_after=RETRY_AFTER,
    chance=CHANCE,
)
def test_a_cool_down_is_never_beyond_the_two_numbers_that_bound_it(
    cool_down: float, most: float, longest: float, failures: int, retry_after: float | None, chance: float
) -> None:
    settings = Settings.of(cool_down=cool_down, max_cool_down=most, max_retry_after=longest)
    pause = settings.cool_down_after(failures, retry_after, chance)
    assert 0.75 * min(cool_down, most) <= pause <= max(1.25 * most, longest)
    assert pause <= settings.cool_down_after(failures + 1, retry_after, chance)


@given(cool_down=SECONDS, failures=st.integers(0, 10**6), one=st.floats(0, 1e5), more=st.floats(0, 1e5), chance=CHANCE)
def test_a_longer_retry_after_is_never_a_shorter_wait(
    cool_down: float, failures: int, one: float, more: float, chance: float
) -> None:
    settings = Settings.of(cool_down=cool_down)
    assert settings.cool_down_after(failures, one, chance) <= settings.cool_down_after(failures, one + more, chance)
    assert settings.cool_down_after(failures, one, chance) >= min(one, 3600)


@given(failures=st.integers(0, 100), asked=st.none() | st.floats(5, 3000), number=st.integers(2, 10))
def test_those_who_failed_together_do_not_come_back_together(failures: int, asked: float | None, number: int) -> None:
    first, last = (DEFAULT.cool_down_after(failures, asked, chance) for chance in (0.5, 1.0))
    assert last - first >= 1.25
    assert DEFAULT.pause_before(number, asked, 1.0) > DEFAULT.pause_before(number, asked, 0.5)


@given(
    backoff=st.just(0.0) | st.floats(1e-9, 1e6),
    number=st.integers(2, 64),
    chance=CHANCE,
    retry_after=RETRY_AFTER,
)
def test_the_pause_between_tries_doubles_and_is_half_chance(
    backoff: float, number: int, chance: float, retry_after: float | None
) -> None:
    settings = Settings.of(backoff=backoff)
    pause = settings.pause_before(number, None, chance)
    whole = backoff * 2 ** (number - 2)
    assert whole / 2 <= pause <= whole
    assert settings.pause_before(number + 1, None, chance) == 2 * pause
    waited = settings.pause_before(number, retry_after, chance)
    assert waited >= pause
    assert waited == pause or (retry_after is not None and min(retry_after, 3600) <= waited <= 1.5 * retry_after)
