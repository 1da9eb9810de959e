"""Reading a token endpoint's answer: where the tokens are."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from token_kit import T0, after, make_jwt, received

from rxauth import Tokens
from rxauth.tokens import TokenFields


def test_simplejwt_answers_with_access_and_refresh() -> None:
    access = make_jwt(exp=T0.wall + 300, iat=T0.wall)
    tokens = received({"access": access, "refresh": "r1"})
    assert (tokens.access, tokens.refresh, tokens.life) == (access, "r1", 300)


def test_oauth2_answers_with_its_own_names() -> None:
    answer = {"access_token": "a1", "refresh_token": "r1", "expires_in": 60, "token_type": "bearer", "scope": "read"}
    tokens = received(answer)
    assert (tokens.access, tokens.refresh, tokens.life, tokens.scope) == ("a1", "r1", 60, "read")


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER", "bEaReR", None, 7])
def test_the_token_type_may_be_written_in_any_case(token_type: object) -> None:
    assert received({"access_token": "a1", "token_type": token_type}).access == "a1"


def test_oauth2_names_win_over_simplejwt_names() -> None:
    assert received({"access": "other", "access_token": "a1"}).access == "a1"


def test_a_null_field_counts_as_a_missing_one() -> None:
    tokens = received({"access_token": None, "access": "a1", "refresh_token": None, "scope": None})
    assert (tokens.access, tokens.refresh, tokens.scope) == ("a1", None, None)


@pytest.mark.parametrize("refresh", [None, "", False])
def test_an_empty_refresh_token_counts_as_a_missing_one(refresh: object) -> None:
    assert received({"access": "a1", "refresh": refresh}).refresh is None


def test_a_scope_that_is_a_list_is_left_out() -> None:
    assert received({"access": "a1", "scope": ["read"]}).scope is None


@pytest.mark.parametrize("under", ["data", "data.tokens", "a.b.c"])
def test_the_tokens_may_be_nested(under: str) -> None:
    answer: dict[str, object] = {"access": "a1", "refresh": "r1", "expires_in": 5}
    for key in reversed(under.split(".")):
        answer = {key: answer, "access": "decoy"}
    tokens = received(answer, under=under)
    assert (tokens.access, tokens.refresh, tokens.life) == ("a1", "r1", 5)


def test_every_field_may_have_another_name() -> None:
    answer = {"jwt": "a1", "rt": "r1", "ttl": 9, "rttl": 90, "access": "decoy", "refresh": "decoy", "expires_in": 1}
    tokens = received(answer, access_key="jwt", refresh_key="rt", expires_key="ttl", refresh_expires_key="rttl")
    assert (tokens.access, tokens.refresh, tokens.life) == ("a1", "r1", 9)
    assert tokens.refresh_remaining(T0) == 90


def test_a_named_field_is_the_only_one_looked_at() -> None:
    tokens = received({"access": "a1", "refresh": "r1", "expires_in": 60}, refresh_key="rt", expires_key="ttl")
    assert (tokens.refresh, tokens.life) == (None, None)


def test_any_mapping_will_do() -> None:
    assert received(MappingProxyType({"access": "a1"})).access == "a1"


def test_an_answer_without_a_refresh_token_keeps_the_one_we_had() -> None:
    spent = received({"access": "a1", "refresh": "r1", "refresh_expires_in": 100})
    tokens = Tokens.from_response({"access": "a2"}, received=after(10), keep=spent)
    assert (tokens.access, tokens.refresh) == ("a2", "r1")
    assert tokens.refresh_remaining(after(10)) == 90


@pytest.mark.parametrize(
    ("answer", "scope"), [({}, "read"), ({"scope": None}, "read"), ({"scope": "write"}, "write"), ({"scope": ""}, "")]
)
def test_an_answer_that_names_no_scope_keeps_the_one_we_had(answer: dict[str, Any], scope: str) -> None:
    """RFC 6749 section 6."""
    spent = received({"access": "a1", "refresh": "r1", "scope": "read"})
    assert Tokens.from_response({"access": "a2", **answer}, received=T0, keep=spent).scope == scope
    assert Tokens.from_response({"access": "a2", **answer}, received=T0).scope == answer.get("scope")


def test_an_answer_with_a_refresh_token_replaces_the_one_we_had() -> None:
    spent = received({"access": "a1", "refresh": "r1", "refresh_expires_in": 100})
    tokens = Tokens.from_response({"access": "a2", "refresh": "r2"}, received=after(10), keep=spent)
    assert (tokens.refresh, tokens.refresh_expires_at) == ("r2", None)


def test_a_new_pair_belongs_to_no_sign_in_until_a_session_holds_it() -> None:
    tokens = received({"access": "a1"})
    assert (tokens.sign_in, tokens.generation) == ("", 0)


def test_two_tokens_of_the_same_second_may_be_byte_identical_and_still_differ_by_generation() -> None:
    from dataclasses import replace

    first, second = (replace(received({"access": "same", "refresh": "same"}), generation=n) for n in (1, 2))
    assert first.access == second.access
    assert first != second


def test_the_moment_of_receipt_is_now_when_it_is_not_given() -> None:
    tokens = Tokens.from_response({"access": "a1", "expires_in": 60}, fields=TokenFields())
    assert tokens.received is not None
    assert tokens.remaining(tokens.received) == 60


def test_access_is_a_plain_str_and_claims_can_be_read_unverified() -> None:
    access = make_jwt(exp=T0.wall + 60, user_id=7)
    tokens = received({"access": access})
    assert type(tokens.access) is str
    assert tokens.claims["user_id"] == 7
    assert received({"access": "opaque"}).claims == {}


def test_the_docstring_says_that_the_signature_is_not_verified() -> None:
    assert "signature is not verified" in " ".join((Tokens.__doc__ or "").split())
