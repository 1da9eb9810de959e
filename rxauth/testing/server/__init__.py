"""A token server with rotation, reuse detection and faults on demand."""

from rxauth.testing.server.handler import Recorded
from rxauth.testing.server.rotation import Pair
from rxauth.testing.server.server import TokenServer

__all__ = [
    "Pair",
    "Recorded",
    "TokenServer",
]
