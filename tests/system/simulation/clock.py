"""Who goes on: threads that take turns, one at a time, in an order that a seeded die chooses."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from _thread import allocate_lock
from collections.abc import Callable
from contextvars import Context

from rxauth.concurrency import Instant, Latch, Runtime

#: A wall-clock time to begin at: 2026-01-01T00:00:00Z in seconds since the epoch.
EPOCH = 1_767_225_600.0
#: Nothing that a world does takes this many turns; more is a loop that never ends.
MAX_TURNS = 20_000


class Over(BaseException):
    """Raised in a task that still waits when its world ends."""


class Interleaving(Runtime):
    """Virtual time in which chance decides who goes on, at every wait and every `yield_point`.

    `choices` is the schedule so far. The clock moves only when everybody waits. Whoever stops hands over to the next
    one himself, which takes half of the thread switches that a conductor in the middle would need.
    """

    def __init__(self, dice: random.Random, eagerness: float = 0.5) -> None:
        self._dice = dice
        self._eagerness = eagerness
        self._wall, self._mono, self._until = EPOCH, 1000.0, 1000.0
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task, int]] = []
        self._order = itertools.count()
        self._world = Task("the world", _nothing)
        self._world.worker = Worker(starts=False)
        self._running = self._world
        self._turns = 0
        self.is_over = False
        self.choices: list[int] = []
        self.alive: dict[Task, None] = {}
        self.crashes: list[str] = []

    def now(self) -> Instant:
        return Instant(self._wall, self._mono)

    def chance(self) -> float:
        return self._dice.random()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward (or back, if negative) without time going by: a clock that is corrected."""
        self._wall += seconds

    def advance(self, seconds: float) -> None:
        """Let everybody live for so many seconds. Called by the world, which is no task."""
        self._until = self._mono + seconds
        self._give_way()
        self._move_to(self._until)
        if self._turns > MAX_TURNS:
            raise AssertionError(f"no end after {MAX_TURNS} turns")

    def end(self) -> None:
        """Stop whoever still waits, so that no thread outlives its world."""
        self.is_over = True
        self._until = float("-inf")
        while self.alive:
            task = next(iter(self.alive))
            task.turn += 1  # nothing that it waits for wakes it any more
            self._ready = [task]
            self._give_way()

    def yield_point(self, name: str) -> None:
        self._check(self._running)
        if self._dice.random() < self._eagerness:
            self._ready.append(self._running)
            self._give_way()

    def sleep(self, seconds: float) -> None:
        self._wake_in(seconds)
        self._give_way()

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        task = Task(name, work)
        task.time = self
        self.alive[task] = None
        self._ready.append(task)
        if self._running is not self._world:
            self.yield_point("a thread is started")

    def latch(self) -> Latch:
        return _Latch(self)

    def wait(self, latch: Latch, timeout: float | None = None) -> bool:
        assert isinstance(latch, _Latch)
        self._check(self._running)  # whoever dies must not be woken again
        if not latch.is_set():
            latch.waiting.append((self._running, self._running.turn))
            if timeout is not None:
                self._wake_in(timeout)
            self._give_way()
        return latch.is_set()

    def wake(self, task: Task, turn: int) -> None:
        """Make a waiting task ready, unless something else has done so."""
        if turn == task.turn:
            task.turn += 1
            self._ready.append(task)

    def _wake_in(self, seconds: float) -> None:
        entry = (self._mono + max(0.0, seconds), next(self._order), self._running, self._running.turn)
        heapq.heappush(self._timers, entry)

    def _give_way(self) -> None:
        """Let the next one go on, and come back when it is our turn again."""
        me = self._running
        self._check(me)
        following = self.next()
        if following is not me:
            following.resume()
            assert me.worker is not None
            me.worker.go.acquire()
        self._check(me)

    def _check(self, me: Task) -> None:
        if self.is_over and me is not self._world:
            raise Over

    def next(self) -> Task:
        """Whose turn it is, of those who are ready; the clock moves if nobody is."""
        following = self._choose()
        self._turns += 1
        self._running = following
        return following

    def _choose(self) -> Task:
        while not self._ready:
            if not self._timers or self._timers[0][0] > self._until:
                return self._world
            due, _, task, turn = heapq.heappop(self._timers)
            if turn == task.turn:
                self._move_to(max(due, self._mono))
                self.wake(task, turn)
        if self._turns > MAX_TURNS and not self.is_over:
            return self._world
        ready = self._ready
        if len(ready) == 1:
            return ready.pop()
        number = int(self._dice.random() * len(ready))
        self.choices.append(number)
        ready[number], ready[-1] = ready[-1], ready[number]
        return ready.pop()

    def _move_to(self, mono: float) -> None:
        self._wall += mono - self._mono
        self._mono = mono


class Task:
    """Work that runs only when it is its turn. `turn` counts how often it was woken."""

    __slots__ = ("name", "time", "turn", "work", "worker")
    time: Interleaving

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name, self.work = name, work
        self.turn = 0
        self.worker: Worker | None = None

    def resume(self) -> None:
        if self.worker is None:
            self.worker = _idle.pop() if _idle else Worker()
            self.worker.task = self
        self.worker.go.release()

    def run(self) -> None:
        """The whole work, on the worker's thread."""
        try:
            if not self.time.is_over:
                Context().run(self.work)
        except Over:
            pass
        except BaseException as error:
            self.time.crashes.append(f"{self.name} died of {error!r}")
        del self.time.alive[self]


class Worker:
    """A thread that runs one task after the other, of one world after the other: threads are slow to start."""

    def __init__(self, *, starts: bool = True) -> None:
        self.go = allocate_lock()
        self.go.acquire()
        self.task: Task | None = None
        if starts:
            threading.Thread(target=self._main, name="simulated", daemon=True).start()

    def _main(self) -> None:
        while True:
            self.go.acquire()
            task = self.task
            while task is not None:
                task.run()
                task = self._hand_over(task.time)

    def _hand_over(self, time: Interleaving) -> Task | None:
        """Let the next one go on, here if it has not begun anywhere else."""
        following = time.next()
        if following.worker is None:
            following.worker = self
            return following
        _idle.append(self)
        following.resume()
        return None


#: Workers without a task.
_idle: list[Worker] = []


class _Latch:
    def __init__(self, time: Interleaving) -> None:
        self._time = time
        self._set = False
        self.waiting: list[tuple[Task, int]] = []

    def set(self) -> None:
        self._set = True
        for task, turn in self.waiting:
            self._time.wake(task, turn)
        self.waiting.clear()

    def is_set(self) -> bool:
        return self._set


def _nothing() -> None:
    pass
