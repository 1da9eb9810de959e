"""Short words for what a recording holds: values, errors, calls. Nothing here looks deep or can raise."""

from __future__ import annotations

import enum
import math
import unicodedata
from collections.abc import Callable
from typing import Any

from rxauth.api.calls import AdHocCall
from rxauth.notebook.words import shorten, span
from rxauth.recording.encoding import Unknown
from rxauth.recording.redactor import Opaque
from rxauth.redaction.text import without_secrets
from rxauth.session.state import AuthState
from rxauth.tokens.pair import Tokens

#: How long a marble's label may be.
SHORT = 12


def class_name(value: object) -> str:
    """The class of a value, also of one that the recording only knows by name."""
    if isinstance(value, Opaque | Unknown):
        return clean(str(value.kind).rpartition(":")[2].rpartition(".")[2] or "value")
    return clean(type(value).__name__)


def clean(text: str) -> str:
    """The text without line breaks, without characters that XML or a terminal can not show, and without tokens."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return without_secrets(text)  # recordings hold none already, unless somebody made one by hand


def value_label(value: Any) -> str:
    """A value in at most `SHORT` characters."""
    kind = type(value)
    if kind is str:
        return shorten(clean(value if len(value) < 200 else value[:200]), SHORT) or "''"
    if value is None or kind is bool:
        return str(value)
    if kind is int:
        return str(value) if -(10**11) < value < 10**11 else f"{'-' * (value < 0)}{value.bit_length()} bits"
    if kind is float:
        return f"{value:.4g}"
    if isinstance(value, Tokens):
        return f"tokens {value.generation}" if value.generation else "tokens"
    if isinstance(value, AuthState):
        return shorten(value.status, SHORT)
    if isinstance(value, enum.Enum):
        return shorten(clean(value.name), SHORT)
    if kind in (list, tuple, set, frozenset, dict):
        return f"{len(value)} item{'s' * (len(value) != 1)}"
    return shorten(class_name(value), SHORT)


def call_label(call: Any) -> str:
    """What a call is called: its class, or method and path. The query may hold what is nobody's business."""
    if isinstance(call, AdHocCall):
        return request_label(call.description.method, call.description.url)
    return class_name(call)


def request_label(method: object, path: object) -> str:
    return shorten(clean(f"{method} {path}".partition("?")[0]), 40)


def length(seconds: float) -> str:
    """A length of time in words."""
    if not math.isfinite(seconds):
        return span(seconds)
    return "under 1 ms" if 0 < seconds < 0.0005 else span(max(seconds, 0.0))


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_wide(char) for char in text)


def _wide(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, room: int) -> str:
    """The text, cut to so many columns of a terminal."""
    if columns(text) <= room:
        return text
    kept, used = "", 1
    for char in text:
        used += _wide(char)
        if used > room:
            break
        kept += char
    return kept + "…" * (room > 0)


def wrapped(text: str, room: float, width: Callable[[str], float] = columns) -> list[str]:
    """The text in lines that are no wider than `room`, all of it: a word that is longer goes on in the next line."""
    lines: list[str] = []
    left, space = 0.0, width(" ")
    for word in text.split():
        wide = width(word)
        if lines and space + wide <= left:
            lines[-1] += f" {word}"
            left -= space + wide
            continue
        if wide <= room:
            lines.append(word)
            left = room - wide
            continue
        left = 0.0
        for char in word:
            wide = width(char)
            if not lines or wide > left:
                lines.append("")
                left = room
            lines[-1] += char
            left -= wide
    return lines
