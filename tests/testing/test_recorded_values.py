"""What stands in recorded actions: it comes back as it was, and without its secrets."""

from __future__ import annotations

import enum
import json
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from rxauth import Request, Tokens, call
from rxauth.api import ApiFailed, ApiSucceeded
from rxauth.errors import RefreshUnavailable
from rxauth.recording.encoding import Unknown, decode, encode
from rxauth.recording.redactor import Opaque, Redactor
from rxauth.session import Login

SECRETS = ["lovelace-and-a-long-password", "opaque-access-token-of-ada", "opaque-refresh-token-of-ada"]


@dataclass(frozen=True)
class Typed:
    text: str


class Colour(enum.Enum):
    RED = "red"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", "x y")


@dataclass(frozen=True)
class Everything:
    number: float
    many: Any
    error: Exception
    kind: type = Typed
    colour: Colour = Colour.RED
    when: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Cleaner:
    path: str

    def __del__(self) -> None:
        pass


@dataclass(frozen=True)
class Form:
    user: str
    password: str = field(repr=False)
    notes: tuple[str, ...] = ()


def test_data_comes_back_as_it_was() -> None:
    many = [(1, Point(2, 3)), {"a": {4}}, {5: None, "$x": b"\xff"}, frozenset("b"), float("inf"), True]
    value = Everything(0.5, many, RefreshUnavailable("no", retry_at=7.0, status_code=503))
    again = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert (again.number, again.many, again.kind, again.colour, again.when) == (
        value.number,
        value.many,
        value.kind,
        value.colour,
        value.when,
    )
    assert (type(again.error), str(again.error), again.error.retry_at) == (RefreshUnavailable, "no", 7.0)


def test_flags_come_back_also_several_at_once_and_none_at_all() -> None:
    for rights in (Rights.READ, Rights.READ | Rights.WRITE, Rights(0)):
        assert decode(json.loads(json.dumps(encode(rights)))) is rights


def test_a_file_can_not_make_any_object() -> None:
    """Only data classes are built, never through a constructor, and nothing is imported."""
    for kind in ("tempfile:_TemporaryFileCloser", "builtins:list", "subprocess:Popen", "nowhere.at_all:Thing"):
        made = decode({"$": kind, "name": "x"})
        assert made == Unknown(kind, (("name", "x"),))
        assert decode(encode(made)) == made
    assert isinstance(decode(encode(Cleaner("/etc/passwd"))), Unknown), "its end would run code"
    assert isinstance(decode({"$error": "builtins:list", "args": [], "fields": {}}), Unknown)
    assert decode({"$enum": "builtins:list", "name": "x"}) == Unknown("builtins:list", (("name", "x"),))


def test_secrets_are_found_by_name_by_shape_and_by_having_been_seen() -> None:
    redact = Redactor()
    clean = redact(Form("ada", SECRETS[0], (f"my password is {SECRETS[0]}", "hello")))
    assert clean == Form("ada", "***", ("my password is ***", "hello"))
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    shown = redact({"text": f"Bearer {SECRETS[1]} and {jwt}", "clientSecret": "s3cr3t!", "pin": 1234, "page": 7})
    assert SECRETS[1] not in str(shown)
    assert jwt not in str(shown)
    assert (shown["clientSecret"], shown["pin"], shown["page"]) == ("***", "***", 7)
    redact(Tokens(SECRETS[1], SECRETS[2]))
    assert SECRETS[2] not in redact(f"the text {SECRETS[2]} turns up again")


def test_what_has_no_secret_is_not_copied() -> None:
    value = (Typed("x"), [1, {"page": 2}], Colour.RED, None)
    assert Redactor()(value) is value


def test_a_response_is_its_status_and_an_error_loses_its_traceback() -> None:
    redact = Redactor()
    response = httpx.Response(200, text=SECRETS[1], headers={"set-cookie": SECRETS[1]})
    clean = redact(ApiSucceeded(call(Request.get("/")), {"access": SECRETS[1]}, response))
    assert (clean.response.status_code, clean.response.content) == (200, b"")
    assert clean.payload["access"].startswith("#")
    try:
        raise RefreshUnavailable("x", status_code=503)
    except RefreshUnavailable as error:
        failed = redact(ApiFailed(call(Request.get("/")), error))
    assert (failed.error.__traceback__, failed.error.status_code) == (None, 503)


def test_what_can_not_be_looked_into_is_only_named() -> None:
    class Strange(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            raise LookupError

        def __iter__(self) -> Any:
            raise LookupError

        def __len__(self) -> int:
            return 1

    loop: list[Any] = []
    loop.append(loop)
    redact = Redactor()
    assert isinstance(redact(Strange()), Opaque)
    assert isinstance(redact(loop), Opaque)
    assert redact((print, object()))[1] == Opaque("builtins:object")


def test_a_login_action_shows_nothing_of_its_credentials() -> None:
    assert SECRETS[0] not in repr(Redactor()(Login({"username": "ada", "password": SECRETS[0]})).credentials)
