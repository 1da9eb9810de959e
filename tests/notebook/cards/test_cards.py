"""What values look like in a cell: an image whose alternative text says the same, true as of the moment it names."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from rxauth import (
    ApiCall,
    ApiFailed,
    ApiSucceeded,
    AuthState,
    Request,
    Session,
    Store,
    Tokens,
    api_epic,
    auth_reducer,
    call,
    combine_reducers,
    simplejwt,
)
from rxauth.api import ApiCancelled, ApiSkipped, ApiStarted
from rxauth.errors import RefreshUnavailable
from rxauth.notebook.marbles.canvas import width_of
from rxauth.notebook.words import shorten, span, until
from rxauth.recording import record
from rxauth.testing import TokenServer, VirtualTime, faults

API = "https://api.example.com"


@dataclass(frozen=True)
class Echo(ApiCall[dict[str, str]]):
    message: str
    password: str = field(default="", repr=False)

    def request(self, state: Any) -> Request:
        return Request.post("/api/echo/", json={"message": self.message})


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    found: tuple[str, ...] = ("one", "two")
    password: str = "lovelace"


class Stage:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.server = TokenServer(time=self.time, life=300, token_latency=0.5)
        reducer = combine_reducers(
            App, auth=auth_reducer, found=lambda state, action: state, password=lambda state, action: state
        )
        self.store: Store[App] = Store(reducer, App())
        refresher = simplejwt(API, transport=self.server.transport)
        self.session = Session(refresher, store=self.store, select=lambda app: app.auth, time=self.time)

    def login(self) -> Stage:
        self.session.login(username="ada", password="lovelace").run()
        return self


def sentence(value: Any) -> str:
    """What a card says. Its image is well-formed, and says it as well."""
    shown = value._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    image = ElementTree.fromstring(shown["text/html"].removesuffix(">") + "/>")
    assert image.tag == "img"
    assert image.get("alt") == shown["text/plain"]
    picture = svg(value)
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == shown["text/plain"]
    return str(shown["text/plain"])


def svg(value: Any) -> ElementTree.Element:
    source = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', value._repr_mimebundle_()["text/html"])
    assert source is not None
    return ElementTree.fromstring(base64.b64decode(source.group(1)))


def texts(value: Any) -> str:
    return " | ".join(node.text or "" for node in svg(value).iter("{http://www.w3.org/2000/svg}text"))


def test_a_session_from_its_login_to_its_end() -> None:
    stage = Stage()
    assert "signed out as of 2026-01-01 00:00:00; next: nobody is signed in" in sentence(stage.session)
    stage.login()
    said = sentence(stage.session)
    assert "Session 'default': signed in as of 2026-01-01 00:00:00; access token: expires at" in said
    assert re.search(r"in 5 min; generation \d+; refresh token: .*; next: nothing to do", said)
    stage.time.advance(302)
    assert "signed in, the token has expired as of" in sentence(stage.session)
    assert "1.5 s ago" in sentence(stage.session) or "2 s ago" in sentence(stage.session)
    assert "next: the next call waits for a refresh" in sentence(stage.session)
    stage.session.fresh().subscribe(on_error=lambda error: None)
    assert "refreshing as of" in sentence(stage.session)
    stage.server.always(faults.refuse())
    stage.time.advance(400)
    stage.session.fresh().subscribe(on_error=lambda error: None)
    stage.time.advance(1)
    said = sentence(stage.session)
    assert "signed out as of" in said
    assert "last error: SessionExpired: " in said
    assert "the user has to sign in again" in said


def test_a_storage_that_fails_is_told() -> None:
    held = AuthState(status="signed_in", tokens=Tokens("a" * 40, "r" * 40), storage="failing")
    assert "storage: failing: the tokens live in memory only" in sentence(held)
    assert "storage: failing: it may hold old ones" in sentence(AuthState(storage="failing"))
    assert "storage" not in sentence(AuthState())


def test_an_outage_and_when_the_next_try_comes() -> None:
    stage = Stage().login()
    stage.server.always(faults.unavailable())
    stage.time.advance(301)
    stage.session.fresh().subscribe(on_error=lambda error: None)
    stage.time.advance(30)
    said = sentence(stage.session)
    assert "degraded: the last refresh failed as of" in said
    assert "last error: RefreshUnavailable" in said
    assert "the next refresh is tried by a call after" in said


def test_tokens_and_states_alone_go_by_the_clock_of_this_machine() -> None:
    assert "Tokens: expired as of" in sentence(Tokens("a" * 30, "r" * 30, expires_at=1.0))
    assert "access token: expiry unknown" in sentence(Tokens("a" * 30))
    assert "refresh token: there is none" in sentence(Tokens("a" * 30))
    assert "scope: read write" in sentence(Tokens("a" * 30, scope="read write"))
    assert "AuthState of 'billing': signed out" in sentence(AuthState(session="billing"))


def test_a_store_shows_its_session_and_its_fields() -> None:
    stage = Stage().login()
    said = sentence(stage.store)
    assert said.startswith("Store of App: signed in as of 2026-01-01 00:00:00; ")
    assert "auth: signed in; found: ('one', 'two'); password: '***'" in said
    stage.store.close()
    assert "closed as of" in sentence(stage.store)
    assert "Store of int: open as of" in sentence(Store(lambda state, action: state, 7))
    assert "state: 7" in sentence(Store(lambda state, action: state, 7))
    assert "a: 1" in sentence(Store(lambda state, action: state, {"a": 1}))
    assert "signed out" in sentence(Store(auth_reducer, AuthState()))


def test_the_outcomes_of_a_call() -> None:
    stage = Stage().login()
    stage.store.add_epic(api_epic(httpx.Client(base_url=API, transport=stage.server.transport), stage.session))
    with record(stage.store, time=stage.time) as recording:
        stage.store.dispatch(call(Request.get("/api/me/?q=private")))
        stage.time.advance(1)
    [started], [answered] = recording.of_type(ApiStarted), recording.of_type(ApiSucceeded)
    assert sentence(answered) == "GET /api/me/ answered 200; payload: {'user': 'ada'}"
    assert "private" not in texts(answered)
    assert f"call {answered.id}" in texts(answered)
    assert sentence(started) == "GET /api/me/ started"
    echo = Echo("hi", password="lovelace")
    assert sentence(ApiFailed(echo, LookupError("no"))) == "Echo(message='hi') failed: LookupError; error: no"
    assert sentence(ApiCancelled(echo)) == "Echo(message='hi') cancelled before its answer came"
    assert sentence(ApiSkipped(echo, "bailed out")) == "Echo(message='hi') not sent: bailed out"


def test_no_card_holds_a_secret() -> None:
    stage = Stage().login()
    tokens = stage.session.auth.tokens
    assert tokens is not None
    assert tokens.refresh is not None
    leaky = ApiFailed(Echo("hi", password="lovelace"), ValueError(f"Bearer {tokens.access} was refused"))
    payload = ApiSucceeded(Echo("hi"), {"access": tokens.access, "password": "lovelace"}, httpx.Response(200))
    for value in (stage.session, stage.store, tokens, stage.session.auth, leaky, payload):
        told = sentence(value) + texts(value)
        for secret in (tokens.access, tokens.refresh, "lovelace"):
            assert secret not in told, type(value).__name__


def test_hostile_texts_stay_texts() -> None:
    hostile = ApiFailed(Echo('<script>alert("1")</script>\x00\x1b'), ValueError("</text><script/>&amp;'\"\n\x07" * 9))
    assert "<script>" not in hostile._repr_mimebundle_()["text/html"]
    shown = hostile._repr_mimebundle_()["text/html"]
    ElementTree.fromstring(shown.removesuffix(">") + "/>")
    assert svg(hostile).find(".//{http://www.w3.org/2000/svg}script") is None


def test_what_can_not_be_shown_says_so_and_raises_nothing() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    store = Store(lambda state, action: state, Broken())
    assert store._repr_mimebundle_()["text/plain"]


def test_long_values_are_cut() -> None:
    answered = ApiSucceeded(Echo("x" * 5000), ["y" * 5000] * 5000, httpx.Response(200))
    assert len(sentence(answered)) < 400
    assert int(svg(answered).get("height") or 0) < 200


def test_it_reads_in_the_dark_and_without_colours() -> None:
    stage = Stage().login()
    style = svg(stage.session).findtext("{http://www.w3.org/2000/svg}style") or ""
    assert "prefers-color-scheme:dark" in style
    assert "✓ signed in" in texts(stage.session)
    stage.session.logout()
    assert "– signed out" in texts(stage.session)


def test_a_terminal_gets_text() -> None:
    stage = Stage().login()
    assert re.fullmatch(r"Session\('default', signed_in, generation=\d+\)", repr(stage.session))
    assert re.fullmatch(r"Store\(App, \d+ actions\)", repr(stage.store))
    stage.store.close()
    assert repr(stage.store).endswith(", closed)")


def test_nothing_of_it_is_imported_before_a_notebook_asks() -> None:
    program = "import sys, rxauth; print([name for name in sys.modules if name.startswith('rxauth.notebook')])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0 ms"),
        (0.42, "420 ms"),
        (1, "1 s"),
        (4.25, "4.2 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (299, "4 min 59 s"),
        (7500, "2 h 5 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (float("inf"), "for ever"),
        (float("nan"), "for ever"),
    ],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_moments_in_words() -> None:
    assert until(60, 0).endswith(", in 1 min")
    assert until(60, 0).startswith("expires at 1970-01-01 ")
    assert until(-60, 120).endswith(", 1 min ago")
    assert until(float("inf"), 0) == "never expires"
    assert until(1e300, 0).startswith("expires at 1")
    assert shorten("a  b\nc", 10) == "a b c"
    assert shorten("abcdef", 4) == "abc…"


def test_a_long_title_goes_on_in_the_next_line() -> None:
    state = AuthState(session="the-" + "department-" * 12)
    picture = svg(state)
    found = [node for node in picture.iter() if node.tag.endswith("}text")]
    titles = [node.text or "" for node in found if node.get("class") == "title"]
    assert "".join(titles).replace(" ", "") == f"AuthStateof{state.session!r}"
    assert len(titles) > 1
    places = [(node.get("x"), node.get("y")) for node in found]
    assert len(set(places)) == len(places), "no text lies on another"
    assert max(float(y or 0) for _, y in places) < float(picture.get("height") or 0)


@pytest.mark.parametrize("text", ["down " * 60, "y" * 300, "障害" * 150, "W" * 300])
def test_an_error_of_300_characters_stays_inside_the_card_as_a_whole(text: str) -> None:
    failed = ApiFailed(Echo("hi"), RefreshUnavailable(text))
    picture = svg(failed)
    found = [(node.text or "", float(node.get("x") or 0)) for node in picture.iter() if node.tag.endswith("}text")]
    assert all(x + width_of(line, 13) <= 640 for line, x in found if x == 150)
    assert "".join(line for line, x in found if x == 150).replace(" ", "") == text.replace(" ", "")
