"""How the tests run a notebook, and what they read in it.

nbformat and what builds on it are imported where they are used: that takes seconds, in each test process.
"""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kernels import sockets

#: How long one cell may take on a busy machine, in seconds.
PATIENCE = 240
NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))

# What is lost in a notebook is in no cell and in no log: an exception in a scheduler's callback, in a task that nobody
# awaits, in a thread. A kernel goes on, and so would a test that only runs the cells. These two cells catch them.
_WATCH = """
import asyncio as _asyncio, logging as _logging, threading as _threading

_lost = []


class _Watch(_logging.Handler):
    def emit(self, record):
        if record.levelno >= _logging.ERROR:  # where a store reports what nobody else hears of
            _lost.append(f"log: {record.getMessage()}")
        if not _logging.getLogger().handlers:
            _logging.lastResort.handle(record)  # a user sees it, who has no handler either


_asyncio.get_running_loop().set_exception_handler(
    lambda loop, context: _lost.append(f"loop: {context['message']}: {context.get('exception')!r}")
)
_threading.excepthook = lambda failed: _lost.append(f"thread: {failed.exc_value!r}")
_logging.getLogger("rxauth").addHandler(_Watch(_logging.WARNING))
"""
_COLLECT = """
import gc as _gc

_gc.collect()  # a task that failed is reported when it is deleted
await _asyncio.sleep(0.05)
assert not _lost, "lost: " + "; ".join(_lost)
"""


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def run(notebook: Any) -> Any:
    """The notebook, run top to bottom under the guard, with its new outputs. Raises when a cell fails or loses one."""
    import nbformat
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell
    from traitlets.config import Config

    guarded = nbformat.from_dict(notebook)
    guarded.cells = [new_code_cell(_WATCH), *notebook.cells, new_code_cell(_COLLECT)]
    folder = {"metadata": {"path": str(Path(__file__).parents[3] / "notebooks")}}
    with sockets() as where:
        NotebookClient(
            guarded,
            timeout=PATIENCE,
            kernel_name="python3",
            resources=folder,
            coalesce_streams=True,
            config=Config(KernelManager=where),
        ).execute()
    guarded.cells = guarded.cells[1:-1]
    return guarded


def of_cells(*sources: str) -> Any:
    """A notebook of these cells."""
    from nbformat.v4 import new_code_cell, new_notebook

    return new_notebook(cells=[new_code_cell(source) for source in sources])


def shown(notebook: Any) -> str:
    """All that the cells have printed or shown."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts += [str(output.get("text", "")), *map(str, output.get("data", {}).values())]
            texts += output.get("traceback", [])
    return "\n".join(texts)


@dataclass(frozen=True)
class Totals:
    """How many calls, or values of a stream, there were in a cell, and what became of them."""

    every: int
    answered: int
    failed: int


def compared(notebook: Any) -> list[tuple[Totals, Totals]]:
    """For each picture of calls: what its own cell printed of their results (or the last cell that did), and what the
    picture says."""
    found: list[tuple[Totals, Totals]] = []
    results: Totals | None = None
    for cell in notebook.cells:
        results = _results(shown(of_outputs(cell))) or results
        for alt in re.findall(r'<img alt="([^"]*)"', "\n".join(html_outputs(of_outputs(cell)))):
            told = _told(alt)
            if told is not None and results is not None:
                found.append((results, told))
                results = None
    return found


def of_outputs(cell: Any) -> Any:
    """A notebook of this cell alone."""
    import nbformat

    return nbformat.from_dict({"cells": [cell]})


def _results(text: str) -> Totals | None:
    """What a `Counter` of results, the server's `Counts` or a list of statuses says."""
    counter = re.search(r"Counter\(({.*?})\)", text)
    counts = re.search(r"Counts\(calls=(\d+), answers=(\d+)", text)
    statuses = re.search(r"^(\[\d{3}(?:, \d{3})*\])", text, re.MULTILINE)
    if counter is not None:
        number: dict[Any, int] = ast.literal_eval(counter[1])
        answered = sum(many for result, many in number.items() if isinstance(result, int) and result < 400)
        return Totals(sum(number.values()), answered, sum(number.values()) - answered)
    if counts is not None:
        return Totals(int(counts[1]), int(counts[2]), int(counts[1]) - int(counts[2]))
    if statuses is not None:
        numbers = ast.literal_eval(statuses[1])
        answered = sum(status < 400 for status in numbers)
        return Totals(len(numbers), answered, len(numbers) - answered)
    return None


def _told(alt: str) -> Totals | None:
    """What the picture's sentence says of the calls, without those that only wanted tokens or left before their end; of
    a naive client's stream of answers, its values."""
    number = {
        word: int(many) for many, word in re.findall(r"(\d+) (calls?|answered|failed|got tokens|cancelled)\b", alt)
    }
    every = number.get("calls", number.get("call"))
    if every is not None:
        every -= number.get("got tokens", 0) + number.get("cancelled", 0)
        return Totals(every, number.get("answered", 0), number["failed"])
    answers = re.search(r"answers brought (\d+) values", alt)
    return Totals(int(answers[1]), int(answers[1]), 0) if answers is not None else None


def html_outputs(notebook: Any) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                yield output.data["text/html"]


def svgs(text: str) -> list[str]:
    """The pictures in a page or an output: the text of each SVG."""
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text)]


def secrets_in(text: str) -> list[str]:
    """Tokens, and paths of the machine it ran on; also within the pictures."""
    everything = "\n".join([text, *svgs(text)])
    found = re.findall(r"eyJ[\w-]{8,}|refresh-(?!-)[\w-]{20,}|(?:/home|/root|/tmp|/Users)/\S*", everything)
    return found + [path for path in {str(Path.cwd()), str(Path(__file__).parents[3])} if path in everything]
