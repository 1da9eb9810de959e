"""Marbles as text: what a terminal of 100 columns shows."""

from __future__ import annotations

from typing import Any

import pytest
from marble_kit import (
    Tick,
    ended,
    fifty_calls,
    lands,
    recorded,
    released,
    sent,
    signed_in,
    starts,
    storm_of,
    stream,
    waits,
)

from rxauth.notebook import marbles
from rxauth.notebook.marbles.labels import columns
from rxauth.store import ErrorReported


def lanes(*events: tuple[Any, ...], initial: Any = None) -> dict[str, str]:
    """The lanes by name, without the names."""
    lines = marbles(recorded(*events, initial=initial)).text.splitlines()
    return {line[:14].strip(): line[14:] for line in lines[2:]}


def test_a_token_expires_is_refreshed_and_fresh_again() -> None:
    drawn = lanes(
        (0, Tick(1)), starts(3), waits(3, 1), lands(6), released(6, 1), (10, Tick(2)), initial=signed_in(life=2)
    )
    token = drawn["token"].split()[0]
    assert "".join(sign for sign, before in zip(token, " " + token, strict=False) if sign != before) == "=x~o="
    assert drawn["refresh$"].strip().startswith("-")
    assert drawn["refresh$"].index("^") < drawn["refresh$"].index("o")
    assert "peak 1" in drawn["waiting"]


def test_a_call_waits_flies_and_ends() -> None:
    events = [waits(0, 1), released(4, 1), sent(4, 1), ended(8, 1), (12, Tick(1))]
    row = lanes(*events)["GET /api/me/"]
    assert row.startswith("//////")
    assert "=o" in row
    assert "waited 4 s" in row


@pytest.mark.parametrize(("status", "sign"), [(200, "=o"), (500, "=x"), (None, "=|")])
def test_an_end_has_a_sign_of_its_own(status: int | None, sign: str) -> None:
    assert sign in lanes(sent(0, 1), ended(8, 1, status), (12, Tick(1)))["GET /api/me/"]


def test_a_call_that_is_not_over_runs_on_and_one_that_was_refused_says_so() -> None:
    assert "=>" in lanes(sent(0, 1), (9, Tick(1)))["GET /api/me/"]
    again = lanes(sent(0, 1), ended(4, 1, 401), sent(4, 1), ended(8, 1), (12, Tick(1)))["GET /api/me/"]
    assert "=r=" in again


def test_values_stand_where_they_came_and_fold_to_a_star_without_room() -> None:
    drawn = lanes(*stream("typed", (0, "j"), (5, "json"), (5.01, "jsonw"), (9, "x y"), ends=10))["typed"]
    assert drawn.startswith("j----")
    assert "*" in drawn
    assert "x_y" in drawn
    assert drawn.split()[0].endswith("|")
    assert "4 values" in drawn


def test_the_sentence_is_at_its_end_and_signs_are_explained() -> None:
    shown = marbles(fifty_calls())
    text = shown.text
    assert " ".join(text.splitlines()[-2:]) == shown.sentence
    for part in ("/ waits for the token", "= in flight", "o answered", "^ starts", "~ refreshing"):
        assert part in text
    assert "x failed" not in text


def test_many_calls_are_bundles() -> None:
    rows = [line for line in marbles(storm_of(500)).text.splitlines() if line.startswith("× ")]
    assert 0 < len(rows) <= 24
    assert sum(int(line.split()[1]) for line in rows) == 500


@pytest.mark.parametrize("name", ["x" * 300, "名前" * 60, "e\u0301" * 90, "a\nb\tc\x1b[31m", "<script>"])
def test_no_name_makes_it_wider_or_breaks_a_line(name: str) -> None:
    error = ErrorReported(error=KeyError("x"), where=name)
    events = [*stream(name, (0, name), (5, "v"), ends=9), waits(0, 1, name), (1, error, "errors")]
    text = marbles(recorded(*events), title=name).text
    assert max(columns(line) for line in text.splitlines()) <= 100
    assert all(char.isprintable() or char == "\n" for char in text)


def test_no_line_ends_in_a_space() -> None:
    text = marbles(fifty_calls()).text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
