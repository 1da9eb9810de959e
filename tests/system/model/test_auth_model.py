"""Every reachable state, for small bounds: no event, however late, leads to one that breaks a rule."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rxauth import AuthState, auth_reducer
from rxauth.errors import LoginFailed
from rxauth.session import RefreshEvent, SignedOut, SignInFailed
from tests.system.model import stage, wild_model
from tests.system.model.auth_model import AuthModel, Bounds
from tests.system.model.bounds import RULES, models
from tests.system.model.exploration import Model, explore
from tests.system.model.wild_model import Lone, WildModel


@pytest.mark.parametrize("model", models(1), ids=lambda model: model.name)
def test_no_event_breaks_a_rule_in_any_reachable_state(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("rxauth"), "disabled", True)  # faults are logged, and they happen on purpose
    found = explore(model, limit=30_000)
    assert found.is_complete, str(found)
    assert found.states > 200, str(found)
    assert found.transitions > 5 * found.states, str(found)
    assert not found.broken, "\n".join(map(found.tell, found.broken))


def test_there_are_as_many_rules_as_one_may_rely_on() -> None:
    assert len(set(RULES)) == len(RULES) == 64


@pytest.mark.parametrize("event", [SignedOut, lambda **about: SignInFailed(error=LoginFailed("no"), **about)])
def test_an_event_that_names_nobody_changes_nothing(event: Callable[..., Any]) -> None:
    world = _walk(WildModel(), "a login begins", "SignedIn of the pending one")
    assert auth_reducer(world.auth, event(sign_in="", at=world.now)) is world.auth


def test_a_reducer_that_takes_late_results_is_found_out_by_the_shortest_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(state: AuthState, action: Any) -> AuthState:
        if isinstance(action, RefreshEvent) and action.sign_in == state.sign_in:
            action = replace(action, generation=state.generation)
        return auth_reducer(state, action)

    monkeypatch.setattr(wild_model, "auth_reducer", late)
    found = explore(WildModel(), limit=100)
    path = found.tell("what comes too late changes nothing").splitlines()
    assert path[0] == "what comes too late changes nothing: broken by"
    assert path[1:4] == [
        "  1. a login begins",
        "  2. SignedIn of the pending one",
        "  3. RefreshStarted of the one signed in, an earlier pair",
    ]


def test_a_caller_who_would_get_another_user_s_tokens_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.AfterLogin, "_ask", lambda self, tokens, error: None)
    found = explore(AuthModel(Bounds("lost waiters", callers=1, runs=1, logins=1, faults=(), timeouts=False)), 500)
    assert "nobody is lost" in found.broken


def _walk(model: WildModel, *events: str) -> Lone:
    world = model.begin()
    for event in events:
        world = next(move.after for move in model.moves(world) if move.event == event)
    return world
