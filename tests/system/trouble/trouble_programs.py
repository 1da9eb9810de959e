"""Programs in processes of their own, driven line by line."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

from tests.system.trouble.trouble_kit import PATIENCE, ROOT


class Program:
    """A Python program in a process of its own, which says lines, and dies with us: its standard input is our hand.

    It begins with all names of `trouble_child`, which reads `arguments`.
    """

    def __init__(self, source: str, *arguments: object) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said: list[str] = []
        self._errors: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.system.trouble.trouble_child import *\n{source}", *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        #: When it ended, on the monotonic clock.
        self.ended = 0.0
        reads = (self._read, self._read_errors, self._await_end)
        self._readers = [threading.Thread(target=read, daemon=True) for read in reads]
        for reader in self._readers:
            reader.start()

    def expect(self, line: str) -> None:
        """Wait for the next line, which has to be this one."""
        assert self.line() == line, self._story

    def line(self) -> str:
        try:
            said = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"nothing was said in {PATIENCE:g} s; {self._story}") from None
        assert said is not None, f"it ended; {self._story}"
        self._said.append(said)
        return said

    def go(self) -> None:
        """Let its `await_turn()` return."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.kill(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Wait for its end; the exit code and what it complained of."""
        for reader in self._readers:
            reader.join(PATIENCE)
        assert self.ended, f"it did not end in {PATIENCE:g} s; {self._story}"
        return self.process.wait(PATIENCE), "".join(self._errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        if self.ended == 0.0:
            self.process.kill()
        for reader in self._readers:
            reader.join(PATIENCE)
        self.process.wait()
        self.process.stdin.close()

    @property
    def _story(self) -> str:
        return f"it said {self._said}, and complained: {''.join(self._errors)[-3000:]}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _await_end(self) -> None:
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.ended = time.monotonic()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self._errors.extend(lines)
