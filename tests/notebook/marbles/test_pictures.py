"""How a story is drawn: which lanes there are, what they say, and how much is folded."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from marble_kit import (
    SVG,
    Stage,
    Tick,
    ended,
    fifty_calls,
    instant,
    lands,
    parsed,
    recorded,
    released,
    sent,
    signed_in,
    starts,
    storm_of,
    stream,
    waits,
    words,
)

from rxauth.errors import SessionExpired
from rxauth.notebook import marbles
from rxauth.notebook.marbles.canvas import cut, width_of
from rxauth.notebook.marbles.folds import blocks, lines, marbles_of, rows, thin
from rxauth.notebook.marbles.story import tell
from rxauth.notebook.marbles.streams import Line, Mark, StreamLane
from rxauth.notebook.marbles.tokens import Piece
from rxauth.recording import Emitted, Recording, Subscribed
from rxauth.session import CallWaits, SessionEnded, SignedOut, StorageChanged
from rxauth.store import ErrorReported

LIMIT = 500_000


def drawn(recording: Recording, **how: int) -> str:
    svg = marbles(recording, **how).svg  # type: ignore[arg-type]
    parsed(svg)
    assert len(svg.encode()) < LIMIT
    return svg


# -- lanes ------------------------------------------------------------------------------------------------------------


def test_a_storm_has_its_lanes_its_gate_and_its_sums() -> None:
    texts = words(drawn(fifty_calls(), width=1160))
    for expected in (
        "token",
        "↻ refreshing",
        "refresh$",
        "1 refresh ✓",
        "waiting",
        "peak 33",
        "50 calls",
        "one row each",
        "33 waited",
        "longest 420 ms",
        "17 went straight through",
        "token already fresh",
        "gate opens at 420 ms",
        "✕ expired at the start",
    ):
        assert expected in texts
    assert any(re.fullmatch(r"✓ fresh – generation \d+, expires in 5 min", text) for text in texts)


def test_there_are_only_lanes_that_have_something() -> None:
    texts = words(drawn(recorded(*stream("typed", (1, "a"), ends=2))))
    assert "typed" in texts
    assert not {"token", "refresh$", "waiting", "errors", "actions"} & set(texts)


def test_the_legend_explains_what_occurs_and_nothing_else() -> None:
    texts = words(drawn(recorded(sent(0, 1), ended(1, 1), initial=signed_in())))
    assert {"request in flight", "answered"} <= set(texts)
    assert not {"waits for the token", "failed", "refresh starts", "value", "queued"} & set(texts)


def test_a_few_calls_have_a_name_and_an_outcome_each() -> None:
    events = [waits(0, 1), released(1, 1), sent(1, 1), ended(2, 1), sent(0, 2), ended(2, 2, 503), sent(0, 3)]
    texts = words(drawn(recorded(*events)))
    assert texts.count("GET /api/me/") == 3
    assert {"waited 1 s, then 200", "failed: 503", "still running"} <= set(texts)


def test_a_401_that_is_sent_again_is_marked() -> None:
    again = [sent(0, 1), ended(1, 1, 401), sent(1, 1), ended(2, 1)]
    assert "answered 401, sent again" in words(drawn(recorded(*again)))
    assert "answered 401, sent again" not in words(drawn(recorded(*again[:2])))


def test_a_gate_that_opens_with_an_error_says_so() -> None:
    error = SessionExpired("refused")
    over = SessionEnded(sign_in="a", generation=1, at=instant(1), cause=error)
    events = [starts(0), waits(0, 1), (1, over), released(1, 1, error), (2, Tick(1))]
    texts = words(drawn(recorded(*events, initial=signed_in(life=0))))
    assert "1 refused at 1 s: SessionExpired" in texts
    assert "✕ ended at 1 s" in texts
    assert "refresh failed" in texts


def test_a_gate_without_room_for_its_words_is_not_given_those_of_the_next() -> None:
    times = (0.65, 1.6, 2.9)
    events = [event for n, at in enumerate(times, 1) for event in (starts(at - 0.2, n), waits(at - 0.1, n))]
    events += [event for n, at in enumerate(times, 1) for event in (lands(at, n), released(at, n))]
    svg = drawn(recorded(*sorted(events, key=lambda event: event[0]), (10, Tick(1)), initial=signed_in()))
    gates = [float(x) for x in re.findall(r"M([\d.]+)", re.findall(r'class="gate" d="([^"]*)"', svg)[0])]
    labels = [text for text in parsed(svg).iter(f"{SVG}text") if "opens" in "".join(text.itertext())]
    assert len(gates) == 3
    assert ["".join(label.itertext()) for label in labels] == ["opens", "gate opens at 2.4 s"]
    assert [(float(label.attrib["x"]) - 8, label.get("text-anchor")) for label in labels] == [
        (x, None) for x in gates[1:]
    ]


def test_each_session_is_named() -> None:
    initial = (signed_in(session="billing"), signed_in(session="search"))
    texts = words(drawn(recorded(starts(0, session="billing"), lands(1, session="billing"), initial=initial)))
    assert {"billing", "search"} <= set(texts)


def test_errors_are_named_with_their_place() -> None:
    error = ErrorReported(error=KeyError("x"), where="the epic search")
    texts = words(drawn(recorded((0, Tick(1)), (1, error, "errors"), (9, Tick(2)))))
    assert "KeyError in the epic search" in texts
    assert "1 error" in texts


def test_a_place_is_named_without_the_functions_around_it() -> None:
    error = ErrorReported(error=KeyError("x"), where="epic main.<locals>.play.<locals>.search")
    assert "KeyError in epic search" in words(drawn(recorded((1, error, "errors"), (9, Tick(2)))))


def bars(recording: Recording) -> list[tuple[float, float, str]]:
    """The token's bar: from, to, and the style of each piece."""
    found = [bar for bar in parsed(drawn(recording)).iter(f"{SVG}rect") if bar.get("height") == "26"]
    return [(x := float(bar.attrib["x"]), x + float(bar.attrib["width"]), bar.attrib["class"]) for bar in found]


