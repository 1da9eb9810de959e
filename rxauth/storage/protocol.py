"""What a session asks of a token storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rxauth.tokens import Tokens

#: (sign_in, generation): which pair of whose.
Key: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """One stored pair, with the sign-in and the generation that it belongs to."""

    sign_in: str
    generation: int
    tokens: Tokens

    @property
    def key(self) -> Key:
        return self.sign_in, self.generation


class TokenStorage(Protocol):
    """A place for one record.

    A session calls these methods from threads of its own, never from an event loop, one at a time, and waits 2 s for
    each. They may raise anything: the session then goes on in memory and says so.
    """

    def load(self) -> Record | None:
        """The stored record, if there is one."""

    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and another pair is stored (compare-and-set)."""

    def clear(self, sign_in: str) -> None:
        """Remove the record if it is this sign-in's."""
