"""Marble diagrams of what was expected and what came, in a failure's message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

#: How far from the middle of a frame, in frames, a moment may lie: floating point, not a different moment.
_SAME = 1e-6
#: What `#` stands for when nobody says which error.
ANY_ERROR = Exception("any error")


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing in a diagram, `at` in seconds."""

    at: float
    kind: Literal["action", "error", "completed"]
    value: Any = None


def explain_difference(
    epic: str,
    actions: str,
    expected: str,
    wanted: list[Mark],
    got: list[Mark],
    values: Mapping[str, Any],
    frame: float,
) -> str:
    """The three diagrams and each difference, or "" when there is none."""
    missing = [f"  at {mark.at:g} s: {_told(mark, values)} was expected" for mark in _without(wanted, got, frame)]
    surplus = [f"  at {mark.at:g} s: {_told(mark, values)} came" for mark in _without(got, wanted, frame)]
    if not missing and not surplus:
        swapped = [one for one, other in zip(got, wanted, strict=True) if not _same(one, other, frame)]
        if not swapped:
            return ""
        surplus = [f"  at {swapped[0].at:g} s: {_told(swapped[0], values)} came out of order"]
    diagrams = {"actions": actions.replace(" ", ""), "expected": expected.replace(" ", ""), "emitted": ""}
    diagrams["emitted"] = draw(got, values, frame, len(diagrams["expected"]))
    lines = [f"epic {epic}, one character = {frame:g} s", ""]
    lines += [f"  {name:9} {diagram}" for name, diagram in diagrams.items()]
    return "\n".join([*lines, "", *missing, *surplus])


def draw(marks: list[Mark], values: Mapping[str, Any], frame: float, length: int) -> str:
    """The marks as a diagram, at least `length` long. What has no name is `?`, what lies between two frames is put
    on the earlier one, and what the room of a group covers is put behind it."""
    line = ""
    for column, group in groupby(marks, key=lambda mark: int(mark.at / frame + _SAME)):
        names = [_name(mark, values) for mark in group]
        line = line.ljust(column, "-") + (names[0] if len(names) == 1 else f"({','.join(names)})")
    return line.ljust(length, "-")


def _without(marks: list[Mark], others: list[Mark], frame: float) -> list[Mark]:
    """The marks that have no partner among the others."""
    left = list(others)
    alone = []
    for mark in marks:
        partner = next((other for other in left if _same(mark, other, frame)), None)
        if partner is None:
            alone.append(mark)
        else:
            left.remove(partner)
    return alone


def _same(one: Mark, other: Mark, frame: float) -> bool:
    if one.kind != other.kind or abs(one.at - other.at) >= _SAME * frame:
        return False
    if one.kind != "error":
        return bool(one.value == other.value)
    any_error = ANY_ERROR in (one.value, other.value)
    return any_error or (type(one.value), one.value.args) == (type(other.value), other.value.args)


def _name(mark: Mark, values: Mapping[str, Any]) -> str:
    if mark.kind != "action":
        return "#" if mark.kind == "error" else "|"
    if isinstance(mark.value, str) and not values:
        return mark.value
    return next(
        (name for name, value in values.items() if type(value) is type(mark.value) and value == mark.value), "?"
    )


def _told(mark: Mark, values: Mapping[str, Any]) -> str:
    if mark.kind == "completed":
        return "| (the end)"
    name = _name(mark, values)
    return name if mark.value == name else f"{name} = {mark.value!r}" if name != "?" else f"{mark.value!r}"
