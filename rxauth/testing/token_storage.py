"""Does a storage that one process uses keep its promises? See `rxauth.testing.storage`."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import SkipTest

from rxauth.errors import InvalidRecord
from rxauth.storage.protocol import Record, TokenStorage
from rxauth.tokens.pair import Tokens

MINE, THEIRS = "sign-in-of-mine", "sign-in-of-others"
SECRET = "s3cret"
ALL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))
TEXTS = (
    "Zoë «Ω» 你好 🔑",
    "quotes ' \" ` and \\ backslashes \\n \\u0041",
    "a\ttab,\na line break",
    "${HOME} %s {0} <b>&amp;",
)


def record(generation: int = 1, sign_in: str = MINE, **how: Any) -> Record:
    """A record with tokens that no other generation or sign-in has; all of them contain SECRET."""
    name = f"{SECRET}-{sign_in}-{generation}"
    return Record(sign_in, generation, Tokens(f"access-{name}", f"refresh-{name}", 2e9), **how)


class TokenStorageConformance:
    """The promises of `TokenStorage`."""

    #: How many characters a token may have.
    longest: int = 64 * 1024

    def make(self) -> TokenStorage:
        """One more storage object, for the place of this test, which is empty when the test begins."""
        raise NotImplementedError("define make(): it returns a storage for the place of this test")

    def plant(self, text: str) -> None:
        """Store this text as it is, in the place of this test. Without this method one test is skipped."""
        raise SkipTest("there is no plant() that would store a damaged record")

    def test_an_empty_storage_has_no_record(self) -> None:
        promise(self.make().load() is None, "load() returns None when nothing was saved")

    def test_what_was_saved_is_loaded(self) -> None:
        full = Tokens("access", "refresh", 1.9e9 + 0.125, 2.1e9, "read write", life=300.5)
        for saved in (
            Record(MINE, 7, full, "mary@example.com", "https://auth.example.com/token", 1.8e9 + 0.25),
            Record(MINE, 8, full, origins=("0f1e2d3c4b5a", "a5b4c3d2e1f0"), recent=("0f1e2d3c4b5a",)),
            Record(MINE, 1, Tokens("access")),
            Record(MINE, 10**12, Tokens("access", expires_at=0.0, life=0.0)),
        ):
            promise(self.make().save(saved), "save() without replaces returns true")
            self.holds(saved)

    def test_a_text_comes_back_as_it_was(self) -> None:
        access = (ALL_CHARACTERS * (self.longest // len(ALL_CHARACTERS) + 1))[: self.longest]
        for text in TEXTS:
            tokens = Tokens(access, ALL_CHARACTERS, 2e9, scope=text)
            saved = Record(MINE, 1, tokens, account=text, endpoint=text)
            self.make().save(saved)
            self.holds(saved)

    def test_the_journal_is_kept_and_cleared(self) -> None:
        storage, pair = self.make(), record()
        storage.save(pair)
        for noted in (replace(pair, spending=1.8e9), pair):
            promise(storage.save(noted, pair.key), "a pair may replace itself, with another journal")
            self.holds(noted)

    def test_a_save_that_replaces_nothing_special_replaces_anything(self) -> None:
        storage = self.make()
        for saved in (record(9, THEIRS), record(5), record(1), record(1, THEIRS)):
            promise(storage.save(saved), "save() without replaces returns true")
            self.holds(saved)
        storage.clear(THEIRS)
        promise(storage.save(record(1)), "save() without replaces returns true, also after clear()")
        self.holds(record(1))

    def test_a_save_replaces_the_pair_that_it_names_and_no_other(self) -> None:
        storage, first, second = self.make(), record(1), record(2)
        promise(not storage.save(second, first.key), "save(replaces=...) returns false when nothing is stored")
        promise(storage.load() is None, "a save that returned false has stored nothing")
        storage.save(first)
        for other in ((MINE, 2), (MINE, 0), (THEIRS, 1)):
            promise(not storage.save(second, other), "save(replaces=...) returns false when another pair is stored")
            self.holds(first)
        promise(storage.save(second, first.key), "save(replaces=...) returns true when that pair is stored")
        self.holds(second)
        promise(not storage.save(record(2), first.key), "save(replaces=...) returns false when that pair was replaced")
        storage.clear(MINE)
        promise(not storage.save(record(3), second.key), "save(replaces=...) returns false after clear()")
        promise(is_over(storage.load()), "a save that returned false has stored nothing")

    def test_clear_ends_its_own_sign_in_only(self) -> None:
        storage, mine = self.make(), record()
        storage.clear(MINE)
        promise(storage.load() is None, "clear() of an empty storage does nothing")
        storage.save(mine)
        storage.clear(THEIRS)
        self.holds(mine)
        storage.clear(MINE)
        promise(is_over(self.make().load()), "after clear() no tokens are loaded")
        storage.clear(MINE)
        promise(is_over(storage.load()), "a second clear() does nothing")

    def test_what_can_not_be_read_is_refused_and_kept(self) -> None:
        for text in (f'{{"rxauth": 99, "of": "{SECRET}"}}', f'{{"rxauth": 1, "access": "{SECRET}', "", "[]"):
            self.plant(text)
            storage = self.make()
            save, clear = partial(storage.save, record()), partial(storage.clear, MINE)
            for call in (storage.load, save, clear, storage.load):
                error = raised_by(call)
                promise(isinstance(error, InvalidRecord), "load, save and clear raise InvalidRecord, and store nothing")
                promise(SECRET not in shown(error), "an error shows nothing of what is stored")

    def holds(self, saved: Record) -> None:
        """The place of this test holds this record, and nothing of it is lost."""
        storage = self.make()
        found = storage.load()
        promise(SECRET not in f"{storage!r} {storage}", "the storage's repr shows no token")
        promise(found is not None, "a record that was saved is loaded by a new storage object")
        assert found is not None
        wrong = [name for name, value in _parts(saved).items() if _parts(found)[name] != value]
        promise(not wrong, f"load() returns what was saved; different: {', '.join(wrong)}")


def promise(kept: bool, what: str) -> None:
    """Not an `assert`, which `python -O` leaves out."""
    if not kept:
        raise AssertionError(f"a promise is broken: {what}")


def raised_by(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def shown(error: BaseException | None) -> str:
    """The error's text and traceback, with all that it goes back to."""
    return "".join(traceback.format_exception(error)) + repr(error) if error is not None else ""


def is_over(found: Record | None) -> bool:
    return found is None or found.tokens is None


def _parts(record: Record) -> dict[str, object]:
    """All that must come back, by name. What a session notes in its own tokens is not stored."""
    kept = ("access", "refresh", "expires_at", "refresh_expires_at", "scope", "life")
    own = ("sign_in", "generation", "account", "endpoint", "spending", "cause", "status_code", "origins", "recent")
    return {name: getattr(record.tokens, name, None) for name in kept} | {name: getattr(record, name) for name in own}