def test_what_came_last_goes_on_to_the_end_of_the_axis() -> None:
    """A logout at the very end, for example: what was before it ends there, and is not drawn on."""
    out = SignedOut(sign_in="a", at=instant(1))
    (_, ends, before), (begins, _, after) = bars(recorded(starts(0), (1, out), initial=signed_in()))
    assert (before, after) == ("k-busy", "f-card k-line dash")
    assert ends == begins
    assert "overtaken: signed out or in" in words(drawn(recorded(starts(0), (1, out), initial=signed_in())))


def test_a_token_that_was_refused_is_not_called_valid() -> None:
    expired, (at, refused) = starts(0), starts(0)
    assert "↻ refreshing – the old token is still valid" in words(
        drawn(recorded(expired, lands(1), initial=signed_in()))
    )
    texts = words(drawn(recorded((at, replace(refused, refused=True)), lands(1), initial=signed_in())))
    assert "↻ refreshing – the API refused the old token" in texts


def test_tokens_that_could_not_be_saved_are_told() -> None:
    failing = StorageChanged(sign_in="a", generation=2, at=instant(1), error=OSError())
    recording = recorded(starts(0), lands(0.1), (0.1, failing), (9, Tick(1)), initial=signed_in(life=0))
    texts = words(drawn(recording))
    assert "✕ not saved" in texts
    assert "✓ fresh, not saved – generation 2, expires in 5 min" in texts
    assert [style.split()[-1] for _, _, style in bars(recording)] == ["k-busy", "dash"]


def test_the_peak_stands_beside_the_area_or_above_it() -> None:
    texts = {"".join(text.itertext()): text for text in parsed(drawn(fifty_calls())).iter(f"{SVG}text")}
    beside = texts["peak 33"]
    assert float(beside.attrib["x"]) > 450, "after the fall"
    ragged = parsed(drawn(storm_of(200)))
    above = next(text for text in ragged.iter(f"{SVG}text") if "".join(text.itertext()).startswith("peak"))
    area = next(path for path in ragged.iter(f"{SVG}path") if path.get("fill") == "url(#waits)")
    top = min(float(y) for y in re.findall(r"V([\d.]+)", area.attrib["d"]))
    assert float(above.attrib["y"]) < top


@pytest.mark.parametrize("text", ["GET /api/me/", "WWWWW mmmmm", "iiiiillll", "ABC 漢字かな", "✓ fresh – generation 2"])
def test_a_text_is_cut_to_its_room(text: str) -> None:
    assert cut(text, width_of(text)) == text
    for room in range(12, int(width_of(text))):
        assert width_of(cut(text, room)) <= room
        assert cut(text, room).endswith("…")


def test_a_narrow_picture_keeps_its_texts_inside() -> None:
    svg = drawn(fifty_calls(), width=400)
    assert 'viewBox="0 0 400 ' in svg
    assert "33 waited" not in words(svg)  # sums are in the sentence: there is no margin
    for text in parsed(svg).iter(f"{SVG}text"):
        x, long = float(text.attrib["x"]), len("".join(text.itertext())) * 5
        begin = {"end": x - long, "middle": x - long / 2}.get(text.get("text-anchor", ""), x)
        assert begin >= -1
        assert begin + long <= 400


# -- folding ----------------------------------------------------------------------------------------------------------


def test_up_to_sixty_calls_have_a_row_each_and_more_are_bundles_of_one_shape() -> None:
    calls = tell(storm_of(60)).calls
    assert [row.number for row in rows(calls, 60, 20, 0.1)] == [1] * 60
    calls = tell(storm_of(1000)).calls
    bundles = rows(calls, 60, 20, 0.1)
    assert len(bundles) <= 40
    assert sum(row.number for row in bundles) == 1000
    for row in bundles:
        assert {(call.way, call.outcome) for call in row.calls} == {(row.way, row.outcome)}


