"""A recording as a picture, as text and in one sentence, which say the same and never a secret."""

from __future__ import annotations

import base64
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import reactivex
from hypothesis import given, settings
from hypothesis import strategies as st
from marble_kit import Echo, Stage, Tick, fifty_calls, recorded
from reactivex import Subject

from rxauth.api import ApiFailed, ApiStarted, ApiSucceeded
from rxauth.errors import NotSignedIn
from rxauth.http import RequestEnded, RequestSent
from rxauth.notebook import marbles
from rxauth.recording import Completed, Emitted, Failed, Recording, Subscribed, record, spy
from rxauth.session import CallReleased, CallWaits
from rxauth.store import ErrorReported
from rxauth.store.tap import ERRORS, SESSION
from rxauth.testing import faults

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> str:
    """All that is written in a picture."""
    return " | ".join("".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_fifty_calls_and_one_refresh_are_told_in_a_sentence_a_picture_and_a_text() -> None:
    shown = marbles(fifty_calls(), title="Fifty calls, one refresh")
    told = re.fullmatch(
        r"50 calls in (\d+) ms: (\d+) waited for the token, at most 420 ms, (\d+) found it fresh; "
        r"one refresh, from 0 to 420 ms; 50 answered, 0 failed\.",
        shown.sentence,
    )
    assert told is not None, shown.sentence
    assert int(told[2]) + int(told[3]) == 50
    written = texts(shown.svg)
    for part in ("Fifty calls, one refresh", shown.sentence, "token", "refreshing", "fresh", "gate opens at 420 ms"):
        assert part in written
    assert f"{told[2]} waited" in written
    assert "1 refresh" in written
    assert shown.sentence in " ".join(shown.text.split())
    assert max(map(len, shown.text.splitlines())) <= 100


def test_the_picture_is_its_own_alternative_text() -> None:
    shown = marbles(fifty_calls())
    root = ElementTree.fromstring(shown.svg)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}desc") == shown.sentence
    bundle = shown._repr_mimebundle_()
    image = ElementTree.fromstring(bundle["text/html"].removesuffix(">").removesuffix("/") + "/>")
    assert image.get("alt") == shown.sentence
    source = str(image.get("src")).removeprefix("data:image/svg+xml;base64,")
    assert base64.b64decode(source).decode() == shown.svg
    assert bundle["text/plain"] == shown.text


def test_a_recording_shows_itself_as_its_picture() -> None:
    recording = fifty_calls()
    assert recording._repr_mimebundle_() == marbles(recording)._repr_mimebundle_()


def test_waiting_and_flying_differ_by_more_than_their_colour() -> None:
    """In grey, too: one is hatched, the other is solid."""
    root = ElementTree.fromstring(marbles(fifty_calls()).svg)
    assert root.find(f".//{SVG}pattern") is not None
    assert "url(#" in ElementTree.tostring(root, encoding="unicode")


def test_light_and_dark() -> None:
    recording = fifty_calls()
    auto, light, dark = (marbles(recording, theme=theme).svg for theme in ("auto", "light", "dark"))
    assert "prefers-color-scheme" in auto
    assert "prefers-color-scheme" not in light + dark
    assert len({auto, light, dark}) == 3


def test_a_sign_in_that_ended_an_outage_and_a_logout_are_told_as_such() -> None:
    sentences = {}
    for name in ("refused", "outage", "logout"):
        stage = Stage()
        stage.expire()
        if name == "refused":
            stage.server.always(faults.refuse())
        elif name == "outage":
            stage.server.always(faults.unavailable())

        async def story(stage: Stage, name: str = name) -> None:
            stage.store.dispatch(Echo(1))
            if name == "logout":
                stage.session.logout()
            await stage.storm(2, after=30)

        sentences[name] = marbles(stage.play(story)).sentence
    assert "SessionExpired" in sentences["refused"]
    assert "RefreshUnavailable" in sentences["outage"]
    assert "NotSignedIn" in sentences["logout"]
    assert len(set(sentences.values())) == 3


def test_no_secret_is_in_it() -> None:
    stage = Stage()
    stage.expire()
    shown = marbles(stage.play(lambda stage: stage.storm(5)))
    tokens = stage.session.auth.tokens
    assert tokens is not None
    for secret in (tokens.access, tokens.refresh, "lovelace", "private"):
        assert secret is not None
        assert secret not in shown.svg + shown.text + shown.sentence


def test_streams_have_a_lane_each() -> None:
    shown = marbles(typed=reactivex.of("j", "jw", "jwt"), broken=reactivex.throw(LookupError("gone")))
    written = texts(shown.svg)
    for part in ("typed", "broken", "3 values"):
        assert part in written
    assert "typed brought 3 values and completed" in shown.sentence
    assert "broken" in shown.sentence
    assert "LookupError" in shown.sentence


def test_a_stream_that_goes_on_is_drawn_as_far_as_it_has_come_until_it_is_closed() -> None:
    source: Subject[int] = Subject()
    with marbles(clicks=source) as shown:
        source.on_next(1)
        assert "1 value" in shown.sentence
        source.on_next(2)
        assert "2 values" in shown.sentence
    source.on_next(3)
    assert "2 values" in shown.sentence
    assert not source.observers


