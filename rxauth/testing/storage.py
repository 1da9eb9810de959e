"""Does a token storage keep its promises? Subclass `StorageConformance` in your tests, and say how one is made:

    class TestMyStorage(StorageConformance):
        @pytest.fixture(autouse=True)
        def place(self, tmp_path):
            self.path = tmp_path / "tokens"

        def make(self):
            return MyStorage(self.path)

        def plant(self, text):  # as a damaged record would stand there; without it one test is skipped
            self.path.write_text(text)

pytest runs the inherited tests; so does unittest, with `unittest.TestCase` as a second base and the place made in
`setUp`. Neither is imported here. A storage that only one process uses at a time has fewer promises to keep:
`TokenStorageConformance`. A broken promise is an AssertionError that says which, and holds no token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rxauth.concurrency.runtime import Pending, Runtime
from rxauth.storage.protocol import Record, SharedStorage, WatchedStorage
from rxauth.testing.token_storage import (
    MINE,
    SECRET,
    THEIRS,
    TokenStorageConformance,
    promise,
    raised_by,
    record,
    shown,
)

__all__ = ["StorageConformance", "TokenStorageConformance"]

T = TypeVar("T")

RUNTIME = Runtime()


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

    def test_a_tombstone_that_says_why_takes_the_place_of_its_pair_only(self) -> None:
        mine, other = self.make(), self.make()
        over = Record(MINE, 3, None, "mary", "https://auth.example.com/token", cause="refused", status_code=401)
        promise(
            not mine.save(over, (MINE, 3)), "save(replaces=...) of a tombstone returns false when nothing is stored"
        )
        mine.save(record(4))
        promise(not mine.save(over, (MINE, 3)), "save(replaces=...) of a tombstone leaves another pair alone")
        mine.save(record(3))
        promise(mine.save(over, (MINE, 3)), "save() stores a tombstone in the place of its pair")
        self.holds(over)
        other.clear(MINE)
        promise(other.load() == over, "clear() leaves a tombstone as it is")

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
        told.clear()
        other.save(record(2))
        promise(not told.wait(self.moment), "a watch that was stopped tells nothing more")

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
