"""Texts without the secrets that stand in them: in URLs, forms, JSON and headers, and what looks like a token."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from rxauth.redaction.names import UNGUESSABLE, fingerprint, in_place_of, is_guessable, is_hidden, is_secret

#: Where a secret begins and ends in a text, and what stands there instead.
Place: TypeAlias = tuple[int, int, str]

#: A shorter text holds no JWT, nor a scheme in an unusual spelling with a token behind it.
LONG = 24

_NAME = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]{1,64}+)[\\"'\]]*+\s*+(?P<sign>=(?![=>])|:|%3[Dd])\s*+""")
#: To the same quote, which has backslashes before it where JSON stands in JSON; b is for bytes in a repr.
_QUOTED = re.compile(r"""b?(?P<quote>\\{0,7}+["'])(?P<value>(?:(?!(?P=quote))(?:\\.|.))++)""", re.DOTALL)
_ANYTHING = re.compile(r"""(?P<value>[^\s&;"'<>,}\]][^\s&;"'<>]*+)""")
#: Not `Tokens(access=...)`: what is in there has names of its own.
_TOKEN = re.compile(r"(?![A-Za-z_.]+\()(?P<value>[\w.~+/=%:|$@!*-]++)")
_NUMBER = re.compile(r"(?P<value>-?\d[\d.]*+)")
_HEADER = re.compile(r"""(?:[A-Za-z]++\ ++(?=[^\s"'\\]))?(?P<value>[^\r\n"'\\]++)""")
_HEADERS = frozenset({"authorization", "cookie"})
#: Ordinary words as well: what stands beside them is a secret only if it is as long as one.
_VAGUE = frozenset({"access", "refresh", "bearer", "tokens"})
_NOTHING = frozenset({"none", "null", "true", "false"})
#: An authorization code (RFC 6749 section 4.1.2), and not the code of an error or of a country.
_CODE = re.compile(r"(?=\S*?[a-z])(?=\S*?\d)\S{10,}")

#: Every telling name has one of these in it.
_PARTS = (
    *("token", "pass", "secret", "access", "refresh", "code", "key", "auth", "cookie", "session", "pwd", "pin", "otp"),
    *("jwt", "bearer", "credential", "assertion"),
)

#: A scheme may be written in any case (RFC 9110 section 11.1).
_SHAPE = re.compile(
    r"eyJ[\w-]{4,}+(?:\.[\w-]+\.[\w-]*)?"  # also without the rest, so that no text is gone through more than once
    r"|(?<![A-Za-z])(?P<scheme>(?i:bearer|basic|token)) ++(?P<credentials>[^\s#\"'*][^\s#\"']*)"
)


def without_secrets(text: str) -> str:
    """The text, in which the values of parameters and headers with telling names, JWTs, and what stands behind
    `Bearer`, `Basic` and `Token` are replaced. Prose stays as it is.
    """
    lower = text.lower()
    if ("=" in text or ":" in text) and _has_name(lower):
        text = _replaced(text, _parameters(text))
    if "eyJ" in text or "bearer " in lower or "basic " in lower or "token " in lower:
        text = _replaced(text, _tokens(text))
    return text


def _has_name(lower: str) -> bool:
    """Quicker than to look at every parameter."""
    for part in _PARTS:  # noqa: SIM110  # quicker than any()
        if part in lower:
            return True
    return False


def _replaced(text: str, places: Iterable[Place]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop, instead in places:
        parts += text[end:start], instead
        end = stop
    return "".join((*parts, text[end:])) if parts else text


def _parameters(text: str) -> Iterator[Place]:
    end = 0
    for found in _NAME.finditer(text):
        name = found["name"]
        if found.start() < end or not (name == "code" or is_secret(name)):
            continue
        value = _value(text, found)
        if value is not None and _is_telling(name, value["value"]):
            start, end = value.span("value")
            yield start, end, in_place_of(value["value"], is_guessable(name))


def _value(text: str, found: re.Match[str]) -> re.Match[str] | None:
    """What stands beside a name: in quotes; else, behind an `=`, one word; of a header the line; in JSON a number."""
    name, at = found["name"], found.end()
    if quoted := _QUOTED.match(text, at):
        return quoted
    if found["sign"] != ":":
        return (_ANYTHING if is_guessable(name) else _TOKEN).match(text, at)
    in_a_path = text[max(0, found.start() - 1) : found.start()] == "/"  # https://.../refresh-token: connection refused
    if found.end("name") == found.start("sign") and _is_header(name) and not in_a_path:
        return _HEADER.match(text, at)
    in_quotes = text[found.end("name")] in "\\\"'"
    return _NUMBER.match(text, at) if in_quotes and is_guessable(name) else None


def _is_header(name: str) -> bool:
    """Without quotes `password: ` is mostly prose, while `X-Api-Key: ` is not."""
    return "-" in name or name.lower() in _HEADERS


def _is_telling(name: str, value: str) -> bool:
    if is_hidden(value) or value.rstrip(",)").lower() in _NOTHING:
        return False
    if name == "code":
        return _CODE.fullmatch(value) is not None
    return name.lower() not in _VAGUE or len(value) >= UNGUESSABLE


def _tokens(text: str) -> Iterator[Place]:
    at = 0
    while found := _SHAPE.search(text, at):
        start, at = found.span("credentials" if found["scheme"] else 0)
        word = found["credentials"] or found.group()
        if _are_credentials(found["scheme"], word):
            yield start, at, fingerprint(word)
        elif found["scheme"]:
            at = start  # the word may be a JWT, or a scheme itself


def _are_credentials(scheme: str | None, word: str) -> bool:
    """And not a word of prose, as in "Basic English", "token bucket" and "the bearer of this"."""
    if scheme is None:
        return "." in word
    if scheme == "Bearer":
        return True
    has_digit = any(char.isdigit() for char in word)
    if len(word) >= UNGUESSABLE and has_digit:
        return True
    match scheme.lower():
        case "bearer":
            return has_digit or len(word) >= UNGUESSABLE
        case "basic":
            return _is_user_and_password(word)
    return False


def _is_user_and_password(word: str) -> bool:
    """RFC 7617 section 2: base64 of what has a colon in it."""
    try:
        return b":" in base64.b64decode(word[: len(word) // 4 * 4], validate=True)
    except ValueError:
        return False
