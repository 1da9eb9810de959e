"""Two hosts, one sign-in in Redis, and a line that is cut: nothing unsafe is posted, and nobody is signed out."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from rxauth.testing import TokenServer
from rxauth.testing.server.handler import is_refresh
from tests.storage.netns_kit import Host, Net, Relay, nets
from tests.storage.storage_kit import until

net = pytest.fixture(nets)

#: Of a session on a host, in seconds: quick to say that Redis is not there, and to try again.
SETTINGS = {"deadline": 8.0, "save_timeout": 1.6, "cool_down": 0.2, "max_cool_down": 0.2}


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def hosts(net: Net, server: TokenServer) -> Iterator[tuple[Host, Host]]:
    """Both are signed in, with the same pair."""
    port = urlsplit(server.url).port
    assert port is not None
    relay = Relay(port)
    first = net.host(0, relay.path, **SETTINGS)
    signed_in = first.ask("log in")
    second = net.host(1, relay.path, **SETTINGS)
    assert second.ask("call")["access"] == signed_in["access"]
    yield first, second
    first.end()
    second.end()
    relay.end()


def test_a_host_that_is_cut_off_goes_on_in_memory_and_has_what_the_other_one_brought_when_it_is_back(
    net: Net, server: TokenServer, hosts: tuple[Host, Host]
) -> None:
    cut_off, other = hosts
    old = cut_off.ask("call")["access"]
    net.cut(0)
    refused = cut_off.ask("be refused")
    assert refused == {"status": "degraded", "storage": "failing", "error": "RefreshUnavailable", "cause": "storage"}
    assert "storage" in cut_off.ask("explain")
    assert server.posts == 0, "the server could be reached, and the refresh token was not posted"

    new = other.ask("be refused")
    assert (new["status"], new["storage"], server.posts) == ("signed_in", "ok", 1)

    assert cut_off.ask("call") == {"status": "degraded", "storage": "failing", "access": old, "new": False}
    assert works(server, old)
    assert cut_off.ask("be refused")["error"] == "RefreshUnavailable"

    net.mend(0)
    # By its watch, which comes back by itself. Refused once more, it would refresh what it may have got by then.
    until(lambda: cut_off.ask("call").get("access") == new["access"], "it has the pair of the other one", 60.0)
    assert cut_off.ask("call") == {"status": "signed_in", "storage": "ok", "access": new["access"], "new": False}
    all_is_well(server, posts=1)


def test_a_host_that_is_cut_off_before_it_could_save_keeps_its_turn_until_it_is_back(
    net: Net, server: TokenServer, hosts: tuple[Host, Host]
) -> None:
    cut_off, other = hosts
    assert cut_off.ask("refresh and wait") == "answered"
    net.cut(0)
    new = cut_off.ask("go on")
    assert (new["status"], new["storage"], new["new"]) == ("signed_in", "failing", True)
    assert works(server, new["access"])

    other.tell("be refused")
    net.mend(0)
    found = other.says()
    assert (found["access"], found["status"], found["storage"]) == (new["access"], "signed_in", "ok")
    until(lambda: cut_off.ask("call")["storage"] == "ok", "the first one has heard that its pair is saved", 60.0)
    all_is_well(server, posts=1)


def all_is_well(server: TokenServer, posts: int) -> None:
    statuses = [seen.status for seen in server.requests if is_refresh(seen)]
    assert statuses == [200] * posts, "no refresh was refused"
    assert server.reuses == 0


def works(server: TokenServer, access: str) -> bool:
    return httpx.get(f"{server.url}/api/me/", headers={"Authorization": f"Bearer {access}"}).status_code == 200
