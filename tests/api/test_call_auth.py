"""The `auth` of a class of calls, which may be inherited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from accident_kit import made, soon

from rxauth import ApiCall, Request, request
from rxauth.errors import InvalidCall


class Base(ApiCall[Any]):
    """What all calls of an app have in common."""

    auth = "nome"  # type: ignore[assignment]


class Mixin:
    auth = "nome"


@dataclass(frozen=True)
class OfBase(Base):
    pass


@dataclass(frozen=True)
class OfMixin(Mixin, ApiCall[Any]):  # type: ignore[misc]
    pass


@dataclass(frozen=True)
class Own(ApiCall[Any]):
    auth = "nome"  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [OfBase, OfMixin, Own])
def test_an_auth_that_is_none_is_refused_also_where_it_is_inherited(kind: type[Any]) -> None:
    """Else a slip of the pen in it would send all of these calls without a token."""
    says = rf"{kind.__name__}.auth must be 'required', 'if_signed_in' or 'none', got 'nome'"
    with pytest.raises(InvalidCall, match=says):
        kind()


@dataclass(frozen=True)
class Either(ApiCall[Any]):
    auth: Any = "required"  # type: ignore[misc]

    def request(self, state: Any) -> Request:
        return Request.get("/")


@pytest.mark.parametrize("policy", ["merge", "in_order"])
def test_it_may_be_a_field_and_is_then_looked_at_in_each_call(policy: Any) -> None:
    store, _ = made(policy=policy)
    answers = [soon(request(store, Either(auth)).run) for auth in ("required", "if_signed_in", "none")]
    assert answers == ["Bearer token", "Bearer token", None]
    with pytest.raises(InvalidCall, match=r"Either\.auth must be 'required', 'if_signed_in' or 'none', got 'nome'"):
        soon(request(store, Either("nome")).run)
    assert soon(request(store, Either()).run) == "Bearer token", "and the next one goes its way"
