"""What comes over the wire from a token endpoint, byte by byte: a sane pair, or a typed error without a secret."""

from __future__ import annotations

import gzip
import json
from typing import Any, get_args

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from rxauth import Tokens, simplejwt
from rxauth.concurrency import Instant
from rxauth.errors import InvalidTokens, RefreshMisconfigured, RefreshRefused, RefreshUnavailable, RxAuthError
from rxauth.refreshers.endpoint import Send
from rxauth.refreshers.failures import Kind, failure_of, judge, judge_login, parse_json
from rxauth.refreshers.protocol import tokens_of
from rxauth.refreshers.response_body import MAX_ANSWER
from tests.properties.property_kit import INSTANTS, JSON, SECRETS, T0, check_sane, check_silent

SPENT = Tokens("s3cret-access", "s3cret-refresh")
LOGIN = httpx.Request("POST", "https://a.example/login")
STATUSES = st.sampled_from([200, 201, 204, 299, 301, 304, 400, 401, 403, 404, 418, 422, 429, 499, 500, 503, 599, 999])
TYPES = st.sampled_from(["application/json", "application/json; charset=utf-16", "text/html; charset=no-such", "", ";"])
#: Values of headers as HTTP allows them.
FIELD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
HEADERS = st.lists(
    st.tuples(st.sampled_from(["Date", "Retry-After", "Set-Cookie", "Server", "Location", "Link"]), FIELD), max_size=4
)
COOKIES = st.lists(
    st.builds("{}{}; {}".format, st.sampled_from(["refresh=", "refresh =", "other=", "=", ""]), FIELD, FIELD)
    | st.just("refresh=r2; Max-Age=99999999999999999999; Expires=Thu, 99 Foo 99999 00:00:00 GMT; Path=/"),
    max_size=3,
)
PAIRS = st.fixed_dictionaries(
    {"access": SECRETS | JSON}, optional={"refresh": SECRETS | JSON, "expires_in": JSON, "error": JSON, "code": JSON}
)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(as_json),
    PAIRS.map(as_json),
    st.builds(lambda value, charset: json.dumps(value, ensure_ascii=False).encode(charset, "surrogatepass"), PAIRS,
              st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])),
    st.integers(500, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(500, 3000).map(lambda depth: b'{"access":' * depth),
    st.just(b'{"access": 1' + b"0" * 5000 + b"}"),
)  # fmt: skip


def ask(response: httpx.Response, **options: Any) -> Tokens:
    """Refresh against an endpoint that answers this."""
    return simplejwt("https://a.example", transport=httpx.MockTransport(lambda _: response), **options)(SPENT)


@given(status=STATUSES, body=BODIES, kind=TYPES, headers=HEADERS, send=st.sampled_from(get_args(Send)), later=INSTANTS)
def test_no_answer_makes_the_endpoint_raise_an_error_that_is_not_ours(
    status: int, body: bytes, kind: str, headers: list[tuple[str, str]], send: Send, later: Instant
) -> None:
    response = httpx.Response(status, content=body, headers=[("content-type", kind), *headers])
    try:
        tokens = ask(response, send=send)
    except (InvalidTokens, RefreshRefused, RefreshMisconfigured, RefreshUnavailable) as error:
        check_silent(error, "s3cret-")
        failure = failure_of(error)
        assert failure.kind in set(get_args(Kind)) - {"crashed"}
        check_silent(failure.error, "s3cret-")
    else:
        assert 200 <= status < 300
        check_sane(tokens, later)


@given(body=PAIRS, status=STATUSES, secret=SECRETS, where=st.sampled_from(["error", "code", "detail", "access"]))
def test_no_error_repeats_what_the_server_says(body: dict[str, Any], status: int, secret: str, where: str) -> None:
    content = as_json({"refresh": "", **body, "access": [], where: {"error": secret}})
    response = httpx.Response(status, content=content, request=LOGIN)
    for judged in (judge, judge_login):
        try:
            judged(response)
        except RxAuthError as error:
            check_silent(error, secret)
            check_silent(failure_of(error).error, secret)
    try:
        ask(response)
    except RxAuthError as error:
        check_silent(error, secret)


@given(body=BODIES, status=st.integers(200, 599))
def test_a_login_and_a_refresh_agree_on_what_an_answer_with_tokens_is(body: bytes, status: int) -> None:
    response = httpx.Response(status, content=body, request=LOGIN)
    outcomes = []
    for judged in (judge, judge_login):
        try:
            outcomes.append(judged(response))
        except RxAuthError as error:
            outcomes.append(type(error))
    assert (outcomes[0] is None) == (outcomes[1] is None)


@given(body=BODIES)
def test_bytes_are_json_or_nothing(body: bytes) -> None:
    try:
        expected = json.loads(body)
    except (ValueError, RecursionError):
        expected = None
    assert repr(parse_json(body)) == repr(expected)


@given(cookies=COOKIES, later=INSTANTS)
@example(cookies=["refresh=r2; Domain=evil.example"], later=T0)
@example(cookies=['refresh="quoted value"', "refresh=r2"], later=T0)
def test_a_refresh_token_in_a_cookie_is_taken_or_refused(cookies: list[str], later: Instant) -> None:
    headers = [("set-cookie", cookie) for cookie in cookies]
    response = httpx.Response(200, json={"access": "a2", "expires_in": 300}, headers=headers)
    try:
        tokens = ask(response, send="cookie", refresh_field="refresh")
    except InvalidTokens as error:
        check_silent(error, "s3cret-")
    else:
        check_sane(tokens, later)
        assert tokens.refresh


@given(
    size=st.integers(MAX_ANSWER - 2, MAX_ANSWER + 70_000), status=st.sampled_from([200, 400, 503]), packed=st.booleans()
)
def test_an_answer_beyond_the_bound_is_refused_unread(size: int, status: int, packed: bool) -> None:
    body = b'{"access":"a2","refresh":"r2"}'.ljust(size)
    read: list[int] = []

    def chunks() -> Any:
        content = gzip.compress(body, 1) if packed else body
        for start in range(0, len(content), 50_000):
            read.append(start)
            yield content[start : start + 50_000]

    encoding = {"content-encoding": "gzip"} if packed else {}
    try:
        outcome: Any = ask(httpx.Response(status, content=chunks(), headers=encoding))
    except RxAuthError as error:
        outcome = error
    if status != 200:
        read_through = RefreshMisconfigured if status == 400 else RefreshUnavailable
        assert type(outcome) is (read_through if size <= MAX_ANSWER else RefreshUnavailable)
        assert outcome.status_code == status
    else:
        assert type(outcome) is (Tokens if size <= MAX_ANSWER else InvalidTokens)
    assert len(read) <= MAX_ANSWER // 50_000 + 1


@given(answer=st.one_of(JSON, PAIRS, st.builds(object), st.binary()), sent=INSTANTS, later=INSTANTS)
def test_whatever_a_refresh_callable_returns_is_a_sane_pair_or_invalid_tokens(
    answer: object, sent: Instant, later: Instant
) -> None:
    try:
        tokens = tokens_of(answer, sent, T0, SPENT)
    except InvalidTokens as error:
        check_silent(error, "s3cret-")
    else:
        check_sane(tokens, later)
