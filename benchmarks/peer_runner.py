"""Another client, driven in a process and an environment of its own: no rxauth here.

Started by `benchmarks.peers` with the name of the client and the tokens as JSON. It says when it is ready; then, for
each line of JSON on its input, it makes calls and answers with a line of results. Each client is one object, shared
by all callers, and refreshes after a 401 only where that is a feature of its own.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: A call that takes longer hangs, in seconds.
CALL_LIMIT = 35.0

Told = dict[str, Any]


class Hang(BaseException):
    """The call had not ended after `CALL_LIMIT`."""


class AuthlibAsync:
    def __init__(self, told: Told) -> None:
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        self.client = AsyncOAuth2Client("app", token=oauth_token(told), token_endpoint=told["token_url"], timeout=30)

    async def get(self, url: str) -> Any:
        return (await self.client.get(url)).status_code

    def refresh_token(self) -> Any:
        return self.client.token.get("refresh_token")


class AuthlibSync:
    def __init__(self, told: Told) -> None:
        from authlib.integrations.httpx_client import OAuth2Client

        self.client = OAuth2Client("app", token=oauth_token(told), token_endpoint=told["token_url"], timeout=30)

    def get(self, url: str) -> Any:
        return self.client.get(url).status_code

    def refresh_token(self) -> Any:
        return self.client.token.get("refresh_token")


class GoogleAuth:
    def __init__(self, told: Told) -> None:
        from google.auth.transport.requests import AuthorizedSession
        from google.oauth2.credentials import Credentials

        self.credentials = Credentials(
            told["access"],
            refresh_token=told["refresh"],
            token_uri=told["token_url"],
            client_id="app",
            client_secret="secret",
            expiry=datetime.datetime.fromtimestamp(told["expires_at"], datetime.UTC).replace(tzinfo=None),
        )
        self.session = AuthorizedSession(self.credentials)

    def get(self, url: str) -> Any:
        return self.session.get(url, timeout=30).status_code

    def refresh_token(self) -> Any:
        return self.credentials.refresh_token


class RequestsOAuthlib:
    def __init__(self, told: Told) -> None:
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the server speaks plain HTTP, on the loopback interface
        from requests_oauthlib import OAuth2Session

        refresh = {"auto_refresh_url": told["token_url"], "auto_refresh_kwargs": {"client_id": "app"}}
        self.session = OAuth2Session("app", token=oauth_token(told), token_updater=lambda token: None, **refresh)

    def get(self, url: str) -> Any:
        return self.session.get(url, timeout=30).status_code

    def refresh_token(self) -> Any:
        return self.session.token.get("refresh_token")


class HttpxAuth:
    """The password grant: the one that refreshes and needs no browser. So it holds the password and may log in."""

    def __init__(self, told: Told, client: str) -> None:
        import httpx
        from httpx_auth import OAuth2, OAuth2ResourceOwnerPasswordCredentials

        self.auth = OAuth2ResourceOwnerPasswordCredentials(told["token_url"], told["user"], told["password"])
        self.cache = OAuth2.token_cache  # has no public way in for tokens one has already
        self.cache._add_token(self.auth.state, told["access"], told["expires_at"], told["refresh"])
        self.client: Any = getattr(httpx, client)(auth=self.auth, timeout=30)

    def refresh_token(self) -> Any:
        return self.cache.tokens.get(self.auth.state, (None, None, None))[2]


class HttpxAuthAsync(HttpxAuth):
    def __init__(self, told: Told) -> None:
        super().__init__(told, "AsyncClient")

    async def get(self, url: str) -> Any:
        return (await self.client.get(url)).status_code


class HttpxAuthSync(HttpxAuth):
    def __init__(self, told: Told) -> None:
        super().__init__(told, "Client")

    def get(self, url: str) -> Any:
        return self.client.get(url).status_code


class Azure:
    """azure-core leaves the refresh to a credential: here one that posts the refresh grant whenever it is asked."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.kept: str = told["refresh"]

    def seed(self, policy: Any) -> Any:
        """Let the policy, which has no public way in for tokens, begin with the one we have."""
        from azure.core.credentials import AccessToken

        policy._token = AccessToken(self.told["access"], int(self.told["expires_at"]))
        return policy

    def form(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": self.kept}

    def accept(self, status: int, answer: Callable[[], Any]) -> Any:
        """Keep the new tokens, or raise what credentials raise."""
        from azure.core.credentials import AccessToken
        from azure.core.exceptions import ClientAuthenticationError

        if status != 200:
            raise ClientAuthenticationError(f"The token endpoint answered {status}")
        tokens = answer()
        self.kept = tokens["refresh_token"]
        return AccessToken(tokens["access_token"], int(time.time()) + self.told["told_life"])

    def refresh_token(self) -> str | None:
        return self.kept


class AzureSync(Azure):
    def __init__(self, told: Told) -> None:
        super().__init__(told)
        from azure.core.pipeline import Pipeline
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy
        from azure.core.pipeline.transport import RequestsTransport

        transport = RequestsTransport()
        transport.open()
        self.pipeline = Pipeline(transport, policies=[self.seed(BearerTokenCredentialPolicy(self, "scope"))])

    def get_token(self, *scopes: str, **options: Any) -> Any:
        import requests

        answer = requests.post(self.told["token_url"], data=self.form(), timeout=30)
        return self.accept(answer.status_code, answer.json)

    def get(self, url: str) -> Any:
        from azure.core.rest import HttpRequest

        return self.pipeline.run(HttpRequest("GET", url), enforce_https=False).http_response.status_code


class AzureAsync(Azure):
    def __init__(self, told: Told) -> None:
        super().__init__(told)
        import httpx
        from azure.core.pipeline import AsyncPipeline
        from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
        from azure.core.pipeline.transport import AioHttpTransport

        policy = self.seed(AsyncBearerTokenCredentialPolicy(self, "scope"))
        self.pipeline = AsyncPipeline(AioHttpTransport(), policies=[policy])
        self.http = httpx.AsyncClient(timeout=30)

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        answer = await self.http.post(self.told["token_url"], data=self.form())
        return self.accept(answer.status_code, answer.json)

    async def get(self, url: str) -> Any:
        from azure.core.rest import HttpRequest

        answer = await self.pipeline.run(HttpRequest("GET", url), enforce_https=False)
        return answer.http_response.status_code


CLIENTS: dict[str, Callable[[Told], Any]] = {
    "authlib-async": AuthlibAsync,
    "authlib-sync": AuthlibSync,
    "google-auth": GoogleAuth,
    "requests-oauthlib": RequestsOAuthlib,
    "httpx-auth-async": HttpxAuthAsync,
    "httpx-auth-sync": HttpxAuthSync,
    "azure-core-async": AzureAsync,
    "azure-core-sync": AzureSync,
}


def oauth_token(told: Told) -> dict[str, Any]:
    return {
        "access_token": told["access"],
        "refresh_token": told["refresh"],
        "token_type": "Bearer",
        "expires_at": told["expires_at"],
    }


async def in_tasks(client: Any, order: dict[str, Any]) -> list[int | BaseException]:
    tasks = [asyncio.create_task(client.get(url)) for url in order["urls"]]
    if order["cancel_first_after"] is not None:
        await asyncio.sleep(order["cancel_first_after"])
        tasks[0].cancel()
    ended, _ = await asyncio.wait(tasks, timeout=CALL_LIMIT)
    return [_ended(task) if task in ended else Hang() for task in tasks]


def _ended(task: asyncio.Task[int]) -> int | BaseException:
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()


def in_threads(client: Any, order: dict[str, Any]) -> list[int | BaseException]:
    urls = order["urls"]
    results: list[int | BaseException] = [Hang() for _ in urls]
    barrier = threading.Barrier(len(urls))

    def send(number: int) -> None:
        barrier.wait()
        try:
            results[number] = client.get(urls[number])
        except BaseException as error:
            results[number] = error

    # A blocking call is cancelled by Ctrl-C, which reaches the main thread: so the first call is made there.
    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(1, len(urls))]
    for thread in threads:
        thread.start()
    if order["cancel_first_after"] is not None:
        interrupt = (threading.main_thread().ident or 0, signal.SIGINT)
        threading.Timer(order["cancel_first_after"], signal.pthread_kill, interrupt).start()
    deadline = time.monotonic() + CALL_LIMIT
    send(0)
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return results


async def _built(make: Callable[[Told], Any], told: Told) -> Any:
    return make(told)


def main() -> None:
    logging.disable()
    make, told = CLIENTS[sys.argv[1]], json.loads(sys.argv[2])
    with asyncio.Runner() as loop:
        client = loop.run(_built(make, told))
        print("ready", flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            is_async = inspect.iscoroutinefunction(client.get)
            results = loop.run(in_tasks(client, order)) if is_async else in_threads(client, order)
            shown = [_shown(result) for result in results]
            print(json.dumps({"results": shown, "refresh_token": client.refresh_token()}), flush=True)


def _shown(result: int | BaseException) -> int | list[str]:
    """A status, or the names of the exception's class and its bases."""
    return result if isinstance(result, int) else [kind.__name__ for kind in type(result).__mro__]


if __name__ == "__main__":
    main()
