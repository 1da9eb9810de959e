"""The conformance suite: the kinds of storage pass it, and those that break a promise do not."""

from __future__ import annotations

import subprocess
import sys
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from rxauth import Tokens
from rxauth.errors import InvalidRecord
from rxauth.storage import Key, MemoryStorage, Record, SharedStorage, TokenStorage, codec
from rxauth.storage.file import FileStorage
from rxauth.testing.storage import StorageConformance, TokenStorageConformance
from tests.storage.storage_kit import secret_service

bus = pytest.fixture(scope="module")(secret_service)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Any]:
    from tests.storage.redis_kit import serve

    yield from serve()


numbers = count()


class TestMemory(TokenStorageConformance):
    @pytest.fixture(autouse=True)
    def place(self) -> None:
        self.storage = MemoryStorage()

    def make(self) -> TokenStorage:
        return self.storage

    test_what_can_not_be_read_is_refused_and_kept = None  # it holds no text that could be damaged


class TestFile(StorageConformance):
    moment = 0.03

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "tokens"

    def make(self) -> SharedStorage:
        return FileStorage(self.path, lock_timeout=10.0)

    def plant(self, text: str) -> None:
        self.path.touch(0o600)
        self.path.write_text(text)


class TestKeyringInAFile(StorageConformance):
    moment = 0.03

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path
        self.plain = pytest.importorskip("keyrings.alt.file", reason="needs the package keyrings.alt")

    def make(self) -> SharedStorage:
        from rxauth.storage.keyring import KeyringStorage

        return KeyringStorage(
            "rxauth-tests",
            "mary",
            backend=self.backend(),
            plain_text=True,
            lock_directory=self.path / "locks",
            lock_timeout=10.0,
        )

    def backend(self) -> Any:
        backend = self.plain.PlaintextKeyring()
        backend.file_path = str(self.path / "passwords")
        return backend

    def plant(self, text: str) -> None:
        self.backend().set_password("rxauth-tests", "mary", text)


class TestKeyringOnTheDesktop(StorageConformance):
    moment = 0.03

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        self.path, self.account = tmp_path, f"account-{next(numbers)}"
        backend = pytest.importorskip("keyring.backends.SecretService", reason="needs the package keyring")
        self.backend = backend.Keyring()

    def make(self) -> SharedStorage:
        from rxauth.storage.keyring import KeyringStorage

        return KeyringStorage(
            "rxauth-tests", self.account, backend=self.backend, lock_directory=self.path / "locks", lock_timeout=10.0
        )

    def plant(self, text: str) -> None:
        self.backend.set_password("rxauth-tests", self.account, text)


class TestRedis(StorageConformance):
    moment = 0.03

    @pytest.fixture(autouse=True)
    def place(self, redis_server: Any) -> Iterator[None]:
        self.server, self.key, self.made = redis_server, f"key-{next(numbers)}", []
        yield
        for thread in threading.enumerate():
            if thread.name == "rxauth-redis-watch":
                thread.join(10)  # it was stopped, and may still be in its last look
        for storage in self.made:
            storage.close()

    def make(self) -> SharedStorage:
        from rxauth.storage.redis import RedisStorage

        self.made.append(RedisStorage(self.server.url, self.key, timeout=10.0))
        return self.made[-1]

    def plant(self, text: str) -> None:
        with self.server.client as client:
            client.set(self.key, text)


class Place:
    """Where the storages of one test, which keep every promise but one, put their text."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.change, self.section = threading.Lock(), threading.Lock()


class Shelf:
    """Keeps every promise. The kinds below break one each."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def load(self) -> Record | None:
        return None if self.place.text is None else codec.loads(self.place.text, "the shelf")

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        with self.place.change:
            stored = self.load()
            if replaces is not None and not self.may(stored, replaces):
                return False
            self.put(record)
            return True

    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.key == replaces

    def put(self, record: Record) -> None:
        self.place.text = codec.dumps(record)

    def clear(self, sign_in: str) -> None:
        with self.place.change:
            stored = self.load()
            if stored is not None and stored.sign_in == sign_in:
                self.put(replace(stored, tokens=None))

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError("the shelf's section is not free")
        try:
            yield
        finally:
            self.place.section.release()


class Forgetful(Shelf):
    def put(self, record: Record) -> None:
        super().put(replace(record, spending=None))


class Rounding(Shelf):
    def put(self, record: Record) -> None:
        tokens = record.tokens
        if tokens is not None and tokens.expires_at is not None:
            tokens = replace(tokens, expires_at=float(int(tokens.expires_at)))
        super().put(replace(record, tokens=tokens))


class Latin(Shelf):
    def put(self, record: Record) -> None:
        super().put(replace(record, account=record.account.encode("latin-1", "replace").decode("latin-1")))


class Short(Shelf):
    def put(self, record: Record) -> None:
        tokens = record.tokens and replace(record.tokens, access=record.tokens.access[:4096])
        super().put(replace(record, tokens=tokens))


