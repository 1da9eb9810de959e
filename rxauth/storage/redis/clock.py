"""Times that machines with different clocks share: what is stored counts on the Redis server's own."""

from __future__ import annotations

from dataclasses import replace

from rxauth.storage.protocol import Record

#: A difference of clocks below this many seconds counts as none, so that times come back as they were stored.
TOLERANCE = 0.1


class ServerClock:
    """How far the server's clock is ahead of this machine's, in seconds, as far as its answers prove."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def learn(self, sent: float, told: float, received: float) -> None:
        """The server said that it was `told` when it was between `sent` and `received` here."""
        low, high = told - received, told - sent
        ahead = low if low > 0 else high if high < 0 else 0.0
        self._ahead = ahead if abs(ahead) > TOLERANCE else 0.0

    def to_server(self, record: Record) -> Record:
        """The record, with its times on the server's clock."""
        return _moved(record, self._ahead)

    def from_server(self, record: Record) -> Record:
        """The record, with its times on this machine's clock, as a session counts."""
        return _moved(record, -self._ahead)


def _moved(record: Record, by: float) -> Record:
    if by == 0:
        return record
    tokens = record.tokens
    if tokens is not None:
        expires_at, refresh_expires_at = _plus(tokens.expires_at, by), _plus(tokens.refresh_expires_at, by)
        tokens = replace(tokens, expires_at=expires_at, refresh_expires_at=refresh_expires_at)
    return replace(record, tokens=tokens, spending=_plus(record.spending, by))


def _plus(moment: float | None, by: float) -> float | None:
    return None if moment is None else moment + by
