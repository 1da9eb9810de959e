"""django-oauth-toolkit with a SQLite file: opaque tokens, its own protected views, and Django REST Framework's."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings

APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider", "rest_framework"]

settings.configure(
    SECRET_KEY=os.environ["SERVER_SECRET"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["SERVER_FOLDER"]) / "db.sqlite3",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            },
        }
    },
    INSTALLED_APPS=APPS,
    MIGRATION_MODULES={app.rpartition(".")[2]: None for app in APPS},  # tables at once, not in thirty steps
    MIDDLEWARE=[],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # also for the client's secret
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["oauth2_provider.contrib.rest_framework.OAuth2Authentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    OAUTH2_PROVIDER={"ACCESS_TOKEN_EXPIRE_SECONDS": 3600, "ALWAYS_RELOAD_OAUTHLIB_CORE": True},
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from oauth2_provider.views.generic import (  # noqa: E402
    ProtectedResourceView,
    ScopedProtectedResourceMetadataView,
    ScopedProtectedResourceView,
)
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from tests.system.servers.server_process import Counted  # noqa: E402


class MeView(ProtectedResourceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        owner = request.resource_owner
        return JsonResponse({"username": owner.get_username() if owner else None})


class WriteView(ScopedProtectedResourceView):
    required_scopes = ("write",)

    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"written": True})


class MetadataView(ScopedProtectedResourceMetadataView):
    """The variant that answers as RFC 6750 has it: 401 for the token, 403 for the scope."""

    required_scopes = ("write",)

    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"written": True})


class AdminView(ProtectedResourceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        raise PermissionDenied


class RestView(APIView):
    def get(self, request: Request) -> Response:
        return Response({"username": request.user.get_username()})


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("api/me/", MeView.as_view()),
    path("api/write/", WriteView.as_view()),
    path("api/metadata/", MetadataView.as_view()),
    path("api/admin/", AdminView.as_view()),
    path("rest/me/", RestView.as_view()),
]


def expire(token: str) -> str:
    assert AccessToken.objects.filter(token=token).update(expires=datetime(2000, 1, 1, tzinfo=UTC)) == 1
    return token


def revoke(token: str) -> None:
    RefreshToken.objects.get(token=token).revoke()


def configure(**options: Any) -> dict[str, Any]:
    """Set options and return what they were."""
    before = {name: getattr(oauth2_settings, name) for name in options}
    settings.OAUTH2_PROVIDER.update(options)
    oauth2_settings.reload()
    return before


def live(seconds: int) -> None:
    configure(ACCESS_TOKEN_EXPIRE_SECONDS=seconds)


call_command("migrate", verbosity=0, run_syncdb=True)
ada = get_user_model().objects.create_user(os.environ["SERVER_USER"], password=os.environ["SERVER_PASSWORD"])
Application.objects.create(
    client_id="app",
    client_type=Application.CLIENT_PUBLIC,
    authorization_grant_type=Application.GRANT_PASSWORD,
    user=ada,
)
Application.objects.create(
    client_id="web",
    client_secret="s3cret",
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_PASSWORD,
    user=ada,
)
Application.objects.create(
    client_id="service",
    client_secret="s3cret",
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
)
application = Counted(
    get_wsgi_application(), {"expire": expire, "revoke": revoke, "configure": configure, "live": live}
)
