"""State and actions: the store, its streams, and epics."""

from rxauth.store.actions import of_type
from rxauth.store.epics import Epic, combine_epics
from rxauth.store.reducers import Reducer, combine_reducers
from rxauth.store.store import Dispatch, GetState, Store
from rxauth.store.streams import ActionStream, StateView
from rxauth.store.tap import ErrorReported

__all__ = [
    "ActionStream",
    "Dispatch",
    "Epic",
    "ErrorReported",
    "GetState",
    "Reducer",
    "StateView",
    "Store",
    "combine_epics",
    "combine_reducers",
    "of_type",
]
