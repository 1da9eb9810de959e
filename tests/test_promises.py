"""`PROMISES.md` names tests that exist, and every check of `Bnn` that it should."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS / "PROMISES.md").read_text()


def existing() -> set[str]:
    """`file::test` of every test function."""
    return {
        f"{path.name}::{node.name}"
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py::\w+)`", TEXT))
    assert len(named) > 150
    assert named - existing() == set()


def test_what_the_threat_model_names_exists() -> None:
    text = (TESTS.parent / "SECURITY.md").read_text()
    named = set(re.findall(r"`(?:tests/\w+/)?(test_\w+)(?:\.py)?`", text))
    known = {test.partition("::")[2] for test in existing()} | {path.stem for path in TESTS.rglob("test_*.py")}
    assert len(named) > 15
    assert named - known == set()
    assert [folder for folder in re.findall(r"`(tests/\w+)`", text) if not (TESTS.parent / folder).is_dir()] == []


def test_no_two_files_have_one_name() -> None:
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert len(names) == len(set(names)), "a name in PROMISES.md would mean two files"


def test_every_promise_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("|") and not line.startswith(("|---", "| promise"))]
    assert [row for row in rows if "::" not in row] == []


def test_every_behaviour_of_the_list_is_mapped() -> None:
    expected = {*range(1, 7), *range(10, 19), *range(20, 29), *range(30, 38), *range(40, 44), *range(50, 55)}
    expected |= {60, 61, *range(70, 74), *range(80, 86), *range(90, 103)}
    found = {int(number) for number in re.findall(r"\bB(\d+)", TEXT)}
    assert expected - found == set()
