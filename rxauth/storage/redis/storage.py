"""Tokens in Redis, for processes on many machines that share one sign-in. The extra `rxauth[redis]`."""

from __future__ import annotations

import os
import secrets
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from rxauth.errors import InvalidRecord, SectionLost
from rxauth.redaction.tracebacks import concealed
from rxauth.storage import codec
from rxauth.storage.protocol import Key, Record, may_replace, tombstone
from rxauth.storage.redis.clock import ServerClock
from rxauth.storage.redis.connection import connect
from rxauth.storage.redis.lease import Keys, Lease, Turns
from rxauth.storage.redis.watch import Watch

if TYPE_CHECKING:
    import redis
    import redis.asyncio

#: How long a tombstone stays, in seconds: 30 days.
TOMBSTONE: Final = 30 * 24 * 3600.0

# A change is made in two steps. This side reads what is stored and judges it, so that what it does not understand is
# never overwritten; then the script stores the new text if the old one is still there, else this side judges again.
# The new text may be there already: the answer to the same call was lost, and it is repeated.

# KEYS record. What is stored, and what time it is at the server, in seconds and microseconds.
_LOOK = "return {redis.call('GET', KEYS[1]), redis.call('TIME')}"

# KEYS record, fence; ARGV old ("" for none), new, the channel, who, the life in ms (0: for ever), the holder's token
# ("" outside the section). A notice that may not be sent must not undo the change; a tombstone takes the place of a
# longer text, so that even a full server can store it, if the text goes first.
_CHANGE = """
local stored = redis.call('GET', KEYS[1])
local last = redis.call('HMGET', KEYS[2], 'holder', 'number')
if ARGV[6] ~= '' and last[1] and last[1] ~= ARGV[6] then return 'fenced ' .. last[2] end
if stored == ARGV[2] then return 'stored' end
if stored ~= (ARGV[1] ~= '' and ARGV[1]) then return 'changed' end
if ARGV[5] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[5])
end
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 'stored'
"""


