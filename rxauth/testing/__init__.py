"""What you need to test an app that uses rxauth: a clock that you move, a token server that misbehaves on demand,
recordings of a store, and marble diagrams for epics. Needs no test framework.

`VirtualTime` is a session's `time=`. `TokenServer` is a server with rotation, reuse detection and a script of
`faults`, on a loopback port or in this process. `record(store)` keeps what was dispatched, without secrets, to save,
replay and compare. `check_epic` holds an epic against a diagram.
"""

from rxauth.recording.record import Recording, record
from rxauth.testing.epics import check_epic, replay_epic
from rxauth.testing.server import faults
from rxauth.testing.server.handler import Recorded
from rxauth.testing.server.rotation import Pair
from rxauth.testing.server.server import TokenServer
from rxauth.testing.time import VirtualTime

__all__ = [
    "Pair",
    "Recorded",
    "Recording",
    "TokenServer",
    "VirtualTime",
    "check_epic",
    "faults",
    "record",
    "replay_epic",
]
