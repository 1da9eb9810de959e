"""The demo's Django project in one file: simplejwt's endpoints and a small API. It runs in a process of its own.

gunicorn imports it as `rxauth.demo.site:application`; its settings are environment variables that `backend()` sets.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings

FOLDER = Path(os.environ["RXAUTH_DEMO_FOLDER"])
SECRET = os.environ["RXAUTH_DEMO_SECRET"]
LATENCY = float(os.environ["RXAUTH_DEMO_LATENCY"])
TOKEN_LATENCY = float(os.environ["RXAUTH_DEMO_TOKEN_LATENCY"])

settings.configure(
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "db.sqlite3",
            "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    MIDDLEWARE=[f"{__name__}.count"],
    # A real hasher takes a third of a second on purpose, and this password is in the README.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(seconds=float(os.environ["RXAUTH_DEMO_LIFE"])),
        "REFRESH_TOKEN_LIFETIME": timedelta(seconds=float(os.environ["RXAUTH_DEMO_REFRESH_LIFE"])),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "TOKEN_OBTAIN_SERIALIZER": f"{__name__}.LoginSerializer",
    },
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402
from rest_framework_simplejwt.exceptions import InvalidToken  # noqa: E402
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer  # noqa: E402
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken  # noqa: E402
from rest_framework_simplejwt.views import (  # noqa: E402
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
)

_lock = threading.Lock()
_refreshing = threading.Lock()
_counts: Counter[tuple[str, str, int]] = Counter()
#: Tokens carry the epoch in which their user logged in; revoking begins a new one.
_epoch = 1


class LoginSerializer(TokenObtainPairSerializer):
    @classmethod
    def get_token(cls, user: Any) -> Any:
        token = super().get_token(user)
        token["epoch"] = _epoch
        return token


class Authentication(JWTAuthentication):
    def get_validated_token(self, raw_token: bytes) -> Any:
        token = super().get_validated_token(raw_token)
        if token.get("epoch") != _epoch:
            raise InvalidToken({"detail": "The session was revoked", "messages": []})
        return token


class RefreshView(TokenRefreshView):
    """simplejwt looks whether a token is blacklisted, and blacklists it later: two threads could both get through."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        time.sleep(TOKEN_LATENCY)
        with _refreshing:
            return super().post(request, *args, **kwargs)


class SignedInView(APIView):
    authentication_classes = (Authentication,)
    permission_classes = (IsAuthenticated,)


class EchoView(SignedInView):
    def post(self, request: Request) -> Response:
        time.sleep(LATENCY)
        return Response({"message": request.data.get("message"), "user": request.user.get_username()})


class MeView(SignedInView):
    def get(self, request: Request) -> Response:
        time.sleep(LATENCY)
        return Response({"username": request.user.get_username()})


#: What the search looks through: documents that this library goes by.
TITLES = (
    "RFC 6749 The OAuth 2.0 Authorization Framework",
    "RFC 7009 Token Revocation",
    "RFC 7515 JSON Web Signature (JWS)",
    "RFC 7516 JSON Web Encryption (JWE)",
    "RFC 7519 JSON Web Token (JWT)",
    "RFC 7636 Proof Key for Code Exchange",
    "RFC 7662 Token Introspection",
    "RFC 9068 JWT Profile for Access Tokens",
    "RFC 9110 HTTP Semantics",
    "RFC 9700 OAuth 2.0 Security Best Current Practice",
)


class SearchView(SignedInView):
    def get(self, request: Request) -> Response:
        time.sleep(LATENCY)
        text = request.query_params.get("q", "").casefold()
        return Response({"found": [title for title in TITLES if text in title.casefold()]})


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = get_user_model()
        fields = ("username", "password")
        extra_kwargs = {"password": {"write_only": True}}  # noqa: RUF012

    def create(self, validated_data: dict[str, Any]) -> Any:
        return get_user_model().objects.create_user(**validated_data)


class RegisterView(APIView):
    def post(self, request: Request) -> Response:
        form = UserSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        form.save()
        return Response(form.data, status=201)


def control(request: HttpRequest, command: str) -> HttpResponse:
    """What only the process that started this server may ask: it alone knows the secret."""
    global _epoch
    if request.headers.get("x-rxauth-demo") != SECRET:
        return JsonResponse({"detail": "Not found."}, status=404)
    if command == "reset" and request.method == "POST":
        with _lock:
            _counts.clear()
    elif command == "revoke" and request.method == "POST":
        with _refreshing:
            _epoch += 1
            for token in OutstandingToken.objects.all():
                BlacklistedToken.objects.get_or_create(token=token)
    elif command != "counts":
        return JsonResponse({"detail": "Not found."}, status=404)
    with _lock:
        rows = [[method, url, status, number] for (method, url, status), number in _counts.items()]
    return JsonResponse({"counts": rows, "pid": os.getpid(), "parent": os.getppid()})


def count(get_response: Any) -> Any:
    """Middleware that counts the answers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        if not request.path.startswith("/__"):
            with _lock:
                _counts[request.method or "", request.path, response.status_code] += 1
        return response

    return middleware


urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view(authentication_classes=[])),
    path("api/token/refresh/", RefreshView.as_view(authentication_classes=[])),
    path("api/token/blacklist/", TokenBlacklistView.as_view(authentication_classes=[])),
    path("api/echo/", EchoView.as_view()),
    path("api/me/", MeView.as_view()),
    path("api/search/", SearchView.as_view()),
    path("api/register/", RegisterView.as_view()),
    path("__<str:command>__/", control),
]


def _stop_with_parent(master: int) -> None:
    """The pipe's other end is held by the process that started us alone, so it ends when that does, however it does."""
    os.read(int(os.environ["RXAUTH_DEMO_PIPE"]), 1)
    if os.getppid() == master:  # else it is gone, and somebody else has adopted us
        os.kill(master, signal.SIGTERM)


call_command("migrate", verbosity=0)
get_user_model().objects.create_user(os.environ["RXAUTH_DEMO_USER"], password=os.environ["RXAUTH_DEMO_PASSWORD"])
threading.Thread(target=_stop_with_parent, args=(os.getppid(),), name="stop-with-parent", daemon=True).start()
application = get_wsgi_application()
