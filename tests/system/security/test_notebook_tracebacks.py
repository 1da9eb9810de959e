"""A notebook whose cells fail in every way, with `%xmode Verbose`: no secret in anything that it shows or logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kernels import sockets
from tests.system.security.failing_cells import CELLS
from tests.system.security.security_kit import ANSI, PREAMBLE, Secrets

ROOT = Path(__file__).parents[3]

SETUP = f"""
%xmode Verbose
import logging
logging.basicConfig()
for name in ("rxauth", "httpx", "httpcore", "asyncio"):
    logging.getLogger(name).setLevel(logging.DEBUG)
{PREAMBLE}
from tests.system.security.security_kit import Desk
desk = Desk()
"""

#: A cell that shows one, to see that it would be found.
LEAK = "from tests.system.security.leaky import hold\nhold(desk.session().auth.tokens.refresh)"

#: Cells that do not fail, and show what they end with.
SHOWN = {
    "session": "desk.session()",
    "state": "desk.session().auth",
    "tokens": "desk.session().auth.tokens",
    "list": "[desk.session().auth.tokens, {'now': desk.session().auth}]",
    "inspected": "session = desk.session()\n%whos",
}


def shown_by(cell: Any) -> str:
    """All that a cell printed, displayed or raised."""
    texts: list[str] = []
    for output in cell.get("outputs", []):
        texts += [str(output.get("text", "")), *map(str, output.get("data", {}).values()), output.get("evalue", "")]
        texts += output.get("traceback", [])
    return ANSI.sub("", "\n".join(texts))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_no_cell_of_a_real_notebook_shows_a_secret(tmp_path: Path) -> None:
    import nbformat  # here, because it takes seconds in each test process
    from nbclient import NotebookClient
    from traitlets.config import Config

    kept = tmp_path / "secrets.json"
    codes = [SETUP, *(cell.code for cell in CELLS.values()), *SHOWN.values(), LEAK, f"desk.save({str(kept)!r})"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    how = {"timeout": 240, "kernel_name": "python3", "allow_errors": True, "resources": {"metadata": {"path": ROOT}}}
    with sockets() as where:
        NotebookClient(notebook, **how, config=Config(KernelManager=where)).execute()
    secrets = Secrets(*json.loads(kept.read_text()))
    assert len(secrets.known) > 50
    raised = [[output["ename"] for output in cell.outputs if output.output_type == "error"] for cell in notebook.cells]
    assert raised == [[], *([cell.raises] for cell in CELLS.values()), *([] for _ in SHOWN), ["ValueError"], []]
    leaks = {cell.source: secrets.in_text(shown_by(cell)) for cell in notebook.cells}
    assert [source for source, found in leaks.items() if found] == [LEAK]
