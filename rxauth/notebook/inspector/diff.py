"""A value as lines to read, and what one step changed, line by line."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from rxauth.concurrency.runtime import Instant
from rxauth.notebook.words import clock, shorten
from rxauth.recording.redactor import Opaque

#: More lines than this are not shown, deeper structures are cut to their text, and so are longer ones.
LINES, DEPTH, ITEMS, TEXT = 400, 8, 50, 200

#: Fields that hold seconds since the epoch.
_MOMENTS = frozenset({"expires_at", "refresh_expires_at", "retry_at"})


class Line(NamedTuple):
    """`mark`: "" for a line that stands as it is, "~" for a value that changed from `before` to `text`, "+" and "-"
    for one that came or went, "…" for what is left out."""

    depth: int
    mark: str
    name: str
    text: str
    before: str = ""


def tree(value: Any) -> list[Line]:
    """The value, one line for each of its fields."""
    return _cut(_tree("", value, 0, ""))


def changes(before: Any, after: Any) -> list[Line]:
    """What is not the same in `after`; empty when everything is."""
    return _cut(_changes("", before, after, 0))


def _tree(name: str, value: Any, depth: int, mark: str) -> Iterator[Line]:
    inner = _children(value, depth)
    if inner is None:
        yield Line(depth, mark, name, _text(name, value))
        return
    if name:
        yield Line(depth, mark, name, _title(value))
        depth += 1
    for key, child in inner.items():
        yield from _tree(key, child, depth, mark)
    if len(value_items := _sized(value)) > ITEMS:
        yield Line(depth, "…", "", f"{len(value_items) - ITEMS} more")


def _changes(name: str, before: Any, after: Any, depth: int) -> Iterator[Line]:
    if _equal(before, after):
        return
    old, new = _children(before, depth), _children(after, depth)
    if old is None or new is None or type(before) is not type(after):
        yield from _replaced(name, before, after, depth)
        return
    if isinstance(before, tuple | list) and not hasattr(before, "_fields"):
        yield from _moved(name, before, after, depth)
        return
    lines: list[Line] = []
    same = 0
    inner = depth + bool(name)
    for key in {**old, **new}:
        if key not in new:
            lines += _tree(key, old[key], inner, "-")
        elif key not in old:
            lines += _tree(key, new[key], inner, "+")
        else:
            changed = list(_changes(key, old[key], new[key], inner))
            same += not changed
            lines += changed
    if name:
        yield Line(depth, "", name, _title(after))
    yield from lines
    if same:
        yield Line(inner, "…", "", f"{same} unchanged")


def _moved(name: str, before: Sequence[Any], after: Sequence[Any], depth: int) -> Iterator[Line]:
    """Two sequences: an item that comes or goes at the front does not change all the others."""
    inner = depth + bool(name)
    if name:
        yield Line(depth, "", name, _title(after))
    first = _alike(before, after)
    last = _alike(before[first:][::-1], after[first:][::-1])
    old, new = ([*enumerate(items)][first : len(items) - last] for items in (before, after))
    same = first + last
    for what, a, b, c, d in _steps(old, new):
        if what == "equal" or b - a == d - c:
            for (_, one), (place, other) in zip(old[a:b], new[c:d], strict=True):
                changed = list(_changes(f"[{place}]", one, other, inner))
                same += not changed
                yield from changed
        else:
            for place, item in old[a:b]:
                yield from _tree(f"[{place}]", item, inner, "-")
            for place, item in new[c:d]:
                yield from _tree(f"[{place}]", item, inner, "+")
    if same:
        yield Line(inner, "…", "", f"{same} unchanged")


def _alike(before: Sequence[Any], after: Sequence[Any]) -> int:
    """How many items are the same at the front."""
    return next(
        (place for place, (one, other) in enumerate(zip(before, after, strict=False)) if not _equal(one, other)),
        min(len(before), len(after)),
    )


def _steps(old: list[tuple[int, Any]], new: list[tuple[int, Any]]) -> Sequence[tuple[str, int, int, int, int]]:
    if max(len(old), len(new)) > LINES:  # to match them would take long, and nobody could read it
        return [("replace", 0, len(old), 0, len(new))]
    texts = [[_text("", item) for _, item in items] for items in (old, new)]
    return SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes()


def _replaced(name: str, before: Any, after: Any, depth: int) -> Iterator[Line]:
    """One value in the place of another: on one line when the old one fits there."""
    if _children(after, depth) is None:
        short = _text(name, before) if _children(before, depth) is None else _title(before)
        yield Line(depth, "~", name, _text(name, after), short)
    elif _children(before, depth) is None:
        yield Line(depth, "~", name, _title(after), _text(name, before))
        for key, child in (_children(after, depth) or {}).items():
            yield from _tree(key, child, depth + 1, "+")
    else:
        yield from _tree(name, before, depth, "-")
        yield from _tree(name, after, depth, "+")


Children: TypeAlias = dict[str, Any]


def _children(value: Any, depth: int) -> Children | None:
    """The parts of a value by name; None for one that is shown as a whole."""
    if depth >= DEPTH or isinstance(value, Instant | Opaque | type):
        return None
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {shorten(str(key), TEXT): inner for key, inner in islice(value.items(), ITEMS)} or None
    if isinstance(value, tuple | list):
        names = getattr(value, "_fields", None) or [f"[{index}]" for index in range(len(value))]
        return dict(islice(zip(names, value, strict=True), ITEMS)) or None
    plain = isinstance(value, BaseException) or not hasattr(value, "__dict__") or callable(value)
    return None if plain or type(value).__module__ in _SHOWN_WHOLE else dict(vars(value)) or None


_SHOWN_WHOLE = frozenset({"builtins", "datetime", "decimal", "uuid", "fractions", "pathlib", "httpx", "enum"})


def _sized(value: Any) -> Any:
    return value if isinstance(value, Mapping | tuple | list) else ()


def _title(value: Any) -> str:
    if isinstance(value, Mapping | tuple | list) and not hasattr(value, "_fields"):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _text(name: str, value: Any) -> str:
    show = _SHOW.get(type(value))
    if show is not None:
        return show(value)
    if isinstance(value, BaseException):
        return shorten(f"{type(value).__name__}: {value}", TEXT)
    if isinstance(value, type):
        return value.__name__
    if name in _MOMENTS and isinstance(value, int | float):
        return f"{clock(value)} ({value:.3f})"
    try:
        return shorten(_short.repr(value), TEXT)
    except Exception as error:  # a repr of the user's
        return f"{type(value).__name__} (its repr raised {type(error).__name__})"


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = TEXT

_SHOW: dict[type[Any], Callable[[Any], str]] = {
    Instant: lambda at: f"{clock(at.wall)}{f'{at.wall % 1:.3f}'[1:]}",
    Opaque: lambda hidden: f"{hidden.kind.rpartition(':')[2]} (not recorded)",
}


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # a comparison of the user's
        return False


def _cut(lines: Iterator[Line]) -> list[Line]:
    cut = list(islice(lines, LINES + 1))
    return cut if len(cut) <= LINES else [*cut[:LINES], Line(0, "…", "", "and more lines")]
