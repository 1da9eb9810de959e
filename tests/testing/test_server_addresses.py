"""What `TokenServer` answers at an address that it does not have, or to a method that an address does not take."""

from __future__ import annotations

import httpx
import pytest

from rxauth.testing import TokenServer

PATHS = ["/", "/api/", "/api/token", "/api/me", "/api/login/", "/oauth/", "/oauth/token/", "/login"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("face", ["socket", "process"])
def test_an_address_that_it_does_not_have_is_404_whoever_asks(path: str, method: str, face: str) -> None:
    with TokenServer() as server:
        pair = server.issue()
        base, transport = (server.url, None) if face == "socket" else ("https://a.example", server.transport)
        with httpx.Client(base_url=base, transport=transport) as client:
            for headers in ({}, {"Authorization": f"Bearer {pair.access}"}, {"Authorization": "Bearer wrong"}):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
        server.reject_all_api(403)
        assert httpx.Client(base_url="https://a.example", transport=server.transport).get(path).status_code == 404
        assert server.logins == server.posts == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *(("GET", path, "POST") for path in ("/api/token/", "/api/token/refresh/", "/oauth/token", "/oauth/revoke")),
        *(("POST", path, "GET") for path in ("/api/me/", "/api/slow/", "/api/public/")),
    ],
)
def test_a_method_that_an_address_does_not_take_is_405(method: str, path: str, allowed: str) -> None:
    with TokenServer() as server, httpx.Client(base_url="https://a.example", transport=server.transport) as client:
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert allowed in answer.headers["allow"].split(", ")
        assert server.posts == 0
