"""Whose a stored record is, and to which token endpoint alone its refresh token may be posted."""

from __future__ import annotations

from rxauth.errors import ForeignRecord
from rxauth.storage.protocol import Record


def check_endpoint(record: Record | None, endpoint: str) -> Record | None:
    """The record, unless its tokens were made at another token endpoint than this: then raises `ForeignRecord`.

    An endpoint that is not known ("", of a refresh callable) is any. A tombstone has nothing that could be posted.
    """
    if record is None or record.tokens is None or not endpoint or record.endpoint in ("", endpoint):
        return record
    raise ForeignRecord(
        f"what is stored is a sign-in at {_shown(record.endpoint)}, and this session refreshes at {_shown(endpoint)}, "
        "which must not get that refresh token. It is left as it is. Give this session a storage of its own (another "
        "path, account or key), or move the record away if the server has moved"
    )


def _shown(url: str) -> str:
    """Without its query, where some keep a key."""
    return url.partition("?")[0]
