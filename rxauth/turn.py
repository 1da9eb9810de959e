"""A refresh where processes share one sign-in: they take turns, and look what the others did before they post."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import Any

from rxauth.actions import TokensRefreshed
from rxauth.errors import RefreshUnavailable
from rxauth.flight import Flight
from rxauth.refresh import Host, RefreshRun, next_generation, note_storage
from rxauth.refreshers.answers import Failure, failure_of
from rxauth.runtime import Instant
from rxauth.storage.guarded import News, why
from rxauth.tokens import Tokens

log = logging.getLogger("rxauth")

#: How much longer than a flight's deadline one waits for the others, in seconds.
PATIENCE = 15.0


class SharedRefreshRun(RefreshRun):
    """Enters the exclusive section, reads what is stored, writes into the journal what is about to be spent, refreshes,
    saves and leaves.

    Nothing is posted that another process may have spent: without the section, or without the journal, the refresh
    fails with `RefreshUnavailable(cause="storage")`, and the tokens are used while they live.
    """

    def run(self) -> None:
        host = self._host
        try:
            section, entered = host.storage.enter(host.settings.deadline + PATIENCE)
            in_time = host.runtime.wait(entered.done, host.settings.deadline)
            if not in_time:
                self._unavailable(f"another process has been refreshing for {host.settings.deadline:g} s")
                host.runtime.wait(entered.done)
            entered.result()
        except Exception as error:
            self._fail_unless_landed(error)
            return
        try:
            if in_time:
                self._take_turn()
        except BaseException as error:  # nobody may wait for ever
            self._fail(failure_of(error))
        finally:
            host.storage.leave(section)

    def _take_turn(self) -> None:
        host, spent = self._host, self._spent
        if not self._is_current():  # by now: the storage has told of what another process did
            self._flight.land(*host.instead(spent.sign_in))
            return
        try:
            news = host.storage.news(spent)
        except Exception as error:
            self._without_storage(error)
            return
        if news.kind == "later" and self._is_stale(news):
            self._spend_later(news)
        elif take(host, news, spent, self._flight):
            return
        if news.record is not None and news.record.sign_in == spent.sign_in and news.record.spending is not None:
            self._doubted, self._tries = True, 1
        unwritten = host.storage.note_spending(self._spent, host.runtime.now().wall, self._is_current)
        if unwritten is not None:
            self._without_storage(unwritten)
        elif host.storage.is_behind(self._spent):  # a login or a logout elsewhere came in between
            self._look_again()
        else:
            note_storage(host, spent, None)
            self._fly()

    def _is_stale(self, news: News) -> bool:
        assert news.record is not None
        assert news.record.tokens is not None
        tokens = news.record.tokens
        remaining = tokens.remaining(self._host.runtime.now())
        return remaining is not None and remaining <= self._host.settings.windows.of(tokens)[0]

    def _spend_later(self, news: News) -> None:
        """The pair that another process brought is stale by now, too: it is the one to spend, in the name of ours."""
        assert news.record is not None
        assert news.record.tokens is not None
        ours = self._spent
        later = replace(news.record.tokens, sign_in=ours.sign_in, generation=next_generation())
        self._host.storage.adopt(later, news.record)
        self._spent = replace(later, generation=ours.generation)

    def _look_again(self) -> None:
        if not take(self._host, self._host.storage.news(self._spent), self._spent, self._flight):
            self._unavailable("the stored record changes all the time")

    def _land(self, answer: Tokens) -> None:
        tokens = self._new(answer)
        unsaved = self._store(tokens, self._spent, self._flight)
        self._publish(tokens, unsaved)
        if unsaved is not None:
            self._keep_trying(tokens)

    def _store(self, tokens: Tokens, current: Tokens, flight: Flight[Tokens] | None) -> Exception | None:
        """Save the pair while the session is at `current`. Returns the error, if it failed.

        If somebody logged out, or in, while the post was under way, that holds here as well.
        """
        host = self._host
        wanted = lambda: host.auth.generation == current.generation  # noqa: E731
        try:
            for _ in range(2):  # the record may have been lost
                unsaved = host.storage.save(tokens, wanted)
                if unsaved is not None or not wanted() or not host.storage.is_behind(tokens):
                    return unsaved
                if take(host, host.storage.news(tokens), current, flight):
                    break
        except Exception as error:
            return error
        return None

    def _keep_trying(self, tokens: Tokens) -> None:
        """Save the pair before the others may enter: they would find the one that is spent. Everybody here has it."""
        host, runtime = self._host, self._host.runtime
        end = runtime.now().mono + PATIENCE
        for number in itertools.count(2):
            pause = host.settings.pause_before(number, None, runtime.chance())
            runtime.sleep(min(pause, end - runtime.now().mono))
            unsaved = self._store(tokens, tokens, None)
            if unsaved is None or runtime.now().mono >= end:
                break
        note_storage(host, tokens, unsaved)
        host.notify()

    def _fail(self, failure: Failure) -> None:
        host, spent = self._host, self._spent
        if failure.kind == "final" and self._others_knew_better():
            return
        if failure.kind in ("transient", "misconfigured"):
            # There was an answer, or nothing was sent: the pair is as it was.
            host.storage.note_spending(spent, None, self._is_current)
        super()._fail(failure)

    def _others_knew_better(self) -> bool:
        """Did the server refuse a pair that another process has replaced?"""
        try:
            return take(self._host, self._host.storage.news(self._spent), self._spent, self._flight)
        except Exception:
            return False

    def _fail_unless_landed(self, error: Exception) -> None:
        if self._flight.landed:
            return
        if isinstance(error, TimeoutError):
            self._unavailable("another process has not ended its refresh")
        else:
            self._without_storage(error)

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


def look(host: Host) -> None:
    """The storage has told of a change: take it over, or if the record was lost, write it back."""
    tokens = host.auth.tokens
    if tokens is None:
        return
    news = host.storage.news(tokens)
    if news.kind == "absent":
        _write_back(host, tokens)
    else:
        take(host, news, tokens, None)


def _write_back(host: Host, tokens: Tokens) -> None:
    """In the section, where nobody else does so, nor brings a later pair."""
    section, entered = host.storage.enter(host.settings.deadline)
    host.runtime.wait(entered.done)
    try:
        entered.result()
    except TimeoutError:
        return  # somebody refreshes, and stores more than this
    try:
        news = host.storage.news(tokens)
        if news.kind == "absent":
            still = lambda: host.auth.generation == tokens.generation  # noqa: E731
            note_storage(host, tokens, host.storage.catch_up(tokens, still))
        else:
            take(host, news, tokens, None)
    finally:
        host.storage.leave(section)


def take(host: Host, news: News, spent: Tokens, flight: Flight[Tokens] | None) -> bool:
    """Take over what another process did to the sign-in of `spent`; False when that is nothing.

    A later pair is published without a post, a tombstone signs out here as well, another sign-in is a user switch.
    """
    record = news.record
    match news.kind:
        case "later":
            assert record is not None
            assert record.tokens is not None
            tokens = replace(record.tokens, sign_in=spent.sign_in, generation=next_generation())
            about: dict[str, Any] = {"session": host.name, "sign_in": spent.sign_in, "generation": spent.generation}
            refreshed = TokensRefreshed(**about, at=host.runtime.now(), tokens=tokens, counted=host.auth.counted)
            accepted = host.conclude(refreshed, flight)
            if accepted:
                host.storage.adopt(tokens, record)
            if flight is not None:
                flight.land(*((tokens, None) if accepted else host.instead(spent.sign_in)))
            host.notify()
        case "over":
            host.leave(spent.sign_in)
        case "other":
            assert record is not None
            assert record.tokens is not None
            tokens = replace(record.tokens, sign_in=record.sign_in, generation=next_generation())
            if host.enter(tokens):
                host.storage.adopt(tokens, record)
                host.notify()
        case _:
            return False
    return True
