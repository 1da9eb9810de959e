"""A place for each key, whatever the key is."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxauth import Session
from rxauth.session import Sessions
from rxauth.storage import name_for
from rxauth.storage.file import FileStorage

NASTY = [
    "../x", "..", ".", "/etc/passwd", "a/b", "a\\b", "C:x", "~root", "a b", "a\0b", "a\nb", "x.lock", "x.refresh.lock",
    "x.next", "x", "X", "ada", "Ada", "ADA", "%61da", "a%2fb", "\u00e9", "e\u0301", "\u212a", "K", "k", "\u0131", "i",
    "\u00df", "ss", "con", "nul", "{tag}", "}{", "*", "\ud800", "x" * 180, "x" * 181, "x" * 1000, "x" * 999 + "y",
]  # fmt: skip

#: The same in every run, and also on a machine that is slow.
tried = settings(deadline=None, derandomize=True, database=None)


def as_a_file_system_may(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def test_each_key_has_a_name_of_its_own_on_every_file_system() -> None:
    names = {as_a_file_system_may(name_for(key)) for key in NASTY}
    assert len(names) == len(NASTY)


@tried
@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_keys_share_a_name(one: str, other: str) -> None:
    same = as_a_file_system_may(name_for(one)) == as_a_file_system_may(name_for(other))
    assert same == (one == other)


@tried
@given(st.one_of(st.sampled_from(NASTY), st.text(min_size=1)))
def test_a_name_is_safe(key: str) -> None:
    name = name_for(key)
    assert name.isascii()
    assert not set(name) & set("/\\.:{}*? \0\n")
    assert 0 < len(name) <= 180
    assert (Path("/folder") / name).parent == Path("/folder")
    assert name not in ("con", "nul")


def test_plain_keys_stay_readable() -> None:
    assert name_for("ada-42_x") == "ada-42_x"
    assert name_for("ada@example.com") == "ada%40example%2ecom"


@pytest.mark.parametrize(("key", "error"), [("", ValueError), (7, TypeError), (None, TypeError), (b"x", TypeError)])
def test_what_is_no_key(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        name_for(key)


def test_nobody_reaches_the_tokens_of_another_by_his_name(tmp_path: Path) -> None:
    """Each of these has its own file in the folder, and finds it again."""

    def make(user: str) -> Session[Any]:
        storage = FileStorage(tmp_path / "app" / name_for(user))
        return Session(lambda tokens: tokens, storage=storage, name="x", save_timeout=30.0)

    keys = [key for key in NASTY if key != "\ud800"]
    with Sessions(make) as sessions:
        for number, user in enumerate(keys):
            sessions[user].sign_in({"access_token": f"a{number}", "refresh_token": "r", "expires_in": 300}).run()
    with Sessions(make) as sessions:
        assert [sessions[user].fresh().run().access for user in keys] == [f"a{number}" for number in range(len(keys))]
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "app"}
