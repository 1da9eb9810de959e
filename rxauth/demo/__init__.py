"""The demo: a real Django server to talk to, `backend()`, and `python -m rxauth.demo`. Needs `rxauth[demo]`."""

from rxauth.demo.backend import Backend, BackendError, Counts, backend

__all__ = ["Backend", "BackendError", "Counts", "backend"]
