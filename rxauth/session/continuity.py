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
        #: Each goes on as the one before it. One tuple, so that a thread without the lock sees all of it or nothing.
        self._chain: tuple[str, ...] = ()

    def follow(self, before: str, present: str) -> None:
        """`present` goes on as `before`, and as what that one goes on as.

        Said before `present` is signed in: else there would be a moment in which `before` is over.
        """
        chain = self._chain
        kept = chain[: chain.index(before) + 1] if before in chain else (before,)
        self._chain = (*kept, present)[-_REMEMBERED:]

    def counts(self, began: str, present: str) -> bool:
        """Is `began` the sign-in `present`, or one that it goes on as?"""
        if began == present:
            return True
        chain = self._chain
        return began in chain and present in chain and chain.index(began) < chain.index(present)
