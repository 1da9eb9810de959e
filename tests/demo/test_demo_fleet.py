"""`python -m rxauth.demo.fleet`, as somebody sees it who runs it, and what it says when something is wrong."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from rxauth.demo import backend
from rxauth.demo.fleet import storage as fleet_storage
from rxauth.demo.fleet.run import Fleet, Worker, main
from rxauth.demo.fleet.storage import place
from rxauth.demo.fleet.view import Board, Lane, verdict
from rxauth.demo.fleet.worker import Tally
from rxauth.storage import Record, SharedStorage
from rxauth.tokens import Tokens
from tests.storage.redis_kit import Server, serve, until

server = pytest.fixture(serve)


def drawn(what: Any) -> str:
    out = Console(file=io.StringIO(), width=80)
    out.print(what)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


class TestARun:
    @pytest.mark.parametrize("storage", ["file", "redis"])
    def test_each_refresh_token_is_posted_once_and_nobody_notices_anything(
        self, storage: str, request: pytest.FixtureRequest
    ) -> None:
        if storage == "redis":
            request.getfixturevalue("server")  # there is a redis-server to start, or this is skipped
        options = ["--workers", "3", "--seconds", "7", "--life", "4"]  # a life that a slow machine does not notice
        done = subprocess.run(
            [sys.executable, "-m", "rxauth.demo.fleet", "--storage", storage, *options],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "COLUMNS": "120"},
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        counts = re.search(r"✓ (\d+) refreshes counted by the server, (\d+) generations stored", done.stdout)
        assert counts is not None, done.stdout
        assert 0 < int(counts[1]) == int(counts[2])
        assert " 0 lost, 0 refused refreshes, 0 sign-outs" in done.stdout
        lanes = re.findall(r"│ (client|worker \d) .* ([\d,]+) │", done.stdout)
        assert [name for name, _ in lanes] == ["client", "worker 1", "worker 2", "worker 3"]
        assert all(int(answered.replace(",", "")) > 0 for _, answered in lanes)
        assert len(re.findall(r"worker \d .*✗", done.stdout)) == 1, "one was killed"
        assert "lovelace" not in done.stdout
        assert "eyJ" not in done.stdout

    def test_one_that_does_not_take_turns_is_found_out(self) -> None:
        """It spends the stored refresh token without asking: for the server that is one post more."""
        out = Console(file=io.StringIO(), width=80)
        with backend(life=3) as real, place("file", None) as shared:
            workers = [Worker(number) for number in (1, 2)]
            intruder = threading.Thread(target=_spend, args=(shared.open(), real.url), daemon=True)
            intruder.start()
            try:
                assert asyncio.run(Fleet(real, shared, workers, seconds=4, life=3).run(out)) == 1
            finally:
                for worker in workers:
                    worker.stop()
            intruder.join(60)
        assert isinstance(out.file, io.StringIO)
        assert re.search(r"^✗", out.file.getvalue(), re.MULTILINE), out.file.getvalue()

    def test_a_worker_that_can_not_start_is_a_failure_that_says_why(self) -> None:
        worker = Worker(1)
        worker.go("http://127.0.0.1:9", fleet_storage.Place("redis", "nowhere", "key"), 1.0)
        worker.finish()
        worker.stop()
        assert "ended with status 1" in worker.lane.broken
        assert "ValueError" in worker.lane.broken

    def test_bad_arguments(self, capsys: pytest.CaptureFixture[str]) -> None:
        for arguments, says in (
            (["--workers", "1"], "2 or more"),
            (["--storage", "file", "--redis", "redis://localhost"], "do not go together"),
        ):
            with pytest.raises(SystemExit) as caught:
                main(arguments)
            assert caught.value.code == 2
            assert says in capsys.readouterr().err


def _spend(storage: SharedStorage, url: str) -> None:
    """Post the stored refresh token, as soon as there is one."""
    until(lambda: storage.load() is not None, "the client has signed in")
    time.sleep(1.0)
    record = storage.load()
    assert record is not None
    assert record.tokens is not None
    httpx.post(f"{url}/api/token/refresh/", json={"refresh": record.tokens.refresh}, timeout=60)


class TestWhatIsGood:
    def board(self, **changes: Any) -> Board:
        lanes = [Lane("client", Tally(answered=90)), Lane("worker 1", Tally(answered=10), killed=5.0)]
        return Board(
            "file", lanes, **{"seconds": 20, "life": 3, "generation": 8, "first": 1, "refreshes": 7, **changes}
        )

    def test_equal_counts_and_nothing_lost(self) -> None:
        assert self.board().is_good
        said = drawn(verdict(self.board()))
        assert "✗" not in said
        assert "7 refreshes counted by the server, 7 generations stored" in said
        assert "100 calls answered, 0 lost, 0 refused refreshes, 0 sign-outs" in said
        assert "worker 1 was killed" in said

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"refreshes": 8}, "8 refreshes counted by the server, 7 generations stored: they should be equal"),
            ({"generation": 1, "refreshes": 0}, "✗ 0 refreshes"),
            ({"refreshes": 1}, "✗ 1 refresh counted by the server"),
            ({"refused": 1}, "1 refused"),
            ({"lanes": [Lane("client", Tally(90, errors={"status 500": 2}))]}, "client: 2 x status 500"),
            ({"lanes": [Lane("client", Tally(90, ended=1))]}, "1 sign-out"),
            ({"lanes": [Lane("client", Tally(90), broken="ended with status 3")]}, "client ended with status 3"),
            ({"lanes": [Lane("client", Tally())]}, "client: no call was answered"),
        ],
    )
    def test_each_flaw_is_one_and_is_named(self, changes: dict[str, Any], says: str) -> None:
        board = self.board()
        for name, value in changes.items():
            setattr(board, name, value)
        assert not board.is_good
        said = " ".join(drawn(verdict(board)).split())
        assert says in said


class TestThePicture:
    def test_a_line_of_time_for_each_process(self) -> None:
        lanes = [
            Lane("client", Tally(1234, fetched=[105.0], taken=[110.0])),
            Lane("worker 1", Tally(10, fetched=[110.0], taken=[105.0]), killed=112.0),
        ]
        board = Board("redis", lanes, 20, 3, began=100.0, generation=3, first=1, refreshes=2, over=True)
        board.stored = [(105.0, 2), (110.0, 3)]
        client, worker, stored = drawn(board).splitlines()[2:5]
        assert [len(line) for line in drawn(board).splitlines()] == [80] * 9
        assert client == f"│ client    {'─' * 14}●{'─' * 13}○{'─' * 28}    1,234 │"
        assert worker == f"│ worker 1  {'─' * 14}○{'─' * 13}●{'─' * 5}✗{' ' * 29}10 │"
        assert stored == f"│ stored    {'─' * 14}1{'─' * 13}2{'─' * 28}    1,244 │"

    def test_what_is_ahead_is_dotted(self) -> None:
        board = Board("file", [Lane("client", Tally())], 20, 3, began=time.time() - 10)
        assert re.search(r"client    ─{20,30}·{20,40}", drawn(board))


class TestThePlace:
    @pytest.fixture
    def without_redis(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fleet_storage.shutil, "which", lambda name: None)
        monkeypatch.setattr(fleet_storage, "USUAL_REDIS", "redis://127.0.0.1:1/0")

    @pytest.mark.usefixtures("without_redis")
    def test_without_redis_it_is_a_file_and_says_how_to_get_the_other(self) -> None:
        with place(None, None) as shared:
            assert shared.kind == "file"
            assert "apt-get install redis-server" in shared.note
            assert shared.open().load() is None
            folder = Path(shared.at).parents[1]
            assert folder.is_dir()
        assert not folder.exists()

    @pytest.mark.usefixtures("without_redis")
    def test_redis_that_was_asked_for_and_is_not_there_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--storage", "redis"]) == 1
        assert "apt-get install redis-server" in capsys.readouterr().err

    def test_a_given_redis_that_does_not_answer_is_an_error_without_its_password(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--redis", "redis://:s3cret@127.0.0.1:1/0"]) == 1
        said = capsys.readouterr().err
        assert "ConnectionError" in said
        assert "s3cret" not in said

    def test_a_given_redis_is_left_as_it_was(self, server: Server) -> None:
        with place(None, server.url) as shared:
            storage = shared.open()
            with storage.exclusive(5):
                storage.save(Record("sign-in", 1, Tokens("access", "refresh")))
            assert server.client.keys("*") != []
        assert server.client.keys("*") == []

    @pytest.mark.usefixtures("server")
    def test_a_redis_of_ours_ends_with_us_however_we_end(self) -> None:
        program = (
            "import time; from rxauth.demo.fleet.storage import place\n"
            "with place('redis', None) as shared: print(shared.at, flush=True); time.sleep(600)"
        )
        with tempfile.TemporaryDirectory() as folder:  # which such an end leaves behind
            parent = subprocess.Popen(
                [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": folder}
            )
            try:
                assert parent.stdout is not None
                url = parent.stdout.readline().strip()
                assert fleet_storage._answers(url)
                parent.send_signal(signal.SIGKILL)
                parent.wait(60)
                until(lambda: not fleet_storage._answers(url), "redis-server has ended")
            finally:
                parent.kill()
                parent.communicate(timeout=60)
