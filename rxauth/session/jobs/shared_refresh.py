"""A refresh where processes share one sign-in: they take turns, and look what the others did before they post."""

from __future__ import annotations

import itertools
import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import Instant, Pending
from rxauth.errors import RefreshUnavailable, SectionLost
from rxauth.refreshers.failures import Failure
from rxauth.session.actions import TokensRefreshed
from rxauth.session.jobs.adopt import doubt, take
from rxauth.session.jobs.host import next_generation, note_storage, still
from rxauth.session.jobs.persistence import News, why
from rxauth.session.jobs.refresh import RefreshRun
from rxauth.session.settings import LONGEST_PAUSE
from rxauth.storage.protocol import Record
from rxauth.tokens.pair import Tokens

log = logging.getLogger("rxauth")

#: How much longer than a flight's deadline one waits for the others, in seconds.
PATIENCE = 15.0


class SharedRefreshRun(RefreshRun):
    """Enters the exclusive section, reads what is stored, writes into the journal what is about to be spent, refreshes,
    saves and leaves.

    Nothing is posted that another process may have spent: without the section, or without the journal, the refresh
    fails with `RefreshUnavailable(cause="storage")`, and the tokens are used while they live.
    """

    _section: AbstractContextManager[object] | None = None

    def run(self) -> None:
        try:
            if self._enter():
                self._take_turn()
        except BaseException as error:  # ours: nobody may wait for ever
            self._crash(error)
        finally:
            self._leave()

    def _enter(self) -> bool:
        """Wait until nobody else is in the section. False if that takes too long, or fails, of which is told."""
        host = self._host
        if host.storage.is_keeping:
            self._unavailable("the tokens of the last refresh could not be saved yet")
            return False
        section, entered = host.storage.enter(host.settings.deadline + PATIENCE)
        in_time = host.runtime.wait(entered.done, host.settings.deadline)
        if not in_time:
            self._unavailable(f"another process has been refreshing for {host.settings.deadline:g} s")
            host.runtime.wait(entered.done)
        try:
            entered.result()
        except Exception as error:
            if isinstance(error, TimeoutError) and not self._flight.landed:
                self._unavailable("another process has not ended its refresh")
            elif not self._flight.landed:
                self._without_storage(error)
            return False
        self._section = section  # also when it came too late: it is given back
        return in_time

    def _leave(self) -> None:
        section, self._section = self._section, None
        if section is not None:
            self._host.storage.leave(section)

    def _take_turn(self) -> None:
        host, spent = self._host, self._spent
        if not self._is_current():  # by now: the storage has told of what another process did
            host.pass_on(self._flight, spent.sign_in)
            return
        for _ in range(2):  # a login or a logout elsewhere may come in between
            try:
                news = host.storage.news(self._spent)
            except Exception as error:
                self._without_storage(error)
                return
            if news.kind == "later" and self._is_stale(_tokens_in(news)):
                if not self._go_on_with(news.record):
                    host.pass_on(self._flight, spent.sign_in)
                    return
            elif take(host, news, self._spent, self._flight):
                return
            if self._is_in_doubt(news.record) and self._may_wait(news.record):
                return
            unwritten = host.storage.note_spending(self._spent, host.runtime.now().wall, self._is_current)
            if unwritten is not None:
                self._without_storage(unwritten)
                return
            if not host.storage.is_behind(self._spent):
                note_storage(host, self._spent, None)
                self._fly()
                return
        self._unavailable("the stored record changes all the time")

    def _is_stale(self, tokens: Tokens) -> bool:
        remaining = tokens.remaining(self._host.runtime.now())
        return remaining is not None and remaining <= self._host.settings.windows.of(tokens)[0]

    def _go_on_with(self, record: Record | None) -> bool:
        """The pair that another process brought is stale by now, too: it is taken over, and is the one to spend."""
        assert record is not None
        assert record.tokens is not None
        host, later = self._host, replace(record.tokens, sign_in=record.sign_in, generation=next_generation())
        refreshed = TokensRefreshed(**self._about(), tokens=later, counted=host.auth.counted)
        if not host.go_on(refreshed, self._flight):
            return False
        host.storage.adopt(later, record)
        self._spent, self._refused = later, False
        return True

    def _is_in_doubt(self, record: Record | None) -> bool:
        """Has somebody begun to spend this pair, and not said what came of it? Then there is a single try."""
        is_spent = record is not None and record.spending is not None and self._rotates
        if not is_spent or self._host.storage.is_behind(self._spent):
            return False
        self._doubted, self._tries = True, 1
        return True

    def _may_wait(self, record: Record | None) -> bool:
        """Does another process still listen for its answer, or does the access token still serve? Then nobody posts, of
        which is told."""
        assert record is not None
        host, spent, now = self._host, self._spent, self._host.runtime.now()
        error, retry_at = doubt(record, now, host.settings.listen)
        serves = not self._refused and not self._is_stale(spent)
        if retry_at.wall <= now.wall and not serves:
            return False
        self._give_up(error, retry_at, in_doubt=True)
        return True

    def _listen(self, pending: Pending[Any]) -> None:
        """Nobody else posts meanwhile: the journal says until when, and instead of waiting for us they read it."""
        host, runtime = self._host, self._host.runtime
        if not self._rotates:
            self._leave()
            super()._listen(pending)
            return
        until = runtime.now().wall + host.settings.listen
        # Also when somebody else has signed in here: the others, who do not know it yet, would spend that pair again.
        while host.storage.note_waiting(self._spent, until) is not None:
            if runtime.wait(pending.done, LONGEST_PAUSE):
                return
        self._leave()
        super()._listen(pending)

    def _land(self, answer: Tokens) -> None:
        tokens = self._new(answer)
        unsaved = self._store(tokens, self._spent, self._flight)
        self._publish(tokens, unsaved)
        if unsaved is not None or self._to_save(tokens) is not None:
            self._keep_trying(tokens)

    def _store(self, tokens: Tokens, current: Tokens, flight: Flight[Tokens] | None) -> Exception | None:
        """Save the pair while the session is at `current`. Returns the error, if it failed.

        If somebody logged out, or in, while the post was under way, that holds here as well.
        """
        host, wanted = self._host, still(self._host, current)
        try:
            for _ in range(2):  # the record may have been lost
                unsaved = host.storage.save(tokens, wanted)
                if unsaved is not None or not wanted() or not host.storage.is_behind(tokens):
                    return unsaved
                news = host.storage.news(tokens)
                if news.kind == "other" and news.record is not None:
                    host.storage.note_spent(self._spent, news.record)
                if take(host, news, current, flight):
                    break
        except Exception as error:
            return error
        return None

    def _keep_trying(self, tokens: Tokens) -> None:
        """Save the pair, or that of a login that came after it, before the others may enter: they would find the one
        that is spent. Everybody here has it.

        There is no end to it but that the section is lost: a lease has run out, and somebody else is in.
        """
        host, runtime = self._host, self._host.runtime
        with host.storage.keeping():
            for number in itertools.count(2):
                pause = host.settings.pause_before(number, None, runtime.chance())
                runtime.sleep(min(pause, LONGEST_PAUSE))
                current = self._to_save(tokens)
                unsaved = self._store(current, current, None) if current is not None else None
                if unsaved is None or isinstance(unsaved, SectionLost):
                    break
        note_storage(host, current or tokens, unsaved)
        host.notify()

    def _to_save(self, tokens: Tokens) -> Tokens | None:
        """The pair that has to be stored in the place of the spent one: this, or that of a login that came after it."""
        host = self._host
        current = tokens if host.holds(tokens) else host.auth.tokens
        return current if current is not None and host.storage.is_behind(current) else None

    def _fail(self, failure: Failure) -> None:
        host, spent = self._host, self._spent
        if failure.kind == "final" and self._others_knew_better():
            return
        if failure.kind in ("transient", "misconfigured", "crashed"):
            # There was an answer, or nothing was sent: the pair is as it was.
            host.storage.note_spending(spent, None, self._is_current)
        super()._fail(failure)

    def _others_knew_better(self) -> bool:
        """Did the server refuse a pair that another process has replaced?"""
        try:
            return take(self._host, self._host.storage.news(self._spent), self._spent, self._flight)
        except Exception:
            return False

    def _without_storage(self, error: Exception) -> None:
        host = self._host
        what = f"{type(error).__name__}{why(error)}"
        log.warning("rxauth: session %r: the token storage can not be used: %s", host.name, what)
        note_storage(host, self._spent, error)
        self._unavailable(f"the token storage can not be used ({what})")

    def _unavailable(self, why: str) -> None:
        """Nothing was posted, and nothing is before the next try."""
        host, now = self._host, self._host.runtime.now()
        wait = host.settings.cool_down_after(host.auth.failures, None, host.runtime.chance())
        error = RefreshUnavailable(
            f"{why}, so nothing was posted: another process may have spent the refresh token", cause="storage"
        )
        self._give_up(error, Instant(now.wall + wait, now.mono + wait), in_doubt=False)


def _tokens_in(news: News) -> Tokens:
    assert news.record is not None
    assert news.record.tokens is not None
    return news.record.tokens
