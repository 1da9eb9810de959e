"""What users read and call passes `mypy --strict` and pyright: one run of each for everything."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.test_documents import DOCUMENTS, ROOT, snippets

PUBLIC = ROOT / "tests" / "typing" / "public.py"


def module_of(document: Path) -> str:
    """The document's snippets, in order, as one module with the document's line numbers.

    They stand in one async function, because they await at the top level, as in a notebook.
    """
    lines = ["async def document() -> None:", *[""] * document.read_text().count("\n")]
    for line, code in snippets(document):
        indented = textwrap.indent(code, "    ").splitlines()
        lines[line - 1 : line - 1 + len(indented)] = indented
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A module for each document."""
    folder = tmp_path_factory.mktemp("documents")
    paths = []
    for document in DOCUMENTS:
        path = folder / f"snippets_of_{document.stem.lower()}.py"
        path.write_text(module_of(document))
        paths.append(path)
    return paths


def test_snippets_pass_mypy_strict(modules: list[Path]) -> None:
    # `make check` runs mypy on public.py.
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_snippets_and_the_public_surface_pass_pyright(modules: list[Path]) -> None:
    # basedpyright is pyright in a wheel with its own node, so nothing is downloaded when the test runs.
    settings = modules[0].parent / "pyrightconfig.json"
    settings.write_text(
        json.dumps(
            {
                "typeCheckingMode": "standard",
                "pythonVersion": "3.11",
                "extraPaths": [str(ROOT)],
                "include": [*(path.name for path in modules), str(PUBLIC)],
            }
        )
    )
    checked = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--project", str(settings), "--pythonpath", sys.executable],
        cwd=settings.parent,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
