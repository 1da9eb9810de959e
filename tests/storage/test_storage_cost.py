"""What `make bench-storage` measures: that each refresh was one, that a fresh call asks no storage, and the table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.storage import Cost, Quartiles, fresh_calls, refreshes, table
from rxauth.storage import MemoryStorage
from rxauth.storage.file import FileStorage


def test_every_kind_is_measured_in_the_same_run(tmp_path: Path) -> None:
    kinds = {"memory": MemoryStorage(), "file": FileStorage(tmp_path / "tokens")}
    bare, file = refreshes(kinds, count=2, rounds=3)
    assert (bare.kind, file.kind) == ("memory", "file")
    assert bare.extra.median == 0
    stored = FileStorage(tmp_path / "tokens").load()
    assert stored is not None
    assert stored.generation == 1 + 2 * (3 + 1), "each refresh was stored, those of the warm-up, too"


def test_a_fresh_call_asks_the_storage_for_nothing(tmp_path: Path) -> None:
    assert fresh_calls(FileStorage(tmp_path / "tokens"), 20) == 0


def test_the_table() -> None:
    milliseconds, extra, ratio = Quartiles(1.0, 2.0, 3.0), Quartiles(0.5, 1.25, 1.5), Quartiles(1.1, 2.0, 2.5)
    assert table(
        [Cost("memory", milliseconds, extra, ratio), Cost("a file", milliseconds, extra, ratio)]
    ).splitlines() == [
        "| storage | a refresh, in ms | more than bare, in ms | ratio |",
        "|---|---|---|---|",
        "| memory | 2.00 (1.00 to 3.00) | | |",
        "| a file | 2.00 (1.00 to 3.00) | 1.25 (0.50 to 1.50) | 2.00 (1.10 to 2.50) |",
    ]
