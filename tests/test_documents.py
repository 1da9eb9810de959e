"""Every Python snippet of the README and of the docs runs, in its order, against a server on loopback."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from rxauth.testing import TokenServer

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(document: Path) -> list[tuple[int, str]]:
    """(line, code) of each ```python block."""
    text = document.read_text()
    return [
        (text.count("\n", 0, found.start()) + 2, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def run(document: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the document has defined when all its snippets have run."""
    module = types.ModuleType("a_document")
    monkeypatch.setitem(sys.modules, "a_document", module)  # where dataclasses look

    async def all_snippets() -> None:
        for line, code in snippets(document):
            source = "\n" * (line - 1) + code.replace("https://api.example.com", url)
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            result = eval(compile(source, str(document), "exec", flags, dont_inherit=True), vars(module))
            if inspect.iscoroutine(result):
                await asyncio.wait_for(result, 30)

    asyncio.run(all_snippets())
    return vars(module)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_snippets_run(document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert snippets(document)
    with TokenServer() as server:
        names = run(document, server.url, monkeypatch)
    if document.name == "origin.md":
        assert "profile, loaded with a token" in names["profile"]
        assert names["answer"] == {"message": "four"}
        assert "four" in names["store"].state.echoes
        assert names["loaded"][0]["message"].startswith("things for ")


def test_links_and_named_files_exist() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
