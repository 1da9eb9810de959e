"""What is secret, and how it is hidden in values, texts and tracebacks."""

from rxauth.redaction.display import Shown
from rxauth.redaction.names import fingerprint
from rxauth.redaction.tracebacks import concealed

__all__ = [
    "Shown",
    "concealed",
    "fingerprint",
]
