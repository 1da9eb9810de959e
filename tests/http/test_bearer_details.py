"""Each detail of the bearer's flow, driven by hand: whose header it is, what is sent again, how a refusal is read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from rxauth import BearerAuth, Session, Tokens
from rxauth.bearer import MAX_BODY, MAX_BODY_TIME, BearerFlow, Began, bearer_for
from rxauth.errors import NotReplayable, NotSignedIn, SessionChanged, WouldDeadlock
from rxauth.httpx2 import BearerAuth as BearerAuth2
from rxauth.single import working
from rxauth.testing import VirtualTime

URL = "https://api.example.com"
WAYS = ["sync", "async"]


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in chunks, and may break off; `before` is called as it begins."""

    def __init__(self, *chunks: bytes, breaks: bool = False, before: Callable[[], None] = lambda: None) -> None:
        self._chunks, self._breaks, self._before = chunks, breaks, before

    def __iter__(self) -> Iterator[bytes]:
        self._before()
        yield from self._chunks
        if self._breaks:
            raise httpx.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


class Refreshed:
    """Brings new tokens, numbered."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, tokens: Tokens) -> Tokens:
        self.count += 1
        return Tokens(f"token-{self.count}", "r")


def signed_in(**how: Any) -> Session[Any]:
    return Session(Refreshed(), tokens=Tokens("token-0", "r"), origins=[URL], **how)


def refusal(request: httpx.Request, body: Body | None = None, **headers: str) -> httpx.Response:
    return httpx.Response(401, request=request, stream=body or Body(b"no"), headers=headers)


def accept(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, request=request, content=b"ok")


def drive(way: str, auth: Any, request: Any, *answers: Callable[[Any], Any]) -> tuple[list[str], Any]:
    """The headers that were sent, and the last response, when the requests are answered like this."""
    sent: list[str] = []
    replies = iter(answers)

    def answer(request: Any) -> Any:
        sent.append(request.headers.get("Authorization", ""))
        return next(replies)(request)

    if way == "sync":
        flow = auth.sync_auth_flow(request)
        response = answer(next(flow))
        try:
            while True:
                response = answer(flow.send(response))
        except StopIteration:
            return sent, response

    async def main() -> Any:
        flow = auth.async_auth_flow(request)
        response = answer(await anext(flow))
        try:
            while True:
                response = answer(await flow.asend(response))
        except StopAsyncIteration:
            return response

    return sent, asyncio.run(main())


def get(**how: Any) -> httpx.Request:
    return httpx.Request("GET", f"{URL}/me", **how)


def one_shot() -> httpx.Request:
    return httpx.Request("POST", f"{URL}/me", content=(chunk for chunk in [b"a", b"b"]))


@pytest.mark.parametrize("way", WAYS)
def test_a_request_sent_again_much_later_gets_the_token_of_then(way: str) -> None:
    session = signed_in()
    auth, request = BearerAuth(session), get()
    drive(way, auth, request, accept)
    for _ in range(3):  # the token it carries is forgotten by now, but for the mark on the request
        session.replace().run()
        drive(way, auth, get(), accept)
    sent, _ = drive(way, auth, request, accept)
    assert sent == ["Bearer token-3"]


@pytest.mark.parametrize("way", WAYS)
def test_a_header_that_the_caller_put_over_ours_is_his(way: str) -> None:
    auth, request = BearerAuth(signed_in()), get()
    drive(way, auth, request, accept)
    request.headers["Authorization"] = "Bearer mine"
    sent, response = drive(way, auth, request, refusal)
    assert (sent, response.status_code) == (["Bearer mine"], 401)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("copied", ["token-0", "token-1"], ids=["the last token", "the current one"])
def test_a_header_copied_from_a_request_of_ours_is_ours(way: str, copied: str) -> None:
    session = signed_in()
    auth = BearerAuth(session)
    drive(way, auth, get(), accept)
    session.replace().run()
    for _ in range(2):
        drive(way, auth, get(), accept)
    sent, response = drive(way, auth, get(headers={"Authorization": f"Bearer {copied}"}), refusal, accept)
    assert (sent, response.status_code) == (["Bearer token-1", "Bearer token-2"], 200)


@pytest.mark.parametrize("way", WAYS)
def test_the_current_token_is_ours_also_when_another_client_attached_it(way: str) -> None:
    auth = BearerAuth(signed_in())
    sent, response = drive(way, auth, get(headers={"Authorization": "Bearer token-0"}), refusal, accept)
    assert (sent, response.status_code) == (["Bearer token-0", "Bearer token-1"], 200)


@pytest.mark.parametrize("way", WAYS)
def test_a_header_that_was_never_ours_stays_when_nobody_is_signed_in(way: str) -> None:
    auth = BearerAuth(Session(Refreshed(), origins=[URL]))
    sent, _ = drive(way, auth, get(headers={"Authorization": "Bearer theirs"}), accept)
    assert sent == ["Bearer theirs"]
    with pytest.raises(NotSignedIn):
        drive(way, auth, get(), accept)


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


def test_a_call_whose_tokens_are_another_users_by_now_is_not_sent_with_his() -> None:
    session = signed_in()
    ada = session.auth.tokens
    assert ada is not None
    session.sign_in(Tokens("bobs", "r")).run()
    waiting = BearerAuth(session)._attach_current(get(), ada, 0)
    assert waiting is not None
    with pytest.raises(SessionChanged):
        waiting.run()


@pytest.mark.parametrize("way", WAYS)
def test_a_call_on_the_thread_that_refreshes_is_told_that_it_would_wait_for_ever(way: str) -> None:
    time = VirtualTime()
    stale = Tokens("token-0", "r", expires_at=time.now().wall - 1)
    session = Session(Refreshed(), tokens=stale, origins=[URL], time=time)
    with pytest.raises(WouldDeadlock):
        working(lambda: drive(way, BearerAuth(session), get(), accept), session)()


@pytest.mark.parametrize(("client", "kind"), [(httpx.Client, BearerAuth), (httpx2.Client, BearerAuth2)])
def test_a_client_gets_the_flow_of_its_own_library_and_its_base_url_the_token(
    client: Any, kind: type[BearerFlow]
) -> None:
    session = signed_in()
    flow = bearer_for(client(base_url="https://other.example.com"), session)
    assert type(flow) is kind
    assert flow._session is session
    assert flow._origins.allow(httpx.URL("https://other.example.com/x"))
    assert flow._origins.allow(httpx.URL(f"{URL}/x"))
    alone = bearer_for(client(), session)
    assert not alone._origins.allow(httpx.URL("https://other.example.com/x"))
    assert alone._origins.allow(httpx.URL(f"{URL}/x"))


def test_the_limits_are_those_that_are_promised() -> None:
    assert (MAX_BODY, MAX_BODY_TIME) == (65_536, 5.0)


def began(session: Session[Any], *, sign_in: str | None = None, tokens: Tokens | None = None) -> httpx.Request:
    """A request of an `ApiCall`, which has been through the gate already."""
    mark = Began(sign_in or session.auth.sign_in, tokens, 7)
    return get(extensions={"rxauth": mark})


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_began_as_somebody_else_is_not_sent(way: str) -> None:
    with pytest.raises(SessionChanged):
        drive(way, BearerAuth(signed_in()), began(signed_in(), sign_in="of before"), accept)


@pytest.mark.parametrize("way", WAYS)
def test_a_call_with_fresh_tokens_asks_for_nothing(way: str) -> None:
    session = signed_in()
    session.acquire = None  # type: ignore[assignment, method-assign]
    for request in (get(), began(session)):
        assert drive(way, BearerAuth(session), request, accept)[0] == ["Bearer token-0"]


def has_still(time: VirtualTime, change: str) -> bool:
    """May a call use the tokens that it waited for, after this has happened meanwhile?"""
    session = Session(Refreshed(), tokens=Tokens("token-0", "r"), origins=[URL], time=time)
    life = {"expired": 100.0, "arrived stale": 0.0, "unknown life": None}.get(change, 100.0)
    now = time.now()
    expires_at = None if life is None else now.wall + life
    session.sign_in(Tokens("waited", "r", expires_at=expires_at, life=life, received=now)).run()
    tokens = session.auth.tokens
    assert tokens is not None
    if change == "expired":
        time.advance(100)
    elif change == "not yet expired":
        time.advance(99)
    elif change == "another pair":
        session.replace().run()
    elif change == "refused by the API":
        session.replace().subscribe(on_error=lambda error: None)
    given = None if change == "never waited" else tokens
    return Began(session.auth.sign_in, given, 7).has_still(session.auth, time.now())


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ("nothing", True),
        ("not yet expired", True),
        ("expired", False),
        ("arrived stale", True),
        ("unknown life", True),
        ("another pair", False),
        ("refused by the API", False),
        ("never waited", False),
    ],
)
def test_the_tokens_that_a_call_waited_for_are_good_while_they_are_the_current_ones_and_live(
    change: str, may: bool
) -> None:
    assert has_still(VirtualTime(), change) is may


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_waited_for_tokens_that_arrived_stale_is_sent_with_them(way: str) -> None:
    """Else it would wait again, for ever."""
    session = Session(Refreshed(), origins=[URL])
    session.sign_in(Tokens("stale", "r", expires_at=1.0, life=0.0)).run()
    assert drive(way, BearerAuth(session), began(session, tokens=session.auth.tokens), accept)[0] == ["Bearer stale"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("status", "asked"), [(399, False), (400, True), (499, True), (500, False)])
def test_a_function_decides_on_answers_of_the_fourth_hundred(way: str, status: int, asked: bool) -> None:
    seen: list[int] = []
    auth = BearerAuth(signed_in(), refused=lambda response: seen.append(response.status_code) or False)
    drive(way, auth, get(), lambda request: httpx.Response(status, request=request))
    assert seen == [status] * asked


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_that_was_read_already_is_left_alone(way: str) -> None:
    def read(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, request=request, content=b"no")

    _, response = drive(way, BearerAuth(signed_in()), one_shot(), read)
    assert (response.text, response.is_stream_consumed) == ("no", True)
    assert response.stream is not None


@pytest.mark.parametrize("way", WAYS)
def test_the_last_token_of_this_client_is_ours_also_after_others_have_signed_in(way: str) -> None:
    session = signed_in()
    auth = BearerAuth(session)
    drive(way, auth, get(), accept)
    session.sign_in(Tokens("other", "r")).run()
    sent, _ = drive(way, auth, get(headers={"Authorization": "Bearer token-0"}), accept)
    assert sent == ["Bearer other"]


@pytest.mark.parametrize(
    ("how", "name"), [({"header": ""}, "header"), ({"header": "X\r\nY"}, "header"), ({"scheme": "a\nb"}, "scheme")]
)
def test_a_header_that_can_not_be_sent_is_refused_by_its_keyword(how: dict[str, str], name: str) -> None:
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        BearerAuth(signed_in(), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_a_header_of_the_same_length_is_no_authorization(way: str) -> None:
    request = get(headers={"X-Request-Id1": "7"})
    assert len("X-Request-Id1") == len("Authorization")
    assert drive(way, BearerAuth(signed_in()), request, accept)[0] == ["Bearer token-0"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", ["", "XXXX"])
def test_before_anything_was_sent_no_header_is_ours(way: str, value: str) -> None:
    sent, _ = drive(way, BearerAuth(signed_in()), get(headers={"Authorization": value}), accept)
    assert sent == [value]
