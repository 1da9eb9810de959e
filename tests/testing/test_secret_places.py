"""What a recording hides because of where it stands, and what it leaves in the clear."""

from __future__ import annotations

import json
import string
from base64 import b64encode
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxauth import Store
from rxauth.recording.redactor import Redactor, fingerprint
from rxauth.testing import Recording, record

#: As long as a token, and as short as a password: of the one a fingerprint is shown, of the other nothing.
LONG, SHORT = "q7w8e9r0-t1y2u3i4-o5p6", "lovelace7"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@dataclass(frozen=True)
class Arrived:
    payload: Any


class Credentials(NamedTuple):
    user: str
    password: str
    refresh_token: str


class Place(NamedTuple):
    line: int
    code: str


def recorded(payload: Any) -> Any:
    [event] = _recording(payload).actions
    return event.payload


def _recording(payload: Any) -> Recording:
    store: Store[int] = Store(lambda state, action: state, 0)
    with record(store) as recording:
        store.dispatch(Arrived(payload))
    return recording


def _everything(payload: Any) -> str:
    recording = _recording(payload)
    return "\n".join(recording.to_lines()) + repr(recording.actions)


# -- names -------------------------------------------------------------------------------------------------------------

TOKENS = [
    "access_token",
    "refresh_token",
    "id_token",
    "authToken",
    "AUTH_TOKEN",
    "accesstoken",
    "refreshtoken",
    "token",
]
COOKIES = ["csrftoken", "csrf_token", "csrfmiddlewaretoken", "sessionid", "session_id", "sessionId", "SESSIONID"]
HEADERS = ["Authorization", "Cookie", "Set-Cookie", "X-API-Key", "x-api-key", "X-Auth-Token", "X-CSRFToken"]
KEYS = [
    "apiKey",
    "api_key",
    "google_api_key",
    "private_key",
    "privateKey",
    "secret_key",
    "client_secret",
    "clientsecret",
]
TYPED = ["password", "new_password", "password1", "passPhrase", "passphrase", "user_pass", "userpass", "pin", "otp"]


@pytest.mark.parametrize("name", TOKENS + COOKIES + HEADERS + KEYS + TYPED)
@pytest.mark.parametrize("secret", [LONG, SHORT])
def test_a_field_with_a_telling_name_is_hidden(name: str, secret: str) -> None:
    for payload in (
        {name: secret},
        {name.encode(): secret.encode()},
        MappingProxyType({name: bytearray(secret.encode())}),
        [("Accept", "text/html"), (name, secret)],
        [["Accept", "text/html"], [name, secret]],
        ((name.encode(), secret.encode()),),
        frozenset({(name, secret)}),
        {"fields": [(name, [secret])]},
        f"page=2&{name}={secret}",
        json.dumps({"page": 2, name: secret}),
    ):
        assert secret not in _everything(payload)


@pytest.mark.parametrize("name", ["password", "user_pass", "passPhrase", "clientsecret", "pin"])
def test_of_what_somebody_chose_there_is_not_even_a_fingerprint(name: str) -> None:
    assert recorded({name: LONG}) == {name: "***"}
    assert recorded([(name, LONG)]) == [(name, "***")]
    assert recorded({"credentials": {name.encode(): LONG}}) == {"credentials": {name.encode(): "***"}}
    assert recorded(f"{name}={LONG}") == f"{name}=***"


def test_the_fields_of_a_named_tuple_have_names() -> None:
    payload = recorded(Credentials("ada", SHORT, LONG))
    assert payload == Credentials("ada", "***", fingerprint(LONG))
    assert type(payload) is Credentials
    loaded = Recording.from_lines(_recording(Credentials("ada", SHORT, LONG)).to_lines())
    assert loaded.actions == [Arrived(payload)]


