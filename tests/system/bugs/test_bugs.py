"""The simulation is only worth what it finds: each of these bugs, put into a copy of the library, is found by it.

A patch begins with a sentence that says what is wrong with the library once it is applied, and goes on with the seed
that shows it: one of the first 2,000, so that whoever tries those finds it. Where the simulation has changed since, it
may show it no more; then they are all tried, which takes longer. `python -m tests.system.bugs` finds the seeds anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PATCHES = sorted(HERE.glob("*.patch"))
SEEDS = 2_000
#: Says which library it imports, and runs the simulation.
PROGRAM = (
    "import rxauth, runpy; print(rxauth.__file__); runpy.run_module('tests.system.simulation', run_name='__main__')"
)


@pytest.mark.parametrize("bug", [patch.stem for patch in PATCHES])
def test_the_simulation_finds_the_bug(bug: str, tmp_path: Path) -> None:
    patch = HERE / f"{bug}.patch"
    known = re.search(r"^# Seed (\d+) shows it\.$", patch.read_text(), re.MULTILINE)
    assert known is None or int(known[1]) < SEEDS
    found = find(patch, tmp_path, None if known is None else int(known[1]))
    assert found.startswith("seed "), f"{bug} lives through {SEEDS} seeds: {found}"


def test_each_patch_says_what_is_wrong() -> None:
    for patch in PATCHES:
        first = patch.read_text().splitlines()[0]
        assert first.startswith("# "), patch.name
        assert first.endswith("."), patch.name


def find(patch: Path, copy: Path, known: int | None = None) -> str:
    """The first violation in a copy of the library with this bug, or that of the seed which is known to show it."""
    for folder in ("rxauth", "tests/system/simulation"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    _apply(patch, copy)
    said = "" if known is None else _simulate(copy, f"--first={known}", "--seeds=1")
    return said if said.startswith("seed ") else _simulate(copy, f"--seeds={SEEDS}")


def _simulate(copy: Path, *seeds: str) -> str:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, "--world=session", *seeds, "--until-violation", "--jobs=1"],
        cwd=copy,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    imported, _, said = told.stdout.partition("\n")
    assert Path(imported) == copy / "rxauth" / "__init__.py", told.stdout
    return said.removeprefix("session: ")


def _apply(patch: Path, copy: Path) -> None:
    """With git, which is wherever this repository is; it must not take the copy for a part of some other one."""
    told = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=copy,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, f"{patch.name} does not apply any more: {told.stderr}"
