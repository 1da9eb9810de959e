"""What holds of every step of the reducer: of the state before, the event and the state after it."""

from __future__ import annotations

from rxauth.session import (
    AuthState,
    RefreshEvent,
    RefreshFailed,
    RefreshStarted,
    SessionEnded,
    SessionEvent,
    SignedIn,
    SignedOut,
    SignInFailed,
    SigningIn,
    StorageChanged,
    TokensRefreshed,
)
from rxauth.session.jobs.host import is_about, is_current
from tests.system.model.exploration import named
from tests.system.model.state_rules import status_of

WAY_OUT = SessionEnded | SignedOut


def concerns(action: SessionEvent, auth: AuthState) -> bool:
    """Is the event about what the state holds, not about something that is over?"""
    if isinstance(action, SigningIn):
        return True
    if isinstance(action, SignedOut):
        return action.sign_in in (auth.sign_in, auth.pending)
    return is_current(action, auth)


def _who(auth: AuthState) -> tuple[object, ...]:
    return (auth.sign_in, auth.generation, auth.tokens)


def _trouble(auth: AuthState) -> tuple[object, ...]:
    return (auth.failures, auth.cool_down, auth.retry_at, auth.in_doubt)


def what_comes_too_late_changes_nothing(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return concerns(event, before) or after is before


def what_is_current_is_taken_note_of(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return not concerns(event, before) or after is not before


def nobody_becomes_somebody_else(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if isinstance(event, SignedIn):
        return after.sign_in in (before.sign_in, before.pending)
    return after.sign_in == before.sign_in or (isinstance(event, WAY_OUT) and after.sign_in == "")


def tokens_come_with_the_event_of_their_sign_in(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after.tokens is before.tokens:
        return True
    if isinstance(event, SignedIn | TokensRefreshed):
        return after.tokens is event.tokens and after.sign_in == event.sign_in
    return after.tokens is None and isinstance(event, WAY_OUT)


def only_a_new_login_undoes_a_logout(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return before.tokens is not None or after.tokens is None or (isinstance(event, SignedIn) and before.pending != "")


def a_way_out_leaves_nobody(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return not isinstance(event, WAY_OUT) or after is before or _who(after) == ("", 0, None)


def a_logout_ends_a_login_in_progress_too(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    nothing = AuthState(session=before.session, storage=before.storage, changed=event.at)
    return not isinstance(event, SignedOut) or after is before or after == nothing


def a_failure_and_an_end_say_why(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after is before or not isinstance(event, RefreshFailed | SignInFailed | SessionEnded):
        return True
    return after.error is (event.cause if isinstance(event, SessionEnded) else event.error)


def a_failure_counts_and_cools_down(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after is before or not isinstance(event, RefreshFailed) or event.retry_at is None:
        return True
    until = (before.failures + 1, event.retry_at.mono, event.retry_at.wall, before.in_doubt or event.in_doubt)
    return _trouble(after) == until and status_of(after) == "degraded"


def a_failure_without_a_pause_lets_the_next_call_try(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after is before or not isinstance(event, RefreshFailed) or event.retry_at is not None:
        return True
    return (after.cool_down, after.retry_at, status_of(after)) == (None, None, "signed_in")


def doubt_lasts_until_it_is_settled(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return after.in_doubt or not before.in_doubt or isinstance(event, TokensRefreshed | SignedIn | WAY_OUT)


def doubt_begins_with_a_lost_answer(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return before.in_doubt or not after.in_doubt or (isinstance(event, RefreshFailed) and event.in_doubt)


def a_success_ends_all_trouble(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after is before or not isinstance(event, SignedIn | TokensRefreshed):
        return True
    return (after.error, *_trouble(after)) == (None, 0, None, None, False) and status_of(after) == "signed_in"


def a_login_in_progress_is_left_alone_by_a_refresh(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return not isinstance(event, RefreshEvent) or (before.status == "signing_in", before.pending) == (
        after.status == "signing_in",
        after.pending,
    )


def a_login_that_begins_changes_nobody(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if not isinstance(event, SigningIn):
        return True
    kept = (_who(before), _trouble(before), before.error, status_of(before), before.counted)
    now = (_who(after), _trouble(after), after.error, status_of(after), after.counted)
    return kept == now and (after.status, after.pending) == ("signing_in", event.sign_in)


def a_login_that_fails_gives_back_what_was(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if not isinstance(event, SignInFailed) or after is before:
        return True
    kept = (_who(before), _trouble(before), status_of(before), before.counted)
    return kept == (_who(after), _trouble(after), after.status, after.counted) and after.pending == ""


def a_refresh_that_starts_says_so_and_spends_nothing(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if not isinstance(event, RefreshStarted) or after is before:
        return True
    kept = (_who(before), _trouble(before), before.error) == (_who(after), _trouble(after), after.error)
    return kept and (status_of(after), after.asked_by) == ("refreshing", event.asked_by)


def the_storage_is_a_matter_of_its_own(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if not isinstance(event, StorageChanged) or after is before:
        return after.storage == before.storage
    kept = (_who(before), _trouble(before), before.error, before.status, before.resume, before.pending)
    same = kept == (_who(after), _trouble(after), after.error, after.status, after.resume, after.pending)
    return same and (after.storage == "failing") is (event.error is not None)


def refreshes_that_count_are_counted(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if after is before or not isinstance(event, TokensRefreshed):
        gone = isinstance(event, SignedIn | WAY_OUT) and after is not before
        return after.counted == (() if gone else before.counted)
    return after.counted == event.counted


def a_result_is_told_as_taken_exactly_when_it_was(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    if not isinstance(event, SignedIn | TokensRefreshed | SessionEnded):
        return True
    twice = isinstance(event, SignedIn) and event.sign_in == before.sign_in
    return twice or is_about(event, after) == concerns(event, before)


def the_moment_is_noted(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return after is before or isinstance(event, StorageChanged) or after.changed == event.at


def the_slice_stays_its_session_s(before: AuthState, event: SessionEvent, after: AuthState) -> bool:
    return after.session == before.session == event.session


STEP_RULES = named(
    what_comes_too_late_changes_nothing,
    what_is_current_is_taken_note_of,
    nobody_becomes_somebody_else,
    tokens_come_with_the_event_of_their_sign_in,
    only_a_new_login_undoes_a_logout,
    a_way_out_leaves_nobody,
    a_logout_ends_a_login_in_progress_too,
    a_failure_and_an_end_say_why,
    a_failure_counts_and_cools_down,
    a_failure_without_a_pause_lets_the_next_call_try,
    doubt_lasts_until_it_is_settled,
    doubt_begins_with_a_lost_answer,
    a_success_ends_all_trouble,
    a_login_in_progress_is_left_alone_by_a_refresh,
    a_login_that_begins_changes_nobody,
    a_login_that_fails_gives_back_what_was,
    a_refresh_that_starts_says_so_and_spends_nothing,
    the_storage_is_a_matter_of_its_own,
    refreshes_that_count_are_counted,
    a_result_is_told_as_taken_exactly_when_it_was,
    the_moment_is_noted,
    the_slice_stays_its_session_s,
)
