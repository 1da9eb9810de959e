"""Every Python snippet of the README and of the docs runs, in its order, against a server on loopback."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rxauth import NotSignedIn
from rxauth.testing import TokenServer

ROOT = Path(__file__).parent.parent
#: A Redis that a document names.
REDIS = "redis://localhost:6379/0"

#: Pages of tables and pictures alone have nothing to run.
DOCUMENTS = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if "```python" in page.read_text()
]


def snippets(document: Path) -> list[tuple[int, str]]:
    """(line, code) of each ```python block."""
    text = document.read_text()
    return [
        (text.count("\n", 0, found.start()) + 2, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def run(document: Path, places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the document has defined when all its snippets have run; `places` are URLs to call instead."""
    module = types.ModuleType("a_document")
    monkeypatch.setitem(sys.modules, "a_document", module)  # where dataclasses look

    async def all_snippets() -> None:
        for line, code in snippets(document):
            source = "\n" * (line - 1) + code
            for named, real in places.items():
                source = source.replace(named, real)
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            result = eval(compile(source, str(document), "exec", flags, dont_inherit=True), vars(module))
            if inspect.iscoroutine(result):
                await asyncio.wait_for(result, 30)

    asyncio.run(all_snippets())
    return vars(module)


def secret_store() -> Any:
    """One for the package keyring, in memory."""
    backend = pytest.importorskip("keyring.backend", reason="needs the package keyring: pip install 'rxauth[keyring]'")

    class Passwords(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = -1  # keyring finds every class that there is
        kept: ClassVar[dict[tuple[str, str], str]] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

    return Passwords()


@contextmanager
def services(document: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[dict[str, str]]:
    """What its snippets need: a folder, a server, and a Redis and a secret store where they are named."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    text = document.read_text()
    if "KeyringStorage(" in text:
        monkeypatch.setattr("keyring.get_keyring", secret_store)
    with ExitStack() as stack:
        places = {"https://api.example.com": stack.enter_context(TokenServer()).url}
        if REDIS in text:
            from tests.storage.redis_kit import serve

            places[REDIS] = stack.enter_context(contextmanager(serve)()).url
        yield places


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_snippets_run(document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert snippets(document)
    with services(document, monkeypatch, tmp_path) as places:
        names = run(document, places, monkeypatch)
    if document.name == "origin.md":
        assert "profile, loaded with a token" in names["profile"]
        assert names["answer"] == {"message": "four"}
        assert "four" in names["store"].state.echoes
        assert names["loaded"][0]["message"].startswith("things for ")
    if document.name == "storage.md":
        with pytest.raises(NotSignedIn):
            names["worker"].fresh().run()
        assert names["session"].auth.status == "signed_in"


def test_the_kind_of_your_own_keeps_its_promises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The storage that the document writes passes the suite that it recommends."""
    document = ROOT / "docs" / "storage.md"
    with services(document, monkeypatch, tmp_path) as places:
        suite = run(document, places, monkeypatch)["TestSqliteStorage"]
    tests = [name for name in dir(suite) if name.startswith("test_")]
    assert len(tests) > 15
    for number, name in enumerate(tests):
        case = suite()
        case.path = tmp_path / f"{number}.db"
        getattr(case, name)()


def test_links_and_named_files_exist() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