def test_neighbours_of_one_shape_keep_their_order() -> None:
    begins = [row.calls[0].begin for row in rows(tell(fifty_calls()).calls, 10, 10, 0)]
    assert begins == sorted(begins)


def marks(*times: float) -> list[Mark]:
    return [Mark(at, "v") for at in times]


def test_marbles_that_would_overlap_become_one_and_all_are_counted() -> None:
    found = marbles_of(marks(10, 11, 12, 100), lambda at: at, 4, lambda label: len(label) * 8)
    assert [(marble.number, marble.label) for marble in found] == [(3, "× 3"), (1, "v")]
    many = marbles_of(marks(*(n * 0.37 for n in range(5000))), lambda at: at, 4, lambda label: len(label) * 8)
    assert sum(marble.number for marble in many) == 5000
    assert all(a.x + a.half <= b.x - b.half for a, b in pairwise(many))


def test_a_marble_without_room_for_its_label_is_a_dot() -> None:
    found = marbles_of([Mark(0, "a long one"), Mark(20, "b")], lambda at: at, 4, lambda label: len(label) * 8)
    assert [marble.label for marble in found] == ["", "b"]


def test_a_label_moves_a_little_when_only_its_left_is_taken() -> None:
    first, second = marbles_of([Mark(0, "aa"), Mark(16, "bbb")], lambda at: at, 4, lambda label: len(label) * 8)
    assert (first.label, second.label) == ("aa", "bbb")
    assert (first.x, second.x) == (0, 22)
    assert second.x - second.half <= 16, "it lies over its place still"


def test_a_label_stays_between_the_edges() -> None:
    found = marbles_of([Mark(0, "first"), Mark(100, "last")], lambda at: at, 4, lambda label: 40, edges=(-8, 108))
    assert [(marble.x - marble.half, marble.x + marble.half) for marble in found] == [(-8, 32), (68, 108)]


def test_slivers_of_a_tokens_life_become_one_block() -> None:
    pieces = [Piece("fresh", 0, 5), *(Piece("refreshing", 5 + n / 100, 5 + (n + 1) / 100) for n in range(50))]
    assert [len(block.pieces) for block in blocks([*pieces, Piece("fresh", 5.5, 9)], 0.1)] == [1, 50, 1]


def test_steps_are_thinned_without_losing_the_peak() -> None:
    steps = [(n / 1000, 70 if n == 333 else n % 50) for n in range(1000)]
    thinned = thin(steps, 0.05)
    assert len(thinned) <= 40
    assert max(number for _, number in thinned) == 70
    assert thinned[-1] == steps[-1]


def test_many_subscribers_share_the_last_line() -> None:
    lane = StreamLane("s", tuple(Line(n, n + 1, (Mark(n, "v"),), "completed") for n in range(100)))
    shown = lines(lane, 5)
    assert [line.subscribers for line in shown] == [1, 1, 1, 1, 96]
    assert sum(len(line.marks) for line in shown) == 100


@pytest.mark.parametrize("what", ["calls", "values", "subscribers", "streams", "refreshes", "errors", "sessions"])
def test_ten_thousand_events_stay_readable(what: str) -> None:
    if what == "calls":
        recording = storm_of(2500)
    elif what == "values":
        recording = recorded(*stream("s", *((n * 0.01, f"value {n}") for n in range(10_000))))
    elif what == "subscribers":
        recording = recorded(*((n * 0.01, Subscribed(subscriber=n), "s") for n in range(10_000)))
    elif what == "streams":
        recording = recorded(*((n * 0.01, Emitted(subscriber=1, value=n), f"s{n}") for n in range(10_000)))
    elif what == "refreshes":
        pairs = [event for n in range(5000) for event in (starts(n, n), lands(n + 0.5, n))]
        recording = recorded(*pairs)
    elif what == "errors":
        error = ErrorReported(error=KeyError("x"), where="x")
        recording = recorded(*((n * 0.01, error, "errors") for n in range(10_000)))
    else:
        recording = recorded(*(starts(n, session=f"s{n}") for n in range(10_000)))
    svg = drawn(recording)
    height = float(parsed(svg).attrib["height"])
    assert height < 1200
    assert len(svg) < 100_000


# -- real ones --------------------------------------------------------------------------------------------------------


def test_a_real_bearer_call_is_named_after_its_path_without_the_query() -> None:
    stage = Stage()
    stage.expire()
    svg = drawn(stage.play(lambda stage: stage.storm(3)))
    assert words(svg).count("Echo") == 3
    assert "private" not in svg
    asked = CallWaits(session="default", caller=1, asked_by="GET /api/me/?q=private")
    assert "private" not in drawn(recorded((0, asked, "session")))
