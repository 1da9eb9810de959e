"""The simulated fleet of `docs/scale.md` does what real sessions do, and counts what can be counted by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.fleet import Endpoint, Fleet, Turns, often, take_turns
from rxauth import Session, Tokens, simplejwt
from rxauth.concurrency import Instant, Latch, Runtime
from rxauth.testing import TokenServer, VirtualTime
from rxauth.testing.server.faults import too_many, unavailable
from tests.kit import FakeRefresher, pair
from tests.storage.turns_kit import Board, Watched

LATENCY = 0.25
SIZE = 20


def lockstep(session: int) -> float:
    return 0.5


def at_once(session: int, after: float) -> float:
    """Somebody calls all the time."""
    return after


def every_second(session: int, after: float) -> float:
    """Each session is called once a second, at a moment of its own."""
    offset = session / 64
    return math.ceil(after - offset) + offset


def fleet(issued: list[float], chance: Callable[[int], float] = lockstep, **how: Any) -> Fleet:
    how = {"life": 3600.0, "next_call": at_once, "endpoint": Endpoint(latency=0.0), **how}
    return Fleet(issued, chance=chance, **how)


def test_one_session_posts_once_in_its_tokens_life_less_the_window() -> None:
    seen = fleet([0.0]).run(10 * 3540 + 1)
    assert sorted(seen.posts) == [3540 * number for number in range(1, 11)]


def test_a_rare_caller_posts_once_a_call() -> None:
    seen = fleet([0.0], next_call=lambda session, after: after + 86_400).run(10 * 90_000)
    assert seen.total == pytest.approx(10, abs=1)


def test_in_lockstep_those_who_signed_in_at_one_instant_post_in_one_second() -> None:
    seen = fleet([0.0] * 1000).run(3600)
    assert seen.posts == {3540: 1000}


def test_by_chance_they_post_all_over_half_of_the_window() -> None:
    chance = random.Random(1)
    seen = fleet([0.0] * 10_000, lambda session: chance.random()).run(3600)
    assert (min(seen.posts), max(seen.posts)) == (3526, 3553)  # 60 s ahead, and 13.75 s more or less
    assert seen.total == 10_000
    assert seen.peak() < 1.3 * 10_000 / 27.5


def test_a_million_posts_are_so_many_a_second_as_the_rule_of_thumb_says() -> None:
    chance = random.Random(2)
    issued = [-chance.uniform(0, 3550) for _ in range(20_000)]
    seen = fleet(issued, lambda session: chance.random(), next_call=often(chance, 1.0)).run(7200)
    assert seen.total / 7200 == pytest.approx(20_000 / (3600 - 60 + 1), rel=0.02)


def test_what_is_above_the_capacity_is_refused() -> None:
    seen = fleet([0.0] * 10, endpoint=Endpoint(latency=0.0, capacity=4, retry_after=30)).run(3700)
    assert max(seen.answered.values()) == 4
    assert (seen.posts[3540], seen.answered[3540], seen.degraded) == (10, 4, 0)


class Lucky(Runtime):
    """A session's own luck, in a time that all share."""

    def __init__(self, time: VirtualTime, luck: float) -> None:
        self._time, self._luck = time, luck

    def now(self) -> Instant:
        return self._time.now()

    def sleep(self, seconds: float) -> None:
        self._time.sleep(seconds)

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        self._time.spawn(work, name)

    def latch(self) -> Latch:
        return self._time.latch()

    def wait(self, latch: Latch, timeout: float | None = None) -> bool:
        return self._time.wait(latch, timeout)

    def chance(self) -> float:
        return self._luck


OUTAGES = {
    "none": (Endpoint(latency=LATENCY), None),
    "an outage": (Endpoint(latency=LATENCY, outage=(300.0, 700.0)), unavailable()),
    "an outage with Retry-After": (Endpoint(latency=LATENCY, outage=(300.0, 700.0), retry_after=7), too_many(7)),
    "an outage with a long one": (Endpoint(latency=LATENCY, outage=(300.0, 700.0), retry_after=100), too_many(100)),
}


