"""API calls as actions."""

from rxauth.api.calls import (
    AdHocCall,
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
    "AdHocCall",
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
