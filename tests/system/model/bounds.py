"""What is explored at which bound; each takes some times as long as the one before."""

from __future__ import annotations

from tests.system.model.auth_model import RECOVERS, AuthModel, Bounds
from tests.system.model.exploration import END, Model
from tests.system.model.session_rules import ANSWER_RULES, DEPARTURE_RULES, EVENT_RULES, REVOKE_RULES, WORLD_RULES
from tests.system.model.state_rules import STATE_RULES
from tests.system.model.step_rules import STEP_RULES
from tests.system.model.wild_model import FOREIGN, OTHERS, PURE, WildModel

RULES = [
    *STEP_RULES,
    *STATE_RULES,
    *WORLD_RULES,
    *DEPARTURE_RULES,
    *ANSWER_RULES,
    *EVENT_RULES,
    *REVOKE_RULES,
    *(PURE, OTHERS, FOREIGN, END, RECOVERS),
]

_FEW = ("503",)

#: Whoever is not mentioned has 2 callers, 2 refreshes under way, and every fault. `logins` under way and who is signed
#: in are as many users at once, beside one of earlier.
BOUNDS = {
    1: [
        Bounds("one user, every fault, a storage that fails", storage=True),
        Bounds("three users, logouts, resets", logins=2, faults=_FEW, timeouts=False, resets=True),
        Bounds("two users and timeouts", callers=1, logins=1, faults=("lost",), replaces=False),
        Bounds("an API that refuses every token", faults=_FEW, timeouts=False, excess=True),
    ],
    2: [
        Bounds("one user, three callers, three refreshes, every fault", callers=3, runs=3, storage=True),
        Bounds("two users, resets, every fault, a storage that fails", callers=1, logins=1, resets=True, storage=True),
        Bounds("an API that refuses every token, and every fault", excess=True),
    ],
    3: [
        Bounds("two users, two callers, resets, every fault", logins=1, resets=True),
        Bounds("three users, resets, timeouts", logins=2, faults=_FEW, resets=True),
        Bounds("three users, three callers, three refreshes", 3, 3, 2, faults=_FEW, timeouts=False, resets=True),
    ],
}


def models(bound: int) -> list[Model]:
    """The models of this bound."""
    return [WildModel(failures=bound + 1), *(AuthModel(bounds) for bounds in BOUNDS[bound])]
