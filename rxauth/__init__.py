"""rxauth: the client that stays signed in.

Only httpx: `httpx.AsyncClient(auth=BearerAuth(Session(simplejwt(url), tokens=...)))`.
A reactive app: `Store`, `combine_reducers`, `auth_reducer`, `Session`, `api_epic`, `ApiCall`.
Actions, selectors, errors and everything else are imported from their rooms: `rxauth.session`, `rxauth.session`,
`rxauth.errors`, `rxauth.api`, `rxauth.testing`.
"""

from rxauth.api import ApiCall, ApiFailed, ApiStarted, ApiSucceeded, Request, api_epic, call, request
from rxauth.concurrency.share import share_replayed
from rxauth.errors import NotSignedIn, RefreshUnavailable, RxAuthError, SessionExpired
from rxauth.http.bearer import BearerAuth
from rxauth.redaction.display import show_with
from rxauth.refreshers import oauth2, simplejwt
from rxauth.session.session import Session
from rxauth.session.state import AuthState, auth_reducer
from rxauth.store.epics import combine_epics
from rxauth.store.reducers import combine_reducers
from rxauth.store.store import Store
from rxauth.tokens.pair import Tokens

__version__ = "0.1.0.dev0"


def _card(value: object) -> dict[str, str]:
    from rxauth.notebook.cards import bundle  # loaded when a cell first shows something

    return bundle(value)


show_with(_card)

__all__ = [
    "ApiCall",
    "ApiFailed",
    "ApiStarted",
    "ApiSucceeded",
    "AuthState",
    "BearerAuth",
    "NotSignedIn",
    "RefreshUnavailable",
    "Request",
    "RxAuthError",
    "Session",
    "SessionExpired",
    "Store",
    "Tokens",
    "api_epic",
    "auth_reducer",
    "call",
    "combine_epics",
    "combine_reducers",
    "oauth2",
    "request",
    "share_replayed",
    "simplejwt",
]
