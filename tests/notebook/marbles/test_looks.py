"""What can be told apart in a picture, in each theme and without colours, and how its axis is divided."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from marble_kit import (
    SVG,
    Tick,
    ended,
    fifty_calls,
    lands,
    parsed,
    recorded,
    released,
    sent,
    signed_in,
    starts,
    stream,
    waits,
    words,
)

from rxauth.notebook import marbles
from rxauth.notebook.marbles.canvas import Canvas, size_of, width_of
from rxauth.notebook.marbles.scale import Scale
from rxauth.notebook.marbles.theme import DARK, LIGHT, PATTERNS, Palette, style
from rxauth.recording import Failed
from rxauth.store import ErrorReported

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
    svg = marbles(recorded(*events, initial=signed_in(life=0))).svg
    used = {name for names in re.findall(r'class="([^"]*)"', svg) for name in names.split()}
    rules = set(re.findall(r"\.([a-z][a-z-]*)", style("light")))
    assert used - rules - {"k-none", "soft"} == set()


def test_auto_follows_the_readers_system_and_the_others_do_not() -> None:
    assert style("auto").count("prefers-color-scheme:dark") == 1
    assert LIGHT["card"] in style("light")
    assert DARK["card"] not in style("light")
    assert LIGHT["card"] not in style("dark")


def test_it_needs_nothing_from_elsewhere() -> None:
    svg = marbles(fifty_calls()).svg
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


# -- what is written out ----------------------------------------------------------------------------------------------


LONG = [
    "a title of many words " * 30,
    "https://api.example.com/" + "x" * 400,
    "名前がとても長い" * 40,
    "W" * 300,
]


@pytest.mark.parametrize("title", LONG)
@pytest.mark.parametrize("width", [360, 960])
def test_a_title_is_never_cut(title: str, width: int) -> None:
    shown = marbles(recorded(sent(0, 1), ended(1, 1)), title=title, width=width)
    lines = [text for text in parsed(shown.svg).iter(f"{SVG}text") if text.get("class") == "h"]
    assert without_spaces("".join(line.text or "" for line in lines)) == without_spaces(title)
    assert all(width_of(line.text or "", size_of("h")) <= width - 56 for line in lines)
    assert without_spaces(shown.text.partition("\n\n")[0]) == without_spaces(title)


@pytest.mark.parametrize("width", [360, 960])
def test_a_sentence_is_never_cut(width: int) -> None:
    names = [f"a stream with the long name number {number}" for number in range(4)]
    events = [event for name in names for event in stream(name, (0.5, 1), ends=1)]
    calls = [event for n in range(40) for event in (sent(0, n), ended(1, n, 400 + n))]
    shown = marbles(recorded(*events, *calls), width=width)
    lines = [text for text in parsed(shown.svg).iter(f"{SVG}text") if text.get("class") == "soft"]
    assert " ".join(line.text or "" for line in lines) == shown.sentence
    assert all(width_of(line.text or "") <= width - 56 for line in lines)
    assert all(name in shown.sentence for name in names)
    assert " ".join(shown.text.rpartition("\n\n")[2].split()) == shown.sentence


def test_what_the_rows_add_up_to_is_never_cut() -> None:
    events = [event for n in range(400) for event in (sent(n, n), ended(n + 0.5, n, 500 + n % 5 * (n > 200)))]
    sums = [text for text in words(marbles(recorded(*events), width=960).svg) if "…" in text]
    assert sums == []
    told = " ".join(words(marbles(recorded(*events), width=960).svg))
    assert "400 went straight through token already fresh" in told
    assert "400 failed 240 × 500, 40 × 501, 40 × 502, 80 others" in told


def without_spaces(text: str) -> str:
    return "".join(text.split())