@pytest.mark.parametrize(
    "payload",
    [
        {"token_type": "Bearer", "expires_in": 300, "token_type_hint": "refresh_token", "scope": "read"},
        {"max_tokens": "4096", "tokens": 512, "token_count": "7", "access_token_expires_in": "300"},
        {"session": "default", "key": "a", "code": "token_not_valid", "status": 404, "pass": "first", "passed": "all"},
        {"compass": "north", "author": "ada", "pinned": "yes", "cookies_accepted": True, "keyboard": "de"},
        {b"page": b"2", 7: "seven", ("a", 1): "pair", None: "nothing"},
        [("page", "2"), ("session", "default"), ("token", 3)],
        ("token", 3),
        ("token", "NAME"),
        ["token", "NAME"],
        [("token", "NAME", 1)],
        [(1, 2), [{}, 1], [[1], [2]]],
        Place(3, "E501"),
        [Place(3, "E501")],
    ],
    ids=repr,
)
def test_a_field_with_an_ordinary_name_stays_and_is_not_copied(payload: Any) -> None:
    assert recorded(payload) is payload


# -- texts -------------------------------------------------------------------------------------------------------------

TEXTS = [
    "https://x.example/cb?access_token={}&state=7",
    "https://x.example/cb#id_token={}",
    "GET /cb?page=2&code={}",
    "/login?next=%2Freset%3Ftoken%3D{}",
    "grant_type=refresh_token&refresh_token={}&client_id=app",
    "client_secret={}",
    "user[password]={}",
    "login-password={}",
    "--token={}",
    '{{"refresh_token": "{}", "token_type": "Bearer"}}',
    '{{"refresh_token":"{}"}}',
    '{{"user": {{"clientSecret" : "{}"}}}}',
    '{{"body": "{{\\"refresh_token\\": \\"{}\\"}}"}}',
    "{{'password': '{}'}}",
    "{{b'password': b'{}'}}",
    "Credentials(user='ada', password='{}')",
    "data['password'] = '{}'",
    "bearer {}",
    "BEARER {}",
    "BeArEr {}",
    "it was sent with bearer {}, and refused",
    "Bearer  {}",
    "an invalid token Bearer {}",
    "Basic realm=x,bearer {}",
    "Token {}",
    "authorization: Token {}",
    "Authorization: {}\r\nAccept: */*",
    "curl -H 'X-API-Key: {}' https://x.example",
    "Cookie: theme=dark; sid={}",
    "Set-Cookie: sid={}; HttpOnly",
    "sessionid={}; csrftoken=x",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_value_of_a_telling_parameter_is_hidden_in_texts(text: str) -> None:
    full = text.format(LONG)
    for payload in (full, full.encode(), [full], {"text": full}, ValueError(full)):
        assert LONG not in _everything(payload)


@pytest.mark.parametrize("text", [text for text in TEXTS if "password" in text or "_token" in text or "Secret" in text])
def test_also_a_short_one(text: str) -> None:
    assert SHORT not in _everything(text.format(SHORT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://x.example/cb?access_token={LONG}&page=2#top", "https://x.example/cb?access_token={}&page=2#top"),
        (f'{{"refresh": "{LONG}", "page": 2}}', '{{"refresh": "{}", "page": 2}}'),
        (f'{{"id_token": "{JWT}", "page": 2}}', '{{"id_token": "#07d9a3b8", "page": 2}}'),
        ('{"password": "a \\"quoted\\" one", "page": 2}', '{{"password": "***", "page": 2}}'),
        ('{"pin": 1234, "page": 2}', '{{"pin": ***, "page": 2}}'),
        (f"bearer {LONG} was refused", "bearer {} was refused"),
        (f"Authorization: Bearer {LONG}\nAccept: */*", "Authorization: Bearer {}\nAccept: */*"),
        ("Basic YWRhOmxvdmVsYWNl", "Basic {}"),
    ],
)
def test_only_the_value_is_replaced_and_once(text: str, expected: str) -> None:
    clean = recorded(text)
    secret = JWT if JWT in text else "YWRhOmxvdmVsYWNl" if "Basic" in text else LONG
    assert clean == expected.replace("#07d9a3b8", "{}").format(fingerprint(secret))
    assert recorded(clean) == clean, "what was hidden once is left as it is"


PROSE = [
    "Basic English",
    "Basic Authentication is off",
    "a basic understanding",
    "Token bucket",
    "the token endpoint answered 503",
    "the bearer of this letter",
    "bearer token",
    "the token: it has expired",
    "wrong password: try again",
    "access=denied&refresh=true",
    "GET /items?code=404&page=2",
    "?code=US",
    "?code=invalid_grant",
    '{"code": "token_not_valid", "detail": "Given token not valid for any token type"}',
    '{"code": "ERR_HTTP2_PROTOCOL_ERROR"}',
    '{"token_type": "Bearer", "expires_in": 300, "scope": "read"}',
    "token_type=bearer&expires_in=300",
    "max_tokens=4096&tokens=512",
    '{"usage": {"max_tokens": 4096, "tokens": 512}}',
    '{"password": null, "token": "", "pin": {"page": 2}}',
    "session=default",
    "session 'default': signed in",
    "Tokens(access=#0123abcd, refresh=None)",
    "token=Tokens(access=#0123abcd)",
    "login(password=None, token=None)",
    f"{'YWRhOmxvdmVsYWNl' * 5}Pin=page",
    "password=***&page=2",
    "if token == other: pass",
    "https://keys.example/pins/?author=ada&compass=north",
    "at 10:22:11, in 3 s",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_codes_and_counts_stay_in_the_clear(text: str) -> None:
    assert recorded(text) == text
    assert recorded(text.encode()) == text.encode()


TOKEN = st.text(string.ascii_letters + string.digits + "-._~", min_size=20, max_size=60)
PASSWORD = st.text(string.printable, min_size=6, max_size=40).filter(lambda text: text.strip().isascii())
WORDS = st.text(string.ascii_letters + " .,!?\n", max_size=200)
#: The same examples in every run.
tried = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@tried
@given(name=st.sampled_from(["access_token", "refreshToken", "password", "client_secret"]), secret=PASSWORD, note=WORDS)
def test_any_secret_in_json_or_a_form_is_hidden(name: str, secret: str, note: str) -> None:
    fields = {"note": note, name: secret, "page": "2"}
    redact = Redactor()
    assert json.loads(redact(json.dumps(fields)))[name] in ("***", fingerprint(json.dumps(secret)[1:-1]))
    clean = redact("https://x.example/?" + urlencode(fields))
    assert f"{name}={quote(secret, safe='')}" not in clean
    assert clean.endswith("&page=2")


@tried
@given(before=WORDS, token=TOKEN, after=WORDS)
def test_any_token_behind_a_scheme_is_hidden_in_any_case(before: str, token: str, after: str) -> None:
    for scheme in ("Bearer", "bearer", "BEARER", "bEARER"):
        assert f"{scheme} {token}" not in Redactor()(f"{before} {scheme} {token} {after}")


@tried
@given(user=st.text(string.ascii_letters, min_size=1), password=PASSWORD)
def test_any_user_and_password_behind_basic_are_hidden(user: str, password: str) -> None:
    credentials = b64encode(f"{user}:{password}".encode()).decode()
    for scheme in ("Basic", "basic"):
        assert credentials not in Redactor()(f"{scheme} {credentials}")


@tried
@given(st.text(string.ascii_lowercase + " .,;!?\n"))
def test_what_has_no_sign_of_a_parameter_stays(text: str) -> None:
    assert Redactor()(text) == text


PARTS = ["eyJ", "a=", "token=", "code='", "token ", "basic ", "a:", "\\", "password", "\"':", 'access="']


@pytest.mark.parametrize(
    "text",
    [*(part * 100_000 for part in PARTS), "".join("code=" + "\\" * number + '"' for number in range(1_500, 0, -1))],
    ids=[*PARTS, "quotes of which each is another"],
)
def test_a_hostile_text_is_gone_through_in_time_that_grows_with_its_length(text: str) -> None:
    """Else it would stop whoever dispatches, for as long as somebody else likes."""
    assert Redactor()(f"a token of {text}") is not None
