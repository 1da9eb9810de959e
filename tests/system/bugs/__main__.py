"""`python -m tests.system.bugs`: write into each patch the first seed that shows it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tests.system.bugs.test_bugs import PATCHES, find


def main() -> None:
    for patch in PATCHES:
        with tempfile.TemporaryDirectory() as copy:
            found = find(patch, Path(copy))
        seed = re.match(r"seed (\d+): ", found)
        print(f"{patch.stem}: {found.splitlines()[0]}", flush=True)
        what, *rest = [line for line in patch.read_text().splitlines(keepends=True) if not line.startswith("# Seed ")]
        patch.write_text("".join([what, *([f"# Seed {seed[1]} shows it.\n"] if seed else []), *rest]))


if __name__ == "__main__":
    main()
