"""docs/scale.md holds what `make scale` wrote there."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.scale import DOCUMENT, PICTURE, PROCESSES, TABLES, Row, outage_together, shared, steady
from benchmarks.scale_plot import Panel, picture


def lines(name: str) -> list[str]:
    """The lines of a table in the document."""
    begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
    return DOCUMENT.read_text().partition(begin)[2].partition(end)[0].splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_there_with_all_its_lines(name: str) -> None:
    table = TABLES[name]
    assert lines(name)[0] == table.head
    assert len(lines(name)) == 2 + len(table.work)
    assert {line.count("|") for line in lines(name)} == {table.head.count("|")}


def test_the_tables_are_what_the_simulation_says() -> None:
    """Of those that take a second; `make scale ARGS=--check` does all of it."""
    cheap = {
        "shared": [shared(PROCESSES, False, True), shared(PROCESSES, True, True), shared(PROCESSES, False, False)],
        "steady": [steady(PROCESSES, 3600.0, 1.0)],
        "together_outage": [outage_together(0, True, "30 s", 100)],
    }
    for name, rows in cheap.items():
        assert {str(row) for row in rows} <= set(lines(name))


def test_the_picture_is_well_formed_and_each_curve_is_named() -> None:
    panel = Panel("a < b", "x", "y", {"one": [(0.0, 1.0), (10.0, 1000.0)], "two": [(0.0, 5.0)]}, logarithmic=True)
    texts = [element.text for element in ET.fromstring(picture([panel, panel])).iter() if element.text]
    assert [texts.count(word) for word in ("a < b", "one", "two", "1k")] == [2, 2, 2, 2]
    ET.fromstring(PICTURE.read_text())


def test_a_row_is_a_line_of_a_table() -> None:
    assert str(Row(("1", "two"))) == "| 1 | two |"
