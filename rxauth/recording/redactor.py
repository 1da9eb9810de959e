"""Values without their secrets, for what is recorded, shown and saved."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import httpx

from rxauth.errors import RxAuthError
from rxauth.redaction.names import HIDDEN, fingerprint, in_place_of, is_guessable, is_hidden, is_secret, name_of
from rxauth.redaction.text import LONG, without_secrets
from rxauth.tokens.pair import Tokens

#: How many secrets that passed are looked for in texts; older ones are forgotten.
REMEMBERED = 64
#: A shorter secret is hidden where it stands, but not looked for elsewhere: it would be found in every other word.
SHORTEST = 6
#: Longer than any text. A small number is compared the quickest.
NOTHING_KNOWN = 2**30 - 1

_PLAIN = frozenset({bool, int, float, complex, type(None)})
#: The fields of a dataclass: its name, whether it is hidden, and whether it could be guessed from a fingerprint.
Rules: TypeAlias = tuple[tuple[str, bool, bool], ...]

_PAIRS = frozenset({tuple, list})
_DATA = frozenset({"datetime", "decimal", "uuid", "fractions", "pathlib"})


@dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for something that can not be looked into; `kind` is its class."""

    kind: str


class Redactor:
    """Replaces secrets by their fingerprints: tokens, what stands in fields with telling names or with `repr=False`,
    parameters with such names, JWTs and bearer tokens in texts, and those secrets again wherever else they turn up.

    A value without a secret is returned as it is. An HTTP response is reduced to its status. Not for several threads
    at once.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._shortest = NOTHING_KNOWN

    def __call__(self, action: Any) -> Any:
        """The action, or any other value, without its secrets. Never raises."""
        try:
            rules = _rules(type(action))  # type: ignore[arg-type]  # classes are hashable
            if rules is not None:  # nearly always: this is the shortest way, because it is gone for every action
                return self._dataclass(action, rules)
            clean = self._clean(action)
            if isinstance(clean, Opaque) and hasattr(action, "__dict__") and not callable(action):
                return self._object(action, {name: self._named(name, inner) for name, inner in vars(action).items()})
            return clean
        except Exception:  # a property that raises, a structure that holds itself
            return _opaque(action)

    def _clean(self, value: Any) -> Any:
        kind: type[object] = type(value)
        if kind in _PLAIN:
            return value
        if kind is str:
            return self._text(value)
        rules = _rules(kind)  # type: ignore[arg-type]  # classes are hashable
        if rules is not None:
            return self._dataclass(value, rules)
        if isinstance(value, Tokens):
            return self._tokens(value)
        if isinstance(value, BaseException):
            return self._error(value)
        if isinstance(value, type | enum.Enum):
            return value
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, tuple | list | set | frozenset):
            return self._collection(value)
        return self._other(value)

    def _text(self, text: str) -> str:
        if len(text) >= self._shortest:
            for secret, shown in self._known.items():
                if secret in text:
                    text = text.replace(secret, shown)
        words = text if len(text) < LONG else text.lower()
        if "=" in text or ":" in text or "earer " in words or "asic " in words:
            return without_secrets(text)
        return without_secrets(text) if len(text) >= LONG and ("eyj" in words or "token " in words) else text

    def _dataclass(self, value: Any, rules: Rules) -> Any:
        """Mostly it only looks at the types of a few fields."""
        changed: dict[str, Any] | None = None
        for name, hidden, guessable in rules:
            inner = getattr(value, name)
            if hidden:
                clean = self._hidden(inner, guessable)
            else:
                kind = type(inner)
                if kind is str:
                    clean = self._text(inner)
                elif kind in _PLAIN:
                    continue
                else:
                    clean = self._clean(inner)
            if clean is not inner:
                changed = changed or {}
                changed[name] = clean
        return self._object(value, {**_fields(value), **changed}) if changed else value

    def _tokens(self, tokens: Tokens) -> Any:
        return self._object(
            tokens, {**_fields(tokens), "access": self._print(tokens.access), "refresh": self._print(tokens.refresh)}
        )

    def _print(self, token: str | None) -> str | None:
        if token is None or is_hidden(token):
            return token
        return self._remember(token, fingerprint(token))

    def _hidden(self, value: Any, guessable: bool = False) -> Any:
        """Everything inside, hidden."""
        if isinstance(value, bytes | bytearray):
            value = value.decode("latin-1")
        if isinstance(value, str):
            return self._remember(value, in_place_of(value, guessable)) if value and not is_hidden(value) else value
        if guessable and isinstance(value, int | float) and not isinstance(value, bool):
            return HIDDEN
        if isinstance(value, Mapping):
            return {key: self._hidden(inner, guessable or is_guessable(name_of(key))) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and not _is_named(value):
            return type(value)(self._hidden(inner, guessable) for inner in value)
        return self._clean(value)

    def _remember(self, secret: str, shown: str) -> str:
        if len(secret) >= SHORTEST and secret not in self._known:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[secret] = shown
            self._shortest = min(self._shortest, len(secret))
        return shown

    def _named(self, key: object, value: Any) -> Any:
        name = name_of(key)
        return self._hidden(value, is_guessable(name)) if is_secret(name) else self._clean(value)

    def _object(self, value: Any, fields: dict[str, Any]) -> Any:
        """`value` itself, or a copy with these fields, made without its constructor."""
        if all(inner is getattr(value, name) for name, inner in fields.items()):
            return value
        copy = object.__new__(type(value))
        for name, inner in fields.items():
            object.__setattr__(copy, name, inner)
        return copy

    def _mapping(self, value: Mapping[Any, Any]) -> Mapping[Any, Any]:
        clean = {self._clean(key): self._named(key, inner) for key, inner in value.items()}
        return value if _same(clean.values(), value.values()) and _same(clean, value) else clean

    def _collection(self, value: Any) -> Any:
        if _is_named(value):
            clean = [self._named(name, inner) for name, inner in zip(value._fields, value, strict=True)]
        else:
            clean = [self._pair(inner) if _is_pair(inner) else self._clean(inner) for inner in value]
        if _same(clean, value):
            return value
        return type(value)(*clean) if _is_named(value) else type(value)(clean)

    def _pair(self, pair: Any) -> Any:
        """A name and its value, in a list of headers or of a form's fields."""
        name, value = pair
        clean = self._clean(name), self._named(name, value)
        return pair if _same(clean, pair) else type(pair)(clean)

    def _error(self, error: BaseException) -> BaseException:
        """A copy without its traceback, whose frames hold what they held, and without what others hung on to it."""
        args = tuple(self._clean(arg) for arg in error.args)
        copy = type(error).__new__(type(error), *args)
        copy.args = args
        if isinstance(error, RxAuthError):
            copy.__dict__.update({name: self._named(name, value) for name, value in vars(error).items()})
        return copy

    def _other(self, value: Any) -> Any:
        if isinstance(value, str):  # a subclass
            return self._text(str(value))
        if isinstance(value, bytes | bytearray):
            text = bytes(value).decode("latin-1")
            return value if (clean := self._text(text)) == text else clean
        if isinstance(value, Opaque) or type(value).__module__.partition(".")[0] in _DATA:
            return value
        return httpx.Response(value.status_code) if _is_response(value) else _opaque(value)


@lru_cache(maxsize=1024)  # classes come and go in a notebook
def _rules(kind: type[Any]) -> Rules | None:
    """How the fields of a dataclass are recorded; None for any other class, and for those with rules of their own."""
    if not dataclasses.is_dataclass(kind) or issubclass(kind, Tokens | BaseException | enum.Enum | type):
        return None
    fields = dataclasses.fields(kind)
    return tuple((field.name, not field.repr or is_secret(field.name), is_guessable(field.name)) for field in fields)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _opaque(value: Any) -> Opaque:
    return Opaque(f"{type(value).__module__}:{type(value).__qualname__}")


def _is_response(value: Any) -> bool:
    """An HTTP response, of httpx or httpx2."""
    return hasattr(value, "status_code") and hasattr(value, "headers")


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _is_pair(value: Any) -> bool:
    return type(value) in _PAIRS and len(value) == 2 and isinstance(value[0], str | bytes)


def _same(ours: Any, theirs: Any) -> bool:
    return all(one is other for one, other in zip(ours, theirs, strict=True))
