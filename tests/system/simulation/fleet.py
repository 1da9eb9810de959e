"""Processes that share one sign-in, in a simulated world: who refreshes when, and what each hears of it, is chance.

The sessions are the real ones, each in the place of a process, on the same `Interleaving`. They share a storage that
fails, hangs, answers late, is set back or starts empty, and may tell of changes; and a server that rotates and takes a
spent token for theft. Processes come, and are killed in the midst of whatever they do.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

from rxauth import Session, Tokens
from rxauth.errors import NotSignedIn, RxAuthError, SessionChanged
from tests.system.simulation.clock import Interleaving
from tests.system.simulation.endpoint import KINDS, LIFE, Endpoint, Wire, user_of
from tests.system.simulation.shelf import Handle, Shelf
from tests.system.simulation.world import Violation

PAUSES = (0.0, 50.0, 54.0, 54.5, 55.0, 60.0, 60.1, 115.0)


class Process:
    """One of the fleet."""

    def __init__(self, world: FleetWorld, tokens: Tokens | None = None) -> None:
        self.handle = Handle(world.shelf)
        self.session: Session[Any] = Session(
            Wire(world.server, self.handle), storage=self.handle, tokens=tokens, time=world.time
        )

    @property
    def refresh(self) -> str | None:
        tokens = self.session.auth.tokens
        return tokens.refresh if tokens is not None else None


class FleetWorld:
    """Everything that one seed brings about."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.time = Interleaving(dice, eagerness=dice.choice((0.2, 0.5, 0.8)))
        self.wrong: list[str] = []
        self.shelf = Shelf(self.time, dice, self.wrong)
        kinds = dice.choice(KINDS)
        if "late" in kinds and self.shelf.has_lease:
            self.shelf.faults = 0.0  # a lease that runs out before anybody could be told to wait longer
        self.server = Endpoint(self.time, dice, self.wrong, kinds)
        self.fleet: list[Process] = []
        #: The first pair of all.
        self.given = Tokens("none")
        #: How often somebody left of his own will, or came; and was the last record forgotten?
        self.logouts = self.logins = self.kills = 0
        self.forgotten = self.has_faults = False
        self.asked = self.told = 0

    @property
    def schedule(self) -> int:
        return hash(tuple(self.time.choices))

    def run(self) -> None:
        gc.disable()  # it would choose by itself when to run what depends on the end of an object
        try:
            self._begin()
            for _ in range(self.dice.randrange(4, 16)):
                act = self.dice.choice((self._ask,) * 6 + (self._refuse,) * 2 + (self._rarely,) * 2)
                self.time.spawn(self._at(act), act.__name__)
            self.time.advance(400)
            self._recover()
        finally:
            self.time.end()
            gc.enable()

    def _begin(self) -> None:
        faults, self.shelf.faults = self.shelf.faults, 0.0
        pair = self.given = Tokens.from_response(self.server.issue("ada"), received=self.time.now())
        for number in range(self.dice.choice((2, 2, 3, 5))):
            self._start(pair if number == 0 else None)
            self.time.advance(10)
        self.shelf.faults, self.has_faults = faults, faults > 0

    def _start(self, tokens: Tokens | None = None) -> None:
        self.time.spawn(lambda: self.fleet.append(Process(self, tokens)), "a process")

    def _start_again(self, _: Process) -> None:
        """One more, with the pair that its configuration names, or none. Where that pair was never spent it comes as
        somebody else, and a store that was started anew knows nothing of it."""
        given = None if self.forgotten else self.dice.choice((None, self.given))
        if given is not None and given.refresh not in self.server.spent:
            self.logins += 1
        self._start(given)

    def _at(self, act: Callable[[Process], None]) -> Callable[[], None]:
        pause, number = self.dice.choice(PAUSES), self.dice.randrange(len(self.fleet))

        def live() -> None:
            self.time.sleep(pause)
            process = self.fleet[number]
            if not process.handle.is_dead:
                act(process)

        return live

    # -- what happens ------------------------------------------------------------------------------------------------

    def _ask(self, process: Process) -> None:
        self._wait(process, process.session.fresh())

    def _refuse(self, process: Process) -> None:
        self._wait(process, process.session.replace())

    def _wait(self, process: Process, single: Any) -> None:
        self.asked += 1
        try:
            single.run()
        except (NotSignedIn, SessionChanged) as error:
            if not self._may_be_over:
                self.wrong.append(f"signed out for nothing: {error}")
        except RxAuthError as error:
            if not (self.has_faults or self.kills or set(self.server.kinds) != {"ok"}):
                self.wrong.append(f"failed for nothing: {error!r}")
        self.told += 1

    def _rarely(self, process: Process) -> None:
        acts = (self._log_out, self._log_in, self._forget, self._fall, self._kill, self._start_again)
        self.dice.choice(acts)(process)

    def _log_out(self, process: Process) -> None:
        self.logouts += 1
        process.session.logout().run()

    def _log_in(self, process: Process) -> None:
        self.logins += 1
        try:
            process.session.login().run()
        except RxAuthError as error:
            if self.logins + self.logouts == 1 and not process.handle.is_dead:
                self.wrong.append(f"a login failed: {error!r}")

    def _forget(self, _: Process) -> None:
        """Start the store anew, empty or with the record of before; not while somebody sleeps with a spent pair, of
        which nobody could tell him any more."""
        record = self.shelf.record
        if record is None or record.tokens is None or record.spending is not None or not self.shelf.is_free:
            return
        if all(process.refresh == record.tokens.refresh for process in self._living):
            before = self.shelf.before
            ours = before is not None and before.sign_in == record.sign_in and before.tokens is not None
            self.forgotten = True
            self.shelf.set_back(before if ours and self.dice.random() < 0.5 else None)

    def _fall(self, _: Process) -> None:
        """Nobody reaches the store for some time."""
        self.has_faults = True
        self.shelf.down_until = self.time.now().mono + self.dice.choice((1.0, 5.0, 20.0))

    def _kill(self, process: Process) -> None:
        """kill -9. What a server has answered to him is lost, unless it is stored or another one has it."""
        if len(self._living) == 1:
            return
        self.kills += 1
        process.handle.is_dead = True
        process.handle.unwatch()
        self.server.posting.clear()
        stored = self.shelf.record.tokens if self.shelf.record is not None else None
        known = {stored.refresh if stored is not None else None, *(other.refresh for other in self._living)}
        self.server.lost |= {spent for spent, brought in self.server.spent.items() if brought not in known}

    @property
    def _living(self) -> list[Process]:
        return [process for process in self.fleet if not process.handle.is_dead]

    @property
    def _may_be_over(self) -> bool:
        return bool(self.logouts or self.logins or self.server.lost or (self.forgotten and self.kills))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """The faults stop: every session recovers, or has told its user why not."""
        self.shelf.faults, self.server.kinds = 0.0, ("ok",)
        self.time.advance(4000)
        for _ in range(3):  # a login that could not be saved is heard of after its next refresh
            ends: list[Tokens | RxAuthError] = []
            for process in self._living:
                self.time.spawn(_asking(process.session, ends), "the last caller")
                self.time.advance(5)
            self.time.advance(LIFE)
        self._check(ends)

    def _check(self, ends: list[Tokens | RxAuthError]) -> None:
        wrong = self.wrong + self.time.crashes
        pairs = [end for end in ends if isinstance(end, Tokens)]
        if self.told < self.asked - self.kills or len(ends) < len(self._living):
            wrong.append("a caller waits for ever")
        if len({pair.refresh for pair in pairs}) > 1:
            wrong.append(f"the processes ended with different pairs: {sorted(str(pair.refresh) for pair in pairs)}")
        if any(pair.refresh != self.server.current[user_of(pair)] for pair in pairs):
            wrong.append("a pair that had arrived was lost")
        if len(pairs) < len(ends) and not self._may_be_over:
            wrong.append(f"signed out for nothing: {[end for end in ends if not isinstance(end, Tokens)]!r}")
        if any(not isinstance(end, Tokens | NotSignedIn) for end in ends):
            wrong.append(f"it does not recover: {ends!r}")
        if self.logouts and pairs and not (self.logins or self.kills or self.forgotten or self.has_faults):
            wrong.append("a logout did not end it everywhere")
        record = self.shelf.record
        if pairs and (record is None or record.tokens is None or record.tokens.refresh != pairs[0].refresh):
            wrong.append("what is stored is not the current pair")
        if wrong:
            raise Violation(wrong[0])


def _asking(session: Session[Any], ends: list[Tokens | RxAuthError]) -> Callable[[], None]:
    def ask() -> None:
        try:
            ends.append(session.fresh().run())
        except RxAuthError as error:
            ends.append(error)

    return ask
