"""FileStorage on bad days: full and read-only disks, crashes at every step, and other processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from rxauth.storage.file import FileStorage
from tests.storage.storage_kit import calls, mounted, names_in, nobodys, output, record, shown, start

KEPT = ["tokens", "tokens.lock"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "32k")


nobodys_directory = pytest.fixture(nobodys)


class TestTrouble:
    def test_a_full_disk_leaves_the_old_record_and_no_other_file(self, disk: Path) -> None:
        storage = FileStorage(disk / "tokens")
        storage.save(record())
        with pytest.raises(OSError, match="No space left") as raised:
            storage.save(record(2, account="a" * 40_000))
        assert raised.value.errno == errno.ENOSPC
        assert "secret-" not in shown(raised.value)
        assert storage.load() == record()
        assert names_in(disk) == KEPT
        storage.clear("mine")
        assert FileStorage(disk / "tokens").load() == record().__class__("mine", 1, None), (
            "there is room for a tombstone"
        )

    def test_a_file_that_may_not_grow_is_the_same(self, stored: Path) -> None:
        assert output("full", stored).split() == [str(errno.EFBIG), *KEPT]
        assert FileStorage(stored).load() == record()

    def test_a_read_only_disk_can_be_read(self, disk: Path) -> None:
        storage = FileStorage(disk / "tokens")
        storage.save(record())
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for call in calls(storage)[1:]:
            with pytest.raises(OSError, match="Read-only file system"):
                call()
        assert storage.load() == record()
        assert names_in(disk) == KEPT

    def test_a_read_only_directory_can_be_read(self, nobodys_directory: Path) -> None:
        assert output("readonly", nobodys_directory / "app" / "tokens").split() == ["PermissionError", "True", *KEPT]

    def test_a_directory_that_vanished_is_made_anew(self, stored: Path) -> None:
        storage = FileStorage(stored)
        for name in names_in(stored.parent):
            (stored.parent / name).unlink()
        stored.parent.rmdir()
        assert storage.load() is None
        assert not storage.save(record(2), record().key)
        assert storage.save(record(2))
        assert storage.load() == record(2)

    @pytest.mark.parametrize("step", ["write", "fsync", "replace"])
    def test_a_step_that_fails_leaves_no_other_file(
        self, stored: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def fail(*args: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(OSError, match="Input/output error"):
                FileStorage(stored).save(record(2))
        assert names_in(stored.parent) == KEPT
        assert FileStorage(stored).load() == record()

    def test_a_write_in_small_pieces_is_whole(self, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda file, content: real(file, content[:7]))
            FileStorage(stored).save(record(2))
        assert FileStorage(stored).load() == record(2)

    def test_what_lies_where_the_next_content_goes_is_not_written_to(self, stored: Path) -> None:
        other = stored.with_name("other")
        other.write_text("mine")
        stored.with_name("tokens.next").symlink_to(other)
        FileStorage(stored).save(record(2))
        assert (other.read_text(), FileStorage(stored).load()) == ("mine", record(2))

    def test_a_link_in_the_place_of_a_lock_is_not_followed(self, stored: Path) -> None:
        other = stored.with_name("other")
        other.write_text("mine")
        stored.with_name("tokens.lock").unlink()
        stored.with_name("tokens.lock").symlink_to(other)
        with pytest.raises(OSError, match="symbolic link"):
            FileStorage(stored).save(record(2))
        assert (other.read_text(), FileStorage(stored).load()) == ("mine", record())

    @pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO])
    def test_a_file_system_without_locks_is_an_error(
        self, stored: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def missing(file: int, how: int) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", missing)
            with pytest.raises(OSError, match=os.strerror(number)):
                FileStorage(stored).save(record(2))
            with pytest.raises(OSError, match=os.strerror(number)):
                FileStorage(stored).exclusive(1.0).__enter__()
        assert FileStorage(stored).load() == record()

    def test_a_change_that_takes_too_long_is_a_timeout(self, stored: Path) -> None:
        storage = FileStorage(stored, lock_timeout=0.1)
        with FileLock(stored.with_name("tokens.lock")):
            for call in calls(storage)[1:]:
                with pytest.raises(TimeoutError, match=rf"{stored} is in use .* not free within 0\.1 s"):
                    call()
            assert storage.load() == record(), "who reads needs no lock"
        assert storage.save(record(2))

    @pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
    def test_a_time_limit_that_is_none_is_refused(self, path: Path, seconds: float) -> None:
        with pytest.raises(ValueError, match="lock_timeout must be a positive number of seconds"):
            FileStorage(path, lock_timeout=seconds)

    def test_without_filelock_the_error_names_the_extra(self) -> None:
        program = "import sys; sys.modules['filelock'] = None\nimport rxauth.storage.file"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "ImportError: FileStorage needs the package filelock: pip install 'rxauth[file]'" in ended.stderr


class TestOtherProcesses:
    def test_killed_at_any_step_of_a_save_the_old_or_the_new_record_is_there(self, path: Path) -> None:
        lines = [json.loads(line) for line in output("crash", path).splitlines()]
        steps = [step for step, moment, *_ in lines if moment == "before"]
        assert [step for step in steps if step in ("write", "fsync", "replace")] == [
            "write",
            "fsync",
            "replace",
            "fsync",
        ]
        done = lines.index(next(line for line in lines if line[:2] == ["replace", "after"]))
        for number, (step, moment, status, generation, names) in enumerate(lines):
            assert os.WTERMSIG(status) == 9, f"{moment} {step}"
            assert generation == (2 if number >= done else 1), f"{moment} {step}"
            assert set(names) <= {*KEPT, "tokens.next"}, f"{moment} {step}"
        assert FileStorage(path).load() == record(3, account="the end")
        assert names_in(path.parent) == KEPT, "what the crashes left behind is gone"

    def test_the_death_of_who_is_in_the_section_frees_it(self, stored: Path) -> None:
        holder = start("hold", stored)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "in\n"
            with pytest.raises(TimeoutError, match=rf"the section of {stored} is in use .* within 0\.1 s"):
                FileStorage(stored).exclusive(0.1).__enter__()
        finally:
            holder.kill()
            holder.communicate()
        with FileStorage(stored).exclusive(1.0):
            pass

    def test_processes_take_turns_and_readers_see_whole_records(self, stored: Path) -> None:
        processes = [start("count", stored, 15) for _ in range(2)]
        storage, seen = FileStorage(stored), 0
        try:
            while any(process.poll() is None for process in processes):
                found = storage.load()
                assert found is not None
                assert found == record(found.generation), "no mixture of two"
                assert found.generation >= seen, "no way back"
                seen = found.generation
                time.sleep(0.001)  # the others need the processor
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert [process.returncode for process in processes] == [0, 0]
        assert storage.load() == record(1 + 2 * 15)

    def test_a_storage_object_that_two_threads_share_lets_one_in(self, stored: Path) -> None:
        storage, entered = FileStorage(stored), []

        def enter() -> None:
            with pytest.raises(TimeoutError):
                storage.exclusive(0.05).__enter__()
            entered.append(False)

        with storage.exclusive(1.0):
            thread = threading.Thread(target=enter)
            thread.start()
            thread.join(60)
        assert entered == [False]

    def test_a_child_that_outlives_who_died_in_the_section_does_not_hold_it(self, stored: Path) -> None:
        """The lock belongs to the open file, of which a fork has a copy."""
        assert output("orphan", stored) == "free\n"

    def test_threads_and_forks_of_one_process_take_turns(self, path: Path) -> None:
        assert output("threads", path, PYTHONWARNINGS="ignore::DeprecationWarning") == f"0 0 0 0 {2 * 30 + 4 * 5}\n"

    def test_the_child_of_a_fork_does_not_hold_the_section(self, stored: Path) -> None:
        assert output("fork", stored) == "free\n"
