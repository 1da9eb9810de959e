"""Time, background work and shared outcomes: what everything above is built on."""

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.policy import Policy
from rxauth.concurrency.runtime import Instant, Latch, Pending, Runtime
from rxauth.concurrency.share import share_replayed
from rxauth.concurrency.single import Single

__all__ = [
    "Flight",
    "Instant",
    "Latch",
    "Pending",
    "Policy",
    "Runtime",
    "Single",
    "share_replayed",
]
