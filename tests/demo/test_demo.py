"""`python -m rxauth.demo`, as somebody sees it who runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rxauth.demo import backend
from rxauth.demo.__main__ import main
from rxauth.demo.view import summary
from rxauth.testing import TokenServer


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rxauth.demo", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def test_fifty_calls_one_refresh_and_one_ended_session_counted_by_the_server() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ 50 calls, 50 answers, 1 refresh, counted by the server" in done.stdout
    assert "✓ 1 SessionEnded action" in done.stdout
    assert "10 x SessionExpired; 1 refused refresh at the server, no loop" in done.stdout
    assert "lovelace" not in done.stdout
    assert "eyJ" not in done.stdout


def test_its_calls_as_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "calls.svg"
    with backend(life=60) as other:
        calls = ("--calls", "5", "--apart", "0.02", "--picture", str(picture))
        done = run("--url", other.url, "--user", other.user, *calls, RXAUTH_PASSWORD=other.password)
    assert (done.returncode, done.stderr) == (0, "")
    said = re.search(r"<desc[^>]*>(.*)</desc>", picture.read_text())
    assert said is not None
    assert re.fullmatch(r"5 calls in .*; one refresh, .*; 5 answered, 0 failed\.", said[1])


def test_another_server_is_counted_by_the_client_and_marked_so() -> None:
    with backend(life=60) as other:
        done = run("--url", other.url, "--user", other.user, "--calls", "7", RXAUTH_PASSWORD=other.password)
        assert (done.returncode, done.stderr) == (0, "")
        assert "✓ 7 calls, 7 answers, 1 refresh, counted by the client" in done.stdout
        assert other.counts().answers == 7
        assert other.password not in done.stdout


def test_a_wrong_password_says_so_and_fails() -> None:
    with TokenServer() as other:
        done = run("--url", other.url, "--user", "ada", RXAUTH_PASSWORD="wrong")
    assert done.returncode == 1
    assert "the login failed" in done.stdout
    assert "wrong" not in done.stdout


def test_counts_that_are_not_what_they_should_be_are_a_failure() -> None:
    """A server that refuses every new token: more than one refresh, and not all calls answered."""
    with TokenServer() as other:
        other.reject_all_api()
        done = run("--url", other.url, "--user", "ada", "--calls", "5", RXAUTH_PASSWORD="lovelace")
    assert done.returncode == 1
    assert "✗ 5 calls, 0 answers" in done.stdout


def test_bad_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (["--url", "http://x"], "--url and --user go together"),
        (["--calls", "0"], "1 or more"),
        (["--apart", "-1"], "from 0 to 60"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert says in capsys.readouterr().err


def test_the_summary_is_marked_by_its_outcome() -> None:
    from rxauth.demo.seen import Totals

    assert "✗" in summary(Totals(50, 49, 2, "the server"), good=False).plain
    assert "2 refreshes" in summary(Totals(50, 49, 2, "the server"), good=False).plain
