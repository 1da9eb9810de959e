"""Which names say that what stands beside them is a secret: of fields, keys, headers and parameters."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

#: Stands for a secret that could be guessed from its fingerprint.
HIDDEN = "***"
#: A secret of at least this length is a token's, and its fingerprint says nothing but "the same" or "another".
UNGUESSABLE = 20

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
#: What somebody chose or has to type: guessed from a fingerprint, so nothing of it is shown.
_GUESSABLE = frozenset({"password", "passwd", "passphrase", "passcode", "pwd", "pin", "otp", "secret"})
_SECRET_WORDS = _GUESSABLE | {"token", "tokens", "authorization", "cookie", "credential", "credentials", "assertion"}
_SECRET_NAMES = frozenset({"access", "refresh", "jwt", "bearer", "code_verifier"})
#: What a name ends with, without its capitals, digits and dashes: for those who write `accesstoken` or `passPhrase`.
_GUESSABLE_ENDS = ("password", "passwd", "passphrase", "passcode", "userpass", "clientsecret")
_SECRET_ENDS = (*_GUESSABLE_ENDS, "token", "apikey", "secretkey", "privatekey", "sessionid")
#: These tell about a token, and hold none.
_ABOUT = frozenset({"type", "hint", "expires", "expiry", "lifetime", "count", "max"})


@lru_cache(maxsize=4096)  # the keys of a user's mappings, and the names in his texts, have no end
def is_secret(name: object) -> bool:
    """Does a field of this name hold a secret?"""
    words = words_of(name)
    if is_guessable(name):
        return True
    if not _ABOUT.isdisjoint(words):
        return False
    known = not _SECRET_WORDS.isdisjoint(words) or "_".join(words) in _SECRET_NAMES
    return known or _letters(words).endswith(_SECRET_ENDS)


@lru_cache(maxsize=4096)
def is_guessable(name: object) -> bool:
    """Does it hold what somebody chose, so that not even a fingerprint of it may be shown?"""
    words = words_of(name)
    return not _GUESSABLE.isdisjoint(words) or _letters(words).endswith(_GUESSABLE_ENDS)


def name_of(key: object) -> object:
    """A key as it is compared: the headers of ASGI, and the forms of some servers, are bytes."""
    return key.decode("latin-1") if isinstance(key, bytes) else key


def words_of(name: object) -> tuple[str, ...]:
    """The words of a name in any of the usual spellings, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(name)) if isinstance(name, str) else ()


def in_place_of(secret: str, guessable: bool) -> str:
    """What stands for a secret."""
    return HIDDEN if guessable or len(secret) < UNGUESSABLE else fingerprint(secret)


def is_hidden(text: str) -> bool:
    """Does this stand for a secret already?"""
    return text == HIDDEN or re.fullmatch(r"#[0-9a-f]{8}", text) is not None


def _letters(words: tuple[str, ...]) -> str:
    return "".join(word for word in words if not word.isdigit())


def fingerprint(secret: str) -> str:
    """A short name for a secret: the same for the same secret, and of no use to anybody else."""
    return "#" + hashlib.sha256(secret.encode()).hexdigest()[:8]
