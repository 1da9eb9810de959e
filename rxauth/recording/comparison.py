"""Recorded actions as lines of text in which two runs of one story are equal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from rxauth.recording.encoding import encode

#: Fields of the library's classes that hold a moment, or are counted from one.
_MOMENTS = frozenset(
    {"at", "changed", "received", "expires_at", "refresh_expires_at", "retry_at", "cool_down", "counted"}
)
#: Fields of the library's classes that are new in every run, and the names they get instead.
_NAMES = {"sign_in": "sign-in", "pending": "sign-in", "generation": "generation", "id": "call"}
_FINGERPRINT = re.compile(r"#[0-9a-f]{8}")


class Event(Protocol):
    @property
    def at(self) -> float: ...

    @property
    def action(self) -> Any: ...


class Canonical:
    """Names what is new in every run by its order of appearance: one object for each recording."""

    def __init__(self, *, times: bool) -> None:
        self._times = times
        self._seen: dict[tuple[str, Any], str] = {}

    def lines(self, events: Iterable[Event]) -> Iterator[str]:
        for event in events:
            moment = f"{event.at:9.3f}  " if self._times else ""
            yield moment + _text(self._value(encode(event.action)))

    def _value(self, encoded: Any) -> Any:
        if isinstance(encoded, str):
            return _FINGERPRINT.sub(lambda found: self._name("token", found.group()), encoded)
        if isinstance(encoded, list):
            return [self._value(inner) for inner in encoded]
        if not isinstance(encoded, dict):
            return encoded
        ours = str(encoded.get("$", encoded.get("$error", ""))).startswith("rxauth.")
        return {
            name: self._field(name, inner) if ours else self._value(inner)
            for name, inner in encoded.items()
            if self._times or not (ours and name in _MOMENTS)
        }

    def _field(self, name: str, value: Any) -> Any:
        if name == "fields" and not self._times and isinstance(value, dict):  # an error's
            value = {field: inner for field, inner in value.items() if field not in _MOMENTS}
        if name in _NAMES and value and isinstance(value, str | int):
            return self._name(_NAMES[name], value)
        return self._value(value)

    def _name(self, kind: str, value: Any) -> str:
        if (kind, value) not in self._seen:
            number = 1 + sum(1 for other, _ in self._seen if other == kind)
            self._seen[kind, value] = f"{kind} {number}"
        return self._seen[kind, value]


def _text(encoded: Any) -> str:
    """As one would write it in Python, without the fields that are None."""
    if isinstance(encoded, list):
        return f"[{', '.join(map(_text, encoded))}]"
    if not isinstance(encoded, dict):
        return str(encoded) if encoded is None or isinstance(encoded, bool) else json.dumps(encoded, ensure_ascii=False)
    fields = [f"{name}={_text(value)}" for name, value in encoded.items() if name[0] != "$" and value is not None]
    if "$" in encoded:
        return f"{_class(encoded['$'])}({', '.join(fields)})"
    if "$error" in encoded:
        inner = [f"{name}={_text(value)}" for name, value in encoded["fields"].items() if value is not None]
        return f"{_class(encoded['$error'])}({', '.join([*map(_text, encoded['args']), *inner])})"
    if len(encoded) == 1 and (mark := next(iter(encoded))).startswith("$"):
        return f"{mark[1:]} {_text(encoded[mark])}"
    return "{" + ", ".join(f"{json.dumps(name)}: {_text(value)}" for name, value in encoded.items()) + "}"


def _class(name: str) -> str:
    return name.rpartition(":")[2]
