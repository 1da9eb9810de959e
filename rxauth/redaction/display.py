"""What shows itself in a notebook's cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Renderer = Callable[[object], dict[str, str]]


def _without_cards(value: object) -> dict[str, str]:
    return {"text/plain": repr(value)}


_render: Renderer = _without_cards


def show_with(renderer: Renderer) -> None:
    """Use `renderer` to make the MIME bundle of every `Shown`: the cards live above this package."""
    global _render
    _render = renderer


class Shown:
    """The base of what has a card in a notebook; in a terminal it is text. The card holds no secret."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return _render(self)
