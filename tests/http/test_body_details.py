"""Each detail of bodies, driven by hand: what is sent again, and how a refusal is read."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
from bearer_kit import URL, WAYS, Body, accept, drive, get, one_shot, refusal, signed_in

from rxauth import BearerAuth
from rxauth.errors import NotReplayable
from rxauth.http.bodies import MAX_BODY, MAX_BODY_TIME


class Unseekable:
    """A file as some libraries have them: it can be read, and that is all."""

    def read(self, size: int = -1) -> bytes:
        return b""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("how", "replayable"),
    [
        ({"data": {"a": "1"}, "files": {"f": ("n", b"bytes")}}, True),
        ({"data": {"a": "1"}, "files": {"f": ("n", "text")}}, True),
        ({"files": {"f": ("n", Unseekable())}}, False),
        ({"data": {"a": "1"}, "files": {"g": ("n", b"x"), "f": ("n", Unseekable())}}, False),
        ({"json": {"a": 1}}, True),
        ({"content": (chunk for chunk in [b"a"])}, False),
    ],
    ids=["bytes", "text", "a file that can not seek", "one of two", "JSON", "a generator"],
)
def test_what_can_be_read_again_is_sent_again(way: str, how: dict[str, Any], replayable: bool) -> None:
    session = signed_in()
    request = httpx.Request("POST", f"{URL}/me", **how)
    sent, response = drive(way, BearerAuth(session), request, refusal, accept)
    assert session.auth.tokens is not None
    assert session.auth.tokens.access == "token-1", "refreshed all the same"
    if replayable:
        assert (sent, response.status_code) == (["Bearer token-0", "Bearer token-1"], 200)
        return
    why = response.extensions["rxauth"]
    assert (len(sent), response.status_code, type(why)) == (1, 401, NotReplayable)
    assert str(why) == (
        "POST /me was answered 401; the token has been refreshed, but the body can be read only once: "
        "call again with a new body, or give it as bytes"
    )


@pytest.mark.parametrize(("usual", "while_reading"), [(60.0, 5.0), (1.0, 1.0), (None, 5.0)])
def test_a_blocking_read_of_a_refusal_has_five_seconds_for_each_part(usual: float | None, while_reading: float) -> None:
    seen: list[Any] = []
    request = get(extensions={"timeout": {"connect": 7.0, "read": usual}})
    body = Body(b"no", before=lambda: seen.append(dict(request.extensions["timeout"])))
    drive("sync", BearerAuth(signed_in()), request, lambda request: refusal(request, body), accept)
    assert seen == [{"connect": 7.0, "read": while_reading}]
    assert request.extensions["timeout"] == {"connect": 7.0, "read": usual}, "as it was, for the second send"


def test_a_request_without_timeouts_is_fine() -> None:
    sent, _ = drive("sync", BearerAuth(signed_in()), get(), refusal, accept)
    assert len(sent) == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1], ids=["as much as is read", "one byte more"])
def test_a_refusal_is_read_up_to_the_limit(way: str, size: int) -> None:
    body = gzip.compress(b"x" * 10)
    padded = body + b"\0" * (size - len(body))
    _, response = drive(
        way,
        BearerAuth(signed_in()),
        one_shot(),
        lambda request: refusal(request, Body(padded[:7], padded[7:]), **{"content-encoding": "gzip"}),
    )
    whole = size == MAX_BODY
    assert ("content-encoding" in response.headers) is whole
    assert response.read() == (b"x" * 10 if whole else b"")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (Body(gzip.compress(b"why")[:6], gzip.compress(b"why")[6:]), b"why"),
        (Body(gzip.compress(b"why" * 999)[:20], breaks=True), b""),
        (Body(b"not gzip"), b""),
    ],
    ids=["whole", "broken off", "damaged"],
)
def test_a_compressed_refusal_can_be_read_or_is_empty(way: str, body: Body, told: bytes) -> None:
    _, response = drive(
        way,
        BearerAuth(signed_in()),
        one_shot(),
        lambda request: refusal(request, body, **{"content-encoding": "gzip"}),
    )
    assert (response.status_code, response.is_closed) == (401, False)
    assert response.read() == told
    assert ("content-encoding" in response.headers) is bool(told)


@pytest.mark.parametrize("way", WAYS)
def test_what_came_of_a_refusal_that_broke_off_can_be_read(way: str) -> None:
    body = Body(b"first, ", b"second", breaks=True)
    _, response = drive(way, BearerAuth(signed_in()), one_shot(), lambda request: refusal(request, body))
    assert response.read() == b"first, second"


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_that_was_read_already_is_left_alone(way: str) -> None:
    def read(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, request=request, content=b"no")

    _, response = drive(way, BearerAuth(signed_in()), one_shot(), read)
    assert (response.text, response.is_stream_consumed) == ("no", True)
    assert response.stream is not None


def test_the_limits_are_those_that_are_promised() -> None:
    assert (MAX_BODY, MAX_BODY_TIME) == (65_536, 5.0)
