"""Marble diagrams of a recording."""

from rxauth.notebook.marbles.diagram import Marbles, marbles

__all__ = [
    "Marbles",
    "marbles",
]
