"""How the tests reach the kernels that they start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sockets() -> Iterator[dict[str, str]]:
    """Settings of a KernelManager: sockets in a folder. Ports are chosen here and bound there, and somebody else may be
    quicker."""
    with tempfile.TemporaryDirectory(prefix="rxauth-") as folder:
        yield {"transport": "ipc", "ip": f"{folder}/socket", "connection_file": f"{folder}/kernel.json"}
