"""Other clients in the storm. Not written yet: `make storm PEERS=1` says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.scenarios import Outcome


def measure(python: str, progress: Callable[[], None]) -> Iterator[tuple[str, list[Outcome]]]:
    raise NotImplementedError("the peers are not measured yet")
