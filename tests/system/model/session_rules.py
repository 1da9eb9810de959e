"""What holds of flights and callers: of a world, of what takes off, and of what a caller is told."""

from __future__ import annotations

from rxauth import AuthState, Tokens
from rxauth.errors import LoginFailed, NotSignedIn, SessionChanged, SessionExpired
from rxauth.session.jobs.refresh import RefreshRun
from rxauth.session.state import is_cooling
from tests.system.model.exploration import named
from tests.system.model.stage import Answer, Call, Login, Run, World
from tests.system.model.state_rules import status_of


def is_about_now(run: Run, auth: AuthState) -> bool:
    return (run.spent.sign_in, run.spent.generation) == (auth.sign_in, auth.generation)


# -- worlds --------------------------------------------------------------------------------------------------------


def at_most_one_flight_spends_a_pair(world: World) -> bool:
    return sum(is_about_now(run, world.auth) and not run.landed for run in world.runs) <= 1


def a_slot_holds_a_flight_that_is_on_its_way(world: World) -> bool:
    aloft = {flight.number for flight in (*world.runs, *world.logins) if not flight.landed}
    return {world.slot, world.login_slot} - {0} == aloft


def who_waits_waits_for_a_flight_that_is_on_its_way(world: World) -> bool:
    aloft = {flight.number for flight in (*world.runs, *world.logins) if not flight.landed}
    return all(call is None or call.flight in aloft for call in world.calls)


def who_waits_for_tokens_began_under_their_sign_in(world: World) -> bool:
    waits = {call.flight: call for call in world.calls if call is not None}
    runs = all(_may_join(waits[run.number], run.spent.sign_in) for run in world.runs if run.number in waits)
    return runs and all(_may_join(waits[new.number], new.sign_in) for new in world.logins if new.number in waits)


def _may_join(call: Call, sign_in: str) -> bool:
    return call.began in (None, sign_in) or call.behind


def who_waits_for_a_refresh_began_under_the_current_sign_in(world: World) -> bool:
    flights = {call.flight for call in world.calls if call is not None}
    return all(run.spent.sign_in == world.auth.sign_in for run in world.runs if run.number in flights)


def the_status_says_refreshing_exactly_while_a_flight_spends_the_pair(world: World) -> bool:
    current = any(is_about_now(run, world.auth) and not run.landed for run in world.runs)
    return current == (status_of(world.auth) == "refreshing")


def nobody_posts_unasked_while_an_answer_may_come(world: World) -> bool:
    listening = any(is_about_now(run, world.auth) and run.late for run in world.runs)
    return not listening or world.auth.in_doubt


WORLD_RULES = named(
    at_most_one_flight_spends_a_pair,
    a_slot_holds_a_flight_that_is_on_its_way,
    who_waits_waits_for_a_flight_that_is_on_its_way,
    who_waits_for_tokens_began_under_their_sign_in,
    who_waits_for_a_refresh_began_under_the_current_sign_in,
    the_status_says_refreshing_exactly_while_a_flight_spends_the_pair,
    nobody_posts_unasked_while_an_answer_may_come,
)


# -- what takes off ------------------------------------------------------------------------------------------------


def a_flight_spends_the_current_pair(before: World, run: RefreshRun, auth: AuthState) -> bool:
    return (run._spent.sign_in, run._spent.generation) == (auth.sign_in, auth.generation)


def nobody_posts_during_a_cool_down(before: World, run: RefreshRun, auth: AuthState) -> bool:
    return not is_cooling(auth, before.now)


def after_a_failure_there_is_one_try(before: World, run: RefreshRun, auth: AuthState) -> bool:
    return run._tries == 1 if auth.failures or auth.in_doubt else run._tries > 1


def a_pair_that_may_be_spent_is_posted_by_a_probe_alone(before: World, run: RefreshRun, auth: AuthState) -> bool:
    posted = any(other.late and other.spent.generation == run._spent.generation for other in before.runs)
    return not posted or (auth.in_doubt and run._tries == 1)


