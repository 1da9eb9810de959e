"""Marble tests for epics: what passes, and what the message of a failure shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import reactivex
from reactivex import operators as ops

from rxauth import Session, Tokens, simplejwt
from rxauth.testing import TokenServer, VirtualTime, check_epic


@dataclass(frozen=True)
class Typed:
    text: str


@dataclass(frozen=True)
class Search:
    text: str


def search(actions: Any, state: Any) -> Any:
    return actions.of_type(Typed).pipe(ops.debounce(3.0), ops.map(lambda typed: Search(typed.text)))


VALUES = {"t": Typed("jw"), "u": Typed("jwt"), "s": Search("jwt"), "w": Search("jw")}


def failure(*args: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check_epic(*args, **options)
    return str(caught.value)


def test_an_epic_that_does_as_expected_passes() -> None:
    check_epic(search, "-t-u-----|", "------s--|", VALUES)


def test_the_message_shows_the_three_diagrams_and_each_difference() -> None:
    assert failure(search, "-t-u------", "----w-s---", VALUES).splitlines() == [
        "epic search, one character = 1 s",
        "",
        "  actions   -t-u------",
        "  expected  ----w-s---",
        "  emitted   ------s---",
        "",
        "  at 4 s: w = Search(text='jw') was expected",
    ]


def test_what_came_at_another_time_or_with_another_content_is_told_twice() -> None:
    told = failure(search, "-t--------", "-----s----", VALUES)
    assert "at 5 s: s = Search(text='jwt') was expected" in told
    assert "at 4 s: w = Search(text='jw') came" in told
    assert "emitted   ----w-----" in told


def test_an_action_that_has_no_name_is_a_question_mark() -> None:
    told = failure(search, "-u------", "--------", {"u": Typed("new")})
    assert "emitted   ----?---" in told
    assert "at 4 s: Search(text='new') came" in told


def test_letters_stand_for_themselves_without_values() -> None:
    def answer(actions: Any, state: Any) -> Any:
        return actions.pipe(ops.filter(lambda action: action == "a"), ops.flat_map(lambda _: reactivex.of("b", "c")))

    check_epic(answer, "-a----a----", "-(b,c)(b,c)")
    told = failure(answer, "-a----", "-(c,b)")
    assert "at 1 s: b came out of order" in told
    assert "emitted   -(b,c)" in told


def test_what_the_epic_emits_comes_back_to_it() -> None:
    def count_down(actions: Any, state: Any) -> Any:
        return actions.pipe(ops.filter(lambda action: action > 0), ops.map(lambda n: n - 1), ops.delay(1.0))

    check_epic(count_down, "3-------", "--2-1-0-", {"0": 0, "1": 1, "2": 2, "3": 3}, frame=0.5)


def test_the_epic_sees_the_state_that_the_reducer_makes() -> None:
    def double(actions: Any, state: Any) -> Any:
        return actions.of_type(int).pipe(ops.map(lambda _: f"sum {state.state}"))

    values = {"1": 1, "2": 2, "a": "sum 1", "b": "sum 3"}
    add = lambda state, action: state + action if isinstance(action, int) else state  # noqa: E731
    check_epic(double, "-1-2-", "-a-b-", values, reducer=add, state=0)


def test_a_failure_and_the_end_are_marks_too() -> None:
    def fragile(actions: Any, state: Any) -> Any:
        return actions.pipe(ops.map(lambda action: 1 / 0), ops.take(3))

    check_epic(fragile, "-a---", "-#---")
    check_epic(fragile, "-a---", "-#---", error=ZeroDivisionError("division by zero"))
    assert "# = ValueError('x') was expected" in failure(fragile, "-a---", "-#---", error=ValueError("x"))
    check_epic(lambda actions, state: actions.pipe(ops.take(1), ops.ignore_elements()), "-a---", "-|---")
    told = failure(lambda actions, state: actions.pipe(ops.ignore_elements()), "-a--|", "-----")
    assert "at 4 s: | (the end) came" in told


def test_what_would_check_nothing_is_refused() -> None:
    for frame in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="frame must be more than 0 seconds"):
            check_epic(search, "t-----", "---w--", VALUES, frame=frame)
    with pytest.raises(ValueError, match="expected is no diagram"):
        check_epic(search, "t-----", " ", VALUES)


def test_frames_may_be_of_any_length() -> None:
    check_epic(search, "t" + "-" * 40, "-" * 30 + "w" + "-" * 10, VALUES, frame=0.1)


def test_an_epic_that_waits_at_the_gate_of_a_session() -> None:
    time = VirtualTime()
    server = TokenServer(time=time, token_latency=2.0)
    pair = server.issue(expired=True)
    session = Session(
        simplejwt("https://api.example.com", transport=server.transport),
        tokens=Tokens(pair.access, pair.refresh),
        time=time,
    )
    client = httpx.Client(transport=server.transport, base_url="https://api.example.com")

    def me(item: Any, tokens: Tokens) -> Any:
        answer = client.get("/api/me/", headers={"Authorization": f"Bearer {tokens.access}"})
        return reactivex.of(answer.json()["user"])

    check_epic(
        lambda actions, state: actions.of_type(Typed).pipe(session.gate(me)),
        "-t-t------",
        "---(a,a)--",
        {"t": Typed("x"), "a": "ada"},
        time=time,
    )
    assert server.posts == 1


@pytest.mark.parametrize(
    ("actions", "values", "match"),
    [
        ("-x-", VALUES, "'x', which values"),
        ("-#-", VALUES, "never fail"),
        ("-t-", {"(": Typed("x")}, "letters and digits"),
    ],
)
def test_a_diagram_with_a_mistake_is_refused(actions: str, values: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_epic(search, actions, "---", values)


def test_an_epic_that_answers_its_own_answers_is_told_of_and_ends() -> None:
    with pytest.raises(AssertionError, match="the epic shout answers its own answers, without end"):
        check_epic(shout, "-a-b-|", "-A-B-|")


def shout(actions: Any, state: Any) -> Any:
    return actions.pipe(ops.map(str.upper))
