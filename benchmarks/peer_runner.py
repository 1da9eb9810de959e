"""Another client, driven in a process and an environment of its own: no rxauth here.

Started by `benchmarks.peers` with the name of the client and the tokens as JSON; for each line of JSON on its input it
makes calls and answers with a line of results. Each client is one object, shared by all callers, as its docs say.
"""

import asyncio
import datetime
import json
import os
import signal
import sys
import threading
import time


def post_refresh(told, refresh_token):
    """The refresh grant, for azure-core, which leaves it to a credential."""
    import requests

    body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answer = requests.post(told["token_url"], data=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


class AuthlibAsync:
    def __init__(self, told):
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        self.client = AsyncOAuth2Client(token=oauth_token(told), token_endpoint=told["token_url"], timeout=30)

    async def get(self, url):
        return (await self.client.get(url)).status_code

    def refresh_token(self):
        return self.client.token.get("refresh_token")


class AuthlibSync:
    def __init__(self, told):
        from authlib.integrations.httpx_client import OAuth2Client

        self.client = OAuth2Client(token=oauth_token(told), token_endpoint=told["token_url"], timeout=30)

    def get(self, url):
        return self.client.get(url).status_code

    def refresh_token(self):
        return self.client.token.get("refresh_token")


class GoogleAuth:
    def __init__(self, told):
        from google.auth.transport.requests import AuthorizedSession
        from google.oauth2.credentials import Credentials

        expiry = datetime.datetime.fromtimestamp(told["expires_at"], datetime.UTC).replace(tzinfo=None)
        self.credentials = Credentials(
            told["access"],
            refresh_token=told["refresh"],
            token_uri=told["token_url"],
            client_id="app",
            client_secret="secret",
            expiry=expiry,
        )
        self.session = AuthorizedSession(self.credentials)

    def get(self, url):
        return self.session.get(url, timeout=30).status_code

    def refresh_token(self):
        return self.credentials.refresh_token


class RequestsOAuthlib:
    def __init__(self, told):
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        from requests_oauthlib import OAuth2Session

        self.session = OAuth2Session(
            "app", token=oauth_token(told), auto_refresh_url=told["token_url"], token_updater=lambda token: None
        )

    def get(self, url):
        return self.session.get(url, timeout=30).status_code

    def refresh_token(self):
        return self.session.token.get("refresh_token")


class HttpxAuth:
    def __init__(self, told):
        import httpx
        from httpx_auth import OAuth2, OAuth2ResourceOwnerPasswordCredentials

        # Its refresh belongs to the password grant; the password is wrong, because a second login is no refresh.
        self.auth = OAuth2ResourceOwnerPasswordCredentials(told["token_url"], "ada", "not the password")
        self.cache = OAuth2.token_cache
        self.cache._add_token(self.auth.state, told["access"], told["expires_at"], told["refresh"])
        self.client = httpx.AsyncClient(auth=self.auth, timeout=30)

    async def get(self, url):
        return (await self.client.get(url)).status_code

    def refresh_token(self):
        return self.cache.tokens.get(self.auth.state, (None, None, None))[2]


class AzureCredential:
    def __init__(self, told):
        self.told, self.refresh_token = told, told["refresh"]

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        answer = post_refresh(self.told, self.refresh_token)
        self.refresh_token = answer["refresh_token"]
        return AccessToken(answer["access_token"], int(time.time()) + 3600)


class AzureSync:
    def __init__(self, told):
        from azure.core.credentials import AccessToken
        from azure.core.pipeline import Pipeline
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy
        from azure.core.pipeline.transport import RequestsTransport

        self.credential = AzureCredential(told)
        policy = BearerTokenCredentialPolicy(self.credential, "scope")
        policy._token = AccessToken(told["access"], int(told["expires_at"]))
        self.pipeline = Pipeline(RequestsTransport(), policies=[policy])
        self.pipeline._transport.open()

    def get(self, url):
        from azure.core.pipeline.transport import HttpRequest

        return self.pipeline.run(HttpRequest("GET", url), enforce_https=False).http_response.status_code

    def refresh_token(self):
        return self.credential.refresh_token


class AzureAsync:
    def __init__(self, told):
        from azure.core.credentials import AccessToken
        from azure.core.pipeline import AsyncPipeline
        from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
        from azure.core.pipeline.transport import AsyncioRequestsTransport

        blocking = AzureCredential(told)

        class Credential:
            async def get_token(self, *scopes, **options):
                return await asyncio.to_thread(blocking.get_token)

        self.credential = blocking
        policy = AsyncBearerTokenCredentialPolicy(Credential(), "scope")
        policy._token = AccessToken(told["access"], int(told["expires_at"]))
        self.pipeline = AsyncPipeline(AsyncioRequestsTransport(), policies=[policy])

    async def get(self, url):
        from azure.core.pipeline.transport import HttpRequest

        answer = await self.pipeline.run(HttpRequest("GET", url), enforce_https=False)
        return answer.http_response.status_code

    def refresh_token(self):
        return self.credential.refresh_token


CLIENTS = {
    "authlib-async": AuthlibAsync,
    "authlib-sync": AuthlibSync,
    "google-auth": GoogleAuth,
    "requests-oauthlib": RequestsOAuthlib,
    "httpx-auth": HttpxAuth,
    "azure-core-sync": AzureSync,
    "azure-core-async": AzureAsync,
}


def oauth_token(told):
    return {
        "access_token": told["access"],
        "refresh_token": told["refresh"],
        "token_type": "Bearer",
        "expires_at": told["expires_at"],
    }


async def in_tasks(client, told, order):
    tasks = []
    for number, path in enumerate(order["paths"]):
        if number and order["stagger"]:
            await asyncio.sleep(order["stagger"])
        tasks.append(asyncio.ensure_future(client.get(told["url"] + path)))
    if order["cancel_first_after"] is not None:
        await asyncio.sleep(order["cancel_first_after"])
        tasks[0].cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def in_threads(client, told, order):
    paths = order["paths"]
    results = [0] * len(paths)
    barrier = threading.Barrier(len(paths))

    def send(number):
        barrier.wait()
        time.sleep(order["stagger"] * number)
        try:
            results[number] = client.get(told["url"] + paths[number])
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(1, len(paths))]
    for thread in threads:
        thread.start()
    if order["cancel_first_after"] is not None:
        interrupt = (threading.main_thread().ident, signal.SIGINT)
        threading.Timer(order["cancel_first_after"], signal.pthread_kill, interrupt).start()
    send(0)
    for thread in threads:
        thread.join(30)
    return results


def main():
    told = json.loads(sys.argv[2])
    make = CLIENTS[sys.argv[1]]
    is_async = asyncio.iscoroutinefunction(make.get)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = make(told)
    for line in sys.stdin:
        order = json.loads(line)
        results = (
            loop.run_until_complete(in_tasks(client, told, order)) if is_async else in_threads(client, told, order)
        )
        shown = [result if isinstance(result, int) else type(result).__name__ for result in results]
        print(json.dumps({"results": shown, "refresh_token": client.refresh_token()}), flush=True)


main()
