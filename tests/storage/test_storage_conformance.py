"""Every kind of storage keeps the promises of the conformance suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from keyring.backends import SecretService

from rxauth.storage import MemoryStorage, SharedStorage, TokenStorage
from rxauth.testing.storage import StorageConformance, TokenStorageConformance
from tests.storage.kinds import InAFile, InAKeyring, OnRedis, Place


class TestMemory(TokenStorageConformance):
    @pytest.fixture(autouse=True)
    def storage(self) -> None:
        self.memory = MemoryStorage()

    def make(self) -> TokenStorage:
        return self.memory

    test_what_can_not_be_read_is_refused_and_kept = None  # it holds no text that could be damaged


class AKind(StorageConformance):
    """At a place that the subclass finds."""

    patience, moment = 60.0, 0.03
    at: Place

    def make(self) -> SharedStorage:
        return self.at.make()

    def plant(self, text: str) -> None:
        self.at.plant(text)


class TestFile(AKind):
    @pytest.fixture(autouse=True)
    def find(self, tmp_path: Path) -> None:
        self.at = InAFile(tmp_path)


class TestKeyringInAFile(AKind):
    @pytest.fixture(autouse=True)
    def find(self, tmp_path: Path) -> None:
        self.at = InAKeyring(tmp_path)


class TestKeyringOnTheDesktop(AKind):
    @pytest.fixture(autouse=True)
    def find(self, tmp_path: Path, bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        self.at = InAKeyring(tmp_path, SecretService.Keyring())


class TestRedis(AKind):
    @pytest.fixture(autouse=True)
    def find(self, redis_server: Any) -> Any:
        self.at = OnRedis(redis_server)
        yield
        self.at.leave()
