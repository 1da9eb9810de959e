"""API calls as actions."""

from rxauth.api.calls import (
    ApiCall,
    ApiCancelled,
    ApiEvent,
    ApiFailed,
    ApiSkipped,
    ApiStarted,
    ApiSucceeded,
    Request,
    call,
)
from rxauth.api.epic import api_epic, request

__all__ = [
    "ApiCall",
    "ApiCancelled",
    "ApiEvent",
    "ApiFailed",
    "ApiSkipped",
    "ApiStarted",
    "ApiSucceeded",
    "Request",
    "api_epic",
    "call",
    "request",
]
