"""Take over what another process has stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rxauth.concurrency.flight import Flight
from rxauth.concurrency.runtime import Instant
from rxauth.errors import RefreshUnavailable, SessionExpired
from rxauth.session.actions import TokensRefreshed
from rxauth.session.explain import clock
from rxauth.session.jobs.host import Host, next_generation, note_storage, still
from rxauth.session.jobs.persistence import News
from rxauth.storage.lineage import began_with
from rxauth.storage.protocol import Record
from rxauth.tokens.pair import Tokens


def doubt(record: Record, now: Instant, listen: float) -> tuple[RefreshUnavailable, Instant]:
    """What the journal of a pair in doubt says, and from when on one try will tell.

    A time to come is until when somebody listens for the answer. Nobody does so for longer than `listen` seconds: then
    it is the clock of another machine that is wrong.
    """
    assert record.spending is not None
    wait = record.spending - now.wall
    if not 0 < wait <= listen:
        why, wait = f"a process began to refresh at {clock(record.spending)} and ended before it had the answer", 0.0
    else:
        why = f"a process had no answer in time and listens for it until {clock(record.spending)}"
    error = RefreshUnavailable(
        f"{why}; the next refresh is a single try, which the server may refuse",
        cause="in_doubt",
        retry_at=now.wall + wait,
    )
    return error, Instant(now.wall + wait, now.mono + wait)


def look(host: Host) -> None:
    """The storage has told of a change: take it over. What was lost, or set back, is put right."""
    tokens = host.auth.tokens
    if tokens is None:
        _join(host)
    elif not take(host, host.storage.news(tokens), tokens, None) and host.storage.is_behind(tokens):
        _write_back(host, tokens)


def _join(host: Host) -> None:
    """Nobody is signed in here: somebody may have signed in elsewhere."""
    record = host.storage.newcomer()
    if record is not None and record.tokens is not None:
        tokens = replace(record.tokens, sign_in=record.sign_in, generation=next_generation())
        if host.enter(tokens):
            host.storage.adopt(tokens, record)
            host.notify()


def _write_back(host: Host, tokens: Tokens) -> None:
    """In the section, where nobody else does so, nor brings a later pair."""
    section, entered = host.storage.enter(host.settings.deadline)
    host.runtime.wait(entered.done)
    try:
        entered.result()
    except TimeoutError:
        return  # somebody refreshes, and stores more than this
    try:
        if not take(host, host.storage.news(tokens), tokens, None):
            note_storage(host, tokens, host.storage.catch_up(tokens, still(host, tokens)))
    finally:
        host.storage.leave(section)


def _cause(record: Record) -> SessionExpired | None:
    """Why the server ended the sign-in of this tombstone, as another process has learnt; None for a logout."""
    if not record.cause:
        return None
    return SessionExpired(
        f"the sign-in ended in another process: {record.cause}", cause=record.cause, status_code=record.status_code
    )


def take(host: Host, news: News, spent: Tokens, flight: Flight[Tokens] | None) -> bool:
    """Take over what another process did to the sign-in of `spent`; False when that is nothing.

    A later pair is published without a post, a tombstone ends the sign-in here, too, another sign-in is a user switch.
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
                note_storage(host, tokens, None)
            if flight is not None:
                if accepted:
                    flight.land(tokens)
                else:
                    host.pass_on(flight, spent.sign_in)
            host.notify()
        case "over":
            assert record is not None
            host.leave(spent.sign_in, _cause(record))
        case "other":
            assert record is not None
            assert record.tokens is not None
            tokens = replace(record.tokens, sign_in=record.sign_in, generation=next_generation())
            if host.enter(tokens, same=began_with(record, spent)):
                host.storage.adopt(tokens, record)
                note_storage(host, tokens, None)
                host.notify()
        case _:
            return False
    return True
