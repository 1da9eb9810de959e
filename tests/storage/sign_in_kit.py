"""A sign-in in a file: what is stored, and whether the server takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from rxauth.storage import Record
from rxauth.storage.file import FileStorage
from rxauth.testing import TokenServer
from tests.kit import Caller
from tests.storage.storage_kit import until

#: For a disk that is busy with something else: a save is not given up, so that what is stored is what is expected.
PATIENT = {"save_timeout": 60.0, "deadline": 120.0}
#: In seconds; less than any time limit takes, and more than a busy machine does.
AT_ONCE = 30.0


def expired(server: TokenServer) -> Any:
    return server.issue(expired=True).tokens


def stored(path: Path) -> Any:
    record = FileStorage(path).load()
    assert record is not None
    return record


def there_is(path: Path, refresh: str | None, generation: int | None = None) -> None:
    """This pair is stored, and nobody is spending it."""
    record = stored(path)
    assert (record.tokens.refresh, record.spending) == (refresh, None)
    assert record.generation == generation or generation is None


def there_is_a_whole_pair(path: Path, before: Record, server: TokenServer) -> None:
    """The pair of before is stored, or the one that the server has given out since: both its tokens."""
    record = stored(path)
    if record.generation != before.generation:
        assert record.tokens.refresh == server.current_refresh
        assert works(server, record.tokens.access)
    else:
        assert record.tokens == before.tokens


def works(server: TokenServer, access: str | None) -> bool:
    """Is this the access token that the server gave out last?"""
    answer = httpx.get(f"{server.url}/api/me/", headers={"Authorization": f"Bearer {access}"})
    return answer.status_code == 200 and server.api_calls[-1].token == "current"


def ended_within(seconds: float, *callers: Caller) -> None:
    """A machine that is busy with something else is given more, but not as much as any lease or time limit takes."""
    until(lambda: all(caller.ends for caller in callers), "everybody who waits is told", seconds)
