"""The pair of tokens, its claims, and the origins that may be sent it."""

from rxauth.tokens.pair import Tokens
from rxauth.tokens.response import Expiry, TokenFields

__all__ = [
    "Expiry",
    "TokenFields",
    "Tokens",
]
