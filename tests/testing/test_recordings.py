"""Recordings of a store: what comes in, what is kept out, and what can be done with them afterwards."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from reactivex import operators as ops

from rxauth import AuthState, Request, Session, Store, api_epic, auth_reducer, call, combine_reducers, simplejwt
from rxauth.errors import InvalidRecording
from rxauth.session import RefreshStarted, SignedIn, TokensRefreshed
from rxauth.testing import Recording, TokenServer, VirtualTime, faults, record, replay_epic

API = "https://api.example.com"
SECRETS = ["lovelace-and-a-long-password", "opaque-access-token-of-ada", "opaque-refresh-token-of-ada"]


@dataclass(frozen=True)
class Typed:
    text: str


@dataclass(frozen=True)
class Found:
    text: str


@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    found: tuple[str, ...] = ()


def found(state: tuple[str, ...], action: Any) -> tuple[str, ...]:
    return (*state, action.text) if isinstance(action, Found) else state


REDUCER = combine_reducers(App, auth=auth_reducer, found=found)


def story(*, refuse: bool = False, start: float = 1_800_000_000) -> tuple[Recording, Store[App]]:
    """A sign-in, two calls that meet an expired token, and a search."""
    time = VirtualTime(start)
    server = TokenServer(time=time, token_latency=1.0, user="ada", password=SECRETS[0])
    store: Store[App] = Store(REDUCER, App())
    session = Session(
        simplejwt(API, transport=server.transport), store=store, select=lambda app: app.auth, time=time, name="default"
    )
    client = httpx.Client(base_url=API, transport=server.transport)
    store.add_epic(api_epic(client, session))
    recording = record(store, time=time)
    session.login(username="ada", password=SECRETS[0]).run()
    time.advance(301)
    if refuse:
        server.always(faults.refuse())
    for _ in range(2):
        store.dispatch(call(Request.get("/api/me/", headers={"X-Api-Key": "0123456789-0123456789"})))
    time.advance(5)
    store.dispatch(Found("jwt"))
    recording.close()
    store.dispatch(Found("too late"))
    return recording, store


def test_it_holds_what_was_dispatched_with_numbers_and_moments() -> None:
    recording, _ = story()
    assert [event.number for event in recording] == list(range(1, len(recording) + 1))
    assert [action.text for action in recording.of_type(Found)] == ["jwt"]
    [started] = [event for event in recording if isinstance(event.action, RefreshStarted)]
    [refreshed] = [event for event in recording if isinstance(event.action, TokensRefreshed)]
    assert (started.at, refreshed.at) == (302, 303)
    assert repr(recording) == f"Recording({len(recording)} events, 307 s)"


def test_no_secret_comes_in() -> None:
    recording, store = story()
    tokens = store.state.auth.tokens
    assert tokens is not None
    text = "\n".join(recording.to_lines()) + repr(recording.events) + repr(recording.initial)
    for secret in (SECRETS[0], tokens.access, tokens.refresh, "0123456789-0123456789"):
        assert secret is not None
        assert secret not in text
    [signed_in] = recording.of_type(SignedIn)
    assert signed_in.tokens.access.startswith("#")
    assert store.state.auth.tokens is tokens, "the store has its own"


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    recording, _ = story()
    recording.save(tmp_path / "story.jsonl")
    again = Recording.load(tmp_path / "story.jsonl")
    assert recording.compare(again, times=True) == ""
    assert again.initial == recording.initial
    assert [type(action) for action in again.actions] == [type(action) for action in recording.actions]


def test_replayed_into_the_reducer_it_makes_the_states_again() -> None:
    recording, store = story()
    loaded = Recording.from_lines(recording.to_lines())
    for one in (recording, loaded):
        states = one.replay(REDUCER)
        assert len(states) == len(recording.actions) + 1
        assert states[0] == App()
        assert states[-1].found == ("jwt",)
        last, truth = states[-1].auth, store.state.auth
        assert (last.status, last.generation, last.sign_in) == (truth.status, truth.generation, truth.sign_in)
        assert "refreshing" in [state.auth.status for state in states]


def test_replayed_into_an_epic_it_shows_what_that_would_do() -> None:
    recording = Recording.from_lines(_typing().to_lines())

    def search(actions: Any, state: Any) -> Any:
        return actions.of_type(Typed).pipe(ops.debounce(1.0), ops.map(lambda typed: Found(typed.text)))

    emitted = replay_epic(recording, search)
    assert [(round(event.at, 6), event.action) for event in emitted] == [(2.4, Found("jw")), (6.0, Found("jwt"))]


def test_what_a_replayed_epic_emits_is_not_dispatched_again() -> None:
    """Else an epic that answers its own answers would see each of them twice."""
    time = VirtualTime()
    store: Store[App] = Store(REDUCER, App())
    epic = lambda actions, state: actions.of_type(Found).pipe(  # noqa: E731
        ops.filter(lambda found: len(found.text) < 3), ops.map(lambda found: Found(found.text + "x"))
    )
    with record(store, time=time) as recording:
        store.add_epic(epic)
        store.dispatch(Found("a"))
    assert [action.text for action in recording.actions] == ["a", "ax", "axx"]
    assert [event.action.text for event in replay_epic(recording, epic)] == ["ax", "axx"]


def _typing() -> Recording:
    time = VirtualTime()
    store: Store[App] = Store(REDUCER, App())
    with record(store, time=time) as recording:
        for pause, text in ((1.0, "j"), (0.4, "jw"), (3.6, "jwt")):
            time.advance(pause)
            store.dispatch(Typed(text))
    return recording


def test_two_runs_of_one_story_compare_as_the_same() -> None:
    one, two = story()[0], story(start=1_900_000_000)[0]
    assert one.actions != two.actions, "ids, generations, tokens and moments are new"
    assert one.compare(two) == ""


def test_a_difference_is_shown_where_it_is() -> None:
    difference = story()[0].compare(story(refuse=True)[0])
    assert "-TokensRefreshed(" in difference
    assert "+SessionEnded(" in difference
    assert ' ApiStarted(call=AdHocCall(description=Request(method="GET", url="/api/me/"' in difference
    assert "+ApiFailed(call=AdHocCall(" in difference
    assert 'SessionExpired("the token endpoint answered 400' in difference
    assert '"sign-in 1"' in difference


def test_moments_count_where_they_are_asked_for() -> None:
    time = VirtualTime()
    store: Store[App] = Store(REDUCER, App())
    recordings = []
    for pause in (1.0, 2.0):
        with record(store, time=time) as recording:
            time.advance(pause)
            store.dispatch(Typed("x"))
        recordings.append(recording)
    assert recordings[0].compare(recordings[1]) == ""
    assert "1.000  Typed" in recordings[0].compare(recordings[1], times=True)


def test_memory_is_bounded_and_a_beginning_that_is_gone_is_not_replayed() -> None:
    store: Store[App] = Store(REDUCER, App())
    with record(store, limit=3) as recording:
        for number in range(5):
            store.dispatch(Found(str(number)))
    assert (len(recording), recording.dropped) == (3, 2)
    assert [event.number for event in recording] == [3, 4, 5]
    for use in (lambda: recording.replay(REDUCER), lambda: replay_epic(recording, lambda actions, state: actions)):
        with pytest.raises(InvalidRecording, match="first 2 events were dropped"):
            use()
    again = Recording.from_lines(recording.to_lines())
    assert again.dropped == 2


def test_a_recording_that_starts_in_mid_session_knows_the_state_before() -> None:
    store: Store[App] = Store(REDUCER, App(found=("before",)))
    seen: list[Recording] = []
    store.actions.of_type(Typed).subscribe(lambda _: seen.append(record(store)))
    store.actions.of_type(Typed).subscribe(lambda _: store.dispatch(Found("after")))
    store.dispatch(Typed("x"))
    assert seen[0].replay(REDUCER)[-1].found == ("before", "after") == store.state.found


def test_what_waits_for_its_delivery_is_recorded_already() -> None:
    async def main() -> None:
        store: Store[App] = Store(REDUCER, App())  # delivers on this loop
        with record(store) as recording:
            store.dispatch(Found("at once"))
        assert recording.actions == [Found("at once")]

    asyncio.run(main())


def test_threads_that_dispatch_and_read_meanwhile_lose_nothing() -> None:
    store: Store[App] = Store(REDUCER, App())
    barrier = threading.Barrier(4)

    def dispatch() -> None:
        barrier.wait(60)
        for number in range(500):
            store.dispatch(Found(str(number)))

    with record(store) as recording:
        threads = [threading.Thread(target=dispatch) for _ in range(3)]
        for thread in threads:
            thread.start()
        barrier.wait(60)
        while any(thread.is_alive() for thread in threads):
            seen = recording.events
            assert [event.number for event in seen] == list(range(1, len(seen) + 1))
        for thread in threads:
            thread.join()
    assert [event.number for event in recording] == list(range(1, 1501))
    assert recording.replay(REDUCER)[-1] == store.state


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ([], "empty"),
        (['{"rxauth": 99}'], "version 99"),
        (["[1, 2]"], "line 1"),
        (['{"n": 1, "at": 0, "action": "x"}'], "is it a recording"),
        (['{"rxauth": 1}', '{"n": 1, "at": 0, "acti'], "line 2"),
        (['{"rxauth": 1}', '{"n": 1}'], "line 2"),
        (['{"rxauth": 1}', '{"n": 1, "at": 0, "action": {"$new": 1}}'], "line 2.*does not know"),
        (
            ['{"rxauth": 1}', '{"n": 1, "at": 0, "action": {"$": "rxauth.session.actions:SignedIn"}}'],
            "line 2.*no default",
        ),
        (['{"rxauth": 1, "initial": {"$new": 1}}'], "line 1.*does not know"),
        (['{"rxauth": 1, "initial": {"$tuple": 5}}'], "line 1 is no recorded state .TypeError"),
        (['{"rxauth": 1, "initial": {"$enum": "enum:FlagBoundary", "name": "GONE"}}'], "line 1.*KeyError: 'GONE'"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(lines: list[str], match: str) -> None:
    with pytest.raises(InvalidRecording, match=match):
        Recording.from_lines(lines)


def test_a_limit_is_a_number_of_actions() -> None:
    with pytest.raises(ValueError, match="limit"):
        record(Store(auth_reducer, AuthState()), limit=0)
