"""Which fields of a request a refusal complains about: their names, for a message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from rxauth.tokens.wire_names import GRANT_TYPE

#: Under these an answer has its complaints, and none of them is a field: DRF, ASP.NET (RFC 9457), FastAPI, Laravel.
_ENVELOPES = frozenset(
    {"errors", "error", "detail", "details", "data", "fields", "field_errors", "issues", "violations", "messages"}
    | {"message", "invalid-params", "invalid_params", "json", "body"}
)
#: What names the field beside its complaint, in a list of complaints.
_NAMED_BY = ("field", "param", "property", "attr", "attribute", "loc", "path")
#: DRF's and Django's names for "no field in particular", and where in the request FastAPI and OpenAPI found it.
_NO_FIELDS = frozenset({"non_field_errors", "nonfielderrors", "__all__", "", "body", "query", "header", "cookie"})
#: Without digits, as a code that can be no secret.
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\-]{0,39}")
_MOST = 5


def complaint(body: Any, request: Any = None) -> str:
    """` and complains about the fields 'a', 'b'`, the names alone; "" where the answer names none.

    A name that is a value of the request is left out: it is a secret that the server repeats.
    """
    sent = _values(request)
    names = dict.fromkeys(name for name in _fields(body) if _NAME.fullmatch(name) and sent.isdisjoint(name.split(".")))
    if not names:
        return ""
    listed = ", ".join(repr(name) for name in list(names)[:_MOST])
    return f" and complains about the field{'s' if len(names) > 1 else ''} {listed}"


def _fields(body: Any, prefix: str = "", inside: bool = False, depth: int = 4) -> Iterator[str]:
    """The fields of a JSON body that hold a complaint; `inside` of an envelope, where a text is one."""
    if not depth:
        return
    if isinstance(body, list):
        for one in body[:20]:
            if isinstance(one, Mapping):
                yield from _named(one)
    elif isinstance(body, Mapping):
        for key, value in list(body.items())[:50]:
            if not isinstance(key, str):
                continue
            if key.lower() in _ENVELOPES and isinstance(value, Mapping | list) and not prefix:
                yield from _fields(value, "", True, depth - 1)
            elif key.lower() not in _NO_FIELDS and key.lower() not in _ENVELOPES and _is_complaint(value, inside):
                yield prefix + key
            elif isinstance(value, Mapping) and key.lower() not in _NO_FIELDS:
                yield from _fields(value, f"{prefix}{key}.", inside, depth - 1)


def _is_complaint(value: Any, inside: bool) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str | Mapping) for one in value)
    return inside and isinstance(value, str)


def _named(one: Mapping[Any, Any]) -> Iterator[str]:
    """The field of one complaint: `{"loc": ["body", "refresh"], "msg": ...}`, `{"field": "refresh", ...}`."""
    source = one.get("source")
    if isinstance(source, Mapping) and isinstance(source.get("pointer"), str):  # JSON:API
        yield source["pointer"].strip("/").removeprefix("data/").removeprefix("attributes/").replace("/", ".")
        return
    for key in _NAMED_BY:
        value = one.get(key)
        parts = [part for part in value if isinstance(part, str)] if isinstance(value, list) else [value]
        names = [part for part in parts if isinstance(part, str) and part.lower() not in _NO_FIELDS]
        if names:
            yield ".".join(names)
            return


def _values(request: Any) -> set[str]:
    """The texts that a request sent: none of them is repeated."""
    try:
        content = bytes(request.content)
    except (AttributeError, RuntimeError):  # no request, or one whose body can be read only once
        return set()
    try:
        return set(_texts(json.loads(content)))
    except (ValueError, RecursionError):
        return {value for name, value in parse_qsl(content.decode("latin-1")) if name != GRANT_TYPE}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in [value[name] for name in value if name != GRANT_TYPE] if isinstance(value, Mapping) else value:
            yield from _texts(inner)