class RedisStorage:
    """Keeps the record under one key of a Redis server (6 or later), for any number of processes and machines.

    Takes a URL, a `redis.Redis` (also one of Sentinel), a `redis.RedisCluster` or a `redis.asyncio.Redis`. Of a plain
    client only the connection settings are used, for connections of the storage's own, so that it neither waits for
    yours nor for retries; Sentinel's and a cluster's client is used as it is. An asyncio client lives on your event
    loop and is not touched: the storage makes another one from its settings, which lives on a loop and a thread of the
    storage's own. Nothing is sent before the first call.

    * `key`: the record's name. Beside it stand the section's lock, its fencing token, its notice and the channel of
      changes: names with the same hash tag, so that in a cluster all live in one slot.
    * `lease`: whoever dies in the section, or loses the server, has left it after this many seconds. While its holder
      lives it is renewed, up to four times this long: the answer to a refresh may be late. Make it longer than a
      session's `deadline`.
    * `timeout`: for how many seconds, about, one call tries. A lost connection, a failover (READONLY), a server that
      loads its data are tried again in that time, with growing pauses.
    * `tombstone`: for how many seconds it is remembered that a sign-in was cleared.

    Any method may be called from any thread; each blocks it, so call none on an event loop (a session never does).
    They raise `StorageError`, which says what is wrong and holds no password, when the server is down, slow, full, a
    replica, or refuses; `InvalidRecord`, a kind of it, when what is stored can not be read, which is then left alone.

    One storage object is one holder of the section: give each session its own. A holder that stalls until its lease
    has run out *and* another has entered can not save any more: `save` raises SectionLost (false would mean that the
    stored pair is not the expected one, and the holder would go on and spend it). `clear` still works: a logout counts.

    The server needs a `maxmemory-policy` of noeviction, else it may forget the lock or the record; and persistence
    (appendonly), else a restarted server is empty: `load` returns None, and the sessions store their pairs again. A
    failover to a replica that has not got the last write brings the pair before it back. The user needs the commands
    EVAL, GET, TIME, SET, DEL, PTTL, PEXPIRE, HGET, HMGET, HSET, HINCRBY, RPUSH, BLPOP, PUBLISH, SUBSCRIBE and PING.
    The tokens are stored in the clear: let only those read them who may use them, and use TLS (rediss://).

    Each object has a connection of its own, and while it is watched, as by a session, a thread and a second one: a
    process with 1,000 accounts has 2,000 connections; mind the server's `maxclients`.

    The stored times are on the server's clock and come back on the reader's, so that the clocks of the machines that
    share a sign-in need not agree.
    """

    @concealed
    def __init__(
        self,
        client_or_url: str | redis.Redis | redis.RedisCluster | redis.asyncio.Redis,
        key: str = "rxauth:session",
        *,
        lease: float = 45.0,
        timeout: float = 1.5,
        tombstone: float = TOMBSTONE,
    ) -> None:
        for name, seconds in (("lease", lease), ("timeout", timeout), ("tombstone", tombstone)):
            if not 0 < seconds < 1e9:
                raise ValueError(f"{name} must be a positive number of seconds, got {seconds!r}")
        self._keys = Keys.of(key)
        self._wire = connect(client_or_url, timeout)
        #: A session sees to it that this is longer than its refreshes may take.
        self.lease = lease
        self._turns = Turns(self._wire, self._keys, lease)
        self._timeout = timeout
        self._tombstone = tombstone
        self._id = secrets.token_hex(8)
        self._clock = ServerClock()
        self._held: Lease | None = None
        #: The hashes of what was read and written here: anything else that is stored is somebody else's.
        self._known: deque[int] = deque(maxlen=16)
        self._watches: list[Watch] = []
        # Not at exit: a refresh that is waited for there has its pair to save, and the lock to give back.
        weakref.finalize(self, self._wire.close).atexit = False

    def __repr__(self) -> str:
        return f"RedisStorage(<{self._wire.where}>, {self._keys.record!r})"

    def load(self) -> Record | None:
        """The stored record, if there is one; without tokens it is a tombstone."""
        return self._read()[1]

    @concealed
    def save(self, record: Record, replaces: Key | None = None) -> bool:
        """Store the record and return true, unless `replaces` is given and anything but that pair is stored.

        Raises SectionLost in a section that was entered by another one since, because its lease had run out.
        """
        return self._change(lambda stored: record if may_replace(stored, replaces) else None)

    @concealed
    def clear(self, sign_in: str) -> None:
        """Put a tombstone, which ends by itself, in the place of the record, if it is this sign-in's."""
        self._change(lambda stored: tombstone(stored, sign_in))

    @contextmanager
    def exclusive(self, wait: float) -> Iterator[None]:
        """A section in which no other process, session or thread is, while this process lives and reaches the server.

        Raises TimeoutError when it is not free within `wait` seconds. May be left by another thread than entered.
        """
        lease = self._turns.take(wait)
        self._held, left = lease, self._turns.renew(lease)
        try:
            yield
        finally:
            left()
            if self._held == lease:
                self._held = None
            self._turns.give_back(lease)

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called, on a daemon thread, after each change by other storage objects; returns how to stop.

        It returns when it listens, or the first try to connect has failed; on an event loop at once. A change since the
        last `load` is told as well. A lost connection is made anew, again and again, with pauses of up to 10 s, and
        `changed` is called once afterwards, for what may have been missed. A stopped watch lets a call that is under
        way end. An error that `changed` raises is logged.
        """
        watch = Watch(self._wire, self._keys.changes, self._me, changed, self._has_missed)
        self._watches.append(watch)
        watch.start(self._timeout / 2)

        def stop() -> None:
            watch.stop()
            with suppress(ValueError):  # stopped before
                self._watches.remove(watch)

        return stop

    def close(self) -> None:
        """Stop all watches and close the storage's own connections; every later call raises StorageError.

        Not needed at the end of a program, nor for a storage that is not used any more.
        """
        while self._watches:
            self._watches.pop().stop()
        self._wire.close()

    def _me(self) -> str:
        """This object's name in notices: a forked child's is another one."""
        return f"{self._id}-{os.getpid()}"

    @concealed
    def _read(self) -> tuple[str, Record | None]:
        """The stored text, "" for none, and the record that it holds."""
        text = self._get()
        self._known.append(hash(text))
        if text is None:
            return "", None
        return text, self._clock.from_server(codec.loads(text, self._where))

    def _get(self) -> str | None:
        sent = time.time()
        stored, (seconds, micros) = self._wire.call("EVAL", _LOOK, 1, self._keys.record)
        self._clock.learn(sent, int(seconds) + int(micros) / 1e6, time.time())
        if not isinstance(stored, bytes):
            return None if stored is None else str(stored)  # a str: from a client that decodes answers by itself
        try:
            return stored.decode()
        except UnicodeDecodeError:
            pass
        raise InvalidRecord(f"{self._where} holds no record, but bytes that are no text; it is left as it is")

    def _change(self, decide: Callable[[Record | None], Record | None]) -> bool:
        """Store what `decide` makes of the stored record, unless that is None, as one step; returns whether."""
        while True:
            old, stored = self._read()
            record = decide(stored)
            if record is None:
                return False
            new = codec.dumps(self._clock.to_server(record))
            self._known.append(hash(new))  # before it is stored, for a watch that looks in between
            life = 0 if record.tokens is not None else round(self._tombstone * 1000)
            held = self._held if record.tokens is not None and self._held and self._held.pid == os.getpid() else None
            answer = self._swap(old, new, life, held)
            if answer == "stored":
                return True
            if answer.startswith("fenced") and held is not None:
                raise SectionLost(
                    f"the lease of this section of {self._where} has run out: it was number {held.number}, and number "
                    f"{answer.partition(' ')[2]} has entered since; nothing was written"
                )

    def _swap(self, old: str, new: str, life: int, held: Lease | None) -> str:
        keys = self._keys
        words = (old, new, keys.changes, self._me(), life, held.holder if held is not None else "")
        answer = self._wire.call("EVAL", _CHANGE, 2, keys.record, keys.fence, *words)
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    def _has_missed(self) -> bool:
        """Has another one changed the record since it was last read or written here?"""
        if not self._known:
            return False
        try:
            return hash(self._get()) not in self._known
        except InvalidRecord:
            return True

    @property
    def _where(self) -> str:
        return f"{self._keys.record!r} in the {self._wire.where}"
