"""What a browser gets from the inspector's side in the kernel, without a browser."""

from __future__ import annotations

import json
from typing import Any

from events_kit import Stage

from rxauth.notebook.inspector import Inspection


class Browser:
    """What a view gets."""

    def __init__(self, stage: Stage, *, limit: int = 5000, source: Any = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.saved: list[dict[str, Any]] = []
        self.inspection = Inspection(source or stage.store, limit, self._take, self._save)

    def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(json.loads(json.dumps(message)))  # it has to be JSON

    def _save(self, picture: dict[str, Any]) -> None:
        self.saved.append(json.loads(json.dumps(picture)))

    def say(self, **message: Any) -> None:
        self.inspection.received(message)

    def hello(self, view: str = "one") -> None:
        self.say(type="hello", view=view)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def labels(self) -> list[str]:
        """Of all rows that came since the last snapshot."""
        start = max(n for n, message in enumerate(self.messages) if message["type"] == "snapshot")
        return [label for message in self.messages[start:] for label in row_labels(message)]

    def step(self, number: int) -> dict[str, Any]:
        self.say(type="select", number=number)
        return self.of("step")[-1]


def row_labels(message: dict[str, Any]) -> list[str]:
    if message["type"] not in ("snapshot", "batch"):
        return []
    return [message["kinds"][place][0] for place in message["rows"][::2]]
