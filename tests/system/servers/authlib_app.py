"""An OAuth 2 server with Authlib on Flask: RFC 9068 access tokens, rotation, reuse ends the family, revocation."""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import InvalidTokenError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator, JWTBearerTokenValidator
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.system.servers.server_process import Counted

ISSUER, AUDIENCE, REDIRECT = "https://auth.example.com", "https://api.example.com", "https://app.example.com/back"
WAYS = ["none", "client_secret_basic", "client_secret_post"]

app = Flask(__name__)
key = ECKey.generate_key("P-256")
lock = threading.RLock()
users = {os.environ["SERVER_USER"]: os.environ["SERVER_PASSWORD"]}
revoked: set[str] = set()
life = 3600


@dataclass
class Client(ClientMixin):
    client_id: str
    grants: tuple[str, ...]
    secret: str = ""
    way: str = "none"
    scope: str = "read write"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return REDIRECT

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(word for word in (scope or "").split() if word in self.scope.split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.way

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grants


USER = ("password", "refresh_token", "authorization_code")
clients = {
    client.client_id: client
    for client in (
        Client("app", USER),
        Client("web", USER, "s3cret", "client_secret_basic"),
        Client("mobile", USER, "s3cret", "client_secret_post"),
        Client("service", ("client_credentials",), "s3cret", "client_secret_basic"),
    )
}


@dataclass
class Pair(TokenMixin):
    access: str
    refresh: str | None
    client_id: str
    user: str | None
    scope: str
    family: str
    spent: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def revoke(self) -> None:
        self.spent = True
        revoked.add(self.access)


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    user: str
    code_challenge: str
    code_challenge_method: str = "S256"
    scope: str = "read"

    def get_redirect_uri(self) -> str:
        return REDIRECT

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Book:
    pairs: list[Pair] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)

    def find(self, token: str) -> Pair | None:
        return next((pair for pair in self.pairs if token in (pair.access, pair.refresh)), None)


book = Book()


def user_named(name: str | None) -> Any:
    return SimpleNamespace(name=name, get_user_id=lambda: name) if name in users else None


def save_token(token: dict[str, Any], asked: Any) -> None:
    spent = getattr(asked, "refresh_token", None)
    user = asked.user.name if asked.user else None
    family = spent.family if spent else secrets.token_hex(8)
    scope = token.get("scope") or ""
    book.pairs.append(
        Pair(token["access_token"], token.get("refresh_token"), asked.client.client_id, user, scope, family)
    )


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = WAYS

    def authenticate_user(self, username: str, password: str) -> Any:
        return user_named(username) if users.get(username) == password else None


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = WAYS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Pair | None:
        pair = book.find(refresh_token)
        if pair is None or not pair.spent:
            return pair
        for relative in book.pairs:
            if relative.family == pair.family:
                relative.revoke()
        return None

    def authenticate_user(self, refresh_token: Pair) -> Any:
        return user_named(refresh_token.user)

    def revoke_old_credential(self, refresh_token: Pair) -> None:
        refresh_token.revoke()


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = WAYS

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return book.codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        book.codes.pop(authorization_code.code)

    def authenticate_user(self, authorization_code: Code) -> Any:
        return user_named(authorization_code.user)


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = WAYS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Pair | None:
        return book.find(token_string)

    def revoke_token(self, token: Pair, asked: Any) -> None:
        """As RFC 7009 section 2.1 has it: the refresh token takes the access token with it."""
        if asked.form["token"] == token.access:
            revoked.add(token.access)
        else:
            token.revoke()


class Generator(JWTBearerTokenGenerator):
    def get_jwks(self) -> ECKey:
        return key

    def get_audiences(self, client: Client, user: Any, scope: str) -> str:
        return AUDIENCE


class Validator(JWTBearerTokenValidator):
    def get_jwks(self) -> ECKey:
        return key

    def authenticate_token(self, token_string: str) -> Any:
        if token_string in revoked:
            raise InvalidTokenError()
        return super().authenticate_token(token_string)


server = AuthorizationServer(app, query_client=clients.get, save_token=save_token)
generator = Generator(
    ISSUER,
    "ES256",
    refresh_token_generator=lambda *_, **__: secrets.token_urlsafe(24),
    expires_generator=lambda *_: life,
)
server.register_token_generator("default", generator)
for grant in (PasswordGrant, RefreshGrant, grants.ClientCredentialsGrant):
    server.register_grant(grant)
server.register_grant(CodeGrant, [CodeChallenge(required=True)])
server.register_endpoint(Revocation)
protected = ResourceProtector()
protected.register_token_validator(Validator(ISSUER, AUDIENCE))


@app.post("/oauth/token")
def token() -> Response:
    with lock:
        return server.create_token_response()


@app.post("/oauth/revoke")
def revocation() -> Response:
    with lock:
        return server.create_endpoint_response("revocation")


@app.get("/api/me/")
@protected()
def me() -> Response:
    return jsonify(username=current_token["sub"])


@app.get("/api/reports/")
@protected("read")
def reports() -> Response:
    return jsonify(reports=[request.args.get("year")])


def expire(token: str) -> str:
    return jwt.encode({"alg": "ES256", "typ": "at+jwt"}, {**jwt.decode(token, key).claims, "iat": 1, "exp": 61}, key)


def revoke(token: str) -> None:
    pair = book.find(token)
    assert pair is not None
    pair.revoke()


def live(seconds: int) -> None:
    global life
    life = seconds


def authorize(user: str, challenge: str) -> str:
    """What the user does in the browser: returns the code."""
    code = Code(secrets.token_urlsafe(16), user, challenge)
    book.codes[code.code] = code
    return code.code


def forget(user: str) -> None:
    users.pop(user)


def remember(user: str, password: str) -> None:
    users[user] = password


application = Counted(
    app.wsgi_app,
    {
        "expire": expire,
        "revoke": revoke,
        "live": live,
        "authorize": authorize,
        "forget": forget,
        "remember": remember,
    },
)
