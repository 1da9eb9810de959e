"""What passed through a store, a session or a stream: bounded, numbered and redacted."""

from rxauth.recording.record import record, spy
from rxauth.recording.recording import Recording
from rxauth.recording.signals import Completed, Disposed, Emitted, Failed, Subscribed

__all__ = [
    "Completed",
    "Disposed",
    "Emitted",
    "Failed",
    "Recording",
    "Subscribed",
    "record",
    "spy",
]
