"""A record as text: one JSON object, which every kind that outlives the process stores.

    {"rxauth": 1, "sign_in": "…", "generation": 7, "access": "…", "refresh": "…", "expires_at": 1900000000.0,
     "refresh_expires_at": null, "life": 300.0, "scope": null, "account": "", "endpoint": "", "spending": null}

`rxauth` is the version of this form. A tombstone has no token and nothing about one, and may have `cause` and
`status_code`: why the server ended the sign-in. `origins` and `recent` are the fingerprints of earlier pairs, with a
space between two. The times are seconds since the epoch on the clock that all who share the place have: this machine's
for a file and a keyring, the server's for Redis. They come from the life that the token endpoint stated (see `Tokens`),
so that its own clock does not matter. What else stands in an object of version 1 is ignored: a later release may add a
field that this one can do without, else it raises the version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from rxauth.errors import InvalidRecord, InvalidTokens
from rxauth.redaction.tracebacks import concealed
from rxauth.storage.protocol import Record
from rxauth.tokens.pair import Tokens

VERSION: Final = 1


@concealed
def dumps(record: Record) -> str:
    """The record as one line of ASCII."""
    tokens = record.tokens
    fields: dict[str, Any] = {"rxauth": VERSION, "sign_in": record.sign_in, "generation": record.generation}
    if tokens is not None:
        fields |= {
            "access": tokens.access,
            "refresh": tokens.refresh,
            "expires_at": tokens.expires_at,
            "refresh_expires_at": tokens.refresh_expires_at,
            "life": tokens.life,
            "scope": tokens.scope,
        }
    fields |= {"account": record.account, "endpoint": record.endpoint, "spending": record.spending}
    optional = {
        "cause": record.cause,
        "status_code": record.status_code,
        "origins": " ".join(record.origins),
        "recent": " ".join(record.recent),
    }
    fields |= {name: value for name, value in optional.items() if value not in ("", None)}
    return json.dumps(fields, allow_nan=False)


@concealed
def loads(text: str, where: str) -> Record:
    """The record that `dumps` has written.

    `where` names the place in the errors. Raises `InvalidRecord`, which holds nothing of the text, when that is
    damaged or of another version.
    """
    fields = _Fields(_object(text), where)
    version = fields.integer("rxauth")
    if version != VERSION:
        raise fields.refused(
            f"it has version {version}, and this rxauth reads version {VERSION} only",
            "Upgrade rxauth, or move it away and sign in again.",
        )
    return Record(
        fields.text("sign_in"),
        fields.integer("generation"),
        _tokens(fields),
        fields.text("account", ""),
        fields.text("endpoint", ""),
        fields.number("spending"),
        fields.text("cause", ""),
        fields.integer_or_none("status_code"),
        tuple(fields.text("origins", "").split()),
        tuple(fields.text("recent", "").split()),
    )


class _Fields:
    """The fields of the object, each of which has the type that it should have, or is refused."""

    def __init__(self, found: Mapping[str, Any] | None, where: str) -> None:
        self._where = where
        if found is None:
            raise self.refused("it is no JSON object")
        self._found = found

    def refused(self, what: str, fix: str = "Move it away and sign in again.") -> InvalidRecord:
        return InvalidRecord(f"what is stored in {self._where} can not be used: {what}. It is left as it is. {fix}")

    def text(self, name: str, missing: str | None = None) -> str:
        value = self._found.get(name, missing)
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self._found.get(name) is None else self.text(name)

    def integer(self, name: str) -> int:
        value = self._found.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number", value)
        return value

    def integer_or_none(self, name: str) -> int | None:
        return None if self._found.get(name) is None else self.integer(name)

    def number(self, name: str) -> float | None:
        value = self._found.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
            raise self._wrong(name, "a finite number", value)
        return value

    def _wrong(self, name: str, wanted: str, value: object) -> InvalidRecord:
        return self.refused(f"its {name!r} should be {wanted}, and is {_kind(value)}")


def _tokens(fields: _Fields) -> Tokens | None:
    access, refresh = fields.text_or_none("access"), fields.text_or_none("refresh")
    if access is None:
        if refresh is not None:
            raise fields.refused("it has a refresh token and no access token")
        return None
    expires_at, refresh_expires_at = fields.number("expires_at"), fields.number("refresh_expires_at")
    scope, life = fields.text_or_none("scope"), fields.number("life")
    try:
        return Tokens(access, refresh, expires_at, refresh_expires_at, scope, life=life)
    except InvalidTokens:
        pass
    raise fields.refused("one of its tokens is empty, or holds a character that no token has")


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that the text is, if it is one. The parser's errors, which hold the text, stay in here."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "another number"
    return "a text" if isinstance(value, str) else "something else"
