"""Any events whatever, in any order, are drawn: well-formed, small, and not wider than they should be."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from marble_kit import Echo, Tick, ended, lands, parsed, recorded, released, sent, signed_in, starts, tokens, waits

from rxauth import ApiFailed, ApiStarted, ApiSucceeded, AuthState, Request, call
from rxauth.api import ApiCancelled, ApiSkipped
from rxauth.concurrency import Instant
from rxauth.errors import CallCancelled, NotSignedIn, RefreshUnavailable, SessionExpired
from rxauth.notebook import marbles
from rxauth.notebook.marbles.labels import columns
from rxauth.recording import Completed, Disposed, Emitted, Failed, Subscribed
from rxauth.recording.encoding import Unknown
from rxauth.recording.redactor import Opaque
from rxauth.session import RefreshFailed, SessionEnded, SignedIn, SignedOut, SignInFailed, SigningIn
from rxauth.store import ErrorReported

HOSTILE = ["<script>alert(1)</script>", "]]>", "&amp;", "\x00\x1b[31m", "\ud800", "\uffff", "'\"", "名" * 50, "", "\n"]
TIMES = st.one_of(
    st.floats(0, 100), st.sampled_from([0.0, 1e-9, 1e9, -5.0, 1e308, math.nan, math.inf, -math.inf]), st.none()
)
NUMBERS = st.integers(0, 3)
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
VALUES: SearchStrategy[Any] = st.one_of(
    TEXTS, st.integers(), st.floats(), st.none(), st.binary(max_size=9), st.lists(st.integers(), max_size=3),
    st.sampled_from([10**5000, Opaque("a:B"), Unknown("a:<B>", ()), tokens(0, 3), AuthState(), Tick(1), object(), str]),
)  # fmt: skip
SESSIONS = st.sampled_from(["default", "billing", "<b>"])


def stamped(at: float, kind: str, generation: int, session: str) -> tuple[Any, ...]:
    """An action of a session, at a moment that its own clock may tell otherwise."""
    moment = Instant(at if math.isfinite(at) else 0.0, at)
    how = {"sign_in": "a", "at": moment, "session": session}
    spends = {**how, "generation": generation}
    return at, {
        "signing in": SigningIn(**{**how, "sign_in": "b"}),
        "signed in": SignedIn(**{**how, "sign_in": "b"}, tokens=tokens(0, generation)),
        "sign-in failed": SignInFailed(**{**how, "sign_in": "b"}, error=NotSignedIn("no")),
        "signed out": SignedOut(**how),
        "failed": RefreshFailed(**spends, error=RefreshUnavailable("down"), retry_at=moment),
        "ended": SessionEnded(**spends, cause=SessionExpired("refused")),
    }[kind]


KINDS = st.sampled_from(["signing in", "signed in", "sign-in failed", "signed out", "failed", "ended"])
ERRORS = st.sampled_from([None, NotSignedIn("no"), CallCancelled("left"), ValueError("<b>"), Opaque("x:Gone")])
STATUSES = st.sampled_from([200, 302, 401, 500, None, "odd"])
ECHO = Echo(1)
FINITE = st.floats(0, 100)
EVENTS: SearchStrategy[tuple[Any, ...]] = st.one_of(
    st.builds(stamped, st.one_of(FINITE, st.just(math.nan)), KINDS, NUMBERS, SESSIONS),
    st.builds(starts, FINITE, NUMBERS, SESSIONS),
    st.builds(lands, FINITE, NUMBERS, st.sampled_from([0, 1, 300]), SESSIONS),
    st.builds(waits, TIMES, NUMBERS, TEXTS, SESSIONS),
    st.builds(released, TIMES, NUMBERS, ERRORS, SESSIONS),
    st.builds(sent, TIMES, NUMBERS, SESSIONS),
    st.builds(ended, TIMES, NUMBERS, STATUSES, SESSIONS),
    st.builds(lambda at, n: (at, ApiStarted(ECHO, id=n)), TIMES, NUMBERS),
    st.builds(lambda at, n: (at, ApiStarted(call(Request.get("/<b>?secret")), id=n)), TIMES, NUMBERS),
    st.builds(lambda at, n: (at, ApiSucceeded(ECHO, None, None, id=n)), TIMES, NUMBERS),
    st.builds(lambda at, n, error: (at, ApiFailed(ECHO, error, id=n)), TIMES, NUMBERS, ERRORS),
    st.builds(lambda at, n: (at, ApiCancelled(ECHO, id=n)), TIMES, NUMBERS),
    st.builds(lambda at, n, why: (at, ApiSkipped(ECHO, why, id=n)), TIMES, NUMBERS, TEXTS),
    st.builds(lambda at, n, name: (at, Subscribed(subscriber=n), name), TIMES, NUMBERS, TEXTS),
    st.builds(lambda at, n, name, value: (at, Emitted(subscriber=n, value=value), name), TIMES, NUMBERS, TEXTS, VALUES),
    st.builds(lambda at, n, name: (at, Completed(subscriber=n), name), TIMES, NUMBERS, TEXTS),
    st.builds(lambda at, n, name: (at, Disposed(subscriber=n), name), TIMES, NUMBERS, TEXTS),
    st.builds(lambda at, n, name, error: (at, Failed(subscriber=n, error=error), name), TIMES, NUMBERS, TEXTS, ERRORS),
    st.builds(lambda at, where: (at, ErrorReported(error=KeyError(), where=where), "errors"), TIMES, TEXTS),
    st.builds(lambda at, action, name: (at, action, name), TIMES, VALUES, TEXTS),
)
STATES = st.sampled_from([None, AuthState(), signed_in(life=5), (signed_in(), signed_in(session="billing")), "odd"])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(EVENTS, max_size=40), STATES, st.integers(1, 3), st.sampled_from([360, 1160]))
@example([], None, 1, 1160)
@example([(5.0, Tick(1))], None, 1, 1160)
@example([waits(1.0, n) for n in range(99)], None, 1, 360)
def test_it_is_drawn(events: list[tuple[Any, ...]], initial: Any, first: int, width: int) -> None:
    shown = marbles(recorded(*events, initial=initial, first=first), width=width)
    root = parsed(shown.svg)
    assert len(shown.svg.encode("utf-8")) < 500_000
    assert root.attrib["width"] == str(width)
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert "nan" not in " ".join(node.get("d", "") for node in root.iter())
    assert shown.sentence.endswith(".")
    assert "\n" not in shown.sentence
    assert max(columns(line) for line in shown.text.splitlines()) <= 100


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_stays_a_text(hostile: str) -> None:
    events = [waits(0, 1, hostile), (0, Emitted(subscriber=1, value=hostile), hostile or "s")]
    events += [(1, ErrorReported(error=KeyError(hostile), where=hostile), "errors"), starts(0, session=hostile)]
    shown = marbles(recorded(*events), title=hostile)
    root = parsed(shown.svg)
    assert {node.tag.rpartition("}")[2] for node in root.iter()} <= {
        "svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "circle", "text"
    }  # fmt: skip
    image = shown._repr_mimebundle_()["text/html"]
    assert image.count("<") == 1
    parsed(image.removesuffix(">") + "/>")


def test_a_token_in_a_recording_made_by_hand_is_not_shown() -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    events = [
        waits(0, 1, f"GET /{secret}"),
        (0, Emitted(subscriber=1, value=f"Bearer {secret}"), "s"),
        (0, Emitted(subscriber=1, value=secret), secret),
        (1, ErrorReported(error=KeyError(secret), where=secret), "errors"),
    ]
    shown = marbles(recorded(*events))
    for part in secret.split("."):
        assert part[:10] not in shown.svg + shown.text + shown.sentence
