"""Forks, pickles and the end of the interpreter."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

from rxauth import Session, Tokens
from rxauth.concurrency import Runtime
from rxauth.errors import ForkedSession


class Endpoint:
    """A refresh callable that answers when it may, in real time."""

    def __init__(self, *, open: bool = True) -> None:
        self.posts = 0
        self.asked, self.may_answer = threading.Event(), threading.Event()
        if open:
            self.may_answer.set()

    def __call__(self, tokens: Tokens) -> Tokens:
        self.posts += 1
        self.asked.set()
        assert self.may_answer.wait(60)
        return Tokens(f"new-{self.posts}", "r2")


def expired(refresh: Any, **options: Any) -> Session[Any]:
    return Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0), **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("stale", [False, True])
def test_a_forked_child_uses_the_token_while_it_lives_and_never_spends_the_refresh_token(stale: bool) -> None:
    endpoint = Endpoint()
    far = 4e9
    session = Session(endpoint, tokens=Tokens("old", "r1", expires_at=1.0 if stale else far))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if stale:
                try:
                    session.fresh().run()
                except ForkedSession:
                    status = 0 if endpoint.posts == 0 else 2
            else:
                status = 0 if session.fresh().run().access == "old" else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    if stale:
        assert session.fresh().run().access == "new-1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_mid_flight_does_not_hang() -> None:
    endpoint = Endpoint(open=False)
    session = expired(endpoint)
    session.fresh().subscribe(lambda _: None)
    assert endpoint.asked.wait(60)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            session.fresh().run()
        except ForkedSession:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    endpoint.may_answer.set()
    assert session.fresh().run().access == "new-1"


def test_a_refresh_past_its_post_is_stored_before_the_interpreter_exits() -> None:
    program = """
        import threading, time
        from rxauth import Session, Tokens
        from rxauth.storage import MemoryStorage

        posted = threading.Event()

        class Shared:
            def load(self): return None
            def save(self, record, replaces=None):
                print("saved", record.tokens.access, flush=True)
                return True
            def clear(self, sign_in): pass

        def refresh(tokens):
            posted.set()
            time.sleep(0.3)
            return Tokens("new", "r2")

        session = Session(refresh, tokens=Tokens("old", "r1", expires_at=1.0), storage=Shared())
        session.fresh().subscribe(lambda _: None)
        posted.wait()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["saved", "old", "saved", "new"]
    assert done.stderr == ""


def test_a_session_can_not_be_pickled_and_says_why() -> None:
    with pytest.raises(TypeError, match="can not be pickled"):
        pickle.dumps(expired(Endpoint()))


def test_processes_that_are_seeded_alike_have_luck_of_their_own() -> None:
    """Else the workers of an app that calls random.seed(1) would refresh, fail and come back in step."""
    random.seed(1)
    first = Runtime().chance()
    random.seed(1)
    assert Runtime().chance() != first
    assert random.random() == random.Random(1).random(), "the app's own draws are not disturbed"