class Overwriting(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return True


class OfTheSameSignIn(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.sign_in == replaces[0]


class OfTheSameGeneration(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.tokens is not None and stored.generation == replaces[1]


class OverATombstone(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is not None and stored.key == replaces


class OverNothing(Shelf):
    def may(self, stored: Record | None, replaces: Key) -> bool:
        return stored is None or super().may(stored, replaces)


class Shy(Shelf):
    def save(self, record: Record, replaces: Key | None = None) -> bool:
        stored = self.load()
        if stored is not None and stored.tokens is None and replaces is None:
            return False
        return super().save(record, replaces)


class InTwoSteps(Shelf):
    """Compares, and sets a moment later."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        stored = self.load()
        if replaces is not None and not self.may(stored, replaces):
            return False
        threading.Event().wait(0.02)
        self.put(record)
        return True


class ClearsAnybody(Shelf):
    def clear(self, sign_in: str) -> None:
        stored = self.load()
        super().clear(sign_in if stored is None else stored.sign_in)


class ClearsNobody(Shelf):
    def clear(self, sign_in: str) -> None:
        pass


class WithoutATombstone(Shelf):
    def clear(self, sign_in: str) -> None:
        stored = self.load()
        if stored is not None and stored.sign_in == sign_in:
            self.place.text = None


class Caching(Shelf):
    seen: Record | None = None

    def load(self) -> Record | None:
        self.seen = self.seen or super().load()
        return self.seen


class OpenToAll(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        yield


class Impatient(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(0.0):
            yield


class RaisesAnother(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise RuntimeError("locked")
        try:
            yield
        finally:
            self.place.section.release()


class OfOneThread(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait):
            thread = threading.get_ident()
            yield
            if threading.get_ident() != thread:
                raise RuntimeError("left by another thread")


class StaysAfterAnError(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError
        yield
        self.place.section.release()


class SwallowsErrors(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait), suppress(LookupError):
            yield


class BlocksWriters(Shelf):
    """Nobody saves while somebody else is in the section."""

    inside = False

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        with super().exclusive(wait):
            self.inside = True
            try:
                yield
            finally:
                self.inside = False

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        return super().save(record, replaces) if self.inside or not self.place.section.locked() else False


class Talkative(Shelf):
    def __repr__(self) -> str:
        return f"Talkative({self.place.text})"


class ShowsInErrors(Shelf):
    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        if not self.place.section.acquire(timeout=wait):
            raise TimeoutError(f"held for {self.place.text}")
        try:
            yield
        finally:
            self.place.section.release()


class Confident(Shelf):
    """Puts a new record in the place of what it can not read."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        try:
            return super().save(record, replaces)
        except InvalidRecord:
            self.put(record)
            return True


class Lenient(Shelf):
    def load(self) -> Record | None:
        try:
            return super().load()
        except InvalidRecord:
            return None


class Quiet(Shelf):
    """Says that it watches, and does not."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


def suite_for(kind: type[Shelf]) -> type[unittest.TestCase]:
    """The suite as a user of unittest would have it."""

    class Suite(StorageConformance, unittest.TestCase):
        patience, moment = 0.5, 0.02

        def setUp(self) -> None:
            self.place = Place()

        def make(self) -> SharedStorage:
            return kind(self.place)

        def plant(self, text: str) -> None:
            self.place.text = text

    return Suite


def broken_promises(tests: unittest.TestSuite) -> list[str]:
    """The test that fails, the first one only."""
    result = unittest.TestResult()
    result.failfast = True
    tests.run(result)
    failed = result.failures + result.errors
    assert not [text for _, text in failed if "s3cret" in text], "no token in what a test says"
    return [test.id().rpartition(".test_")[2] for test, _ in failed]


def all_tests(kind: type[Shelf]) -> unittest.TestSuite:
    return unittest.defaultTestLoader.loadTestsFromTestCase(suite_for(kind))


def test_a_kind_that_keeps_every_promise_passes() -> None:
    tests = all_tests(Shelf)
    assert tests.countTestCases() > 15
    assert broken_promises(tests) == []


@pytest.mark.parametrize("kind", sorted(Shelf.__subclasses__(), key=lambda kind: kind.__name__))
def test_a_kind_that_breaks_a_promise_does_not(kind: type[Shelf]) -> None:
    assert broken_promises(all_tests(kind))


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Forgetful, "the_journal_is_kept_and_cleared"),
        (InTwoSteps, "of_many_that_replace_one_pair_one_does"),
        (OpenToAll, "one_at_a_time_is_in_the_section"),
        (WithoutATombstone, "the_others_see_a_tombstone"),
        (OfOneThread, "a_section_may_be_left_by_another_thread"),
        (Confident, "what_can_not_be_read_is_refused_and_kept"),
        (Quiet, "a_change_by_others_is_told"),
    ],
)
def test_the_test_that_fails_says_which(kind: type[Shelf], promise: str) -> None:
    assert broken_promises(unittest.TestSuite([suite_for(kind)(f"test_{promise}")])) == [promise]


def test_it_needs_no_test_framework() -> None:
    program = "import sys; import rxauth.testing.storage; print('pytest' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_without_make_it_says_what_to_define() -> None:
    for suite in (TokenStorageConformance, StorageConformance):
        with pytest.raises(NotImplementedError, match=r"define make\(\)"):
            suite().test_an_empty_storage_has_no_record()


def test_tokens_of_other_memory_are_not_stored() -> None:
    """What a session notes in its own tokens is not part of the promise."""
    own = replace(Tokens("access"), sign_in="here", generation=12)
    place = Place()
    Shelf(place).put(Record("here", 1, own))
    found = Shelf(place).load()
    assert found is not None
    assert found.tokens == Tokens("access")