DEPARTURE_RULES = named(
    a_flight_spends_the_current_pair,
    nobody_posts_during_a_cool_down,
    after_a_failure_there_is_one_try,
    a_pair_that_may_be_spent_is_posted_by_a_probe_alone,
)


# -- what a caller is told -----------------------------------------------------------------------------------------


def tokens_are_the_current_ones(answer: Answer) -> bool:
    return answer.tokens is None or answer.tokens is answer.auth.tokens


def tokens_are_never_somebody_else_s(answer: Answer) -> bool:
    return answer.tokens is None or answer.began in (None, answer.tokens.sign_in)


def who_waited_for_a_pair_that_was_replaced_gets_the_new_one(answer: Answer) -> bool:
    run = answer.waited_for
    if not isinstance(run, Run) or is_about_now(run, answer.auth) or answer.auth.sign_in != run.spent.sign_in:
        return True
    return answer.tokens is not None


def an_answer_is_tokens_or_an_error(answer: Answer) -> bool:
    return (answer.tokens is None) != (answer.error is None)


def the_end_of_a_sign_in_is_told_only_when_it_is_over(answer: Answer) -> bool:
    if not isinstance(answer.error, NotSignedIn) or isinstance(answer.error, LoginFailed):
        return True
    return answer.auth.tokens is None or (answer.began is not None and answer.auth.sign_in != answer.began)


def an_expired_session_is_told_with_its_cause(answer: Answer) -> bool:
    if not isinstance(answer.error, SessionExpired):
        return True
    cause = answer.auth.error
    return not isinstance(cause, SessionExpired) or cause.cause == answer.error.cause


def a_change_of_users_is_told_only_when_there_was_one(answer: Answer) -> bool:
    if not isinstance(answer.error, SessionChanged):
        return True
    changed = answer.began is not None and answer.auth.sign_in != answer.began
    return changed or (isinstance(answer.waited_for, Login) and answer.auth.pending != answer.waited_for.sign_in)


def a_failed_login_is_told_only_to_who_waited_for_it(answer: Answer) -> bool:
    return not isinstance(answer.error, LoginFailed) or isinstance(answer.waited_for, Login)


def a_failed_refresh_is_told_only_while_signed_in(answer: Answer) -> bool:
    if answer.error is None or isinstance(answer.error, NotSignedIn | SessionChanged):
        return True
    return answer.auth.tokens is not None and answer.began in (None, answer.auth.sign_in)


ANSWER_RULES = named(
    tokens_are_the_current_ones,
    tokens_are_never_somebody_else_s,
    who_waited_for_a_pair_that_was_replaced_gets_the_new_one,
    an_answer_is_tokens_or_an_error,
    the_end_of_a_sign_in_is_told_only_when_it_is_over,
    an_expired_session_is_told_with_its_cause,
    a_change_of_users_is_told_only_when_there_was_one,
    a_failed_login_is_told_only_to_who_waited_for_it,
    a_failed_refresh_is_told_only_while_signed_in,
)


# -- the whole event -----------------------------------------------------------------------------------------------


def everybody_is_told_once(before: World, after: World, answers: list[Answer]) -> bool:
    told = [answer.caller for answer in answers]
    still = [caller for caller, call in enumerate(after.calls) if call is not None]
    return len({*told, *still}) == len(told) + len(still)


def nobody_is_lost(before: World, after: World, answers: list[Answer]) -> bool:
    told = {answer.caller for answer in answers}
    return all(call is None or after.calls[n] is not None or n in told for n, call in enumerate(before.calls))


EVENT_RULES = named(everybody_is_told_once, nobody_is_lost)


def a_revoked_pair_is_of_nobody_who_is_signed_in(pair: Tokens, auth: AuthState) -> bool:
    return pair.sign_in != auth.sign_in


REVOKE_RULES = named(a_revoked_pair_is_of_nobody_who_is_signed_in)
