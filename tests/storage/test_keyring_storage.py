"""KeyringStorage: in the operating system's secret store, or not at all."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keyring
import keyrings.alt.file as alternatives
import pytest
from keyring.backends import SecretService, chainer, fail, null

from rxauth.errors import InvalidRecord, StorageError, UnsafeStorage
from rxauth.storage.keyring import KeyringStorage
from tests.storage.storage_kit import collection, names_in, output, record, secret_service, shown, start


class Fickle(keyring.backend.KeyringBackend):
    """Keeps passwords in memory, until it is told to fail."""

    priority = -1  # keyring finds every class that there is

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.fails is not None:
            raise type(self.fails)(f"can not store {password}")
        self.kept[service, username] = password


class PlaintextOfMine(Fickle):
    """Says in its name that it encrypts nothing."""


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "locks"


class TestWhichBackend:
    def test_one_that_stores_in_plain_text_is_refused_unless_that_is_said(self, locks: Path) -> None:
        for plain in (alternatives.PlaintextKeyring(), PlaintextOfMine()):
            with pytest.raises(UnsafeStorage, match=r"stores in plain text: .* FileStorage.* plain_text=True"):
                KeyringStorage("app", "mary", backend=plain, lock_directory=locks)
        accepted = KeyringStorage("app", "mary", backend=plain, plain_text=True, lock_directory=locks)
        assert accepted.save(record())
        assert accepted.load() == record()

    def test_without_a_secret_store_the_error_names_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Nothing(chainer.ChainerBackend):  # type: ignore[misc]
            backends, priority = (), -1

        for none in (fail.Keyring(), Nothing()):
            monkeypatch.setattr(keyring, "get_keyring", lambda none=none: none)
            with pytest.raises(StorageError, match=r"no secret store .* start a Secret Service .* FileStorage"):
                KeyringStorage("app", "mary")

    def test_one_that_keeps_nothing_is_refused(self) -> None:
        with pytest.raises(StorageError, match="switched off"):
            KeyringStorage("app", "mary", backend=null.Keyring())

    def test_a_configured_one_that_does_not_exist_is_named(self, tmp_path: Path) -> None:
        program = "from rxauth.storage.keyring import KeyringStorage\nKeyringStorage('app', 'mary')"
        environment = {"PYTHON_KEYRING_BACKEND": "no_such.Backend", "HOME": str(tmp_path), "PATH": ""}
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
        )
        assert "StorageError: the backend that the package keyring is configured for can not be used" in ended.stderr
        assert "No module named 'no_such'" in ended.stderr

    def test_of_a_chain_the_first_alone_is_used(self, locks: Path) -> None:
        first, second = Fickle(), PlaintextOfMine()

        class Chain(chainer.ChainerBackend):  # type: ignore[misc]
            backends, priority = (first, second), -1

        storage = KeyringStorage("app", "mary", backend=Chain(), lock_directory=locks)
        storage.save(record())
        assert list(first.kept) == [("app", "mary")]
        assert not second.kept
        first.kept.clear()
        second.kept["app", "mary"] = "of another time"
        assert storage.load() is None

    def test_without_the_package_the_error_names_the_extra(self) -> None:
        for package in ("keyring", "filelock"):
            program = f"import sys; sys.modules['{package}'] = None\nimport rxauth.storage.keyring"
            ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
            assert (
                "ImportError: KeyringStorage needs keyring and filelock: pip install 'rxauth[keyring]'" in ended.stderr
            )

    @pytest.mark.parametrize("how", [{"service": ""}, {"account": ""}, {"account": None}, {"lock_timeout": 0.0}])
    def test_what_can_not_be_is_refused(self, how: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(how))):
            KeyringStorage(**{"service": "app", "account": "mary", "backend": Fickle(), **how})


class TestTrouble:
    @pytest.mark.parametrize(
        "error",
        [keyring.errors.KeyringLocked("no"), keyring.errors.PasswordSetError("no"), RuntimeError("no"), OSError("no")],
    )
    def test_a_backend_that_fails_is_a_storage_error_without_what_was_stored(
        self, locks: Path, error: Exception
    ) -> None:
        backend = Fickle()
        storage = KeyringStorage("app", "mary", backend=backend, lock_directory=locks)
        backend.fails = error
        with pytest.raises(StorageError, match=rf"could not read .*'mary' of 'app'.*{type(error).__name__}.*unlocked"):
            storage.load()
        backend.get_password = lambda service, username: None  # type: ignore[method-assign]
        with pytest.raises(StorageError, match=r"could not store \d+ characters in .*'mary' of 'app'") as raised:
            storage.save(record())
        assert "secret-" not in shown(raised.value)
        assert "secret-" not in repr(storage)

    def test_what_can_not_be_read_is_not_overwritten(self, locks: Path) -> None:
        backend = Fickle()
        storage = KeyringStorage("app", "mary", backend=backend, lock_directory=locks)
        backend.kept["app", "mary"] = '{"rxauth": 2, "access": "secret-"}'
        for call in (storage.load, lambda: storage.save(record()), lambda: storage.clear("mine")):
            with pytest.raises(InvalidRecord, match=r"'mary' of 'app' in the keyring .* Upgrade rxauth") as raised:
                call()
            assert "secret-" not in shown(raised.value)
        assert backend.kept["app", "mary"] == '{"rxauth": 2, "access": "secret-"}'


class TestItsLocks:
    def test_they_are_in_a_private_directory_of_the_users(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("HOME", str(tmp_path))
        storage = KeyringStorage("app", "mary/../*", backend=Fickle())
        assert not names_in(tmp_path), "made when it is used"
        with storage.exclusive(1.0):
            storage.save(record())
        directory = tmp_path / ".local" / "state" / "rxauth"
        assert directory.stat().st_mode & 0o777 == 0o700
        section, turn = names_in(directory)
        assert section.startswith("keyring-")
        assert (section[-13:], turn) == (".refresh.lock", "keyring.lock")
        directory.chmod(0o777)
        with pytest.raises(UnsafeStorage, match=f"chmod go-w {directory}"):
            storage.load()

    def test_each_record_has_a_section_of_its_own(self, locks: Path) -> None:
        def made(service: str, account: str) -> KeyringStorage:
            return KeyringStorage(service, account, backend=Fickle(), lock_directory=locks)

        with made("app", "mary").exclusive(1.0):
            with made("app", "john").exclusive(0.0), made("other", "mary").exclusive(0.0):
                pass
            with pytest.raises(TimeoutError, match="the section of the entry 'mary' of 'app'"):
                made("app", "mary").exclusive(0.0).__enter__()

    def test_records_that_a_backend_keeps_in_one_file_do_not_undo_each_other(self, tmp_path: Path, locks: Path) -> None:
        def made(account: str) -> KeyringStorage:
            backend = alternatives.PlaintextKeyring()
            backend.file_path = str(tmp_path / "passwords")
            return KeyringStorage(
                "app", account, backend=backend, plain_text=True, lock_directory=locks, lock_timeout=30.0
            )

        def work(account: str) -> None:
            for generation in range(15):
                made(account).save(record(generation, account))

        threads = [threading.Thread(target=work, args=(account,)) for account in ("mary", "john", "ann")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [made(account).load() for account in ("mary", "john", "ann")] == [
            record(14, account) for account in ("mary", "john", "ann")
        ]


class TestSecretService:
    """With gnome-keyring, on a bus of the test's own."""

    @pytest.fixture(autouse=True)
    def on_the_bus(self, bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)

    def test_it_is_found_and_keeps_the_record(self, bus: str, locks: Path) -> None:
        backend = SecretService.Keyring()
        storage = KeyringStorage("rxauth-tests", "mary", backend=backend, lock_directory=locks)
        assert "SecretService" in repr(storage)
        assert storage.save(record(1))
        assert output("show", f"keyring:mary:{locks}", DBUS_SESSION_BUS_ADDRESS=bus) == "secret-access-mine-1\n"
        kept = backend.get_password("rxauth-tests", "mary")
        assert kept is not None
        assert kept.startswith('{"rxauth": 1, ')
        storage.clear("mine")
        found = storage.load()
        assert found is not None
        assert found.tokens is None

    def test_processes_take_turns(self, bus: str, locks: Path) -> None:
        storage = KeyringStorage("rxauth-tests", "turns", backend=SecretService.Keyring(), lock_directory=locks)
        storage.save(record(1))
        processes = [start("count", f"keyring:turns:{locks}", 6, DBUS_SESSION_BUS_ADDRESS=bus) for _ in range(3)]
        try:
            for process in processes:
                process.communicate(timeout=60)
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert storage.load() == record(1 + 3 * 6)

    # keyring leaves its connection open when the store refuses.
    @pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_store_that_is_locked_or_gone_is_a_clear_error(
        self, locks: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = KeyringStorage("rxauth-tests", "ann", backend=SecretService.Keyring(), lock_directory=locks)
        with contextmanager(secret_service)() as bus:
            monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
            storage.save(record())
            with collection(bus) as found:
                found.lock()
            for call in (storage.load, lambda: storage.save(record(2))):
                with pytest.raises(StorageError, match=r"could not read .* is the store running and unlocked"):
                    call()
        with pytest.raises(StorageError, match=r"could not read .* is the store running and unlocked"):
            storage.load()
        gc.collect()
