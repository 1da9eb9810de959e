"""What callables and storages of a user's raise beyond `Exception`: exits, cancellations, panics of extensions."""

from __future__ import annotations

import asyncio
import random


class Panic(BaseException):
    """As pyo3's `PanicException`: of an extension that panicked."""


KINDS: tuple[type[BaseException], ...] = (
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    Panic,
    MemoryError,
    KeyError,
)


def anything(dice: random.Random) -> BaseException:
    """One of them, by chance."""
    return dice.choice(KINDS)("raised by chance")
