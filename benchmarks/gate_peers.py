"""Other clients with a fresh token, each with its own bare client beside it, over transports without a network."""

from __future__ import annotations

import asyncio
import datetime
import io
import sys
import time
from collections.abc import Callable
from typing import Any

URL = "https://api.example.com"
ACCESS = "a" * 300
FIXED = {"Authorization": "Bearer " + ACCESS}
FAR = 10**6

Work = Callable[[int], None]


def contestants() -> dict[str, tuple[Work, Work]]:
    """(the peer, bare), by name."""
    return {
        "Authlib": authlib(),
        "httpx-auth": httpx_auth(),
        "google-auth": google_auth(),
        "azure-core": azure_core(),
    }


def authlib() -> tuple[Work, Work]:
    """Its async client, which is a subclass of httpx2's where that is installed."""
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    base = next(base for base in AsyncOAuth2Client.__mro__ if base.__name__ == "AsyncClient")
    library: Any = sys.modules[base.__module__.partition(".")[0]]
    token = {"access_token": ACCESS, "token_type": "Bearer", "expires_at": int(time.time()) + FAR}
    transport = library.MockTransport(_async_answer(library))
    runner = asyncio.Runner()
    peer = AsyncOAuth2Client("app", token=token, transport=transport, base_url=URL)
    bare = library.AsyncClient(transport=transport, headers=FIXED, base_url=URL)
    return _awaited(runner, peer), _awaited(runner, bare)


def httpx_auth() -> tuple[Work, Work]:
    import httpx
    from httpx_auth import OAuth2, OAuth2ResourceOwnerPasswordCredentials

    auth = OAuth2ResourceOwnerPasswordCredentials(URL + "/token", "ada", "lovelace")
    OAuth2.token_cache._add_token(auth.state, ACCESS, time.time() + FAR, "r")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"{}"))
    peer = httpx.Client(transport=transport, auth=auth, base_url=URL)
    bare = httpx.Client(transport=transport, headers=FIXED, base_url=URL)
    return _gets(peer, "/me"), _gets(bare, "/me")


def google_auth() -> tuple[Work, Work]:
    import requests
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: Any, *args: Any, **how: Any) -> Any:
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url
            response.raw = io.BytesIO(b"{}")
            return response

        def close(self) -> None:
            pass

    expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=9)
    peer = AuthorizedSession(Credentials(ACCESS, refresh_token="r", token_uri=URL, client_id="app", expiry=expiry))
    bare = requests.Session()
    bare.headers.update(FIXED)
    for session in (peer, bare):
        session.mount("https://", Adapter())
    return _gets(peer, URL + "/me"), _gets(bare, URL + "/me")


def azure_core() -> tuple[Work, Work]:
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import Pipeline
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, HeadersPolicy
    from azure.core.pipeline.transport import HttpRequest, HttpTransport

    class Transport(HttpTransport):  # type: ignore[misc]
        def send(self, request: Any, **how: Any) -> Any:
            return _AzureResponse()

        def open(self) -> None:
            pass

        def close(self) -> None:
            pass

        def __exit__(self, *exc: object) -> None:
            pass

    class Credential:
        def get_token(self, *scopes: str, **how: Any) -> Any:
            return AccessToken(ACCESS, int(time.time()) + FAR)

    def sends(policy: Any) -> Work:
        pipeline = Pipeline(Transport(), policies=[policy])

        def work(calls: int) -> None:
            for _ in range(calls):
                pipeline.run(HttpRequest("GET", URL + "/me"))

        return work

    return sends(BearerTokenCredentialPolicy(Credential(), "scope")), sends(HeadersPolicy(base_headers=FIXED))


class _AzureResponse:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012


def _async_answer(library: Any) -> Callable[[Any], Any]:
    async def handle(request: Any) -> Any:
        return library.Response(200, content=b"{}")

    return handle


def _gets(client: Any, url: str) -> Work:
    def work(calls: int) -> None:
        for _ in range(calls):
            client.get(url)

    return work


def _awaited(runner: asyncio.Runner, client: Any) -> Work:
    async def all_calls(calls: int) -> None:
        for _ in range(calls):
            await client.get("/me")

    return lambda calls: runner.run(all_calls(calls))
