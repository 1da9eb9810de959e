"""Who asks for tokens, and what they may be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rxauth import Tokens
from rxauth.concurrency.runtime import running_loop
from rxauth.errors import RxAuthError, SessionClosed

if TYPE_CHECKING:
    from tests.system.simulation.loops import Loop
    from tests.system.simulation.world import World


class Caller:
    """One question for tokens. It is answered exactly once, or not any more after its caller left.

    `began`: the sign-in that it asks for, None for whoever is signed in. `rejected`: the pair that was refused. `loop`:
    where its answer must arrive.
    """

    def __init__(
        self,
        world: World,
        what: str,
        *,
        began: str | None = None,
        rejected: Tokens | None = None,
        loop: Loop | None = None,
    ) -> None:
        self._world, self._history = world, world.history
        self.what, self.loop, self._began, self._rejected = what, loop, began, rejected
        self._auth = world.history.auth
        self._since = len(world.history.entries)
        self._when = world.time.now()
        self._is_late = world.history.closed
        self.answers = 0
        self.has_left = False
        self.answered_at = float("inf")
        world.callers.append(self)

    def told(self, tokens: Tokens | None, error: BaseException | None) -> None:
        """The answer."""
        self.answers += 1
        self.answered_at = self._world.time.now().mono
        if self.answers > 1:
            self._wrong("was answered twice")
        if self.has_left:
            self._wrong("was answered after it had left")
        if self.loop is not None and running_loop() is not self.loop:
            self._wrong("was called back on a thread that is not its loop's")
        if tokens is not None and self._is_late:
            self._wrong("got tokens from a closed session")
        elif tokens is not None:
            self._judge_tokens(tokens)
        elif not isinstance(error, RxAuthError):
            self._wrong(f"got {error!r}")
        elif self._is_late and not isinstance(error, SessionClosed):
            self._wrong(f"got {type(error).__name__} from a closed session")
        elif not self._history.gives_reason(error, self._auth, self._when, self._since, self._began):
            self._wrong(f"got {type(error).__name__}, for which there was no reason")

    def told_tokens(self, tokens: Tokens) -> None:
        self.told(tokens, None)

    def told_error(self, error: BaseException) -> None:
        self.told(None, error)

    def leave(self) -> None:
        self.has_left = True

    @property
    def waits(self) -> bool:
        return not self.answers and not self.has_left

    def check(self) -> None:
        """At the end of the world."""
        if self.waits:
            self._wrong("was never answered")
            return
        if self._world.blocked_loops or self._history.was_broken:
            return  # a loop that somebody blocks tells nobody anything
        if self._began not in (self._auth.sign_in, self._auth.pending):
            return  # over before it asked
        over = self._history.left_by_choice.get(self._began, float("-inf"))
        if not self.has_left and self._when.mono <= over < self.answered_at - 1e-6:
            self._wrong("waited on after its sign-in was over")

    def _judge_tokens(self, tokens: Tokens) -> None:
        history = self._history
        if history.was_broken and tokens.generation not in history.generations:
            return  # a pair that the reducer did not let into the state is given to calls all the same
        if self._began is not None and tokens.sign_in != self._began:
            self._wrong("got another user's tokens")
        if tokens.sign_in not in history.sign_ins(self._auth, self._since):
            self._wrong("got the tokens of a sign-in that was over when it asked")
        if tokens.generation not in history.generations:
            self._wrong("got tokens before they were published")
        stored = self._world.storage.holds
        overtaken = stored is None or stored.sign_in != tokens.sign_in  # by a login that is, or was, about to be told
        if tokens.refresh not in self._world.storage.tried and not overtaken:
            self._wrong("got tokens before they were stored")
        if tokens.generation != self._auth.generation:
            if history.followed.get(tokens.generation, self._when.mono) < self._when.mono:
                self._wrong("got a pair that was not the current one any more when it asked")
            return
        if self._rejected is not None and self._rejected.generation == tokens.generation:
            self._wrong("got the very pair that it had said is refused")
        lasts = max(tokens.remaining(now) or 0.0 for now in (self._when, self._world.time.now()))
        if lasts <= 0 and tokens.life != 0:
            self._wrong("got tokens that had expired when it asked")

    def _wrong(self, what: str) -> None:
        self._world.wrong.append(f"{self.what} {what}")


def sign_in_now(world: World) -> str:
    """The sign-in that something which begins now belongs to."""
    auth = world.session.auth
    return auth.pending or auth.sign_in


def acquire(world: World) -> None:
    """What the library's own clients do: ask for what began a while ago, with callbacks; some leave."""
    began = sign_in_now(world) or None
    if world.dice.random() < 0.5:
        world.time.sleep(world.dice.choice((0.0, 0.1, 2.0)))
    caller = Caller(world, "a call", began=began)
    leave = world.session.acquire(caller.told, None, asked_by="a call", began=began)
    if world.dice.random() < 0.4:
        world.time.sleep(world.dice.choice((0.0, 0.1)))
        leave()
        caller.has_left = not caller.answers


def subscribe(world: World) -> None:
    """Subscribe to fresh(); some dispose of it."""
    caller = Caller(world, "a subscriber")
    subscription = world.session.fresh().subscribe(caller.told_tokens, caller.told_error)
    if world.dice.random() < 0.3:
        world.time.sleep(world.dice.choice((0.0, 0.1)))
        subscription.dispose()
        caller.has_left = not caller.answers


def block(world: World) -> None:
    """Wait for tokens, and ask again at once if there are none; some find that the tokens are refused."""
    tokens = None
    while tokens is None:
        tokens = _blocked(Caller(world, "a blocking caller"), world.session.fresh().run)
        if world.dice.random() < 0.5:
            break
    if tokens is not None and world.dice.random() < 0.3:
        world.time.sleep(world.dice.choice((0.0, 0.1, 2.0)))
        _replace(world, tokens)


def insist(world: World) -> None:
    """The API refuses one token after the other."""
    tokens = _blocked(Caller(world, "a blocking caller"), world.session.fresh().run)
    for _ in range(8):
        if tokens is None:
            return
        tokens = _replace(world, tokens)


def crowd(world: World) -> None:
    """Many come at once, and leave at once."""
    callers = [Caller(world, "one of a crowd") for _ in range(world.dice.randrange(2, 6))]
    subscriptions = [world.session.fresh().subscribe(one.told_tokens, one.told_error) for one in callers]
    world.time.sleep(world.dice.choice((0.0, 0.1, 0.2)))
    for caller, subscription in zip(callers, subscriptions, strict=True):
        subscription.dispose()
        caller.has_left = not caller.answers


def _replace(world: World, tokens: Tokens) -> Any:
    caller = Caller(world, "a refused caller", began=tokens.sign_in, rejected=tokens)
    return _blocked(caller, world.session.replace(tokens).run)


def _blocked(caller: Caller, run: Callable[[], Any]) -> Any:
    try:
        tokens = run()
    except RxAuthError as error:
        caller.told_error(error)
        return None
    caller.told_tokens(tokens)
    return tokens
