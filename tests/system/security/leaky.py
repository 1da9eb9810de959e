"""What the library must not be: a function whose frame holds a secret when it fails."""

from __future__ import annotations


def hold(secret: object) -> None:
    raise ValueError("its argument is in the traceback")
