"""The exclusive section of the Redis storage: a lock with a lease, a fencing token, and notices instead of a queue."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from rxauth.concurrency.runtime import CHANCE
from rxauth.errors import StorageError
from rxauth.storage.redis.connection import Wire
from rxauth.storage.redis.failures import ERRORS

#: How long one waits for a notice before one looks again by oneself, in seconds.
SHORTEST_LOOK, LONGEST_LOOK = 0.2, 0.5

#: How often a lease is renewed while it lasts, and how often in all: four leases long, with the first and the last.
RENEWALS_PER_LEASE, RENEWALS = 3, 9

#: How long the last holder is remembered, in seconds: one that stalls for longer could write again.
FENCE_LIFE = 30 * 24 * 3600.0

# KEYS lock, fence, turn; ARGV holder, lease in ms, the fence's life in ms. The number of the section, or 0 and how many
# milliseconds the lock is somebody else's. Whose answer was lost asks again, and is told that the section is his.
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return {tonumber(redis.call('HGET', KEYS[2], 'number')), 0} end
if holder then return {0, redis.call('PTTL', KEYS[1])} end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
redis.call('DEL', KEYS[3])
local number = redis.call('HINCRBY', KEYS[2], 'number', 1)
redis.call('HSET', KEYS[2], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {number, 0}
"""

# KEYS lock; ARGV holder, lease in ms. A lock that was lost is not taken again: it may have been given back meanwhile.
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# KEYS lock, turn; ARGV holder, lease in ms. The notice is for one who waits; without one it ends with a lease.
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.pcall('RPUSH', KEYS[2], '1')
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""


class Keys(NamedTuple):
    """The names of what is stored. They share one hash tag, so that a cluster keeps them in one slot."""

    record: str
    lock: str
    fence: str
    turn: str
    changes: str

    @classmethod
    def of(cls, key: str) -> Keys:
        rest = key.partition("{")[2]
        tagged = "}" in rest and not rest.startswith("}")
        if not key or (not tagged and "}" in key):
            raise ValueError(f"key must be a name, with braces only around a hash tag, got {key!r}")
        # Without braces of its own, the record's name as a whole is what the slot is computed from.
        stem = key if tagged else "{" + key + "}"
        return cls(key, f"{stem}:lock", f"{stem}:fence", f"{stem}:turn", f"{stem}:changes")


class Lease(NamedTuple):
    """The fencing token: who holds the section, and as which number.

    The number alone would not do, for a server that starts empty, or fails over, counts some numbers twice.
    """

    number: int
    holder: str
    #: Not held in the child of a fork.
    pid: int


class Turns:
    """Takes the section, keeps it while the holder lives, and gives it back."""

    def __init__(self, wire: Wire, keys: Keys, lease: float) -> None:
        self._wire = wire
        self._keys = keys
        self._lease = lease
        #: In whose name a try was sent whose answer did not come, and in which process. It may yet take the section,
        #: when a line that was cut is mended: who tries next does so in that name, or he would wait for its lease.
        self._unheard: deque[tuple[int, str]] = deque(maxlen=1)

    def take(self, wait: float) -> Lease:
        """Enter the section. Raises TimeoutError after `wait` seconds, StorageError when the server fails."""
        end = time.monotonic() + wait
        holder = self._name()
        try:
            while True:
                number, held = self._try(holder)
                if number:
                    return Lease(number, holder, os.getpid())
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"others have held the section of {self._where} for {wait:g} s")
                self._await_notice(min(left, _look(held)))
        except TimeoutError:
            raise  # every try was answered
        except BaseException:
            self._disown(holder)
            self._unheard.append((os.getpid(), holder))
            raise

    def renew(self, lease: Lease) -> Callable[[], None]:
        """Renew the lease, on a thread of its own, until what is returned is called; that does not wait.

        Not for ever: a holder that hangs must not keep the others out for good.
        """
        left = threading.Event()

        def work() -> None:
            for _ in range(RENEWALS):
                if left.wait(self._lease / RENEWALS_PER_LEASE):
                    return
                with contextlib.suppress(*ERRORS, StorageError):
                    if not self._wire.once("EVAL", _RENEW, 1, self._keys.lock, lease.holder, _ms(self._lease)):
                        return

        with contextlib.suppress(RuntimeError):  # out of threads, or at exit: the first lease is longer than a refresh
            threading.Thread(target=work, name="rxauth-redis-lease", daemon=True).start()
        return left.set

    def give_back(self, lease: Lease) -> None:
        """Leave the section; nothing happens if it has become somebody else's. Raises StorageError."""
        self._wire.call(*self._giving_back(lease.holder))

    def _name(self) -> str:
        try:
            pid, holder = self._unheard.pop()
        except IndexError:
            pid, holder = 0, ""
        return holder if pid == os.getpid() else secrets.token_hex(16)

    @property
    def _where(self) -> str:
        return f"{self._keys.record!r} in the {self._wire.where}"

    def _try(self, holder: str) -> tuple[int, float]:
        keys, life = self._keys, (_ms(self._lease), _ms(FENCE_LIFE))
        number, held = self._wire.call("EVAL", _TAKE, 3, keys.lock, keys.fence, keys.turn, holder, *life)
        return int(number), int(held) / 1000

    def _await_notice(self, seconds: float) -> None:
        begun = time.monotonic()
        try:
            self._wire.once("BLPOP", self._keys.turn, f"{max(seconds, 0.01):.3f}")
        except ERRORS:  # the next look will tell what it is
            time.sleep(max(0.0, begun + seconds - time.monotonic()))

    def _disown(self, holder: str) -> None:
        """The section may have become ours in the try whose answer did not come."""
        with contextlib.suppress(*ERRORS, StorageError):
            self._wire.once(*self._giving_back(holder))

    def _giving_back(self, holder: str) -> tuple[object, ...]:
        return "EVAL", _GIVE_BACK, 2, self._keys.lock, self._keys.turn, holder, _ms(self._lease)


def _look(held: float) -> float:
    """When to look again: with jitter, so that those who wait do not all come at once."""
    look = CHANCE.uniform(SHORTEST_LOOK, LONGEST_LOOK)
    return min(look, held + CHANCE.uniform(0.0, 0.05)) if held > 0 else look


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
