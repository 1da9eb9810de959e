"""Whose tokens they are, as far as their claims tell."""

from __future__ import annotations

from rxauth.tokens.pair import Tokens

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
