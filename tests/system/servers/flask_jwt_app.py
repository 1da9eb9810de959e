"""Flask-JWT-Extended as its documentation shows it: blocklist, rotation, fresh tokens, refresh tokens in cookies."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import Any

import jwt as pyjwt
from flask import Flask, Response, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_refresh_cookies,
)
from flask_jwt_extended.exceptions import RevokedTokenError

from tests.system.servers.server_process import Counted

app = Flask(__name__)
app.config.update(
    JWT_SECRET_KEY=os.environ["SERVER_SECRET"] * 2,
    JWT_ACCESS_TOKEN_EXPIRES=timedelta(hours=1),
    JWT_COOKIE_CSRF_PROTECT=False,
)
manager = JWTManager(app)
users = {os.environ["SERVER_USER"]: os.environ["SERVER_PASSWORD"]}
revoked: set[str] = set()
lock = threading.Lock()


@manager.token_in_blocklist_loader
def is_revoked(_: dict[str, Any], claims: dict[str, Any]) -> bool:
    return claims["jti"] in revoked


@manager.user_lookup_loader
def user_of(_: dict[str, Any], claims: dict[str, Any]) -> str | None:
    return claims["sub"] if claims["sub"] in users else None


def spend(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Put the refresh token on the blocklist; of two threads with the same one, the second is refused."""
    with lock:
        if claims["jti"] in revoked:
            raise RevokedTokenError(header, claims)
        revoked.add(claims["jti"])


@app.post("/login")
def login() -> Any:
    name = request.json.get("username")
    if name not in users or users[name] != request.json.get("password"):
        return jsonify(msg="Bad username or password"), 401
    return jsonify(access_token=create_access_token(name, fresh=True), refresh_token=create_refresh_token(name))


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> Any:
    spend({}, get_jwt())
    name = get_jwt_identity()
    return jsonify(access_token=create_access_token(name, fresh=False), refresh_token=create_refresh_token(name))


@app.post("/refresh/access")
@jwt_required(refresh=True)
def refresh_without_rotation() -> Any:
    return jsonify(access_token=create_access_token(get_jwt_identity(), fresh=False))


@app.post("/cookie/login")
def login_with_cookie() -> Any:
    answer = jsonify(access_token=create_access_token(request.json["username"]))
    set_refresh_cookies(answer, create_refresh_token(request.json["username"]))
    return answer


@app.post("/cookie/refresh")
@jwt_required(refresh=True, locations=["cookies"])
def refresh_with_cookie() -> Any:
    spend({}, get_jwt())
    answer = jsonify(access_token=create_access_token(get_jwt_identity()))
    set_refresh_cookies(answer, create_refresh_token(get_jwt_identity()))
    return answer


@app.post("/logout")
@app.delete("/documented/logout")
@jwt_required(verify_type=False)
def logout() -> Response:
    revoked.add(get_jwt()["jti"])
    return jsonify(msg="Token revoked")


@app.get("/api/me/")
@jwt_required()
def me() -> Response:
    return jsonify(username=get_jwt_identity())


@app.get("/api/fresh/")
@jwt_required(fresh=True)
def only_after_login() -> Response:
    return jsonify(username=get_jwt_identity())


def expire(token: str) -> str:
    claims = pyjwt.decode(token, options={"verify_signature": False})
    return pyjwt.encode({**claims, "iat": 1, "nbf": 1, "exp": 61}, app.config["JWT_SECRET_KEY"], "HS256")


def revoke(token: str) -> None:
    with app.app_context():
        revoked.add(decode_token(token)["jti"])


def configure(**settings: Any) -> dict[str, Any]:
    """Set options and return what they were."""
    before = {name: app.config[name] for name in settings}
    app.config.update(settings)
    return before


def live(seconds: int) -> None:
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(seconds=seconds)


def forget(user: str) -> None:
    users.pop(user)


def remember(user: str, password: str) -> None:
    users[user] = password


application = Counted(
    app.wsgi_app,
    {
        "expire": expire,
        "revoke": revoke,
        "configure": configure,
        "live": live,
        "forget": forget,
        "remember": remember,
    },
)
