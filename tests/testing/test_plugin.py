"""The kit as a user's own tests have it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def test_the_fixtures_work_in_somebody_elses_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["rxauth.testing.pytest"]\n')
    (tmp_path / "test_app.py").write_text(
        textwrap.dedent(
            """
            from rxauth import Session, Tokens, simplejwt

            def test_a_day_passes(virtual_time):
                tokens = {"access_token": "a", "refresh_token": "r", "expires_in": 300}
                session = Session(lambda spent: {**tokens, "access_token": "b"}, tokens=tokens, time=virtual_time)
                virtual_time.advance(86_400)
                assert session.fresh().run().access == "b"

            def test_a_server_answers(token_server):
                given = token_server.issue(expired=True)
                session = Session(simplejwt(token_server.url), tokens=Tokens(given.access, given.refresh))
                assert session.fresh().run().access != given.access
                assert token_server.posts == 1
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_kit_needs_no_test_framework() -> None:
    program = "import sys; sys.modules['pytest'] = None; import rxauth.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
