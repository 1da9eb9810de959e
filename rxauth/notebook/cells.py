"""One panel for each cell that shows one: what a cell made when it ran before is ended when it runs again."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

#: For each cell: the run that showed something last, and how that ends.
_shown: dict[str, tuple[str, list[Callable[[], None]]]] = {}


def replace_in_cell(shown: Any, end: Callable[[Any], None]) -> None:
    """End what this cell has shown in earlier runs, so that a cell that runs often does not leave a heap of recorders.

    `end` is called with `shown` when that is true of it. Hosts that do not name their cells are left alone.
    """
    cell, run = _running()
    if not cell:
        return
    before, ends = _shown.get(cell, ("", []))
    if before != run:
        for one in ends:
            one()
        ends = []
    reference = weakref.ref(shown)
    _shown[cell] = (run, [*ends, lambda: _end(reference, end)])


def _end(reference: weakref.ref[Any], end: Callable[[Any], None]) -> None:
    shown = reference()
    if shown is not None:
        end(shown)


def _running() -> tuple[str, str]:
    """The id of the cell that runs, and of the run; "" where a host does not say."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    if shell is None or not hasattr(shell, "get_parent"):
        return "", ""
    parent = shell.get_parent()
    return str(parent.get("metadata", {}).get("cellId") or ""), str(parent.get("header", {}).get("msg_id", ""))
