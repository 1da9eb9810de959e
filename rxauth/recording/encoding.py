"""Values of actions and states as JSON, and back: dataclasses by name, so that a recording can be replayed."""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import httpx

from rxauth.errors import InvalidRecording
from rxauth.recording.redactor import Opaque


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """Stands for an instance of a class that was not imported when the recording was loaded."""

    kind: str
    fields: tuple[tuple[str, Any], ...]


def encode(value: Any) -> Any:
    """What `json.dumps` takes. What is more than JSON knows is an object with one key that begins with `$`."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [encode(inner) for inner in value]
    if isinstance(value, dict):
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        if plain:
            return {key: encode(inner) for key, inner in value.items()}
        return {"$map": [[encode(key), encode(inner)] for key, inner in value.items()]}
    return _encode_other(value)


def _encode_other(value: Any) -> Any:
    if isinstance(value, Unknown):
        return {"$": value.kind, **{name: encode(inner) for name, inner in value.fields}}
    if isinstance(value, Opaque):
        return {"$opaque": value.kind}
    if isinstance(value, type):
        return {"$class": name_of(value)}
    if isinstance(value, enum.Flag):  # several at once have no member of that name
        return {"$enum": name_of(type(value)), "value": value.value}
    if isinstance(value, enum.Enum):
        return {"$enum": name_of(type(value)), "name": value.name}
    if isinstance(value, BaseException):
        fields = {name: encode(inner) for name, inner in vars(value).items()}
        return {"$error": name_of(type(value)), "args": encode(list(value.args)), "fields": fields}
    if isinstance(value, httpx.Response):
        return {"$response": value.status_code}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, date | datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = dict(zip(value._fields, map(encode, value), strict=True))
        return {"$": name_of(type(value)), **fields}
    if isinstance(value, tuple | set | frozenset):
        return {f"${type(value).__name__}": [encode(inner) for inner in value]}
    if dataclasses.is_dataclass(value):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"$": name_of(type(value)), **fields}
    if hasattr(value, "__dict__"):
        return {"$": name_of(type(value)), **{name: encode(inner) for name, inner in vars(value).items()}}
    return {"$opaque": name_of(type(value))}


def decode(encoded: Any) -> Any:
    """The value again. Raises `InvalidRecording`.

    A class is looked up among the modules that are imported, and has to be a dataclass, an enum, a named tuple or an
    exception: a file imports nothing, and runs no code but that of such classes. Any other becomes `Unknown`.
    """
    if isinstance(encoded, list):
        return [decode(inner) for inner in encoded]
    if not isinstance(encoded, dict):
        return encoded
    mark = next((key for key in encoded if key.startswith("$")), None)
    if mark is None:
        return {key: decode(inner) for key, inner in encoded.items()}
    content = encoded[mark]
    if mark in _DECODERS:
        return _DECODERS[mark](content)
    rest = {name: decode(inner) for name, inner in encoded.items() if name != mark}
    match mark:
        case "$":
            return _build(content, rest)
        case "$error":
            return _build_error(content, rest)
        case "$enum":
            kind = find_class(content)
            if kind is None or not issubclass(kind, enum.Enum):
                return Unknown(content, tuple(rest.items()))
            return kind(rest["value"]) if "value" in rest else kind[rest["name"]]
    raise InvalidRecording(f"a value is marked {mark!r}, which this version of rxauth does not know")


def _decode_class(name: str) -> Any:
    return find_class(name) or Opaque(name)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$map": lambda pairs: {decode(key): decode(inner) for key, inner in pairs},
    "$tuple": lambda items: tuple(decode(item) for item in items),
    "$set": lambda items: {decode(item) for item in items},
    "$frozenset": lambda items: frozenset(decode(item) for item in items),
    "$bytes": base64.b64decode,
    "$time": lambda text: datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text),
    "$response": httpx.Response,
    "$opaque": Opaque,
    "$class": _decode_class,
}


def name_of(kind: type[Any]) -> str:
    """`module:Class`, the name under which a class is recorded."""
    return f"{kind.__module__}:{kind.__qualname__}"


def find_class(name: str) -> type[Any] | None:
    """The class of that name, if its module is imported."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _build(name: str, fields: dict[str, Any]) -> Any:
    kind = find_class(name)
    if kind is None or hasattr(kind, "__del__"):
        return Unknown(name, tuple(fields.items()))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return kind(**fields)
    if not dataclasses.is_dataclass(kind):
        return Unknown(name, tuple(fields.items()))
    value = object.__new__(kind)
    try:
        for field, inner in {**_defaults(kind, fields, name), **fields}.items():
            object.__setattr__(value, field, inner)
    except AttributeError as error:
        raise InvalidRecording(f"{name} was recorded with a field that it has no more: {error}") from None
    return value


def _defaults(kind: type[Any], given: dict[str, Any], name: str) -> dict[str, Any]:
    """Values for fields that came after the recording was made."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in given:
            continue
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
        else:
            raise InvalidRecording(f"{name} was recorded without its field {field.name!r}, which has no default")
    return found


def _build_error(name: str, rest: dict[str, Any]) -> Any:
    kind = find_class(name)
    if kind is None or not issubclass(kind, BaseException) or hasattr(kind, "__del__"):
        return Unknown(name, tuple(rest.items()))
    error = kind.__new__(kind, *rest["args"])
    error.args = tuple(rest["args"])
    error.__dict__.update(rest["fields"])
    return error
