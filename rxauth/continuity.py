"""Which sign-ins count as the present one: itself, and those of the same account whose place it took."""

from __future__ import annotations

from typing import Final

#: How many earlier names of the present sign-in are remembered.
_REMEMBERED: Final = 32


class Continuity:
    """The names of the present sign-in.

    A sign-in that takes the place of one of the same account goes on as that one: what began under it continues. The
    same holds for the name that a sign-in has while its storage is being read.
    """

    def __init__(self) -> None:
        #: One tuple, so that a thread without the lock sees all of it or nothing.
        self._names: tuple[str, tuple[str, ...]] = ("", ())

    def follow(self, before: str, present: str) -> None:
        """`present` goes on as `before`, and as what that one went on as."""
        name, earlier = self._names
        known = (*earlier, before) if name in (before, present) else (before,)
        self._names = present, known[-_REMEMBERED:]

    def counts(self, began: str, present: str) -> bool:
        """Is `began` the sign-in `present`, or one that it goes on as?"""
        name, earlier = self._names
        return began == present or (name == present and began in earlier)