@pytest.mark.parametrize("kind", OUTAGES)
def test_the_fleet_posts_when_real_sessions_post(kind: str) -> None:
    endpoint, fault = OUTAGES[kind]
    luck = [(7 * number % SIZE + 0.37) / SIZE for number in range(SIZE)]  # no cool-down ends as a call begins
    real = posts_of_real_sessions(luck, endpoint, fault)
    simulated: list[tuple[int, float]] = []
    issued = [-10.0 * number for number in range(SIZE)]
    Fleet(
        issued,
        life=300.0,
        next_call=every_second,
        chance=luck.__getitem__,
        endpoint=endpoint,
        trace=lambda session, at: simulated.append((session, at)),
    ).run(1500.0)
    assert [number for number, _ in sorted(simulated)] == [number for number, _ in real]
    assert [at for _, at in sorted(simulated)] == pytest.approx([at for _, at in real], abs=1e-3)
    assert len(real) > 5 * SIZE


def posts_of_real_sessions(luck: list[float], endpoint: Endpoint, fault: Any) -> list[tuple[int, float]]:
    time = VirtualTime()
    start = time.now().mono
    servers = [TokenServer(life=300.0, token_latency=endpoint.latency, time=time) for _ in luck]
    sessions = []
    for number, (server, own) in enumerate(zip(servers, luck, strict=True)):
        session: Session[Any] = Session(
            simplejwt("https://api.example.com", transport=server.transport),
            tokens=issued_before(server, time, 10.0 * number),
            time=Lucky(time, own),
        )
        sessions.append(session)
    time.call_later(endpoint.outage[0], lambda: [server.always(fault) for server in servers])
    time.call_later(endpoint.outage[1], lambda: [server.always(None) for server in servers])
    for second in range(1500):
        for number, session in enumerate(sessions):
            time.advance(max(0.0, second + number / 64 - (time.now().mono - start)))
            session.fresh().subscribe(lambda tokens: None, lambda error: None)
    return [(n, seen.at) for n, server in enumerate(servers) for seen in server.requests if "refresh" in seen.path]


def issued_before(server: TokenServer, time: VirtualTime, age: float) -> Tokens:
    issued = server.issue()
    return Tokens(issued.access, issued.refresh, time.now().wall + 300.0 - age, life=300.0)


@pytest.mark.parametrize(("board", "entered"), [(Board, SIZE), (Watched, 1)])
def test_processes_that_share_post_once_and_take_turns_as_real_ones_do(board: type[Board], entered: int) -> None:
    time = VirtualTime()
    server, shared = FakeRefresher(time), board(time)
    sessions: list[Session[Any]] = []
    for number in range(SIZE):
        tokens = pair(time) if number == 0 else None
        sessions.append(Session(server, tokens=tokens, storage=shared, time=Lucky(time, number / SIZE)))
    shared.calls.clear()
    for _ in range(290):
        time.advance(1.0)
        for session in sessions:
            session.fresh().subscribe(lambda tokens: None)
    turns = take_turns(
        SIZE, life=300.0, next_call=at_once, chance=lambda number: number / SIZE, watched=board is Watched
    )
    assert (server.posts, shared.calls.count("exclusive")) == (turns.posts, entered)
    assert turns.entered == entered


def test_a_turn_costs_three_trips_and_nobody_waits_where_they_come_one_by_one() -> None:
    turns = take_turns(3, life=300.0, next_call=at_once, chance=lambda number: number / 3, trip=0.01, latency=0.2)
    assert turns == Turns(posts=1, entered=3, mean_wait=0.0, longest_wait=0.0, late=0)
    at_the_same_time = take_turns(3, life=300.0, next_call=at_once, chance=lockstep, trip=0.01, latency=0.2)
    assert at_the_same_time.longest_wait == pytest.approx(0.2 + 5 * 0.01 + 3 * 0.01)