def test_an_error_that_was_reported_has_its_place() -> None:
    error = ErrorReported(error=ZeroDivisionError("division"), where="the epic search", during="Tick")
    shown = marbles(recorded((0.0, Tick(1)), (0.1, error, ERRORS)))
    assert "ZeroDivisionError" in shown.sentence + texts(shown.svg)


@pytest.mark.parametrize("calls", [3, 60, 61, 2500])
def test_it_stays_small_and_folds_neighbours_of_one_shape(calls: int) -> None:
    events: list[tuple[float, Any] | tuple[float, Any, str]] = []
    for n in range(calls):
        at = n * 0.01
        events += [
            (at, ApiStarted(Echo(n), id=n)),
            (at, RequestSent(session="default", caller=n, method="GET", path="/"), SESSION),
            (at + 0.5, RequestEnded(session="default", caller=n, status=200), SESSION),
            (at + 0.5, ApiSucceeded(Echo(n), None, None, id=n)),
        ]
    shown = marbles(recorded(*sorted(events, key=lambda event: event[0])))
    assert len(shown.svg.encode()) < 500_000
    assert f"{calls} calls" in shown.sentence
    assert ("×" in texts(shown.svg)) is (calls > 60)


def test_what_was_dropped_is_said() -> None:
    assert "first 40" in texts(marbles(recorded((0.0, Tick(1)), first=41)).svg)


def test_hostile_names_stay_texts() -> None:
    name = "<script>alert(1)</script>\x00\x1b&\"'"
    shown = marbles(recorded((0.0, Subscribed(subscriber=1), name), (0.1, Emitted(subscriber=1, value=name), name)))
    assert "<script" not in shown.svg
    ElementTree.fromstring(shown.svg)
    assert ElementTree.fromstring(shown.svg).find(f".//{SVG}script") is None


def test_nothing_and_one_event() -> None:
    for recording in (Recording(), recorded((0.0, Tick(1))), recorded((float("nan"), Tick(1)))):
        shown = marbles(recording)
        ElementTree.fromstring(shown.svg)
        assert shown.sentence
        assert shown.text


CALLER = st.integers(1, 4)
EVENTS = st.one_of(
    st.builds(lambda n: (CallWaits(session="a", caller=n, asked_by="x"), SESSION), CALLER),
    st.builds(lambda n: (CallReleased(session="a", caller=n, error=None), SESSION), CALLER),
    st.builds(lambda n: (CallReleased(session="a", caller=n, error=NotSignedIn("no")), SESSION), CALLER),
    st.builds(lambda n: (RequestSent(session="a", caller=n, method="GET", path="/"), SESSION), CALLER),
    st.builds(
        lambda n, s: (RequestEnded(session="a", caller=n, status=s), SESSION), CALLER, st.sampled_from([200, None])
    ),
    st.builds(lambda n: (ApiStarted(Echo(n), id=n), ""), CALLER),
    st.builds(lambda n: (ApiFailed(Echo(n), LookupError("x"), id=n), ""), CALLER),
    st.builds(lambda n, v: (Emitted(subscriber=n, value=v), "s"), CALLER, st.text(max_size=5)),
    st.builds(lambda n: (Failed(subscriber=n, error=OSError()), "s"), CALLER),
    st.builds(lambda n: (Completed(subscriber=n), "s"), CALLER),
    st.builds(lambda text: (text, ""), st.text(max_size=5)),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.floats(0, 100), EVENTS), max_size=40))
def test_any_events_in_any_order_can_be_drawn(made: list[tuple[float, tuple[Any, str]]]) -> None:
    shown = marbles(recorded(*((at, event, stream) for at, (event, stream) in made)))
    ElementTree.fromstring(shown.svg)
    assert len(shown.svg.encode()) < 500_000
    assert shown.sentence
    assert max(map(len, shown.text.splitlines())) <= 100


def test_it_is_saved_as_a_picture_or_as_text(tmp_path: Any) -> None:
    shown = marbles(fifty_calls())
    shown.save(tmp_path / "a.svg")
    shown.save(str(tmp_path / "a.txt"))
    assert (tmp_path / "a.svg").read_text() == shown.svg
    assert (tmp_path / "a.txt").read_text().strip() == shown.text.strip()
    with pytest.raises(ValueError, match=r"\.svg"):
        shown.save(tmp_path / "a.png")


def test_a_spied_stream_that_is_recorded_already_needs_no_name() -> None:
    with record() as recording:
        reactivex.of(1, 2).pipe(spy("numbers")).subscribe()
    assert "numbers brought 2 values and completed" in marbles(recording).sentence


@pytest.mark.parametrize(
    ("source", "how", "error"),
    [
        (7, {}, TypeError),
        (None, {}, TypeError),
        (Recording(), {"theme": "pink"}, ValueError),
        (Recording(), {"width": 10}, ValueError),
    ],
)
def test_bad_input_names_the_fix(source: Any, how: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        marbles(source, **how)
