"""FileStorage: for its owner's eyes only, whole after every crash, and one at a time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rxauth import Session, Tokens
from rxauth.errors import InvalidRecord, RefreshUnavailable, UnsafeStorage
from rxauth.storage.file import FileStorage
from rxauth.testing import VirtualTime
from tests.kit import FakeRefresher, stale
from tests.storage.storage_kit import calls, names_in, record, shown

KEPT = ["tokens", "tokens.lock"]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


class TestForItsOwnersEyesOnly:
    @pytest.fixture(autouse=True)
    def careless(self) -> Iterator[None]:
        """A user who lets everybody read and write all that he makes."""
        before = os.umask(0)
        yield
        os.umask(before)

    def test_the_file_and_all_directories_that_it_makes_are_private(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "tokens"
        storage = FileStorage(path)
        with storage.exclusive(1.0):
            storage.save(record())
        assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]
        assert {name: mode(path.parent / name) for name in names_in(path.parent)} == {
            "tokens": 0o600,
            "tokens.lock": 0o600,
            "tokens.refresh.lock": 0o600,
        }

    @pytest.mark.parametrize("loose", [0o640, 0o620, 0o604, 0o602, 0o666])
    def test_a_file_for_others_is_refused_until_it_is_mended(self, stored: Path, loose: int) -> None:
        stored.chmod(loose)
        storage, before = FileStorage(stored), stored.read_bytes()
        for call in calls(storage):
            with pytest.raises(UnsafeStorage, match=f"chmod 600 {stored}") as raised:
                call()
            assert "secret-" not in shown(raised.value)
        assert (stored.read_bytes(), mode(stored)) == (before, loose), "as it was"
        stored.chmod(0o600)
        assert storage.load() == record()

    def test_a_session_whose_file_others_can_read_posts_nothing_and_says_what_mends_it(self, path: Path) -> None:
        time = VirtualTime()
        refresher = FakeRefresher(time)
        with Session(refresher, storage=FileStorage(path), time=time, tokens=stale(time)) as session:
            path.chmod(0o644)
            with pytest.raises(RefreshUnavailable, match=f"chmod 600 {path}"):
                session.fresh().run()
            assert f"chmod 600 {path}" in session.explain()
            assert refresher.posted == []
            path.chmod(0o600)
            time.advance(60)
            assert session.fresh().run().access == "access-1"

    def test_the_command_that_mends_it_can_be_copied(self, tmp_path: Path) -> None:
        path = tmp_path / "my app" / "$tokens"
        FileStorage(path).save(record())
        path.chmod(0o644)
        with pytest.raises(UnsafeStorage, match="chmod") as raised:
            FileStorage(path).load()
        command = str(raised.value).partition(": ")[2].partition(";")[0]
        subprocess.run(command, shell=True, check=True)
        assert FileStorage(path).load() == record()

    @pytest.mark.parametrize("loose", [0o777, 0o770, 0o702])
    def test_a_directory_in_which_others_can_write_is_refused(self, stored: Path, loose: int) -> None:
        stored.parent.chmod(loose)
        for call in [*calls(FileStorage(stored)), FileStorage(stored).exclusive(1.0).__enter__]:
            with pytest.raises(UnsafeStorage, match=f"chmod go-w {stored.parent}, or .* one directory deeper"):
                call()
        FileStorage(stored.parent / "deeper" / "tokens").save(record())
        stored.parent.chmod(0o1777)
        assert FileStorage(stored).load() == record(), "sticky: others can not take the file away"
        stored.parent.chmod(0o755)
        assert FileStorage(stored).load() == record(), "they can read the directory, and not the file"

    def test_a_file_of_another_user_is_refused(self, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.fstat
        monkeypatch.setattr(os, "fstat", lambda file: of_another(real(file)))
        with pytest.raises(UnsafeStorage, match=f"belongs to another user: chown {os.geteuid()} {stored}"):
            FileStorage(stored).load()

    def test_a_directory_of_another_user_is_refused(self, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Path.stat
        monkeypatch.setattr(Path, "stat", lambda path, **how: of_another(real(path, **how)))
        with pytest.raises(UnsafeStorage, match=f"chown {os.geteuid()} {stored.parent}, or .* directory of your own"):
            FileStorage(stored).load()

    def test_a_symbolic_link_is_refused_and_not_followed(self, stored: Path) -> None:
        link = stored.with_name("link")
        link.symlink_to(stored)
        for call in calls(FileStorage(link)):
            with pytest.raises(UnsafeStorage, match=f"symbolic link: give the path that it points to, {stored}"):
                call()
        assert link.is_symlink()
        assert FileStorage(stored).load() == record()

    def test_a_link_among_the_directories_leads_to_the_same_record_and_locks(self, stored: Path) -> None:
        stored.parent.with_name("link").symlink_to(stored.parent)
        linked = FileStorage(stored.parent.with_name("link") / "tokens")
        assert linked.load() == record()
        with linked.exclusive(1.0), pytest.raises(TimeoutError):
            FileStorage(stored).exclusive(0.0).__enter__()

    def test_what_is_no_file_is_refused_without_waiting_for_it(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700)
        os.mkfifo(path, 0o600)
        with pytest.raises(UnsafeStorage, match="no regular file"):
            FileStorage(path).save(record())
        with pytest.raises(UnsafeStorage, match="no regular file"):
            FileStorage(path.parent).load()


class TestWhatIsThere:
    def test_a_file_that_can_not_be_read_is_never_overwritten(self, stored: Path) -> None:
        for content in (b"", b"\xff\xfe secret-", b'{"rxauth": 2, "access": "secret-"}', b'{"rxauth": 1'):
            stored.write_bytes(content)
            for call in calls(FileStorage(stored)):
                with pytest.raises(InvalidRecord, match=str(stored)) as raised:
                    call()
                assert "secret-" not in shown(raised.value)
            assert stored.read_bytes() == content

    def test_looking_at_nothing_leaves_nothing(self, path: Path) -> None:
        storage = FileStorage(path)
        storage.clear("mine")
        assert storage.load() is None
        assert not path.parent.exists()

    def test_a_relative_path_stays_where_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        storage = FileStorage("tokens")
        monkeypatch.chdir("/")
        storage.save(record())
        assert FileStorage(tmp_path / "tokens").load() == record()
        assert str(tmp_path / "tokens") in repr(storage)

    def test_a_tilde_is_the_users_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        FileStorage("~/.app/tokens").save(record())
        assert FileStorage(tmp_path / ".app" / "tokens").load() == record()

    def test_a_restarted_session_is_signed_in(self, path: Path) -> None:
        time = VirtualTime()
        with Session(FakeRefresher(time), storage=FileStorage(path), time=time) as session:
            session.sign_in(Tokens("access", "refresh", time.now().wall + 300)).run()
        with Session(FakeRefresher(time), storage=FileStorage(path), time=time) as session:
            assert session.auth.tokens is not None
            assert (session.auth.tokens.access, session.auth.tokens.refresh) == ("access", "refresh")
            session.logout().run()
        with Session(FakeRefresher(time), storage=FileStorage(path), time=time) as session:
            assert session.auth.tokens is None


def of_another(found: os.stat_result) -> os.stat_result:
    return os.stat_result((*found[:4], os.geteuid() + 1, *found[5:]))
