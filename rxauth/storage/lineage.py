"""Which pairs were here before: a pair that is given at every start must not take the place of the one it became.

A record remembers the fingerprints of the pairs that the sign-ins of its place began with, and of the last pairs that
were current. A fingerprint is the beginning of a plain SHA-256 without a salt: a refresh token has too much entropy for
anyone to find it by trying, and the record holds the current one in the clear anyway.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from rxauth.storage.protocol import Record
from rxauth.tokens.account import account_of
from rxauth.tokens.pair import Tokens

#: How many of each are remembered.
_REMEMBERED: Final = 8


def fingerprint(tokens: Tokens) -> str:
    """What a pair is known by: its refresh token, or its access token if that is all it has."""
    return hashlib.sha256((tokens.refresh or tokens.access).encode()).hexdigest()[:12]


def knows(record: Record, tokens: Tokens) -> bool:
    """Is this pair the current one of the record, or one that it took the place of? Then it is not to be posted."""
    name = fingerprint(tokens)
    return name in record.origins or name in record.recent or _current(record) == name


def began_with(record: Record, tokens: Tokens) -> bool:
    """Did the record's sign-in begin with this pair?"""
    return record.origins[:1] == (fingerprint(tokens),)


def is_of_another_account(record: Record, tokens: Tokens) -> bool:
    """Are the users of both known, and two? Not where one came from the other."""
    account = account_of(tokens)
    return not began_with(record, tokens) and "" not in (account, record.account) and account != record.account


def brings_back(record: Record, ours: Record) -> bool:
    """Is this another sign-in, with a pair that is spent, and that ours came from? It began in a storage that has lost
    ours."""
    if record.tokens is None or ours.tokens is None or record.sign_in == ours.sign_in or knows(record, ours.tokens):
        return False
    name = fingerprint(record.tokens)
    return name in ours.recent and name != _current(ours)


def remembering(record: Record, spent: Tokens) -> Record:
    """The record, which remembers that this pair was spent, too."""
    return record if knows(record, spent) else replace(record, recent=_behind(fingerprint(spent), record.recent))


def following(record: Record, before: Record | None) -> Record:
    """The record, which takes the place of `before`, with what that one remembers."""
    assert record.tokens is not None
    name = fingerprint(record.tokens)
    if before is None:
        return replace(record, origins=(name,), recent=(name,))
    current, origins = _current(before), before.origins
    recent = _in_front(current, before.recent)
    if before.sign_in != record.sign_in:
        if before.spending is None:
            recent, origins = _without(current, recent), _without(current, origins)  # it is whole, and may come back
        origins = _in_front(name, origins)
    return replace(record, origins=origins or (current or name,), recent=_in_front(name, recent))


def given_again(record: Record, tokens: Tokens | None) -> Record:
    """The record, which remembers longest the pair that was given last."""
    present, others = record.origins[:1], record.origins[1:]
    name = fingerprint(tokens) if tokens is not None else ""
    return replace(record, origins=(*present, *_in_front(name, others))) if name in others else record


def _current(record: Record) -> str:
    return fingerprint(record.tokens) if record.tokens is not None else ""


def _in_front(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return ((name, *_without(name, names)) if name else names)[:_REMEMBERED]


def _behind(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return (*names[:1], name, *names[1:])[:_REMEMBERED]


def _without(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
