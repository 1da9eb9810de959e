"""Pictures of recordings, and a session to look at while it works: `marbles`, `live` and `inspect`."""

from rxauth.notebook.inspector.widget import inspect
from rxauth.notebook.live import live
from rxauth.notebook.marbles.diagram import marbles

__all__ = ["inspect", "live", "marbles"]
