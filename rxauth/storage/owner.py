"""Whose a stored record is, and to which token endpoint alone its refresh token may be posted."""

from __future__ import annotations

from rxauth.errors import ForeignRecord
from rxauth.storage.protocol import Record
from rxauth.tokens import Tokens

#: The claims that name the user: RFC 7519 section 4.1.2, and djangorestframework-simplejwt's.
_NAMES = ("sub", "user_id")


def account_of(tokens: Tokens) -> str:
    """The user, as the access token's claims name them; "" where none does."""
    claims = tokens.claims
    names = (claims.get(name) for name in _NAMES)
    return next((str(name) for name in names if isinstance(name, str | int) and name != ""), "")


def is_same_account(one: Tokens, other: Tokens) -> bool:
    """Are both known to be the same user's? A subject is unique for its issuer only (RFC 7519 section 4.1.2)."""
    account = account_of(one)
    return account != "" and account == account_of(other) and one.claims.get("iss") == other.claims.get("iss")


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
