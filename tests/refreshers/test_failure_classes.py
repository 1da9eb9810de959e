"""Answers without tokens, broken connections and exceptions: each has a class, and never a parser's exception (B42)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from refresher_kit import HTML, Site, failed, nobody_listens

from rxauth import Tokens, simplejwt
from rxauth.errors import InvalidTokens, RefreshMisconfigured, RefreshRefused, RefreshUnavailable
from rxauth.refreshers.failures import failure_of, judge
from rxauth.testing import TokenServer, faults

UNUSABLE: list[Any] = [
    *(b"", b"null", [], ["a"], {}, "token", b"7", HTML, b"{", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000),
    *({"access": access} for access in (None, 5, "", "Bearer a", "a\nb", ["a"], {"access": "a"})),
    *({"access": "a", "refresh": refresh} for refresh in (7, "r\nr", " r", ["r"])),
    {"data": {"access": "a"}},
    {"error": "server_error"},
    b'{"error":' * 900 + b"1" + b"}" * 900,
]


@pytest.mark.parametrize("body", UNUSABLE, ids=lambda body: str(body)[:30])
def test_a_200_without_a_usable_token_is_in_doubt_and_never_a_parsers_exception(endpoint: Site, body: Any) -> None:
    """B42: the server was content, so it may have spent the refresh token."""
    endpoint.say(body)
    failure = failed(simplejwt(endpoint.url))
    assert (failure.kind, type(failure.error), failure.repeat) == ("in_doubt", RefreshUnavailable, False)
    assert failure.error.cause == "unusable answer"  # type: ignore[attr-defined]
    assert isinstance(failure.error.__cause__, InvalidTokens)
    assert "<h1>" not in str(failure.error)


def test_a_204_is_in_doubt_too(endpoint: Site) -> None:
    failure = failed(simplejwt(endpoint.say(b"", 204).url))
    assert failure.kind == "in_doubt"
    assert "status 204, 0 bytes" in str(failure.error)


def test_a_redirect_is_not_followed_and_the_text_names_the_slash(endpoint: Site) -> None:
    before = len(endpoint.asked)
    endpoint.say(b"", 301, [("location", "/api/token/refresh/")])
    failure = failed(simplejwt(endpoint.url, refresh_path="/api/token/refresh"))
    assert "slash at the end" in str(failure.error)
    assert endpoint.paths[before:] == ["/api/token/refresh"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        *((status, "a redirect") for status in (301, 302, 303, 307, 308)),
        *((status, "an unexpected status") for status in (199, 300, 304, 305, 399)),
    ],
)
def test_only_what_points_elsewhere_is_called_a_redirect(status: int, said: str) -> None:
    with pytest.raises(RefreshMisconfigured, match=f"answered {status}, {said}"):
        judge(httpx.Response(status))


def test_a_missing_field_names_the_keywords_that_say_how_it_is_sent(endpoint: Site) -> None:
    endpoint.say({"refresh": ["This field is required."]}, 400)
    text = str(failed(simplejwt(endpoint.url)).error)
    assert "send=" in text
    assert "refresh_field=" in text


def test_an_answer_without_a_word_about_the_token_names_the_remedy(endpoint: Site) -> None:
    endpoint.say(b"", 401)
    assert "final=[401]" in str(failed(simplejwt(endpoint.url)).error)


def test_the_error_code_is_in_the_text_when_it_is_harmless() -> None:
    for code, shown in (("invalid_grant", True), ("x" * 41, False), ("has spaces", False), ("a-secret-1", False)):
        with pytest.raises((RefreshRefused, RefreshUnavailable)) as caught:
            judge(httpx.Response(403, json={"error": code}))
        assert (code in str(caught.value)) is shown


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 403])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "soon"}, None),
        (
            {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"},
            30.0,
        ),
    ],
    ids=["none", "seconds", "nonsense", "date"],
)
def test_retry_after_is_read(status: int, headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(RefreshUnavailable) as caught:
        judge(httpx.Response(status, headers=headers))
    assert (caught.value.retry_after, failure_of(caught.value).retry_after) == (seconds, seconds)


@pytest.mark.parametrize("status", [400, 401])
def test_retry_after_is_read_beside_a_code_that_passes(status: int) -> None:
    with pytest.raises(RefreshUnavailable) as caught:
        judge(httpx.Response(status, json={"error": "slow_down"}, headers={"Retry-After": "7"}))
    assert caught.value.retry_after == 7.0


def test_a_refused_connection_may_be_repeated() -> None:
    with nobody_listens() as url:
        failure = failed(simplejwt(url))
    assert (failure.kind, type(failure.error), failure.repeat) == ("transient", RefreshUnavailable, True)
    assert failure.error.cause == "ConnectError"  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", [faults.reset_before(), faults.reset_after(), faults.half_close()])
def test_a_connection_that_broke_leaves_it_in_doubt(fault: faults.Fault) -> None:
    with TokenServer() as server:
        server.script(fault)
        failure = failed(simplejwt(server.url), Tokens("a", server.issue().refresh))
        assert server.posts == 1
    assert (failure.kind, type(failure.error), failure.repeat) == ("in_doubt", RefreshUnavailable, False)


@pytest.mark.parametrize(
    ("error", "kind", "repeat"),
    [
        (httpx.ConnectError("refused"), "transient", True),
        (httpx.ConnectTimeout("slow"), "transient", True),
        (httpx.PoolTimeout("full"), "transient", True),
        (httpx.ProxyError("no"), "transient", True),
        (httpx.ReadTimeout("slow"), "in_doubt", False),
        (httpx.WriteTimeout("slow"), "in_doubt", False),
        (httpx.ReadError("reset"), "in_doubt", False),
        (httpx.WriteError("reset"), "in_doubt", False),
        (httpx.CloseError("reset"), "in_doubt", False),
        (httpx.RemoteProtocolError("cut"), "in_doubt", False),
        (httpx.TooManyRedirects("round"), "in_doubt", False),
        (httpx.StreamConsumed(), "in_doubt", False),
        (httpx.UnsupportedProtocol("what"), "misconfigured", False),
        (httpx.LocalProtocolError("bad header"), "misconfigured", False),
        (httpx.InvalidURL("what"), "misconfigured", False),
        (ValueError("mine"), "in_doubt", False),
        (TimeoutError("mine"), "in_doubt", False),
        (KeyboardInterrupt(), "in_doubt", False),
        (RefreshRefused(), "final", False),
        (RefreshMisconfigured("mine"), "misconfigured", False),
        (RefreshUnavailable("mine"), "transient", True),
        (RefreshUnavailable("mine", repeat=False, retry_after=9.0), "transient", False),
        (InvalidTokens("mine"), "in_doubt", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_what_an_exception_means(error: BaseException, kind: str, repeat: bool) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.repeat) == (kind, repeat)
    assert failure.error is error or failure.error.__cause__ is error
    assert failure.retry_after == getattr(error, "retry_after", None)


def test_httpx2s_exceptions_mean_the_same() -> None:
    import httpx2

    assert failure_of(httpx2.ConnectError("refused")).repeat is True
    assert failure_of(httpx2.ReadError("reset")).kind == "in_doubt"
    response = httpx2.Response(
        400, json={"error": "invalid_grant"}, request=httpx2.Request("POST", "https://a.example")
    )
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        response.raise_for_status()
    assert failure_of(caught.value).kind == "final"
