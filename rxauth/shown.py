"""What shows itself in a notebook's cell."""

from __future__ import annotations

from typing import Any


class Shown:
    """The base of what has a card in a notebook; in a terminal it is text. The card holds no secret."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from rxauth.notebook.cards import bundle  # the one import that goes down: when a notebook asks for it

        return bundle(self)
