"""Each detail of the bearer's flow, driven by hand: whose header it is, what is waited for, and who is sent."""

from __future__ import annotations

import itertools
import sys
from types import FrameType
from typing import Any

import httpx
import httpx2
import pytest
from bearer_kit import URL, WAYS, Refreshed, accept, drive, get, refusal, signed_in

from rxauth import BearerAuth, Session, Tokens
from rxauth.concurrency.single import working
from rxauth.errors import NotSignedIn, SessionChanged, WouldDeadlock
from rxauth.http.auth_for import auth_for
from rxauth.http.bearer import BearerFlow
from rxauth.http.httpx2 import BearerAuth as BearerAuth2
from rxauth.http.marks import Began
from rxauth.testing import VirtualTime


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


def test_a_call_whose_tokens_are_another_users_by_now_is_not_sent_with_his() -> None:
    session = signed_in()
    ada = session.auth.tokens
    assert ada is not None
    session.sign_in(Tokens("bobs", "r")).run()
    waiting = BearerAuth(session)._attach_current(get(), ada, 0)
    assert waiting is not None
    with pytest.raises(SessionChanged):
        waiting.run()


def as_bob_comes_before(number: int) -> tuple[list[str], bool]:
    """What Ada's call is sent with if, before the line of this number in `_attach`, Bob signs in and calls, as another
    thread might have him do; and whether there is such a line."""
    session = signed_in()
    auth, left, sent = BearerAuth(session), number, []

    def enter(frame: FrameType, event: str, arg: object) -> Any:
        return step if frame.f_code is BearerFlow._attach.__code__ else None

    def step(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                session.sign_in(Tokens("bobs", "r")).run()
                assert drive("sync", auth, get(), accept)[0] == ["Bearer bobs"]
                return None
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        sent, _ = drive("sync", auth, get(), accept)
    finally:
        sys.settrace(before)
    return sent, left < 0


def test_a_call_gets_no_token_of_who_signs_in_and_calls_while_its_own_is_attached() -> None:
    for number in itertools.count():
        sent, came = as_bob_comes_before(number)
        assert sent == ["Bearer token-0"], f"he came before line {number}"
        if not came:
            break
    assert number > 3


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
    flow = auth_for(client(base_url="https://other.example.com"), session)
    assert type(flow) is kind
    assert flow._session is session
    assert flow._origins.allow(httpx.URL("https://other.example.com/x"))
    assert flow._origins.allow(httpx.URL(f"{URL}/x"))
    alone = auth_for(client(), session)
    assert not alone._origins.allow(httpx.URL("https://other.example.com/x"))
    assert alone._origins.allow(httpx.URL(f"{URL}/x"))


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
