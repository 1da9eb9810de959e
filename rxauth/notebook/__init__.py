"""Pictures of recordings, and a session to look at while it works: `marbles`, `live` and `inspect`."""

from rxauth.notebook.inspector import inspect
from rxauth.notebook.live import live
from rxauth.notebook.marbles import marbles

__all__ = ["inspect", "live", "marbles"]
