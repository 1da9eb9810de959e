"""Ctrl-C at every point at which the interpreter may handle a signal, while a refresh or a login is being started."""

from __future__ import annotations

import dis
import functools
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import rxauth
from rxauth import Session, Tokens

ROOT = str(Path(rxauth.__file__).parent)


@functools.cache
def _calls(code: CodeType) -> frozenset[int]:
    return frozenset(step.offset for step in dis.get_instructions(code) if step.opname in ("CALL", "CALL_FUNCTION_EX"))


class Interrupt:
    """Raises KeyboardInterrupt at the n-th such point: on the way into a function of ours, and after each call of one
    that is written in C, which is where CPython looks for signals."""

    def __init__(self, point: int) -> None:
        self.left = point
        self._called: set[FrameType] = set()

    def run(self, work: Callable[[], object]) -> bool:
        """True when the interrupt came."""
        gc.disable()  # what other tests have left could be collected in here, and its finalizers be interrupted
        sys.settrace(self._enter)
        try:
            work()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
            gc.enable()
        return False

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        self._called.discard(frame.f_back)  # type: ignore[arg-type]
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        frame.f_trace_opcodes = True
        self._count()
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "opcode":
            if frame in self._called:
                self._called.discard(frame)
                self._count()
            if frame.f_lasti in _calls(frame.f_code):
                self._called.add(frame)
        return self._step

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt


class Server:
    """A token endpoint that answers at once, and notes what was posted."""

    def __init__(self) -> None:
        self.posted: list[str | None] = []

    def __call__(self, tokens: Tokens) -> Tokens:
        self.posted.append(tokens.refresh)
        return Tokens(f"access-{len(self.posted)}", f"refresh-{len(self.posted)}")

    def login(self, **credentials: Any) -> Tokens:
        return Tokens("access-of-a-login", "refresh-of-a-login")


@pytest.mark.parametrize("what", ["fresh", "login"])
def test_no_interrupt_leaves_a_flight_that_nobody_flies(what: str) -> None:
    for point in range(1, 1000):
        server = Server()
        session = Session(server, tokens=Tokens("old", "refresh-0", expires_at=1.0))
        work = session.fresh().run if what == "fresh" else lambda session=session: session.login(user="ada").run()
        came = Interrupt(point).run(work)
        told: list[object] = []
        session.fresh().subscribe(told.append, told.append)
        deadline = session.runtime.now().mono + 60
        while not told and session.runtime.now().mono < deadline:
            session.runtime.sleep(0.001)
        assert told, f"the next caller waits for ever after an interrupt at point {point}"
        assert len(set(server.posted)) == len(server.posted), f"posted twice after an interrupt at point {point}"
        session.close()
        if not came:
            assert point > 30, "the trace sees the library at work"
            return
    pytest.fail("it does not come to its end")
