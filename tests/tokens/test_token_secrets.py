"""No text that we make of a pair holds a token."""

from __future__ import annotations

import logging
import pprint
import traceback
from dataclasses import replace

import pytest
from token_kit import T0, make_jwt, received

from rxauth import AuthState, RxAuthError, Session, Tokens
from rxauth.recording.redactor import fingerprint

ACCESS = make_jwt(exp=T0.wall + 300, iat=T0.wall, name="access")
REFRESH = make_jwt(exp=T0.wall + 3000, iat=T0.wall, name="refresh")


def hides(text: str) -> bool:
    """No part of a token that would be of any use."""
    return not any(part in text for token in (ACCESS, REFRESH) for part in (token, token[-20:], token.split(".")[1]))


@pytest.fixture
def tokens() -> Tokens:
    return replace(received({"access": ACCESS, "refresh": REFRESH}), generation=3)


def test_repr_str_and_format_show_a_fingerprint(tokens: Tokens) -> None:
    for text in (repr(tokens), str(tokens), f"{tokens}", f"{tokens!r:>200}", f"{tokens}", pprint.pformat([tokens])):
        assert hides(text)
        assert fingerprint(ACCESS) in text
        assert fingerprint(REFRESH) in text


def test_a_fingerprint_is_short_stable_and_different_for_each_secret() -> None:
    assert fingerprint("a") == fingerprint("a") != fingerprint("b")
    assert len(fingerprint(ACCESS)) == 9


def test_repr_says_what_helps_to_find_a_fault(tokens: Tokens) -> None:
    assert "expires_at=2027-01-15T08:05:00+00:00" in repr(tokens)
    assert "generation=3" in repr(tokens)
    assert "refresh=None" in repr(Tokens("a"))
    assert "expires_at=unknown" in repr(Tokens("a"))


def test_what_holds_a_pair_hides_it_too(tokens: Tokens) -> None:
    assert hides(repr(AuthState(status="signed_in", tokens=tokens)))
    with Session(lambda spent: spent, tokens=tokens) as session:
        assert hides(repr(session) + repr(session.auth) + session.explain())


def test_logging_a_pair_hides_it(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("an.app").warning("have %s and %r", tokens, {"tokens": tokens})
    assert hides(caplog.text)


def test_an_exception_that_carries_a_pair_hides_it(tokens: Tokens) -> None:
    assert hides(repr(RxAuthError("failed", tokens)) + str(RxAuthError("failed", tokens)))
    with pytest.raises(TypeError) as caught:
        tokens + 1  # type: ignore[operator]
    assert hides(str(caught.value))


def test_the_locals_of_a_traceback_hide_a_pair(tokens: Tokens) -> None:
    def fails(pair: Tokens) -> None:
        raise RuntimeError("here")

    with pytest.raises(RuntimeError) as caught:
        fails(tokens)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert hides("".join(trace.format()))
