"""The text form of a record: nothing is lost, and nothing but a whole record of this version is read."""

from __future__ import annotations

import json
import re
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxauth import Tokens
from rxauth.concurrency import Instant
from rxauth.errors import InvalidRecord, StorageError
from rxauth.storage import Record, codec
from tests.storage.storage_kit import record, shown

SECRET = "s3cret"
FULL = Record(
    "abc", 7, Tokens(SECRET, f"{SECRET}-2", 2e9, 3e9, "read", life=300.0), "mary", "https://a.example/t", 1.9e9
)

#: What version 1 looks like, for ever: a release that reads it otherwise would sign everybody out.
TEXT = (
    '{"rxauth": 1, "sign_in": "abc", "generation": 7, "access": "s3cret", "refresh": "s3cret-2", '
    '"expires_at": 2000000000.0, "refresh_expires_at": 3000000000.0, "life": 300.0, "scope": "read", '
    '"account": "mary", "endpoint": "https://a.example/t", "spending": 1900000000.0}'
)

tokens_of_any_kind = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15)
texts = st.text(st.characters(exclude_categories=()))
pairs = st.builds(
    Tokens, tokens_of_any_kind, st.none() | tokens_of_any_kind, numbers, numbers, st.none() | texts, life=numbers
)
records = st.builds(Record, texts, st.integers(-(10**30), 10**30), st.none() | pairs, texts, texts, numbers)


def changed(**fields: Any) -> str:
    """A good text, with these fields instead; None leaves one out."""
    wanted = {**json.loads(TEXT), **fields}
    return json.dumps({name: value for name, value in wanted.items() if value is not None})


@given(records)
@example(Record("\ud800", 0, None, "\x00", "“\u2028”", -0.0))
def test_a_record_comes_back_as_it_was(saved: Record) -> None:
    text = codec.dumps(saved)
    assert text.isascii()
    assert "\n" not in text
    assert codec.loads(text, "here") == saved


def test_the_form_of_version_1_does_not_change() -> None:
    assert codec.dumps(FULL) == TEXT
    assert codec.loads(TEXT, "here") == FULL


def test_a_life_that_was_counted_from_an_answer_is_kept_whatever_the_servers_clock_says() -> None:
    """The JWT's own times are an hour ahead of this machine's. Who loads the pair here does not fall for them."""
    now = Instant(2e9, 50.0)
    access = jwt.encode({"iat": 2e9 + 3600, "exp": 2e9 + 3900}, "a key that is long enough for a test", "HS256")
    answered = Tokens.from_response({"access": access, "refresh": "refresh"}, received=now)
    loaded = codec.loads(codec.dumps(Record("abc", 1, answered)), "here").tokens
    assert loaded is not None
    assert (loaded.expires_at, loaded.remaining(Instant(2e9 + 100, 7.0))) == (2e9 + 300, 200.0)


def test_a_tombstone_has_nothing_of_a_token() -> None:
    text = codec.dumps(Record("abc", 7, None, "mary"))
    assert not {"access", "refresh", "expires_at", "life", "scope"} & set(json.loads(text))
    assert codec.loads(text, "here") == Record("abc", 7, None, "mary")


def test_fields_of_a_later_release_are_passed_over() -> None:
    assert codec.loads(changed(family="f", nested={"a": [1]}), "here") == FULL
    least = '{"rxauth": 1, "sign_in": "abc", "generation": 7, "access": "a"}'
    assert codec.loads(least, "here") == Record("abc", 7, Tokens("a"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON object"),
        ("null", "no JSON object"),
        (f'["{SECRET}"]', "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        (f'{{"access": "{SECRET}"', "no JSON object"),
        ("\ufeff" + TEXT, "no JSON object"),
        (TEXT.replace("300.0", "NaN"), "no JSON object"),
        (TEXT.replace("300.0", "-Infinity"), "no JSON object"),
        (TEXT.replace("300.0", "9" * 5000), "no JSON object"),
        (TEXT.replace("300.0", "1e999"), "'life' should be a finite number"),
        (TEXT.replace("300.0", "9" * 400), "'life' should be a finite number"),
        (changed(life="300"), "'life' should be a finite number, and is a text"),
        (changed(expires_at=True), "'expires_at' should be a finite number, and is true or false"),
        (changed(refresh_expires_at=[]), "'refresh_expires_at' should be a finite number"),
        (changed(spending={}), "'spending' should be a finite number"),
        (changed(sign_in=None), "'sign_in' should be a text, and is missing"),
        (changed(sign_in=5), "'sign_in' should be a text, and is another number"),
        (changed(generation=None), "'generation' should be a whole number, and is missing"),
        (changed(generation=7.5), "'generation' should be a whole number"),
        (changed(generation=True), "'generation' should be a whole number"),
        (changed(account=5), "'account' should be a text"),
        (changed(endpoint=[SECRET]), "'endpoint' should be a text"),
        (changed(scope=["read"]), "'scope' should be a text"),
        (changed(access=5), "'access' should be a text"),
        (changed(refresh=[SECRET]), "'refresh' should be a text"),
        (changed(access=None), "a refresh token and no access token"),
        (changed(access=""), "one of its tokens is empty"),
        (changed(access=f"{SECRET}\r\nX: y"), "a character that no token has"),
        (changed(refresh=f"{SECRET}\x00"), "a character that no token has"),
        (changed(refresh=f"{SECRET}é"), "a character that no token has"),
        (changed(rxauth=2), "it has version 2, and this rxauth reads version 1 only"),
        (changed(rxauth=0), "it has version 0"),
        (changed(rxauth=None), "'rxauth' should be a whole number, and is missing"),
        (changed(rxauth="1"), "'rxauth' should be a whole number"),
        (changed(rxauth=True), "'rxauth' should be a whole number"),
    ],
)
def test_anything_else_is_refused_without_showing_it(text: str, why: str) -> None:
    with pytest.raises(InvalidRecord, match=re.escape(why)) as raised:
        codec.loads(text, "/the/file")
    message = str(raised.value)
    assert isinstance(raised.value, StorageError)
    assert "/the/file" in message, "where"
    assert "It is left as it is" in message
    assert ("Upgrade rxauth" if "version" in why else "Move it away and sign in again") in message, "the fix"
    assert SECRET not in shown(raised.value)


def test_no_part_of_a_text_is_taken_for_the_whole() -> None:
    for end in range(len(TEXT)):
        with pytest.raises(InvalidRecord):
            codec.loads(TEXT[:end], "here")


def test_what_can_not_be_written_as_json_is_no_record_and_shows_nothing() -> None:
    with pytest.raises(ValueError, match="not JSON compliant") as raised:
        codec.dumps(record(spending=float("nan")))
    assert "secret-access" not in shown(raised.value)
