"""Values without their secrets, for what is recorded, shown and saved."""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

import httpx

from rxauth.errors import RxAuthError
from rxauth.tokens import Tokens, fingerprint

#: Stands for a secret that could be guessed from its fingerprint.
HIDDEN = "***"
#: A secret of at least this length is a token's, and its fingerprint says nothing but "the same" or "another".
UNGUESSABLE = 20
#: How many secrets that passed are looked for in texts; older ones are forgotten.
REMEMBERED = 64
#: A shorter secret is hidden where it stands, but not looked for elsewhere: it would be found in every other word.
SHORTEST = 6

_PLAIN = frozenset({bool, int, float, complex, type(None)})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
#: What somebody chose or has to type: guessed from a fingerprint, so nothing of it is shown.
_GUESSABLE = frozenset({"password", "passwd", "passphrase", "passcode", "pwd", "pin", "otp", "secret"})
_SECRET_WORDS = _GUESSABLE | {"token", "tokens", "authorization", "cookie", "credential", "credentials", "assertion"}
_SECRET_NAMES = frozenset({"access", "refresh", "api_key", "apikey", "jwt", "bearer", "code_verifier"})
#: The fields of a dataclass: its name, whether it is hidden, and whether it could be guessed from a fingerprint.
Rules: TypeAlias = tuple[tuple[str, bool, bool], ...]

_DATA = frozenset({"datetime", "decimal", "uuid", "fractions", "pathlib"})
_IN_TEXT = re.compile(r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|(?<=Bearer )[^\s#\"']+|(?<=Basic )[^\s#\"']+")


@dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for something that can not be looked into; `kind` is its class."""

    kind: str


class Redactor:
    """Replaces secrets by their fingerprints: tokens, what stands in fields with telling names or with `repr=False`,
    JWTs and bearer tokens in texts, and those secrets again wherever else they turn up.

    A value without a secret is returned as it is. An HTTP response is reduced to its status. Not for several threads
    at once.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._shortest: float = math.inf

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
        if "eyJ" in text or "Bearer " in text or "Basic " in text:
            text = _IN_TEXT.sub(lambda found: fingerprint(found.group()), text)
        return text

    def _dataclass(self, value: Any, rules: Rules) -> Any:
        """Mostly it only looks at the types of a few fields."""
        changed: dict[str, Any] | None = None
        for name, hidden, guessable in rules:
            inner = getattr(value, name)
            if hidden:
                clean = self._hidden(inner, guessable)
            else:
                kind = type(inner)
                if kind in _PLAIN:
                    continue
                clean = self._text(inner) if kind is str else self._clean(inner)
            if clean is not inner:
                changed = changed or {}
                changed[name] = clean
        return self._object(value, {**_fields(value), **changed}) if changed else value

    def _tokens(self, tokens: Tokens) -> Any:
        return self._object(
            tokens, {**_fields(tokens), "access": self._print(tokens.access), "refresh": self._print(tokens.refresh)}
        )

    def _print(self, token: str | None) -> str | None:
        if token is None or _is_hidden(token):
            return token
        return self._remember(token, fingerprint(token))

    def _hidden(self, value: Any, guessable: bool = False) -> Any:
        """Everything inside, hidden."""
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str):
            return self._secret(value, guessable) if value and not _is_hidden(value) else value
        if guessable and isinstance(value, int | float) and not isinstance(value, bool):
            return HIDDEN
        if isinstance(value, Mapping):
            return {key: self._hidden(inner, guessable or _is_guessable(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and not _is_named(value):
            return type(value)(self._hidden(inner, guessable) for inner in value)
        return self._clean(value)

    def _secret(self, text: str, guessable: bool) -> str:
        return self._remember(text, HIDDEN if guessable or len(text) < UNGUESSABLE else fingerprint(text))

    def _remember(self, secret: str, shown: str) -> str:
        if len(secret) >= SHORTEST and secret not in self._known:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[secret] = shown
            self._shortest = min(self._shortest, len(secret))
        return shown

    def _named(self, name: object, value: Any) -> Any:
        return self._hidden(value, _is_guessable(name)) if _is_secret(name) else self._clean(value)

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
        clean = [self._clean(inner) for inner in value]
        if _same(clean, value):
            return value
        return type(value)(*clean) if _is_named(value) else type(value)(clean)

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
    return tuple((field.name, not field.repr or _is_secret(field.name), _is_guessable(field.name)) for field in fields)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _opaque(value: Any) -> Opaque:
    return Opaque(f"{type(value).__module__}:{type(value).__qualname__}")


def _is_response(value: Any) -> bool:
    """An HTTP response, of httpx or httpx2."""
    return hasattr(value, "status_code") and hasattr(value, "headers")


@cache
def _is_secret(name: object) -> bool:
    """Does a field of this name hold a secret?"""
    words = _words(name)
    return not _SECRET_WORDS.isdisjoint(words) or "_".join(words) in _SECRET_NAMES


@cache
def _is_guessable(name: object) -> bool:
    return not _GUESSABLE.isdisjoint(_words(name))


def _words(name: object) -> tuple[str, ...]:
    """The words of a name in any of the usual spellings, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(name)) if isinstance(name, str) else ()


def _is_hidden(text: str) -> bool:
    return text == HIDDEN or re.fullmatch(r"#[0-9a-f]{8}", text) is not None


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _same(ours: Any, theirs: Any) -> bool:
    return all(one is other for one, other in zip(ours, theirs, strict=True))
