"""`of_type`, fluent on a store's actions and as an operator; and what it saves: idle epics are not visited."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from store_kit import Action, Add, LoudPing, Noop, Ping, Pong, Seen, count_reducer, log_reducer

from rxauth import Store
from rxauth.store import of_type
from rxauth.store.audience import Routes
from rxauth.store.listeners import ActionListener


def both_ways(*kinds: type[Any]) -> tuple[Seen, Seen]:
    """What the fluent form and the operator let through."""
    store, fluent, operator = Store(log_reducer, ()), Seen(), Seen()
    store.actions.of_type(*kinds).subscribe(fluent)
    store.actions.pipe(of_type(*kinds)).subscribe(operator)
    for action in (Ping(1), Pong(2), LoudPing(3), Noop(), Add(4), "text"):
        store.dispatch(action)
    return fluent, operator


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((Pong,), [Pong(2)]),
        ((Ping,), [Ping(1), LoudPing(3)]),
        ((LoudPing,), [LoudPing(3)]),
        ((Pong, Noop), [Pong(2), Noop()]),
        ((Ping, LoudPing), [Ping(1), LoudPing(3)]),
        ((Action,), [Ping(1), Pong(2), LoudPing(3), Noop(), Add(4)]),
        ((object,), [Ping(1), Pong(2), LoudPing(3), Noop(), Add(4), "text"]),
        ((int,), []),
    ],
    ids=lambda value: "+".join(getattr(one, "__name__", "...") for one in value),
)
def test_a_class_matches_its_instances_and_those_of_its_subclasses(kinds: Any, expected: list[Any]) -> None:
    """Each action once, though it matches two of the classes."""
    fluent, operator = both_ways(*kinds)
    assert fluent == operator == expected


def test_the_operator_works_on_any_observable() -> None:
    seen = Seen()
    reactivex.of(Ping(), 1, Pong(), "text").pipe(of_type(Pong, str)).subscribe(seen)
    assert seen == [Pong(), "text"]


def test_an_operator_can_be_used_on_two_sources() -> None:
    pings, one, two = of_type(Ping), Seen(), Seen()
    reactivex.of(Ping(1), Pong()).pipe(pings).subscribe(one)
    reactivex.of(Pong(), Ping(2)).pipe(pings).subscribe(two)
    assert (one, two) == ([Ping(1)], [Ping(2)])


@pytest.mark.parametrize("of", [of_type, Store(log_reducer, ()).actions.of_type], ids=["operator", "fluent"])
@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        ((), "needs at least one action class"),
        (((Ping, Pong),), "pass the classes one by one"),
        (("PING",), "actions are matched by class"),
        ((Ping, Pong()), "actions are matched by class"),
        ((None,), "actions are matched by class"),
    ],
    ids=["nothing", "tuple", "text", "instance", "None"],
)
def test_what_is_no_class_is_refused_at_once(of: Any, kinds: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        of(*kinds)


def test_a_stream_is_narrowed_once() -> None:
    with pytest.raises(TypeError, match=r"name all classes in one call: of_type\(A, B\)"):
        Store(log_reducer, ()).actions.of_type(Ping).of_type(Pong)


def test_an_action_visits_only_those_who_ask_for_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a dispatch does not grow with idle epics."""
    visits, here = [], threading.get_ident()
    deliver = ActionListener.deliver

    def counting(self: ActionListener, action: Any, state: Any) -> None:
        if threading.get_ident() == here:  # in others a store of an earlier test may still be at work
            visits.append(action)
        deliver(self, action, state)

    monkeypatch.setattr(ActionListener, "deliver", counting)

    def idle(actions: Any, state: Any) -> Any:
        return actions.of_type(Pong).pipe(ops.ignore_elements())

    def busy(actions: Any, state: Any) -> Any:
        return actions.of_type(Ping).pipe(ops.ignore_elements())

    store = Store(count_reducer, 0, epics=[*[idle] * 500, busy, *[idle] * 500])
    for number in range(10):
        store.dispatch(Ping(number))
    assert visits == [Ping(number) for number in range(10)]


def listener() -> ActionListener:
    return ActionListener((None, None), "a test", None)


def test_routes_lead_to_the_listeners_of_a_class_and_of_its_bases_in_the_order_they_came() -> None:
    routes = Routes()
    first, second, third, other = (listener() for _ in range(4))
    routes.add((Action,), first)
    routes.add((Pong,), other)
    routes.add((LoudPing, Ping), second)
    routes.add((Ping,), third)
    assert routes.of(LoudPing) == routes.of(Ping) == (first, second, third)
    assert routes.of(Pong) == (first, other)
    assert routes.of(str) == ()


def test_routes_are_remembered_until_a_listener_they_concern_comes_or_goes() -> None:
    asked = []

    class Watched(type):
        def __subclasscheck__(cls, kind: type[Any]) -> bool:
            asked.append(kind)
            return super().__subclasscheck__(kind)

    class Seldom(metaclass=Watched):
        pass

    routes = Routes()
    routes.add((Seldom,), listener())
    routes.of(Ping)
    assert asked == [Ping]
    asked.clear()
    for _ in range(100):
        routes.of(Ping)
    assert asked == []
    newcomer = listener()
    remove = routes.add((Action,), newcomer)
    assert routes.of(Ping) == (newcomer,)
    remove()
    assert routes.of(Ping) == ()


def test_a_listener_that_leaves_leaves_all_of_its_classes() -> None:
    routes = Routes()
    stays = listener()
    remove = routes.add((Ping, Pong), listener())
    routes.add((Ping,), stays)
    remove()
    remove()
    assert (routes.of(Ping), routes.of(Pong)) == ((stays,), ())
