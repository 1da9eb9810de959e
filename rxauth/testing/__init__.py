"""What you need to test an app that uses rxauth: a clock that you move, and a token server that misbehaves on demand.

Needs no test framework. `VirtualTime` is a session's `runtime=`; `TokenServer` is a real server on a loopback port,
with rotation, reuse detection and a script of `faults`.
"""

from rxauth.testing import faults
from rxauth.testing.desk import Recorded
from rxauth.testing.rotation import Pair
from rxauth.testing.server import TokenServer
from rxauth.testing.time import VirtualTime

__all__ = ["Pair", "Recorded", "TokenServer", "VirtualTime", "faults"]
