"""Does a token storage keep its promises? Subclass `StorageConformance` in your tests, and say how one is made:

    class TestMyStorage(StorageConformance):
        @pytest.fixture(autouse=True)
        def place(self, tmp_path):
            self.path = tmp_path / "tokens"

        def make(self):
            return MyStorage(self.path)

pytest runs the inherited tests; so does unittest, with `unittest.TestCase` as a second base and the place made in
`setUp`. Neither is imported here. A storage that only one process uses at a time has fewer promises to keep:
`TokenStorageConformance`. A broken promise is an AssertionError that says which, and holds no token.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from unittest import SkipTest

from rxauth.errors import InvalidRecord
from rxauth.runtime import Pending, Runtime
from rxauth.storage.protocol import Record, SharedStorage, TokenStorage, WatchedStorage
from rxauth.tokens import Tokens

T = TypeVar("T")

RUNTIME = Runtime()
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
        promise(_is_over(storage.load()), "a save that returned false has stored nothing")

    def test_clear_ends_its_own_sign_in_only(self) -> None:
        storage, mine = self.make(), record()
        storage.clear(MINE)
        promise(storage.load() is None, "clear() of an empty storage does nothing")
        storage.save(mine)
        storage.clear(THEIRS)
        self.holds(mine)
        storage.clear(MINE)
        promise(_is_over(self.make().load()), "after clear() no tokens are loaded")
        storage.clear(MINE)
        promise(_is_over(storage.load()), "a second clear() does nothing")

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


class StorageConformance(TokenStorageConformance):
    """The promises of `SharedStorage`, and of `WatchedStorage` where it is one."""

    #: For how many seconds a test waits for what should happen, and for what should not.
    patience: float = 10.0
    moment: float = 0.1

    def make(self) -> SharedStorage:
        raise NotImplementedError("define make(): it returns a storage for the place of this test")

    def test_the_others_see_a_tombstone(self) -> None:
        mine, other = self.make(), self.make()
        mine.save(record(3))
        mine.clear(MINE)
        found = other.load()
        promise(found is not None and found.tokens is None, "clear() leaves a tombstone: a record without tokens")
        promise(found is not None and found.sign_in == MINE, "a tombstone names the sign-in that is over")
        other.clear(THEIRS)
        promise(other.load() == found, "clear() of another sign-in leaves the tombstone as it is")
        promise(not other.save(record(4), (MINE, 3)), "a tombstone can not be replaced as if it were the pair")
        promise(other.save(record(1, THEIRS)), "a new sign-in takes the place of a tombstone")
        self.holds(record(1, THEIRS))

    def test_of_many_that_replace_one_pair_one_does(self) -> None:
        self.make().save(record(1))

        def replace_it(generation: int, storage: SharedStorage) -> bool:
            return storage.save(record(generation + 1, account=str(id(storage))), (MINE, generation))

        for generation in range(1, 6):
            saved = self._all_at_once(partial(replace_it, generation))
            promise(saved.count(True) == 1, "of several that replace the same pair, exactly one returns true")

    def test_one_at_a_time_is_in_the_section(self) -> None:
        self.make().save(record(1))

        def refresh(storage: SharedStorage) -> None:
            for _ in range(3):
                with storage.exclusive(self.patience):
                    stored = storage.load() or record(0)
                    RUNTIME.sleep(0.01)  # in which all others would come, if they could
                    saved = storage.save(record(stored.generation + 1), stored.key)
                    promise(saved, "who has loaded the record in the section can replace it there")

        self._all_at_once(refresh)
        self.holds(record(1 + 3 * 4))

    def test_a_section_that_is_not_free_in_time_is_a_timeout_error(self) -> None:
        mine, other = self.make(), self.make()
        promise(isinstance(mine, SharedStorage), "it has the methods of SharedStorage")
        mine.save(record())
        with mine.exclusive(self.patience):
            for storage in (other, mine):
                start = time.monotonic()
                error = raised_by(storage.exclusive(self.moment).__enter__)
                promise(isinstance(error, TimeoutError), "exclusive() raises TimeoutError while another is in there")
                promise(SECRET not in shown(error), "no error shows a token")
                promise(time.monotonic() - start < self.patience, "exclusive(wait) waits for `wait` seconds at most")
        self._enters(other)

    def test_who_waits_enters_when_the_other_leaves(self) -> None:
        mine, other = self.make(), self.make()
        order: list[str] = []

        def wait() -> None:
            with other.exclusive(self.patience):
                order.append("entered")

        with mine.exclusive(self.patience):
            waiter = RUNTIME.io(wait, "waiter")
            RUNTIME.wait(waiter.done, self.moment)
            order.append("left")
        self._finish(waiter)
        promise(order == ["left", "entered"], "exclusive() waits until the other has left, and not longer")

    def test_the_record_is_read_and_changed_while_somebody_is_in_the_section(self) -> None:
        mine, other = self.make(), self.make()
        other.save(record(1))
        with mine.exclusive(self.patience):
            promise(mine.load() is not None, "load() works in the section")
            promise(mine.save(record(2), (MINE, 1)), "save() works in the section")
            promise(other.save(record(1, THEIRS)), "a login elsewhere does not wait for the section")
            found = mine.load()
            promise(found is not None and found.sign_in == THEIRS, "load() in the section returns what others saved")
            other.clear(THEIRS)
            promise(not mine.save(record(2, THEIRS), (THEIRS, 1)), "a logout elsewhere does not wait for the section")
            mine.save(record(3))
        self.holds(record(3))

    def test_a_section_may_be_left_by_another_thread(self) -> None:
        mine, other = self.make(), self.make()
        for entering, leaving in ((self._here, self._on_a_thread), (self._on_a_thread, self._here)):
            section = mine.exclusive(self.patience)
            entering(section.__enter__)
            error = raised_by(other.exclusive(self.moment).__enter__)
            promise(isinstance(error, TimeoutError), "a section outlives the thread that entered it")
            leaving(partial(section.__exit__, None, None, None))
            self._enters(other)

    def test_an_exception_leaves_the_section_and_comes_through(self) -> None:
        came_through = False
        try:
            with self.make().exclusive(self.patience):
                raise LookupError
        except LookupError:
            came_through = True
        promise(came_through, "an exception in the section comes through")
        self._enters(self.make())

    def test_a_change_by_others_is_told(self) -> None:
        mine, other = self.make(), self.make()
        if not isinstance(mine, WatchedStorage):
            return  # and does not say that it would
        told = threading.Event()
        stop = mine.watch(told.set)
        for change in (partial(other.save, record()), partial(other.clear, MINE)):
            mine.load()
            told.clear()
            change()
            promise(told.wait(self.patience), "watch() tells of each change that another one makes")
        stop()

    def _enters(self, storage: SharedStorage) -> None:
        section = storage.exclusive(self.patience)
        promise(raised_by(section.__enter__) is None, "a section that was left is free")
        section.__exit__(None, None, None)

    def _all_at_once(self, work: Callable[[SharedStorage], T]) -> list[T]:
        """What `work` returns to four storage objects on four threads."""
        storages = [self.make() for _ in range(4)]
        start = threading.Barrier(len(storages))

        def run(storage: SharedStorage) -> T:
            start.wait(self.patience)
            return work(storage)

        pending = [RUNTIME.io(partial(run, storage), "one of four") for storage in storages]
        return [self._finish(each) for each in pending]

    def _on_a_thread(self, call: Callable[[], object]) -> None:
        self._finish(RUNTIME.io(call, "another thread"))

    def _here(self, call: Callable[[], object]) -> None:
        call()

    def _finish(self, pending: Pending[T]) -> T:
        limit = 6 * self.patience
        promise(RUNTIME.wait(pending.done, limit), f"no call blocks for {limit:g} s")
        return pending.result()


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


def _is_over(found: Record | None) -> bool:
    return found is None or found.tokens is None


def _parts(record: Record) -> dict[str, object]:
    """All that must come back, by name. What a session notes in its own tokens is not stored."""
    kept = ("access", "refresh", "expires_at", "refresh_expires_at", "scope", "life")
    own = ("sign_in", "generation", "account", "endpoint", "spending")
    return {name: getattr(record.tokens, name, None) for name in kept} | {name: getattr(record, name) for name in own}
