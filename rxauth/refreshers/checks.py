"""What is wrong with a refresher's argument, said where it is made: later it would cost a refresh token."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from rxauth.refreshers.answers import Final


def as_final(final: Any) -> Final:
    """`final=` as statuses or as a function of the response. Raises TypeError for anything else."""
    if callable(final) and not inspect.iscoroutinefunction(final):
        return final  # type: ignore[no-any-return]  # whatever it returns
    statuses = () if final is None else (final,) if isinstance(final, int) else final
    is_plain = isinstance(statuses, Collection) and not isinstance(statuses, str | bytes)
    if not is_plain or not all(isinstance(status, int) and not isinstance(status, bool) for status in statuses):
        raise TypeError(f"final must be statuses (final=[401]) or a sync function of the response; got {final!r:.80}")
    return tuple(statuses)
