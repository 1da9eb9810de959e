"""`make notebooks`: run them from top to bottom under the guard, and save what they show."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

from notebook_kit import NOTEBOOKS, read, run

#: A notebook is to be read by somebody who runs it: seconds.
PATIENCE = 60


def main(paths: list[str]) -> int:
    slow = False
    for path in map(Path, paths or NOTEBOOKS):
        began = time.monotonic()
        notebook = as_saved(run(read(path)))
        took = time.monotonic() - began
        nbformat.write(notebook, path)
        print(f"{path.name}: {took:.0f} s{' - too long' if took > PATIENCE else ''}", flush=True)
        slow |= took > PATIENCE
    return int(slow)


def as_saved(notebook: Any) -> Any:
    """The notebook with what is the same in every run: numbered cells, no times, no ports, and no widget without its
    kernel."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "text" in output:
                output.text = _without_port(output.text)
            for kind in {"text/plain", "text/html"} & set(output.get("data", {})):
                output.data[kind] = _without_port(output.data[kind])
    return notebook


def _without_port(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
