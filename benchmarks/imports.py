"""What importing rxauth costs, beside importing what it is made of, each in a new interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.measure import Row, race, row

TIMED = "import time; start = time.process_time(); {}; print(time.process_time() - start)"
STATEMENTS = {
    "rxauth": "import rxauth",
    "parts": "import reactivex, httpx, jwt",
}


def rows(quick: bool) -> list[Row]:
    for code in STATEMENTS.values():
        _spent(code)  # whose bytecode is there from now on
    times = race({name: lambda code=code: _spent(code) for name, code in STATEMENTS.items()}, 3 if quick else 15)  # type: ignore[misc]
    return [
        row("import rxauth / import reactivex, httpx, jwt", times["rxauth"], times["parts"], 1.15, scale=1e3, unit="ms")
    ]


def _spent(code: str) -> float:
    command = [sys.executable, "-c", TIMED.format(code)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
