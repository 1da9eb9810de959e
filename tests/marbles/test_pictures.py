"""How a story is drawn: lanes, folding, themes, and what can be told apart without colours."""

from __future__ import annotations

import re
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

from rxauth.actions import SessionEnded
from rxauth.errors import SessionExpired
from rxauth.notebook import marbles
from rxauth.notebook.marble_canvas import Canvas
from rxauth.notebook.marble_folds import blocks, lines, marbles_of, rows, thin
from rxauth.notebook.marble_scale import Scale
from rxauth.notebook.marble_streams import Line, Mark, StreamLane
from rxauth.notebook.marble_theme import DARK, LIGHT, PATTERNS, Palette, style
from rxauth.notebook.marble_tokens import Piece
from rxauth.notebook.story import tell
from rxauth.recorder import Recording
from rxauth.trace import CallWaits, Emitted, ErrorReported, Failed, Subscribed

LIMIT = 500_000


def drawn(recording: Recording, **how: int) -> str:
    svg = marbles(recording, **how).svg  # type: ignore[arg-type]
    parsed(svg)
    assert len(svg.encode()) < LIMIT
    return svg


# -- lanes ------------------------------------------------------------------------------------------------------------


def test_a_storm_has_its_lanes_its_gate_and_its_sums() -> None:
    texts = words(drawn(fifty_calls()))
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
    assert {"answered 200, waited 1 s", "failed: 503", "still running"} <= set(texts)


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


def test_each_session_is_named() -> None:
    initial = (signed_in(session="billing"), signed_in(session="search"))
    texts = words(drawn(recorded(starts(0, session="billing"), lands(1, session="billing"), initial=initial)))
    assert {"billing", "search"} <= set(texts)


def test_errors_are_named_with_their_place() -> None:
    error = ErrorReported(error=KeyError("x"), where="the epic search")
    texts = words(drawn(recorded((0, Tick(1)), (1, error, "errors"), (9, Tick(2)))))
    assert "KeyError in the epic search" in texts
    assert "1 error" in texts


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


# -- what stands for what ---------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As defined by WCAG 2.1."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_texts_and_marks_stand_out(palette: Palette) -> None:
    assert contrast(palette["soft"], palette["card"]) >= 4.5
    for behind in ("card", "good-fill", "busy-fill", "bad-fill", "call-fill", "idle-fill"):
        assert contrast(palette["text"], palette[behind]) >= 4.5
    for line in ("busy-mid", "bad-mid", "call-mid"):  # a label may cross the lines of a pattern
        assert contrast(palette["text"], palette[line]) >= 4.5
    for mark in ("good", "busy", "bad", "call", "line"):
        assert contrast(palette[mark], palette["card"]) >= 3


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_lines_of_patterns_are_seen_in_grey(palette: Palette) -> None:
    for behind, lines_, *_ in PATTERNS.values():
        assert contrast(palette[behind], palette[lines_]) >= 1.3


def test_no_two_patterns_have_the_same_lines() -> None:
    assert len({(size, path) for _, _, size, path, _ in PATTERNS.values()}) == len(PATTERNS)


def test_every_end_has_a_shape_of_its_own() -> None:
    shapes = []
    for name in ("ring", "cross", "bar", "arrow", "triangle", "disc", "refused", "late", "play", "dot"):
        canvas = Canvas()
        getattr(canvas, name)(50, 50)
        shapes.append(re.sub(r' class="[^"]*"', "", "".join(canvas.parts)))
    assert len(set(shapes)) == len(shapes)


def test_both_palettes_colour_the_same_things() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_every_class_that_is_used_has_a_rule() -> None:
    error = ErrorReported(error=KeyError("x"), where="x")
    events = [*stream("s", (0, 1), ends=2), (1, error, "errors"), (1, Failed(subscriber=2, error=KeyError()), "s")]
    events += [(1, Tick(1)), starts(0), waits(0, 1), lands(1), released(1, 1), sent(1, 1), sent(1, 2), ended(2, 2, 401)]
    svg = drawn(recorded(*events, initial=signed_in(life=0)))
    used = {name for names in re.findall(r'class="([^"]*)"', svg) for name in names.split()}
    rules = set(re.findall(r"\.([a-z][a-z-]*)", style("light")))
    assert used - rules - {"k-none", "soft"} == set()


def test_auto_follows_the_readers_system_and_the_others_do_not() -> None:
    assert style("auto").count("prefers-color-scheme:dark") == 1
    assert LIGHT["card"] in style("light")
    assert DARK["card"] not in style("light")
    assert LIGHT["card"] not in style("dark")


def test_it_needs_nothing_from_elsewhere() -> None:
    svg = drawn(fifty_calls())
    assert re.findall(r"https?://[^\"']*", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|@font-face|<script|<image|<foreignObject| on\w+=|href", svg)
    used = set(re.findall(r"url\(#(\w+)\)", svg))
    assert used
    assert used == {pattern.get("id") for pattern in parsed(svg).iter(f"{SVG}pattern")}


# -- the axis ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (0.0, "1000 µs"),
        (0.0004, "400 µs"),
        (0.886, "900 ms"),
        (1.5, "1400 ms"),
        (8.0, "8 s"),
        (100.0, "90 s"),
        (1800.0, "30 min"),
        (36_000.0, "10 h"),
        (1e6, "12 d"),
    ],
)
def test_ticks_are_round_and_name_a_fitting_unit(end: float, last: str) -> None:
    ticks = Scale.of(end, 190, 940).ticks(76)
    assert ticks[-1][1] == last
    assert ticks[0][0] == 0
    assert 3 <= len(ticks) <= 11
    steps = [after[0] - before[0] for before, after in pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps))


def test_what_lies_beyond_the_axis_is_drawn_at_its_ends() -> None:
    scale = Scale.of(10, 100, 200)
    assert scale(-5) == 100
    assert scale(1e300) == 200


# -- real ones --------------------------------------------------------------------------------------------------------


def test_a_real_bearer_call_is_named_after_its_path_without_the_query() -> None:
    stage = Stage()
    stage.expire()
    svg = drawn(stage.play(lambda stage: stage.storm(3)))
    assert words(svg).count("Echo") == 3
    assert "private" not in svg
    asked = CallWaits(session="default", caller=1, asked_by="GET /api/me/?q=private")
    assert "private" not in drawn(recorded((0, asked, "session")))
