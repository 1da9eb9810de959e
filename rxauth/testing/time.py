"""`VirtualTime`: a runtime whose clock moves when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from rxauth.concurrency.runtime import Instant, Latch, Runtime, running_loop
from rxauth.testing.scheduler import VirtualLoop, VirtualScheduler

T = TypeVar("T")

#: A wall-clock time to begin at: 2026-01-01T00:00:00Z in seconds since the epoch.
EPOCH = 1_767_225_600.0


class VirtualTime(Runtime):
    """Give it to a session as `time=`, and a day of token life passes in a millisecond.

    Background work runs only while the test is inside `advance(seconds)`, `run_until(...)` or a blocking wait such as
    `session.fresh().run()`, one piece at a time and always in the same order. Each piece has a thread of its own, so
    that it may block in the ordinary way: a refresh callable takes 2 s by calling `sleep(2)` of this object. The clock
    moves when all of them wait.

    An async test is `time.run(main())`: an event loop on which `asyncio.sleep(3600)`, timeouts and sessions all take
    virtual time. `scheduler` is the same for reactivex. A `TokenServer(time=time).transport` answers in it. Real
    sockets and threads of your own know nothing of it.

    For one test thread at a time.
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._wall = start
        self._mono = 1000.0
        self._ready: deque[_Task | _Callback] = deque()
        self._timers: list[tuple[float, int, _Turn]] = []
        self._order = itertools.count()
        self._tasks: dict[int, _Task] = {}
        #: A reactivex scheduler in this time, for timed operators and for `Store(scheduler=...)`.
        self.scheduler: VirtualScheduler = VirtualScheduler(self)

    def now(self) -> Instant:
        """The moment that this clock shows; both its times are in seconds."""
        return Instant(self._wall, self._mono)

    def chance(self) -> float:
        """The same every time, so that a test is, too."""
        return 0.5

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward (or back, if negative) without time going by: a clock that is corrected."""
        self._wall += seconds

    def advance(self, seconds: float = 0.0) -> None:
        """Let `seconds`, 0 or more, go by, and all background work that is due meanwhile happen."""
        if not 0 <= seconds < math.inf:
            raise ValueError(
                f"advance() takes a number of seconds from 0, got {seconds!r}; a clock goes back by jump()"
            )
        self._pump(self._mono + seconds, lambda: False)

    def run_until(self, condition: Callable[[], bool], timeout: float = 3600.0) -> None:
        """Let time go by until `condition()` holds. Raises AssertionError when it does not in `timeout` seconds."""
        self._pump(self._mono + timeout, condition)
        if not condition():
            raise AssertionError(f"nothing made the condition true in {timeout:g} s of virtual time")

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on an event loop of its own, as `asyncio.run` does, in virtual time.

        Where a loop runs already, in a notebook, it does so in another thread and blocks this one. Raises
        AssertionError when everything waits for what can not come.
        """

        def run() -> T:
            with asyncio.Runner(loop_factory=lambda: VirtualLoop(self)) as runner:
                return runner.run(main)

        if running_loop() is None or self.is_background():
            return run()
        with ThreadPoolExecutor(1, "virtual-loop") as thread:
            return thread.submit(run).result()

    def call_later(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Have `call` called that much later, on the thread that moves the clock. The result cancels it."""
        callback = _Callback(call)
        self._set_timer(callback, seconds)
        return callback.cancel

    async def pause(self, seconds: float) -> None:
        """`sleep` for a coroutine, on whatever asyncio loop it runs; that loop is not blocked."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def wake() -> None:
            if not over.done():
                over.set_result(None)

        cancel = self.call_later(seconds, partial(loop.call_soon_threadsafe, wake))
        try:
            await over
        finally:
            cancel()

    def sleep(self, seconds: float) -> None:
        task = self._tasks.get(threading.get_ident())
        if task is None:
            self.advance(seconds)
        else:
            self._set_timer(task, seconds)
            task.pause()

    def spawn(self, work: Callable[[], None], name: str, *, linger: float = 0.0) -> None:
        self._ready.append(_Task(self._tasks, work, name))

    def latch(self) -> Latch:
        """One to wait for with `wait`, in virtual time."""
        return _VirtualLatch(self)

    def wait(self, latch: Latch, timeout: float | None = None) -> bool:
        assert isinstance(latch, _VirtualLatch)
        task = self._tasks.get(threading.get_ident())
        if task is None:
            self._pump(float("inf") if timeout is None else self._mono + timeout, latch.is_set)
            if timeout is None and not latch.is_set():
                raise AssertionError("a wait without a timeout, and nothing in the future that would end it")
        elif not latch.is_set():
            latch.waiting.append(_Turn(task))
            if timeout is not None:
                self._set_timer(task, timeout)
            task.pause()
        return latch.is_set()

    def is_background(self) -> bool:
        """True on a thread that `spawn` made, which must not move the clock."""
        return threading.get_ident() in self._tasks

    def step(self) -> bool:
        """Do one piece of what is due now; false when there is none."""
        if not self._ready:
            return False
        self._next().resume()
        return True

    def advance_while(self, seconds: float, idle: Callable[[], bool]) -> bool:
        """`advance`, at most as long as `idle()` holds. True when it ended early."""
        self._pump(self._mono + seconds, lambda: not idle())
        return not idle()

    def _set_timer(self, task: _Task | _Callback, seconds: float) -> None:
        heapq.heappush(self._timers, (self._mono + max(0.0, seconds), next(self._order), _Turn(task)))

    def _wake(self, turn: _Turn) -> None:
        """Make a waiting task ready, unless something else has done so."""
        if turn.number == turn.task.turn:
            turn.task.turn += 1
            self._ready.append(turn.task)

    def _pump(self, until: float, condition: Callable[[], bool]) -> None:
        """Run what is ready, then move the clock to the next timer, up to `until` or until the condition holds."""
        while not condition():
            if self.step():
                continue
            if self._timers and self._timers[0][0] <= until:
                due, _, turn = heapq.heappop(self._timers)
                if turn.number == turn.task.turn:
                    self._move_to(max(due, self._mono))
                    self._wake(turn)
            else:
                if until != float("inf"):
                    self._move_to(max(until, self._mono))  # a callback may have waited for longer
                return

    def _next(self) -> _Task | _Callback:
        """Whose turn it is, of those who are ready."""
        return self._ready.popleft()

    def _move_to(self, mono: float) -> None:
        self._wall += mono - self._mono
        self._mono = mono


class _Task:
    """A thread that runs only while the pump waits for it. `turn` counts how often it was woken."""

    def __init__(self, tasks: dict[int, _Task], work: Callable[[], None], name: str) -> None:
        self._tasks = tasks
        self._work = work
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._main, name=f"{name} (virtual)", daemon=True)
        self._error: BaseException | None = None
        self.turn = 0

    def resume(self) -> None:
        """Run until it waits again or ends; raises what it raised. Called by the pump."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._stopped.acquire()
        if self._error is not None:
            raise self._error

    def pause(self) -> None:
        """Let the pump go on until somebody wakes this task. Called on its own thread."""
        self._stopped.release()
        self._go.acquire()

    def _main(self) -> None:
        ident = threading.get_ident()
        self._tasks[ident] = self
        try:
            self._work()
        except BaseException as error:
            self._error = error
        finally:
            del self._tasks[ident]
            self._stopped.release()


class _Callback:
    """What happens at a moment, without a thread of its own. `turn` moves on when it is due or cancelled."""

    __slots__ = ("resume", "turn")

    def __init__(self, call: Callable[[], object]) -> None:
        self.resume = call
        self.turn = 0

    def cancel(self) -> None:
        self.turn += 1


class _Turn:
    """One wait of a task: void once the task was woken from it."""

    __slots__ = ("number", "task")

    def __init__(self, task: _Task | _Callback) -> None:
        self.task = task
        self.number = task.turn


class _VirtualLatch:
    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._set = False
        self.waiting: list[_Turn] = []

    def set(self) -> None:
        self._set = True
        for turn in self.waiting:
            self._time._wake(turn)
        self.waiting.clear()

    def is_set(self) -> bool:
        return self._set
