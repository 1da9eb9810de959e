"""`InvalidTokens` says what was received and what to do, and never prints a value."""

from __future__ import annotations

from typing import Any

import pytest
from token_kit import received

from rxauth import RxAuthError, Tokens
from rxauth.errors import InvalidTokens
from rxauth.tokens import TokenFields

SECRET = "s3cr3t-value"


def message_of(answer: object, **fields: Any) -> str:
    with pytest.raises(InvalidTokens) as caught:
        received(answer, **fields)
    assert SECRET not in str(caught.value) + repr(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("answer", [None, [], [SECRET], SECRET, 5, True, 1.5])
def test_an_answer_that_is_no_object_is_named_by_its_type(answer: object) -> None:
    message = message_of(answer)
    assert f"got {type(answer).__name__}" in message
    assert "expected a JSON object" in message


@pytest.mark.parametrize("under", ["data", "data.tokens", "result.0"])
def test_a_path_that_leads_nowhere_is_named(under: str) -> None:
    message = message_of({"access": SECRET, "data": None, "result": [SECRET]}, under=under)
    assert f"under {under!r}" in message
    assert "under=" in message


def test_an_answer_without_an_access_token_lists_its_fields_and_the_keywords() -> None:
    message = message_of({"jwt": SECRET, "user": {"id": 1}})
    assert "['jwt', 'user']" in message
    assert "access_key=" in message
    assert "under=" in message


def test_an_answer_with_very_many_fields_makes_no_very_long_message() -> None:
    assert len(message_of({f"field{n}": SECRET for n in range(10_000)})) < 1000
    assert len(message_of({"x" * 100_000: SECRET})) < 1000


@pytest.mark.parametrize("access", [5, 1.5, True, [SECRET], {"token": SECRET}, b"bytes"])
def test_an_access_token_that_is_no_text_is_named_by_its_type(access: object) -> None:
    assert f"access must be a str, got {type(access).__name__}" in message_of({"access": access})


@pytest.mark.parametrize("refresh", [5, True, [SECRET], {"token": SECRET}])
def test_a_refresh_token_that_is_no_text_is_named_by_its_type(refresh: object) -> None:
    assert f"refresh must be a str, got {type(refresh).__name__}" in message_of({"access": "a", "refresh": refresh})


@pytest.mark.parametrize(
    "text", [f"Bearer {SECRET}", f"{SECRET}\n", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\x00", f"{SECRET}é", f"\t{SECRET}"]
)
@pytest.mark.parametrize("name", ["access", "refresh"])
def test_a_token_that_could_not_be_sent_as_a_header_is_refused(name: str, text: str) -> None:
    message = message_of({"access": "a", name: text})
    assert message.startswith(name)
    assert "without 'Bearer '" in message


@pytest.mark.parametrize("refresh", ["r 2", "a b  c", "~ !", "Bearers r2"])
def test_a_refresh_token_may_hold_spaces_as_rfc_6749_says(refresh: str) -> None:
    assert Tokens("a", refresh).refresh == refresh
    assert Tokens.from_response({"access": "a", "refresh": refresh}).refresh == refresh


@pytest.mark.parametrize("refresh", [" r2", "r2 ", "r\t2", "r\n2", "r\x7f2", "r é", " ", "bearer r2"])
def test_and_nothing_else_that_is_not_printed(refresh: str) -> None:
    assert message_of({"access": "a", "refresh": refresh}).startswith("refresh holds a space")


def test_an_access_token_may_not_hold_one() -> None:
    assert message_of({"access": "a 2"}).startswith("access holds a space")


def test_an_empty_access_token_is_refused() -> None:
    assert "access is an empty string" in message_of({"access": ""})
    with pytest.raises(InvalidTokens, match="refresh is an empty string; leave it out"):
        Tokens("a", "")


def test_the_advice_for_an_empty_access_token_is_not_to_leave_it_out() -> None:
    with pytest.raises(InvalidTokens) as caught:
        Tokens("")
    assert "leave it out" not in str(caught.value)


@pytest.mark.parametrize("args", [(None,), (5,), (b"bytes",), ("a", 5), ("a", b"bytes")])
def test_a_pair_made_by_hand_is_checked_alike(args: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidTokens, match="must be a str, got "):
        Tokens(*args)


def test_it_is_ours_and_a_value_error() -> None:
    assert issubclass(InvalidTokens, RxAuthError)
    assert issubclass(InvalidTokens, ValueError)


def test_a_unit_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"expiry must be one of seconds, milliseconds, epoch, .*; got 'minutes'"):
        TokenFields(expiry="minutes")  # type: ignore[arg-type]
