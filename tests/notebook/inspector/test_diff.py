"""Values as lines, and what a step changed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from events_kit import App, some_tokens

from rxauth import AuthState
from rxauth.notebook.inspector.diff import ITEMS, LINES, Line, changes, tree


@dataclass(frozen=True)
class Todo:
    text: str
    done: bool = False


def said(lines: list[Line]) -> list[str]:
    shown = []
    for line in lines:
        text = f"{line.before} -> {line.text}" if line.mark == "~" else line.text
        shown.append(f"{'  ' * line.depth}{line.mark}{line.name}: {text}")
    return shown


def test_a_state_is_one_line_for_each_field() -> None:
    assert said(tree({"name": "ada", "todos": (Todo("read"),)})) == [
        "name: 'ada'",
        "todos: tuple of 1",
        "  [0]: Todo",
        "    text: 'read'",
        "    done: False",
    ]


def test_only_what_changed_is_shown_and_the_rest_is_counted() -> None:
    before = App(AuthState(), ("a",))
    assert said(changes(before, replace(before, auth=replace(before.auth, status="signing_in")))) == [
        "auth: AuthState",
        "  ~status: 'signed_out' -> 'signing_in'",
        f"  …: {len(fields(AuthState)) - 1} unchanged",
        "…: 1 unchanged",
    ]


def test_nothing_changed_is_no_line() -> None:
    assert changes(App(), App()) == []


def test_an_item_that_is_added_or_taken_from_the_front_does_not_change_the_others() -> None:
    assert said(changes((1, 2, 3), (1, 2, 3, 4))) == ["+[3]: 4", "…: 3 unchanged"]
    assert said(changes((1, 2, 3), (2, 3, 4))) == ["-[0]: 1", "+[2]: 4", "…: 2 unchanged"]
    assert said(changes((Todo("a"), Todo("b")), (Todo("a", True), Todo("b")))) == [
        "[0]: Todo",
        "  ~done: False -> True",
        "  …: 1 unchanged",
        "…: 1 unchanged",
    ]


def test_keys_that_come_and_go() -> None:
    assert said(changes({"a": 1, "b": 2}, {"b": 2, "c": 3})) == ["-a: 1", "+c: 3", "…: 1 unchanged"]


def test_a_value_becomes_a_structure_and_back() -> None:
    assert said(changes({"tokens": None}, {"tokens": Todo("x")}))[0] == "~tokens: None -> Todo"
    assert said(changes({"tokens": Todo("x")}, {"tokens": None})) == ["~tokens: Todo -> None"]


def test_times_are_read_by_people() -> None:
    lines = {line.name: line.text for line in tree(some_tokens())}
    assert lines["expires_at"].endswith("(100.000)")
    assert ":01:40" in lines["expires_at"]


def test_what_is_too_much_is_cut_and_says_so() -> None:
    assert said(tree(tuple(range(ITEMS + 5))))[-1] == "…: 5 more"
    many = {f"key{n}": {"inner": list(range(40))} for n in range(40)}
    assert len(tree(many)) == LINES + 1
    deep: Any = "end"
    for _ in range(50):
        deep = {"deeper": deep}
    assert len(tree(deep)) < 20


def test_objects_that_misbehave_are_shown_nevertheless() -> None:
    class Bad:
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise ValueError("no comparison")

        def __repr__(self) -> str:
            raise ValueError("no text")

    assert "its repr raised" in said(tree({"bad": Bad()}))[0] or "Bad" in said(tree({"bad": Bad()}))[0]
    assert said(changes({"bad": Bad()}, {"bad": Bad()}))[0].startswith("~bad: ")
