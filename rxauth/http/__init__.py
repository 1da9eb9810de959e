"""The session as an auth of httpx and httpx2."""

from rxauth.http.bearer import BearerAuth
from rxauth.http.trace import RequestEnded, RequestSent

__all__ = [
    "BearerAuth",
    "RequestEnded",
    "RequestSent",
]
