"""A fleet of sessions in virtual time: a million of them, as the posts that a token endpoint sees.

A million real sessions would need as many threads. Here a session is its pair's age and its failures in a row, and
the time between two of its posts is jumped over; but every decision is the library's own: `decide` and `Windows` say
what a call meets, `Settings` how long the pauses and cool-downs are. `tests/system/scale` compares it with real ones.
"""

from __future__ import annotations

import heapq
import random
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rxauth.concurrency import Instant
from rxauth.session import AuthState, Settings
from rxauth.session.state import decide
from rxauth.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What a post meets: an answer after `latency` seconds, unless it comes during `outage` (from, to) or is more than
    the `capacity` of its second; then a 503 or 429, at once known to be safe to repeat.

    `retry_after` goes with each refusal; in an outage `announced` counts down to its end instead.
    """

    latency: float = 0.1
    outage: tuple[float, float] = (0.0, 0.0)
    capacity: float = float("inf")
    retry_after: float | None = None
    announced: bool = False

    def refuses(self, at: float, already: int) -> bool:
        """Is a post refused, `already` so many having been answered in its second?"""
        return self.is_out(at) or already >= self.capacity

    def is_out(self, at: float) -> bool:
        return self.outage[0] <= at < self.outage[1]

    def asks(self, at: float) -> float | None:
        """The `Retry-After` of a refusal that is sent now."""
        return max(0.0, self.outage[1] - at) if self.announced and self.is_out(at) else self.retry_after


#: When a session is called next, after a moment: given the session's number and that moment.
NextCall = Callable[[int, float], float]


def often(chance: random.Random, every: float) -> NextCall:
    """Calls at random, independent of each other, one in `every` seconds on average."""
    return lambda session, after: after + chance.expovariate(1 / every)


@dataclass
class Seen:
    """What happened: posts, and those of them that were answered with tokens, by second; how each trouble ended."""

    posts: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    #: When a session that had failed got tokens again.
    recovered: array[float] = field(default_factory=lambda: array("d"))
    #: How many sessions are still waiting to recover at the end.
    degraded: int = 0

    @property
    def total(self) -> int:
        return self.posts.total()

    def peak(self, since: int = 0, until: float = float("inf")) -> int:
        """The most posts in a second, of those from `since` up to `until`."""
        return max((count for second, count in self.posts.items() if since <= second < until), default=0)

    def recovered_by(self, share: float) -> float:
        """When this share of those that had failed had tokens again; infinite if they never do."""
        needed = share * (len(self.recovered) + self.degraded)
        times = sorted(self.recovered)
        return times[max(0, round(needed) - 1)] if 0 < round(needed) <= len(times) else float("inf")


class Fleet:
    """Sessions with a sign-in each, of which the pairs at time 0 were issued at `issued` (seconds, negative: before).

    `chance(session)` is what `Runtime.chance` is for that session.
    """

    def __init__(
        self,
        issued: list[float],
        *,
        life: float,
        next_call: NextCall,
        chance: Callable[[int], float],
        endpoint: Endpoint,
        settings: Settings | None = None,
        trace: Callable[[int, float], None] = lambda session, at: None,
    ) -> None:
        self.settings = settings or Settings()
        self.endpoint = endpoint
        self.seen = Seen()
        self._issued = array("d", issued)
        self._failures = array("q", bytes(8 * len(issued)))
        self._next_call, self._chance, self._trace = next_call, chance, trace
        self._windows = [replace(self.settings.windows, spread=chance(number)) for number in range(len(issued))]
        #: A state for each number of failures, all with a pair that is issued at 0: the rules know ages only.
        pair = Tokens("a", "r", life, life=life, received=Instant(0.0, 0.0))
        self._state = AuthState(status="signed_in", sign_in="s", tokens=pair)
        self._degraded = replace(self._state, status="degraded", failures=1)
        self._flights: dict[int, float] = {}
        self._heap = [(self._due(number), number, 0) for number in range(len(issued))]
        heapq.heapify(self._heap)

    def run(self, until: float) -> Seen:
        """Let time go by."""
        heap = self._heap
        while heap and heap[0][0] < until:
            at, session, number = heap[0]
            heapq.heapreplace(heap, self._post(at, session, number or self._called(at, session)))
        self.seen.degraded = sum(1 for failures in self._failures if failures)
        return self.seen

    def _due(self, session: int) -> float:
        """The first call that finds the pair in a window."""
        fresh = self._windows[session].fresh_for(self._state, Instant(0.0, 0.0))
        return self._next_call(session, max(0.0, self._issued[session] + fresh))

    def _called(self, at: float, session: int) -> int:
        """A call that is not served from memory alone: it begins a refresh, whose first try is now."""
        age = at - self._issued[session] + 1e-9  # what sums lose to rounding must not make a stale token fresh
        state = self._degraded if self._failures[session] else self._state
        decision = decide(state, Instant(age, age), self._windows[session])
        assert decision in ("refresh", "refresh_ahead"), decision
        self._flights[session] = at
        return 1

    def _post(self, at: float, session: int, number: int) -> tuple[float, int, int]:
        """Try `number` of a refresh; the next event of this session."""
        second, endpoint = int(at), self.endpoint
        self.seen.posts[second] += 1
        self._trace(session, at)
        then = at + endpoint.latency
        if not endpoint.refuses(at, self.seen.answered[second]):
            return self._land(second, then, session), session, 0
        asked, chance, failures = endpoint.asks(at), self._chance(session), self._failures[session]
        pause = self.settings.pause_before(number + 1, asked, chance)
        tries = 1 if failures else self.settings.tries
        if number < tries and then + pause < self._flights[session] + self.settings.deadline:
            return then + pause, session, number + 1
        self._failures[session] += 1
        del self._flights[session]
        cooled = then + self.settings.cool_down_after(failures, asked, self._chance(session))
        return self._next_call(session, cooled), session, 0

    def _land(self, second: int, then: float, session: int) -> float:
        self.seen.answered[second] += 1
        del self._flights[session]
        if self._failures[session]:
            self._failures[session] = 0
            self.seen.recovered.append(then)
        self._issued[session] = then
        return self._due(session)


@dataclass(frozen=True)
class Turns:
    """One generation of a sign-in that processes share: who posted, who entered the section, and how long they stood
    there (seconds). `late`: how many came out only after the old token was gone."""

    posts: int
    entered: int
    mean_wait: float
    longest_wait: float
    late: int


def take_turns(
    processes: int,
    *,
    life: float,
    next_call: NextCall,
    chance: Callable[[int], float],
    trip: float = 0.001,
    latency: float = 0.1,
    watched: bool = False,
    settings: Settings | None = None,
) -> Turns:
    """What `rxauth.session` does where the section is a queue and each access of the storage takes `trip` seconds.

    A turn is enter, load, leave; the first one also writes the journal, posts and saves. On a `WatchedStorage` whoever
    has not come yet is told, and does not come.
    """
    windows = (settings or Settings()).windows
    pair = Tokens("a", "r", life, life=life, received=Instant(0.0, 0.0))
    state = AuthState(status="signed_in", sign_in="s", tokens=pair)
    fresh = (replace(windows, spread=chance(number)).fresh_for(state, Instant(0.0, 0.0)) for number in range(processes))
    arrivals = sorted(next_call(number, span) for number, span in enumerate(fresh))
    free, published, posts, late = 0.0, float("inf"), 0, 0
    waits = []
    for at in arrivals:
        if watched and at > published + trip:
            break
        begin = max(free, at)
        free = begin + 3 * trip
        if begin < published:  # what it loads is still the pair that it has
            posts += 1
            published = begin + 4 * trip + latency
            free = published + trip
        waits.append(begin - at)
        late += free > life
    return Turns(posts, len(waits), sum(waits) / len(waits), max(waits), late)
