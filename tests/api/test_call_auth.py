"""The `auth` of a class of calls, which may be inherited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rxauth import ApiCall
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
